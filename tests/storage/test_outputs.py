"""Whatever a user names as an output gets all that is written, or stays as it was."""

import bz2
import gzip
import lzma
import os
import threading
from pathlib import Path

import pytest

from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.outputs import open_output

MOST = 255
"""Characters of a name."""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, text=b"new\n"):
    with open_output(path) as sink:
        sink.write(text)


def test_only_the_named_file_is_touched(tmp_path):
    """A user's `res.partial`, `res.new` and `res.old` are his own."""
    own = {f"res{end}": f"mine {end}" for end in (".partial", ".new", ".old", ".tmp", "~")}
    for name, text in own.items():
        (tmp_path / name).write_text(text)
    write(tmp_path / "res")
    assert {name: (tmp_path / name).read_text() for name in own} == own
    assert (tmp_path / "res").read_text() == "new\n" and names(tmp_path) == sorted([*own, "res"])


def test_mode_and_long_names_are_kept(tmp_path):
    path = tmp_path / ("n" * MOST)
    path.write_text("old\n")
    path.chmod(0o600)
    write(path)
    assert path.read_text() == "new\n" and path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("suffix", "unpack"),
    [
        ("", bytes),
        (".gz", gzip.decompress),
        (".GZ", gzip.decompress),
        (".xz", lzma.decompress),
        (".bz2", bz2.decompress),
    ],
)
def test_the_suffix_says_how_it_is_compressed(tmp_path, suffix, unpack):
    path = tmp_path / f"out{suffix}"
    write(path, b"a\n" * 1000)
    assert unpack(path.read_bytes()) == b"a\n" * 1000


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is a directory; give the name of a file"),
        ("no/such/folder/out", "cannot be written: No such file or directory"),
        ("file/out", "cannot be written: Not a directory"),
        ("n" * (MOST + 1), "cannot be written: File name too long"),
        ("out.zst", "nmt-rl writes plain text, .gz, .xz, .bz2, but no .zst"),
    ],
)
def test_what_cannot_be_opened_is_the_users_error(tmp_path, name, why):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error, open_output(tmp_path / name, "--html"):
        raise AssertionError("opened")
    assert str(error.value).startswith(f"--html {tmp_path / name}") and str(error.value).endswith(why)


def test_a_named_pipe_is_written_as_it_goes(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"x" * 300_000)
    reader.join(timeout=10)
    assert got == [b"x" * 300_000] and pipe.is_fifo() and names(tmp_path) == ["pipe"]


def test_a_descriptor_is_written_where_it_stands(tmp_path):
    """`-o /dev/stdout >> file` appends, by whatever links the name goes."""
    (tmp_path / "log").write_bytes(b"before\n")
    with (tmp_path / "log").open("ab") as log:
        (tmp_path / "link").symlink_to(f"/dev/fd/{log.fileno()}")
        write(tmp_path / "link", b"one\n")
        write(Path(f"/proc/self/fd/{log.fileno()}"), b"two\n")
    assert (tmp_path / "log").read_bytes() == b"before\none\ntwo\n"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="loop cannot be written"):
        write(tmp_path / "loop")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["full", "full.gz"])
def test_a_full_disk_is_an_error_of_the_run(tmp_path, name):
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(RunError, match=rf"output .*{name} could not be written: No space left on device"):
        write(tmp_path / name)


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    """The disk may be full as late as at the end of the block, when what is buffered is written."""
    (tmp_path / "out").write_text("old\n")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match="out cannot be written: No space left on device"):
        write(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "old\n" and names(tmp_path) == ["out"]


def test_errors_of_the_block_pass(tmp_path):
    with pytest.raises(FileNotFoundError, match="other"), open_output(tmp_path / "out"):
        (tmp_path / "other").read_bytes()
    assert names(tmp_path) == []


def test_what_the_command_reads_is_not_written_over(tmp_path):
    text, link = tmp_path / "text", tmp_path / "link"
    text.write_text("mine\n")
    link.symlink_to(text)
    for path in (text, link):
        with pytest.raises(UserError, match="is read by the same command"), open_output(path, inputs=[text]):
            raise AssertionError("opened")
    with open_output(tmp_path / "other", inputs=[text, tmp_path / "none"]) as stream:
        stream.write(b"x\n")
    assert text.read_text() == "mine\n"
