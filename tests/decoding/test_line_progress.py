"""The bar on a terminal, for what has a length."""

import io
import logging
import sys
from types import SimpleNamespace

import pytest

from nmt_rl.corpus.inputs import open_binary
from nmt_rl.decoding.line_progress import line_progress
from nmt_rl.storage.streams import STANDARD


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    logger = logging.getLogger("nmt_rl")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield Terminal()
    logger.setLevel(level)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "text").write_bytes(b"a\nb\nc\n")
    return tmp_path / "text"


def test_a_file_has_a_bar(terminal, path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    with line_progress(path) as progress:
        progress(3)
    assert "3/3" in terminal.getvalue()


def test_standard_input_has_one_if_it_is_a_file(terminal, path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file, fileno=file.fileno))
        with line_progress(STANDARD) as progress, open_binary(STANDARD) as source:
            assert source.read() == b"a\nb\nc\n"
            progress(2)
    assert "2/3" in terminal.getvalue()


@pytest.mark.parametrize("why", ["no terminal", "quiet", "stream"])
def test_otherwise_there_is_none(terminal, path, why, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    if why == "no terminal":
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    if why == "quiet":
        logging.getLogger("nmt_rl").setLevel(logging.WARNING)
    if why == "stream":
        monkeypatch.setattr("nmt_rl.decoding.line_progress._is_file", lambda path: False)
    with line_progress(path) as progress:
        progress(3)
    assert terminal.getvalue() == ""
