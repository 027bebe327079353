"""Files and folders that appear whole: written beside under a name nobody else has, put in place last.

Of two processes that write the same file, one's whole file stays. What fails leaves nothing behind, and what was there
before as it was. Errors are the system's (OSError), with the name of what was to be written.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

PREFIX = ".nmt-rl-"
"""What the names of files and folders begin with that are being written; the rest is drawn at random."""
FIXED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)
"""Errors that say a file may be written but not replaced: no right to its folder, or it is mounted by itself."""
COPIED = 2**20
"""Bytes that are copied at a time."""


@contextlib.contextmanager
def written_file(path: Path) -> Iterator[IO[bytes]]:
    """A file for writing that replaces `path` when the block ends well; links keep pointing to their file.

    The file gets the mode of the one it replaces. A writable file that cannot be replaced, such as in a folder where
    none can be made, is written at the end of the block, under a lock.

    Raises:
        OSError: if the file cannot be written; `path` is as it was.
    """
    path = _real(path)
    with _naming(path):
        if path.is_file() and not os.access(path, os.W_OK):  # A folder would allow it; the file does not.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        try:
            descriptor, name = tempfile.mkstemp(prefix=PREFIX, dir=path.parent)
        except OSError as error:
            if error.errno not in FIXED or not path.is_file():
                raise
            with tempfile.TemporaryFile() as held:
                yield held
                _overwrite(path, held)
            return
        beside = Path(name)
        try:
            with os.fdopen(descriptor, "w+b") as stream:
                _take_over(beside, path)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                _replace(path, beside, stream)
            _sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)


def _replace(path: Path, beside: Path, stream: IO[bytes]) -> None:
    try:
        beside.replace(path)
    except OSError as error:
        if error.errno not in FIXED or not path.is_file():
            raise
        _overwrite(path, stream)


def _real(path: Path) -> Path:
    """Where links lead; Python has no OSError for those that lead to each other."""
    try:
        return path.resolve()
    except RuntimeError:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None


def _overwrite(path: Path, held: IO[bytes]) -> None:
    """Write what `held` holds up to its place into a file that stays itself."""
    with path.open("r+b") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        if (size := held.tell()) and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)  # A full disk is found before anything is overwritten.
        held.seek(0)
        shutil.copyfileobj(held, file, COPIED)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _take_over(beside: Path, path: Path) -> None:
    """Mode and owner of the file that will be replaced; those of any new file if there is none."""
    try:
        before = path.stat()
    except OSError:
        beside.chmod(0o666 & ~_umask())
        return
    with contextlib.suppress(OSError):
        os.chown(beside, before.st_uid, before.st_gid)
    beside.chmod(before.st_mode & 0o7777)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """The system names no file when a disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None or Path(os.fsdecode(error.filename)).name.startswith(PREFIX):
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, as `written_file` does; half a surrogate pair becomes a question mark."""
    with written_file(path) as stream:
        stream.write(text.encode("utf-8", "replace"))


def write_json(path: Path, tree: Any) -> None:
    """Write JSON for people to read, as `written_file` does."""
    write_text(path, json.dumps(tree, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def made_folder(path: Path) -> Iterator[None]:
    """A folder that is there while the block lasts; it and those above that had to be made go again if they are empty.

    Raises:
        OSError: if it cannot be made.
    """
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):  # Something lies in it.
                folder.rmdir()


@contextlib.contextmanager
def written_folder(path: Path, replaceable: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A folder to write into, elsewhere, that stands at `path` when the block ends well.

    Args:
        path: where it will be; missing folders above are made.
        replaceable: raises if the folder that stands at `path` must stay; then and if this is None, it does.

    Raises:
        FileExistsError: if something stands there that must stay.
        OSError: if the folder cannot be written.
    """
    path = _real(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming(path):
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=path.parent))
        try:
            made.chmod(0o777 & ~_umask())
            yield made
            _sync_tree(made)
            _put(made, path, replaceable)
            _sync_folder(path.parent)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _put(made: Path, path: Path, replaceable: Callable[[Path], None] | None) -> None:
    if not (path.exists() or path.is_symlink()):
        try:
            made.rename(path)
            return
        except OSError as error:  # Another process was faster.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
    if replaceable is None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    replaceable(path)
    exchange(made, path)  # `made` holds the old one now, and goes.


def exchange(first: Path, second: Path) -> None:
    """Swap two folders of one file system; at no moment is either name without a folder, where Linux can do that."""
    if sys.platform == "linux" and (rename := getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)):
        here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        if rename(here, os.fsencode(first), here, os.fsencode(second), swap) == 0:
            return
        if ctypes.get_errno() not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(second))
    aside = Path(tempfile.mkdtemp(prefix=PREFIX, dir=second.parent)) / second.name
    second.rename(aside)
    try:
        first.rename(second)
    except OSError:
        aside.rename(second)
        raise
    finally:
        if aside.exists():
            aside.rename(first)
        aside.parent.rmdir()


def _sync_tree(folder: Path) -> None:
    """Nothing may stand in its place before it is on the disk."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Some systems open no folders.
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
