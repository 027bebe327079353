"""Where a verb writes what the user wants: a file, a device, a pipe, standard output."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import lzma
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.streams import STANDARD, Writer, standard_output
from nmt_rl.storage.writing import made_folder, written_file

COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
UNKNOWN = (".zst", ".lz4", ".zip", ".7z")
FULL = (errno.ENOSPC, errno.EDQUOT)
LINKS = 40
"""That lead to each other and are followed, as Linux does."""


@contextlib.contextmanager
def open_output(path: Path, option: str = "output", inputs: Sequence[Path] = ()) -> Iterator[IO[bytes]]:
    """A stream for writing to a file (.gz, .xz and .bz2 compressed), or, for `-`, to standard output.

    A regular file is written beside and put in place when the block ends well; otherwise what was there before stays.
    A device, a named pipe or a descriptor (`/dev/stdout`) is written as the block goes.

    Args:
        path: of what is written.
        option: what errors call it.
        inputs: of the same command, which must not be lost.

    Raises:
        UserError: if it cannot be opened, or is one of the inputs.
        RunError: if not all can be written.
        SystemExit: if the reader of a pipe has gone; see `streams.Writer`.
    """
    if path == STANDARD:
        standard: Any = standard_output()
        yield standard
        return
    suffix = path.suffix.lower()
    if suffix in UNKNOWN:
        raise UserError(f"{option} {path}: nmt-rl writes plain text, {', '.join(COMPRESSED)}, but no {suffix}")
    if any(_is_file_of(path, given) for given in inputs):
        raise UserError(f"{option} {path} is read by the same command and would be lost; give another name")
    opened = False
    try:
        if path.is_dir():
            raise UserError(f"{option} {path} is a directory; give the name of a file")
        with _opened(path) as stream:
            opened = True
            writer: Any = Writer(stream, f"{option} {path}")
            if suffix not in COMPRESSED:
                yield writer
            else:
                with COMPRESSED[suffix](writer, "wb") as compressed:
                    yield compressed
    except OSError as error:
        if error.filename not in (str(path), os.path.realpath(path)):
            raise
        kind = RunError if opened or error.errno in FULL else UserError
        raise kind(f"{option} {path} cannot be written: {error.strerror or error}") from error


def must_be_possible(folder: Path, option: str = "output") -> None:
    """Before the work for it: see that a folder can be made, by making it.

    Args:
        folder: folders above it that are missing will be made, too; nothing of it stays.
        option: what errors call it.

    Raises:
        UserError: if it cannot be made.
        RunError: if the disk is full.
    """
    try:
        with made_folder(folder):
            pass
    except OSError as error:
        raise folder_error(folder, option, error) from error


def folder_error(folder: Path, option: str, error: OSError) -> UserError | RunError:
    """What an error of the system's means to who named a folder that is to be written."""
    file = next((path for path in (folder, *folder.absolute().parents) if os.path.lexists(path)), folder)
    reason = error.strerror or str(error) if file.is_dir() else f"{file} is not a folder"
    kind = RunError if error.errno in FULL else UserError
    return kind(f"{option} {folder} cannot be written: {reason}")


def _is_file_of(path: Path, given: Path) -> bool:
    """Whether both names are of one regular file; that of standard input may be one, too."""
    try:
        return path.is_file() and os.path.samestat(path.stat(), os.fstat(0) if given == STANDARD else given.stat())
    except OSError:
        return False


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if (descriptor := _descriptor(path)) is not None:
        # What is opened by such a name starts at its beginning, over what others have written there.
        with os.fdopen(os.dup(descriptor), "wb", buffering=0) as stream:
            yield stream
    elif path.exists() and not path.is_file():
        with path.open("wb", buffering=0) as stream:
            yield stream
    else:
        with written_file(path) as stream:
            yield stream


def _descriptor(path: Path) -> int | None:
    """That of this process which the path names, such as 1 of `/dev/stdout`, if it is open."""
    ours = (Path("/dev/fd"), Path(f"/proc/{os.getpid()}/fd"))
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        for _ in range(LINKS):
            parent = path.absolute().parent.resolve()
            if parent in ours:
                os.fstat(int(path.name))
                return int(path.name)
            path = parent / (parent / path.name).readlink()  # Fails for what is no link.
    return None
