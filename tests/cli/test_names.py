"""Every verb takes `-`, pipes and whatever names files have, for what it reads and what it writes."""

import gzip
import io
import os
import subprocess
import sys
import threading

import pytest


@pytest.fixture
def text(tiny_corpus):
    """The source side of a test set."""
    return (tiny_corpus / "test.de").read_bytes()


@pytest.fixture
def stdin(monkeypatch):
    """Set what standard input holds."""

    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def test_a_dash_is_standard_input_and_output(command, tiny_run, tiny_corpus, text, stdin, tmp_path):
    model, de, en = tiny_run.folder / "model", tiny_corpus / "test.de", tiny_corpus / "test.en"
    plain = command("translate", model, "-i", de).out
    assert plain.count("\n") == text.count(b"\n")
    stdin(gzip.compress(text))
    assert command("translate", model, "-i", "-", "-o", "-").out == plain
    scored = command("score", model, "--source", de, "--target", en).out
    for words in (["--source", "-", "--target", en], ["--source", de, "--target", "-"]):
        stdin((de if words[1] == "-" else en).read_bytes())
        assert command("score", model, *words, "-o", "-").out == scored
    stdin(en.read_bytes())
    table = command("evaluate", "--hypothesis", "-", "--reference", en).out.splitlines()[1]
    assert table.startswith("standard input  100.00")
    stdin(en.read_bytes())
    assert "100.00" in command("evaluate", "--hypothesis", en, "--reference", "-").out
    stdin(en.read_bytes())
    page = command("compare", "-", de, "--reference", en, "--html", "-")
    assert (page.code, page.out[:15], page.out[-8:]) == (0, "<!DOCTYPE html>", "</html>\n")


@pytest.mark.parametrize(
    "words",
    [
        ["translate", "MODEL", "--prefix", "-"],
        ["score", "MODEL", "--source", "-", "--target", "-"],
        ["evaluate", "--hypothesis", "-", "--reference", "-"],
    ],
)
def test_standard_input_is_one_text(command, tiny_run, text, stdin, words):
    stdin(text)
    result = command(*(tiny_run.folder if word == "MODEL" else word for word in words))
    error = "nmt-rl: error: standard input can be read only once; name files for the other texts\n"
    assert (result.code, result.out, result.err) == (2, "", error)


def test_a_prefix_from_a_named_pipe(command, tiny_run, tiny_corpus, tmp_path):
    """As the shell makes it of `--prefix <(...)`."""
    os.mkfifo(tmp_path / "pipe")
    prefixes = "dog\n" * 8
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(prefixes))
    writer.start()
    words = ("translate", tiny_run.folder, "-i", tiny_corpus / "test.de", "--prefix")
    found = command(*words, tmp_path / "pipe")
    writer.join()
    assert found.code == 0 and len(found.out.splitlines()) == 8
    assert all(line.startswith("dog") for line in found.out.splitlines())


def test_names_that_are_not_utf8(command, tiny_run, tiny_corpus, tmp_path):
    strange = os.fsdecode(b"\xff\n")
    model, de, en = (tmp_path / f"{name}{strange}" for name in ("model", "de", "en"))
    model.symlink_to(tiny_run.folder / "model")
    for path, language in ((de, "de"), (en, "en")):
        path.write_bytes((tiny_corpus / f"test.{language}").read_bytes())
    page, out = tmp_path / f"page{strange}", tmp_path / f"out{strange}"
    for words in (
        ["translate", model, "-i", de, "-o", out],
        ["score", model, "--source", de, "--target", out],
        ["evaluate", model, "--source", de, "--reference", en, "--format", "json"],
        ["compare", out, en, "--source", de, "--reference", en, "--html", page],
        ["average", model, tiny_run.folder / "pretrain/model", "-o", tmp_path / f"mean{strange}"],
        ["info", tmp_path / f"mean{strange}"],
    ):
        result = command(*words)
        assert result.code == 0, result.err
        result.out.encode("utf-8")
    assert "out\\udcff\\n" in page.read_text(encoding="utf-8")
    missing = command("translate", model, "-i", tmp_path / f"missing{strange}")
    assert (missing.code, missing.err) == (2, f"nmt-rl: error: {tmp_path}/missing\\udcff\\n does not exist\n")


NOWHERE = """
import tempfile
tempfile._get_default_tempdir = lambda: open("/nowhere/to/write")
from nmt_rl.cli.main import main
main()
"""


@pytest.mark.parametrize("verb", ["translate", "evaluate"])
def test_without_a_folder_for_temporary_files(tiny_run, tiny_corpus, verb):
    """Libraries ask for one as they are loaded."""
    texts = {"translate": ["-i"], "evaluate": ["--reference", tiny_corpus / "test.en", "--source"]}[verb]
    words = [sys.executable, "-c", NOWHERE, verb, tiny_run.folder, *texts, tiny_corpus / "test.de"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


@pytest.mark.parametrize("words", [["average", "a", "b", "-o"], ["export", "a", "-o"], ["prepare", "tiny", "--out"]])
def test_a_folder_is_no_stream(command, words):
    for name in ("-", ""):
        result = command(*words, name)
        assert result.code == 2 and f"needs the name of a folder, found {name!r}" in result.err
