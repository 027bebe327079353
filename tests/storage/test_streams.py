"""What is written to the standard streams arrives, or the command fails; what is sent is read."""

import io
import os
import subprocess
import sys
import threading
import time

import pytest

from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.streams import CLOSED_PIPE, Writer, from_home, standard_input, standard_output, whole_streams


class Stingy(io.RawIOBase):
    """Takes seven bytes of whatever it is given, as a raw stream may."""

    def __init__(self):
        self.got = b""

    def writable(self):
        return True

    def write(self, data):
        self.got += bytes(data[:7])
        return len(data[:7])


def test_a_stream_that_takes_a_part_gets_the_rest():
    stingy = Stingy()
    assert Writer(stingy, "it").write(b"a" * 1000) == 1000
    assert stingy.got == b"a" * 1000


def test_a_full_pipe_that_does_not_block_is_waited_for():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data, got = os.urandom(500_000), []

    def slowly():
        time.sleep(0.05)
        with os.fdopen(reader, "rb") as stream:
            got.append(stream.read())

    thread = threading.Thread(target=slowly)
    thread.start()
    with os.fdopen(writer, "wb", buffering=0) as stream:
        Writer(stream, "it").write(data)
    thread.join(timeout=10)
    assert got == [data]


def test_errors_of_writing_are_those_of_the_run():
    full = os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", buffering=0)
    with full, pytest.raises(RunError, match=r"^it could not be written: No space"):
        Writer(full, "it").write(b"a")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as pipe, pytest.raises(SystemExit) as end:
        Writer(pipe, "it").write(b"a")
    assert end.value.code == CLOSED_PIPE


@pytest.fixture
def stdin(monkeypatch):
    """Standard input that is a pipe which does not block; its other end."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with os.fdopen(reader, "r") as text, os.fdopen(writer, "wb", buffering=0) as other:
        monkeypatch.setattr(sys, "stdin", text)
        yield other


def test_input_that_does_not_block_is_read_to_its_end(stdin):
    def slowly():
        for _ in range(5):
            time.sleep(0.02)
            stdin.write(b"some words\n")
        stdin.close()

    thread = threading.Thread(target=slowly)
    thread.start()
    assert standard_input().read() == b"some words\n" * 5
    thread.join()


def test_input_is_read_once(stdin):
    standard_input()
    with pytest.raises(UserError, match="only once"):
        standard_input()


@pytest.mark.parametrize(("name", "opener"), [("stdin", standard_input), ("stdout", standard_output)])
def test_a_closed_stream_is_said_to_be(monkeypatch, name, opener):
    monkeypatch.setattr(sys, name, None)
    with pytest.raises(UserError, match="is closed"):
        opener()


def test_text_is_utf8_whatever_the_locale(monkeypatch):
    plain = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(plain, "ascii"))
    with whole_streams():
        print("± \udcff 世")
    print("after")
    sys.stdout.flush()
    assert plain.getvalue() == "± \\udcff 世\nafter\n".encode()


def test_messages_that_cannot_be_written_stop_nothing(monkeypatch):
    full = os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(full, "w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with whole_streams():
            print("lost", file=sys.stderr)


PROGRAM = """
import os, sys
from nmt_rl.storage.streams import whole_streams
with whole_streams():
    opened = os.open(os.devnull, os.O_RDONLY)
    print("message", file=sys.stderr)
    print(opened > 2, flush=True)
"""


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(closed):
    done = subprocess.run(["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, PROGRAM], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True\n", b"")


def test_unbuffered_output_to_a_full_disk_fails():
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = ["sh", "-c", '"$0" -m nmt_rl --help > /dev/full', sys.executable]
    done = subprocess.run(command, capture_output=True, env=environment)
    error = b"nmt-rl: error: standard output could not be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, error)


def test_a_reader_that_has_gone_ends_a_table_quietly():
    command = ["sh", "-c", '{ "$0" -m nmt_rl --help; echo $? >&2; } | true', sys.executable]
    done = subprocess.run(command, capture_output=True)
    assert done.stderr == b"141\n"


def test_home_is_spelled_out_if_there_is_such_a_user(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert [str(from_home(path)) for path in ("~/t", "t~", "~nobody-of-this-name/t")] == [
        "/somewhere/t",
        "t~",
        "~nobody-of-this-name/t",
    ]
