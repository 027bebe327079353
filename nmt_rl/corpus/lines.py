"""Lines of text from bytes, by one rule everywhere: only LF ends a line."""

from __future__ import annotations

import gzip
import logging
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from nmt_rl.errors import UserError

log = logging.getLogger("nmt_rl")

BOM = b"\xef\xbb\xbf"
WARNINGS = 10
"""Lines with invalid UTF-8 that are named one by one; the rest is counted."""


def read_lines(source: str | Path | IO[bytes], name: str | None = None) -> Iterator[str]:
    r"""Lines of a file (.gz and .xz as they are) or of a binary stream, in constant memory.

    Only `\n` ends a line (not U+2028, NEL, VT or FF); one `\r` before it is dropped, and so is a byte order mark at
    the start. A last line without `\n` counts; an empty file has no lines. Invalid UTF-8 becomes U+FFFD with a warning
    that names the line.

    Args:
        source: path, or an open binary stream such as `sys.stdin.buffer`.
        name: what messages call it; the path if absent.

    Raises:
        UserError: if the path is missing, a directory or unreadable, or the compressed data are corrupt.
    """
    if isinstance(source, str | Path):
        name = name or str(source)
        with open_binary(Path(source)) as stream:
            yield from _decode(stream, name)
    else:
        yield from _decode(source, name or "standard input")


def count_lines(source: Path | IO[bytes]) -> int:
    """How many lines `read_lines` gives of a file, or of a stream that can be sought; raises UserError as it does."""
    if isinstance(source, Path):
        with open_binary(source) as stream:
            return sum(1 for _ in _raw_lines(stream, str(source)))
    start = source.tell()
    lines = sum(1 for _ in source)
    source.seek(start)
    return lines


def open_binary(path: Path) -> BinaryIO:
    """A file opened for reading bytes, decompressed by its suffix; raises UserError if it cannot be opened."""
    try:
        if path.suffix == ".gz":
            return cast(BinaryIO, gzip.open(path, "rb"))
        if path.suffix == ".xz":
            return cast(BinaryIO, lzma.open(path, "rb"))
        return path.open("rb")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory, not a text file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None


def _decode(stream: IO[bytes], name: str) -> Iterator[str]:
    invalid = 0
    for number, raw in enumerate(_raw_lines(stream, name), start=1):
        if number == 1:
            raw = raw.removeprefix(BOM)
            if not raw:  # the mark was all there is
                return
        if raw.endswith(b"\n"):
            raw = raw[:-2] if raw.endswith(b"\r\n") else raw[:-1]
        try:
            yield raw.decode("utf-8")
        except UnicodeDecodeError:
            invalid += 1
            if invalid <= WARNINGS:
                log.warning("%s line %d is not valid UTF-8; the bad bytes became U+FFFD", name, number)
            yield raw.decode("utf-8", errors="replace")
    if invalid > WARNINGS:
        log.warning("%s has %d lines in all that are not valid UTF-8", name, invalid)


def _raw_lines(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """Iterate over a stream; the errors of reading (not of the consumer) become UserErrors."""
    lines = iter(stream)
    while True:
        try:
            raw = next(lines)
        except StopIteration:
            return
        except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
            raise UserError(f"{name} is not a complete compressed file: {error}") from None
        except OSError as error:
            raise UserError(f"{name} cannot be read: {error.strerror or error}") from None
        yield raw
