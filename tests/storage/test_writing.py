"""Files and folders are there whole, or as they were before."""

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt_rl.storage import writing
from nmt_rl.storage.writing import exchange, write_text, written_file, written_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "out"
    with written_file(path) as stream:
        stream.write(b"one\n")
        assert not path.exists()
    assert path.read_bytes() == b"one\n" and names(tmp_path) == ["out"]


def test_what_fails_leaves_nothing_and_what_was_there(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_file(path) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and names(tmp_path) == ["out"]


def test_names_of_others_are_never_touched(tmp_path):
    for name in ("out.partial", "out.new", "out.old", ".out.new"):
        (tmp_path / name).write_text(name)
    write_text(tmp_path / "out", "x")
    assert names(tmp_path) == sorted([".out.new", "out", "out.new", "out.old", "out.partial"])
    assert (tmp_path / "out.partial").read_text() == "out.partial"


def test_long_names_modes_and_links_stay(tmp_path):
    long = tmp_path / ("x" * 250)
    write_text(long, "x")
    assert long.read_text() == "x"
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    link = tmp_path / "link"
    link.symlink_to(secret)
    write_text(link, "y")
    assert secret.read_text() == "y" and stat.S_IMODE(secret.stat().st_mode) == 0o600 and link.is_symlink()
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "new", "z")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_writable_file_in_a_folder_where_none_can_be_made(tmp_path, monkeypatch):
    path = tmp_path / "out"
    path.write_text("old and longer")

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(writing.tempfile, "mkstemp", refuse)
    with pytest.raises(ZeroDivisionError), written_file(path) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "old and longer"
    write_text(path, "new")
    assert path.read_text() == "new"
    with pytest.raises(PermissionError):
        write_text(tmp_path / "other", "x")


def test_a_file_that_is_mounted_by_itself(tmp_path, monkeypatch):
    """As containers have it: it can be written, not replaced, which nobody knows before the end."""
    path = tmp_path / "out"
    path.write_text("old and longer")

    def busy(self, target):
        raise OSError(errno.EBUSY, "Device or resource busy", str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", busy)
    write_text(path, "new")
    assert path.read_text() == "new" and names(tmp_path) == ["out"]
    with pytest.raises(OSError, match="busy"):
        write_text(tmp_path / "other", "x")
    assert names(tmp_path) == ["out"]


def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "out"
    path.write_text("old")
    path.chmod(0o400)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # As it is to all but root.
    with pytest.raises(PermissionError) as error:
        write_text(path, "new")
    assert error.value.filename == str(path) and path.read_text() == "old" and names(tmp_path) == ["out"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_names_the_file(tmp_path):
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    with pytest.raises(OSError) as failed, full, written_file(tmp_path / "out"):
        full.write(b"x")
    assert (failed.value.errno, failed.value.filename) == (errno.ENOSPC, str(tmp_path / "out"))
    assert names(tmp_path) == []


def test_of_two_writers_one_whole_file_stays(tmp_path):
    code = (
        "import sys, time, pathlib; from nmt_rl.storage.writing import written_file\n"
        "with written_file(pathlib.Path(sys.argv[1])) as stream:\n"
        "    for _ in range(20): stream.write(sys.argv[2].encode() * 1000); time.sleep(0.005)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "out", letter]) for letter in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert (tmp_path / "out").read_text() in ("a" * 20000, "b" * 20000) and names(tmp_path) == ["out"]


def test_a_folder_appears_when_it_is_whole(tmp_path):
    with written_folder(tmp_path / "deep" / "model") as made:
        (made / "weights").write_text("1")
        assert not (tmp_path / "deep" / "model").exists()
    assert names(tmp_path / "deep") == ["model"]
    with pytest.raises(FileExistsError), written_folder(tmp_path / "deep" / "model") as made:
        (made / "weights").write_text("2")
    assert (tmp_path / "deep" / "model" / "weights").read_text() == "1" and names(tmp_path / "deep") == ["model"]


def test_a_folder_is_replaced_only_with_leave(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "mine").write_text("text")

    def refuse(path):
        assert path == folder
        raise ValueError("mine")

    with pytest.raises(ValueError), written_folder(folder, refuse) as made:
        (made / "weights").write_text("2")
    assert names(folder) == ["mine"] and names(tmp_path) == ["model"]
    with written_folder(folder, lambda path: None) as made:
        (made / "weights").write_text("2")
    assert names(folder) == ["weights"] and names(tmp_path) == ["model"]


@pytest.mark.parametrize("atomic", [True, False])
def test_folders_are_exchanged(tmp_path, monkeypatch, atomic):
    if not atomic:
        monkeypatch.setattr(writing.sys, "platform", "elsewhere")
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path / "a") == ["b"] and names(tmp_path / "b") == ["a"] and names(tmp_path) == ["a", "b"]


def test_a_reader_always_finds_a_folder_while_it_is_replaced(tmp_path):
    code = (
        "import sys, pathlib; from nmt_rl.storage.writing import written_folder\n"
        "for n in range(60):\n"
        "    with written_folder(pathlib.Path(sys.argv[1]), lambda p: None) as made: (made / 'x').write_text(str(n))"
    )
    folder = tmp_path / "model"
    with written_folder(folder) as made:
        (made / "x").write_text("")
    writer = subprocess.Popen([sys.executable, "-c", code, folder])
    reads = 0
    while writer.poll() is None:
        assert (folder / "x").exists()
        reads += 1
        time.sleep(0.0005)
    assert reads > 10 and (folder / "x").read_text() == "59" and names(tmp_path) == ["model"]
