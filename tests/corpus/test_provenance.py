import os
import shutil

import pytest

from nmt_rl.config import CorpusConfig
from nmt_rl.corpus.provenance import changes, record_sources
from nmt_rl.errors import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split in ("train", "valid", "test"):
        for language in ("de", "en"):
            (tmp_path / f"{split}.{language}").write_text(f"{split} {language}\n")
    return tmp_path


def config(train="train", valid="valid", test="test"):
    return CorpusConfig(source_language="de", target_language="en", train=train, valid=valid, test=test)


def found(records, now):
    return [(change.kind, change.words) for change in changes(records, now)]


def test_the_same_text_elsewhere_is_the_same_text(folder, monkeypatch):
    records = record_sources(config())
    moved = shutil.copytree(folder, folder / "moved")
    files = {"source": str(folder / "train.de"), "target": "./train.en"}
    for train in ("./train", str(folder / "train"), str(moved / "train"), files, {"prefix": "train", "name": "x"}):
        assert found(records, config(train)) == []
    monkeypatch.chdir("/")  # The same words elsewhere, where nothing lies: what was meant is gone from sight.
    assert [kind for kind, _ in found(records, config())] == ["gone", "gone", "gone"]


def test_other_sources_are_other_settings(folder):
    records = record_sources(config())
    assert found(records, config({"prefix": "train", "limit": 3})) == [
        ("settings", "corpus.train was prefix train, now prefix train, limit 3")
    ]
    assert found(records, config(test=None)) == [("settings", "corpus.test had 1 sources, now 0")]
    assert found(records, config(["train", "valid"])) == [("settings", "corpus.train had 1 sources, now 2")]
    (kind, words), *_ = found(records, config(train="valid"))
    assert (kind, words) == ("settings", "corpus.train was prefix train, now prefix valid")
    with pytest.raises(UserError, match=r"nowhere\.de does not exist"):
        found(records, config(train="nowhere"))


def test_changed_text_is_told_from_text_that_was_touched(folder):
    records = record_sources(config())
    os.utime(folder / "train.de", (1, 1))
    assert found(records, config()) == []
    (folder / "train.de").write_text("Train de\n")
    ((kind, words),) = found(records, config())
    assert kind == "text" and words.startswith("train.de has changed: 9 bytes of 20") and ", now 9 bytes of" in words
    records = record_sources(config())
    before = (folder / "train.en").stat()
    (folder / "train.en").write_text("Train en\n")
    os.utime(folder / "train.en", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found(records, config()) == []
    ((kind, words),) = [(c.kind, c.words) for c in changes(records, config(), contents=True)]
    assert (kind, words) == ("text", "train.en has changed: neither its size nor its time, but what it holds")
    (folder / "valid.en").unlink()
    assert ("gone", "valid.en does not exist (nor with .txt, .gz, .xz or .bz2)") in found(records, config())
