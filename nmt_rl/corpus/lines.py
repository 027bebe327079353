"""Lines of text from bytes, by one rule everywhere: only LF ends a line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from nmt_rl.corpus.inputs import READING_ERRORS, open_binary, open_file, unreadable
from nmt_rl.errors import UserError
from nmt_rl.storage.streams import input_name

log = logging.getLogger("nmt_rl")

BOM = b"\xef\xbb\xbf"
LONGEST = 2**27
"""Bytes of a document that is read as a whole."""
WARNINGS = 10
"""Lines with invalid UTF-8 that are named one by one; the rest is counted."""


def read_lines(source: str | Path | IO[bytes], name: str | None = None) -> Iterator[str]:
    r"""Lines of a file (decompressed if need be; `-` is standard input) or of a binary stream, in constant memory.

    Only `\n` ends a line (not U+2028, NEL, VT or FF); one `\r` before it is dropped, and so is a byte order mark at
    the start. A last line without `\n` counts; an empty file has no lines. Invalid UTF-8 becomes U+FFFD with a warning
    that names the line.

    Args:
        source: path, or an open binary stream of plain text.
        name: what messages call it; the path if absent.

    Raises:
        UserError: if the path is missing, a directory, unreadable or no text, or the compressed data are corrupt.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        with open_binary(path) as stream:
            yield from _decode(stream, name or input_name(path))
    else:
        yield from _decode(source, name or "standard input")


def read_own_lines(path: Path) -> Iterator[str]:
    """Lines of a text that nmt-rl wrote: whatever the first one looks like, it is no other kind of file."""
    with open_file(path) as stream:
        yield from read_lines(stream, str(path))


def read_whole(source: Path) -> str:
    """The whole of a text file, its line ends as they are; what is invalid UTF-8 becomes U+FFFD, with a warning.

    Raises:
        UserError: as `read_lines`, and for a file that is longer than `LONGEST`.
    """
    with open_binary(source) as stream:
        try:
            raw = stream.read(LONGEST + 1)
        except READING_ERRORS as error:
            raise unreadable(input_name(source), error) from None
    if len(raw) > LONGEST:
        raise UserError(f"{input_name(source)} is longer than a document may be, {LONGEST:,} bytes; divide it")
    text = raw.decode("utf-8", errors="replace")
    if "\ufffd" in text and text.encode() != raw:
        log.warning("%s is not valid UTF-8 everywhere; the bad bytes became U+FFFD", input_name(source))
    return text


def count_lines(source: Path) -> int:
    """How many lines `read_lines` gives of a file; raises UserError as it does."""
    with open_binary(source) as stream:
        return sum(not (number == 0 and raw == BOM) for number, raw in enumerate(_raw_lines(stream, str(source))))


def must_pair(source: Path, target: Path) -> None:
    """Raise a UserError if two files have different numbers of lines; of pipes that is found out on the way."""
    if source.is_file() and target.is_file() and (lines := count_lines(source)) != (others := count_lines(target)):
        raise UserError(f"{source} has {lines:,} lines but {target} has {others:,}; they must agree")


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
            raw = next(lines, None)
        except READING_ERRORS as error:
            raise unreadable(name, error) from None
        if raw is None:
            return
        yield raw
