import urllib.error

import pytest
from sacrebleu.dataset import DATASETS

from nmt_rl.errors import UserError
from nmt_rl.evaluation.testsets import load_standard_set, read_test_sets


def serve(monkeypatch, tmp_path, name, source, reference):
    """Let sacreBLEU find the given text in its cache."""
    (tmp_path / "src").write_text(source, encoding="utf-8")
    (tmp_path / "ref").write_text(reference, encoding="utf-8")
    monkeypatch.setattr(DATASETS[name], "get_source_file", lambda pair: str(tmp_path / "src"))
    monkeypatch.setattr(DATASETS[name], "get_reference_files", lambda pair: [str(tmp_path / "ref")])


@pytest.mark.parametrize(("name", "lines"), [("wmt14", 2737), ("wmt14/full", 3003)])
def test_the_two_wmt14_sets_keep_their_names(monkeypatch, tmp_path, name, lines):
    serve(monkeypatch, tmp_path, name, "Hello.\n" * lines, "Hallo.\n" * lines)
    loaded = load_standard_set(name, "en-de")
    assert loaded.name == f"{name} en-de"
    assert (len(loaded.sources), len(loaded.references[0])) == (lines, lines)
    assert (loaded.source_language, loaded.target_language) == ("en", "de")


def test_only_line_feeds_end_a_line(monkeypatch, tmp_path):
    serve(monkeypatch, tmp_path, "wmt14", "a\u2028b\n\nc", "A\u0085B\n\nC\n")
    loaded = load_standard_set("wmt14", "en-de")
    assert loaded.sources == ("a\u2028b", "", "c")
    assert loaded.references == (("A\u0085B", "", "C"),)


def test_unknown_set_suggests_the_nearest():
    with pytest.raises(UserError, match="no test set 'WMT14'; did you mean wmt14"):
        load_standard_set("WMT14", "en-de")
    with pytest.raises(UserError, match="no test set 'wmt14/ful'; did you mean wmt14/full"):
        load_standard_set("wmt14/ful", "en-de")


def test_unknown_pair_names_the_pairs():
    with pytest.raises(UserError, match=r"no language pair 'xx-yy'; it has .*en-de"):
        load_standard_set("wmt14", "xx-yy")


@pytest.mark.parametrize(
    ("pair", "hint"),
    [
        ("en-xx", "it has cs-en, "),
        ("es-en", "it has cs-en, "),
        ("EN-DE", "did you mean en-de?"),
        ("eng-deu", "did you mean en-de?"),
        ("en-de_AT", "did you mean en-de?"),
        ("ru-en-x", "it has cs-en, "),
    ],
)
def test_a_pair_is_suggested_only_if_it_is_of_the_same_languages(pair, hint):
    with pytest.raises(UserError) as error:
        load_standard_set("wmt14", pair)
    assert f"test set wmt14 has no language pair {pair!r}; {hint}" in str(error.value)


def test_the_other_direction_is_suggested(monkeypatch):
    monkeypatch.setattr(DATASETS["wmt14"], "langpairs", {"en-de": [], "fr-en": []})
    with pytest.raises(UserError, match=r"no language pair 'de-en'; did you mean en-de\?"):
        load_standard_set("wmt14", "de-en")


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("no route to host"), SystemExit(1), PermissionError("read-only")]
)
def test_offline_is_one_sentence(monkeypatch, error):
    def refuse(pair):
        raise error

    monkeypatch.setattr(DATASETS["wmt14"], "get_source_file", refuse)
    with pytest.raises(
        UserError, match=r"wmt14 en-de .* cannot be downloaded .* give --source and --reference"
    ) as caught:
        load_standard_set("wmt14", "en-de")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda path: path.write_bytes(b"\xff\xfe\n"), "is not UTF-8 text"),
        (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "is a pointer of Git LFS"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder, not a file"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "is a device, not a file"),
    ],
)
@pytest.mark.parametrize("name", ["src", "ref"])
def test_a_damaged_cache_is_named(monkeypatch, tmp_path, name, damage, what):
    serve(monkeypatch, tmp_path, "wmt14", "a\n", "A\n")
    damage(tmp_path / name)
    with pytest.raises(UserError) as error:
        load_standard_set("wmt14", "en-de")
    assert str(error.value).startswith(f"{tmp_path / name} {what}")
    assert str(error.value).endswith(f"; delete {tmp_path} to download the test set again")


def test_cut_cache_is_noticed(monkeypatch, tmp_path):
    serve(monkeypatch, tmp_path, "wmt14", "a\nb\n", "A\n")
    with pytest.raises(UserError, match=r"2 lines .* 1; delete"):
        load_standard_set("wmt14", "en-de")


def test_set_without_references_cannot_be_scored(monkeypatch, tmp_path):
    serve(monkeypatch, tmp_path, "wmt14", "a\n", "A\n")
    monkeypatch.setattr(DATASETS["wmt14"], "get_reference_files", lambda pair: [])
    with pytest.raises(UserError, match="has no references"):
        load_standard_set("wmt14", "en-de")


@pytest.fixture
def text(tmp_path):
    """Writes a file of so many lines and gives its path."""

    def write(name, lines):
        path = tmp_path / name
        path.write_text("".join(f"{name} {n}\n" for n in range(lines)))
        return path

    return write


def test_one_source_has_several_references(text):
    source, first, second = text("s.de", 2), text("a.en", 2), text("b.en", 2)
    for sources in ([source], []):
        (found,) = read_test_sets(sources, [first, second], [], "de-en", needs_source=False)
        assert found.references == (("a.en 0", "a.en 1"), ("b.en 0", "b.en 1"))
        assert found.sources == (("s.de 0", "s.de 1") if sources else ())
        assert (found.name, found.reference_name) == ("a.en, b.en", f"{first}, {second}")
        assert (found.source_language, found.target_language) == ("de", "en")


def test_several_sources_have_one_reference_each(text):
    paths = [text(name, 2) for name in ("s1", "s2", "r1", "r2")]
    found = read_test_sets(paths[:2], paths[2:], [], None, needs_source=True)
    assert [(each.name, each.sources[0], each.references[0][0]) for each in found] == [
        ("r1", "s1 0", "r1 0"),
        ("r2", "s2 0", "r2 0"),
    ]


def test_what_belongs_together_must_be_clear(text):
    def refused(sources, references, names=(), languages=None):
        with pytest.raises(UserError) as error:
            read_test_sets(sources, references, names, languages, needs_source=False)
        return str(error.value)

    a, b, c, short = text("a", 2), text("b", 2), text("c", 2), text("short", 1)
    assert refused([a, b], [a, b, c, short]) == (
        "several --source go with one --reference each, found 2 and 4; one takes several references"
    )
    assert refused([a], [b, b]) == f"--reference {b} is given twice"
    assert refused([a, a], [b, b]) == f"--source and --reference {a} and {b} is given twice"
    assert refused([], [], ["wmt14", "wmt14"], "en-de") == "-t wmt14 is given twice"
    assert refused([a], [b, short]) == f"{a} has 2 lines but {short} has 1; they must agree"
    assert refused([], [short, b]) == f"{short} has 1 lines but {b} has 2; they must agree"
