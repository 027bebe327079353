import urllib.error

import pytest
from sacrebleu.dataset import DATASETS

from nmt_rl.errors import UserError
from nmt_rl.evaluation.testsets import load_standard_set


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
    with pytest.raises(UserError, match="no test set 'wmt14/ful'; did you mean wmt14/full"):
        load_standard_set("wmt14/ful", "en-de")


def test_unknown_pair_names_the_pairs():
    with pytest.raises(UserError, match=r"no language pair 'xx-yy'; it has .*en-de"):
        load_standard_set("wmt14", "xx-yy")


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


def test_cut_cache_is_noticed(monkeypatch, tmp_path):
    serve(monkeypatch, tmp_path, "wmt14", "a\nb\n", "A\n")
    with pytest.raises(UserError, match=r"2 lines .* 1; delete"):
        load_standard_set("wmt14", "en-de")


def test_set_without_references_cannot_be_scored(monkeypatch, tmp_path):
    serve(monkeypatch, tmp_path, "wmt14", "a\n", "A\n")
    monkeypatch.setattr(DATASETS["wmt14"], "get_reference_files", lambda pair: [])
    with pytest.raises(UserError, match="has no references"):
        load_standard_set("wmt14", "en-de")
