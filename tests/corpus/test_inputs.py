"""What a file holds is told by its first bytes: text is read, compressed or not, and nothing else is taken for it."""

import bz2
import gzip
import io
import lzma
import os
import random
import sys
import tarfile
import threading
import zipfile

import numpy as np
import pytest

from nmt_rl.corpus.inputs import check_inputs, open_binary
from nmt_rl.corpus.lines import read_lines
from nmt_rl.errors import UserError
from nmt_rl.storage.streams import STANDARD

TEXT = "Ein Hund läuft.\n\nDie Katze schläft 🙂\n"
LINES = ["Ein Hund läuft.", "", "Die Katze schläft 🙂"]


@pytest.fixture
def pipe(monkeypatch):
    """Standard input, a pipe; its other end."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as text, os.fdopen(writer, "wb", buffering=0) as other:
        monkeypatch.setattr(sys, "stdin", text)
        yield other


COMPRESSED = {
    "plain": bytes,
    "gzip": gzip.compress,
    "two gzip members": lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:]),
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "twice": lambda data: gzip.compress(bz2.compress(data)),
}


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("suffix", ["", ".gz", ".GZ", ".txt"])
def test_compressed_text_is_read_whatever_its_name(tmp_path, pipe, name, suffix):
    data = COMPRESSED[name](TEXT.encode())
    path = tmp_path / f"text{suffix}"
    path.write_bytes(data)
    assert list(read_lines(path)) == LINES
    if not suffix:
        pipe.write(data)
        pipe.close()
        assert list(read_lines(STANDARD)) == LINES


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_nothing_compressed_is_no_line_and_a_part_is_an_error(tmp_path, pack):
    path = tmp_path / "text"
    path.write_bytes(pack(b""))
    assert list(read_lines(path)) == []
    whole = pack(random.Random(1).randbytes(50_000).hex().encode())
    for data in (whole[:-5], whole[: len(whole) // 2], whole[:20], whole[:-9] + b"\0" * 9):
        path.write_bytes(data)
        with pytest.raises(UserError, match="text is not a complete compressed file"):
            list(read_lines(path))


def archive(kind):
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("a.txt", TEXT)
    if kind == "tar":
        with tarfile.open(fileobj=buffer, mode="w") as file:
            file.addfile(tarfile.TarInfo("a.txt"))
    if kind == "npy":
        np.save(buffer, np.arange(1000))
    return buffer.getvalue()


REFUSED = {
    "is UTF-16 text": TEXT.encode("utf-16"),
    "is UTF-32 text": TEXT.encode("utf-32"),
    "is compressed by zstd": b"\x28\xb5\x2f\xfd\x24\x05rest",
    "is compressed by lz4": b"\x04\x22\x4d\x18rest",
    "is a zip archive": archive("zip"),
    "is a tar archive": archive("tar"),
    "is not text but binary data": archive("npy"),
    "is an HDF5 file": b"\x89HDF\r\n\x1a\n\0\0",
    "is a PDF document": b"%PDF-1.7\n",
    "is a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
}


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_is_no_text_is_refused(tmp_path, pipe, why, pack):
    path = tmp_path / "text.en"
    path.write_bytes(pack(REFUSED[why]))
    with pytest.raises(UserError, match=f"text.en {why}"):
        check_inputs([path])
    pipe.write(pack(REFUSED[why]))
    pipe.close()
    with pytest.raises(UserError, match=f"standard input {why}"):
        list(read_lines(STANDARD))


SCRIPTS = {
    "Latin": "A man sleeps.\n",
    "German": "Zwei Männer.\n\n",
    "Cyrillic": "Привет, мир.\nДва пса.\n",
    "Greek": "Δύο σκύλοι τρέχουν.\n",
    "Chinese": "一个人在街上走。\n两只狗。\n",
    "Japanese": "犬が二匹走る。\nこんにちは\n",
    "Arabic": "كلبان يركضان.\n",
    "Hindi": "दो कुत्ते दौड़ते हैं।\n",
    "emoji": "A dog 🙂 runs.\n",
    "one word": "Hund",
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("encoding", ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"])
def test_wide_text_without_its_mark_is_refused(tmp_path, script, encoding):
    path = tmp_path / "text"
    for times in (1, 5, 1000):
        path.write_bytes((SCRIPTS[script] * times).encode(encoding))
        with pytest.raises(UserError, match=f"is {encoding} text"):
            check_inputs([path])


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_refused(tmp_path, seed):
    path = tmp_path / "data"
    for size in (1000, 100_000):
        path.write_bytes(random.Random(seed).randbytes(size))
        with pytest.raises(UserError, match="data is not text but binary data"):
            check_inputs([path])


STRANGE = {
    "no line": b"",
    "half a mark": b"\x1f",
    "zero bytes here and there": b"ein\x00Hund\n\x00\nVogel\n",
    "many lines with zero bytes": b"ein kleiner Hund\x00 sieht\n" * 100,
    "Latin-1": "Zwei Männer fahren über die Straße.\n".encode("latin-1") * 100,
    "windows-1251": "Два пса бегут по траве.\n".encode("cp1251") * 100,
    "shift-jis": "犬が二匹走る。\n".encode("shift-jis") * 100,
    "colours": b"\x1b[31mein\x1b[0m Hund\n" * 100,
    "begins like bzip2": b"BZh9 is a name\n",
    "begins like zip": b"PK\n",
    "a bracket": b"(\n",
    "a character cut at the end of what is looked at": b"a" * 8191 + "ä\n".encode(),
    "all scripts": "".join(SCRIPTS.values()).encode() * 20,
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_text_is_text(tmp_path, name):
    path = tmp_path / "text"
    path.write_bytes(STRANGE[name])
    with open_binary(path) as stream:
        assert stream.read() == STRANGE[name]


def test_a_line_that_has_come_is_not_held_up(pipe):
    pipe.write(b"(\n")
    with open_binary(STANDARD) as stream:
        assert stream.readline() == b"(\n"
        pipe.write(b"Hund\n")
        assert stream.readline() == b"Hund\n"
        pipe.close()
        assert stream.read() == b""


def test_a_mark_that_comes_in_parts_is_known(pipe):
    data = gzip.compress(TEXT.encode())

    def drip():
        for place in range(len(data)):
            pipe.write(data[place : place + 1])
        pipe.close()

    thread = threading.Thread(target=drip)
    thread.start()
    assert list(read_lines(STANDARD)) == LINES
    thread.join()


def test_a_file_that_holds_itself_ends():
    data = gzip.compress(b"a\n")
    for _ in range(6):
        data = gzip.compress(data)
    stream = io.BytesIO(data)
    sys_stdin = io.TextIOWrapper(stream)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", sys_stdin)
        with pytest.raises(UserError, match="is compressed 4 times or more"):
            open_binary(STANDARD)


def test_only_one_text_can_be_standard_input(tmp_path):
    (tmp_path / "text").touch()
    check_inputs([STANDARD, tmp_path / "text"])
    with pytest.raises(UserError, match="only once"):
        check_inputs([STANDARD, STANDARD])
    with pytest.raises(UserError, match="missing does not exist"):
        check_inputs([tmp_path / "missing"])
    with pytest.raises(UserError, match="is a directory"):
        check_inputs([tmp_path])


def test_pipes_are_not_looked_into(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    check_inputs([tmp_path / "pipe"])
