import gzip
import json
import lzma
import socket

import pytest

from nmt_rl.config import CorpusConfig, SourceSpec
from nmt_rl.corpus import sources
from nmt_rl.corpus.sources import read_pairs
from nmt_rl.errors import UserError

PAIRS = [("ein Hund", "a dog"), ("", "blank"), ("zwei Hunde", "two dogs")]
CONFIG = CorpusConfig(source_language="de", target_language="en", train="unused", valid="unused")


def write(path, lines, compress=lambda data: data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compress("".join(f"{line}\n" for line in lines).encode()))
    return str(path)


def read(**spec):
    return list(read_pairs(SourceSpec(**spec), CONFIG))


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("", lambda data: data), (".txt", lambda data: data), (".gz", gzip.compress), (".xz", lzma.compress)],
)
def test_prefix(suffix, compress, tmp_path):
    write(tmp_path / f"train.de{suffix}", [s for s, _ in PAIRS], compress)
    write(tmp_path / f"train.en{suffix}", [t for _, t in PAIRS], compress)
    assert read(prefix=str(tmp_path / "train")) == PAIRS
    assert read(prefix=str(tmp_path / "train"), limit=2) == PAIRS[:2]


def test_several_files_one_after_the_other(tmp_path):
    files = [write(tmp_path / name, [name]) for name in ("a.de", "b.de", "a.en", "b.en")]
    assert read(source=files[:2], target=files[2:]) == [("a.de", "a.en"), ("b.de", "b.en")]


@pytest.mark.parametrize(("left", "right"), [(3, 7), (7, 3), (0, 2)])
def test_unequal_line_counts_name_both_counts(left, right, tmp_path):
    source, target = write(tmp_path / "s", ["x"] * left), write(tmp_path / "t", ["x"] * right)
    with pytest.raises(UserError, match=rf"s has {left} lines but .*t has {right};"):
        read(source=source, target=target)


def test_missing_prefix_names_the_file(tmp_path):
    with pytest.raises(UserError, match=r"train\.de does not exist"):
        read(prefix=str(tmp_path / "train"))


def test_tsv(tmp_path):
    path = write(tmp_path / "train.tsv.gz", ["\t".join(pair) for pair in PAIRS], gzip.compress)
    assert list(read_pairs(SourceSpec.model_validate(path), CONFIG)) == PAIRS


@pytest.mark.parametrize("line", ["no tab", "one\ttwo\tthree", " "])
def test_bad_tsv_line_is_named(line, tmp_path):
    path = write(tmp_path / "bad.tsv", ["a\tb", line])
    with pytest.raises(UserError, match=r"bad\.tsv line 2"):
        read(tsv=path)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("touched the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def rows_flat():
    return [{"de": s, "en": t} for s, t in PAIRS]


def test_hub_layout_parquet_in_data(tmp_path, no_network):
    datasets = pytest.importorskip("datasets")
    (tmp_path / "data").mkdir()
    for part, rows in enumerate((rows_flat()[:1], rows_flat()[1:])):
        file = tmp_path / "data" / f"train-0000{part}-of-00002.parquet"
        datasets.Dataset.from_list(rows).to_parquet(str(file))
    assert read(hub=str(tmp_path), split="train") == PAIRS


def test_hub_layout_of_wmt14(tmp_path, no_network):
    datasets = pytest.importorskip("datasets")
    (tmp_path / "de-en").mkdir()
    rows = [{"translation": row} for row in rows_flat()]
    datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "de-en" / "validation-00000-of-00001.parquet"))
    assert read(hub=str(tmp_path), hub_config="de-en", split="validation") == PAIRS
    reverse = CorpusConfig(source_language="en", target_language="de", train="x", valid="x")
    spec = SourceSpec(hub=str(tmp_path), hub_config="de-en", split="validation")
    assert list(read_pairs(spec, reverse)) == [(t, s) for s, t in PAIRS]


def test_hub_layout_json_lines_with_short_split_name(tmp_path, no_network):
    pytest.importorskip("datasets")
    rows = [*rows_flat(), {"de": "zwei\nZeilen", "en": "two lines"}]
    (tmp_path / "val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = list(read_pairs(SourceSpec(hub=str(tmp_path)), CONFIG, default_split="validation"))
    assert found == [*PAIRS, ("zwei Zeilen", "two lines")]


def test_hub_missing_split_and_field(tmp_path, no_network):
    pytest.importorskip("datasets")
    (tmp_path / "train.jsonl").write_text('{"de": "a", "fr": "b"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"'en', found de, fr; .*--set corpus\.train=PREFIX"):
        read(hub=str(tmp_path), split="train")
    with pytest.raises(UserError, match=r"test\.parquet"):
        read(hub=str(tmp_path), split="test")
    (tmp_path / "test.parquet").write_bytes(b"not parquet")
    with pytest.raises(UserError, match=r"--set corpus\.train=PREFIX"):
        read(hub=str(tmp_path), split="test")


@pytest.mark.parametrize(
    "row", [{"translation": None}, {"translation": {"de": None, "en": None}}, {"de": None, "en": None}]
)
def test_null_values_of_a_hub_set_are_blank_lines(row, tmp_path, no_network):
    pytest.importorskip("datasets")
    pair = {"de": "a", "en": "b"}
    rows = [{"translation": pair} if "translation" in row else pair, row]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    assert read(hub=str(tmp_path), split="train") == [("a", "b"), ("", "")]


def test_a_hub_field_that_is_no_text_is_named_with_its_row(tmp_path, no_network):
    pytest.importorskip("datasets")
    rows = [{"de": ["a"], "en": "b"}, {"de": ["c"], "en": "d"}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    with pytest.raises(UserError, match=r"row 1 has no text in field 'de', found list"):
        read(hub=str(tmp_path), split="train")


def test_hub_out_of_reach_is_one_sentence(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def fail(*_, **__):
        raise ConnectionError("Couldn't reach the hub\nwith many\nlines")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(UserError, match=r"set 'wmt14' \(de-en\) split 'train'.*--set corpus\.train=PREFIX") as caught:
        read(hub="wmt14", hub_config="de-en")
    assert "\n" not in str(caught.value)


def test_a_revision_of_a_hub_set_is_asked_for(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = {}
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **kw: asked.update(kw) or [{"de": "a", "en": "b"}])
    assert read(hub="wmt/wmt14", hub_config="de-en", revision="b199e40") == [("a", "b")]
    assert asked["revision"] == "b199e40"


def test_pairs_are_counted_where_that_is_quick(tmp_path, no_network):
    datasets = pytest.importorskip("datasets")
    for name in ("text.de", "text.en", "more.de", "more.en"):
        write(tmp_path / name, ["x"] * 3)
    write(tmp_path / "table.tsv", ["a\tb"] * 4)
    datasets.Dataset.from_list([{"de": "a", "en": "b"}] * 5).to_parquet(str(tmp_path / "train.parquet"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "train.parquet").write_bytes(b"not parquet")
    (tmp_path / "packed.tsv.gz").write_bytes(gzip.compress(b"a\tb\n"))

    def count(**spec):
        return sources.count_pairs(SourceSpec(**spec), CONFIG)

    assert count(prefix=str(tmp_path / "text")) == 3
    several = {"source": ("text.de", "more.de"), "target": ("text.en", "more.en")}
    assert count(**{side: tuple(str(tmp_path / name) for name in names) for side, names in several.items()}) == 6
    assert count(tsv=str(tmp_path / "table.tsv")) == 4
    assert count(tsv=str(tmp_path / "table.tsv"), limit=3) == 3
    assert count(hub=str(tmp_path)) == 5
    assert count(hub=str(tmp_path / "broken")) is None
    assert count(tsv=str(tmp_path / "packed.tsv.gz")) is None
    assert count(embedded="train") is None


def test_embedded(tmp_path, monkeypatch):
    write(tmp_path / "valid.de", [s for s, _ in PAIRS])
    write(tmp_path / "valid.en", [t for _, t in PAIRS])
    monkeypatch.setattr(sources, "embedded_folder", lambda: tmp_path)
    assert read(embedded="valid") == PAIRS
    french = CorpusConfig(source_language="fr", target_language="en", train="x", valid="x")
    with pytest.raises(UserError, match="'fr'"):
        list(read_pairs(SourceSpec(embedded="valid"), french))


def test_embedded_folder_holds_the_quickstart_corpus():
    folder = sources.embedded_folder()
    names = {f"{split}.{language}" for split in ("train", "valid", "test") for language in ("en", "de")}
    assert names <= {file.name for file in folder.iterdir()}


def test_a_blank_line_of_a_tsv_is_an_empty_pair(tmp_path):
    path = write(tmp_path / "gap.tsv", ["a\tb", "", "c\td"])
    assert list(read_pairs(SourceSpec(tsv=str(path)), CONFIG)) == [("a", "b"), ("", ""), ("c", "d")]


@pytest.mark.parametrize(
    ("prefix", "meant"),
    [
        ("t.de", "a prefix has no language at its end: did you mean {folder}/t?"),
        ("t.en.txt.gz", "a prefix has no language at its end: did you mean {folder}/t?"),
        (
            "text",
            "{folder}/text is a file: two files are given as {{source: FILE, target: FILE}}, a table ends in .tsv",
        ),
        ("notes.md", "notes.md is a file: two files are given as {{source: FILE, target: FILE}}, a table ends in .tsv"),
        ("folder", "{folder}/folder is a folder: is it hub:{folder}/folder, or {folder}/folder/train?"),
    ],
)
def test_what_is_no_prefix_is_said(tmp_path, prefix, meant):
    (tmp_path / "folder").mkdir()
    for name in ("t.de", "t.en.txt.gz", "text", "notes.md"):
        (tmp_path / name).touch()
    with pytest.raises(UserError) as error:
        list(read_pairs(SourceSpec(prefix=f"{tmp_path}/{prefix}"), CONFIG))
    assert str(error.value).endswith(meant.format(folder=tmp_path))
