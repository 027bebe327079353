"""What is typed is translated line by line."""

import io
import logging
import os
import subprocess
import sys

import pytest

from nmt_rl.cli.terminal import HINT, prompted


def test_a_prompt_after_every_line_that_was_written(capsys, monkeypatch):
    logger = logging.getLogger("nmt_rl")
    monkeypatch.setattr(logger, "isEnabledFor", lambda level: True)
    sink = io.BytesIO()
    stream = prompted(sink)
    stream.write(b"Hund\n")
    stream.flush()
    assert sink.getvalue() == b"Hund\n" and capsys.readouterr().err == f"{HINT}\n> > "
    monkeypatch.setattr(logger, "isEnabledFor", lambda level: False)
    assert prompted(sink) is sink and capsys.readouterr().err == ""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_somebody_types(tiny_run):
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "nmt_rl", "translate", str(tiny_run.folder), "--engine", "ctranslate2"]
    child = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    os.write(ours, b"hund sieht katze\n")
    first = child.stdout.readline()
    os.write(ours, b"\n")
    assert child.stdout.readline() == b"\n", "a line is answered before the next is typed"
    os.write(ours, b"\x04")
    out, err = child.communicate(timeout=60)
    assert (first[-1:], out, child.returncode) == (b"\n", b"", 0)
    assert err.decode().endswith(f"{HINT}\n> > > ") or err.decode().count("> ") == 3
