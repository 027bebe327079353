"""Opening text: what a file or stream holds is told by its first bytes, not by its name."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from nmt_rl.errors import UserError
from nmt_rl.storage.streams import ONCE, STANDARD, input_name, standard_input

HEAD = 8192
"""Bytes that are looked at."""
SMALL = 64
"""Bytes; in fewer, a few control characters say nothing."""
NESTED = 4
"""Compressions of each other that are undone; there are files that hold themselves."""
COMPRESSIONS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b\x08": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x5d\x00\x00": lzma.open,
    **{b"BZh%d1AY&SY" % level: bz2.open for level in range(1, 10)},
    **{b"BZh%d\x17\x72\x45\x38\x50\x90" % level: bz2.open for level in range(1, 10)},  # Nothing, compressed.
}
REFUSED = {
    b"\x28\xb5\x2f\xfd": "is compressed by zstd; decompress it first (zstd -d)",
    b"\x04\x22\x4d\x18": "is compressed by lz4; decompress it first (lz4 -d)",
    b"\x1f\x9d": "is compressed by compress; decompress it first (gzip -d)",
    b"LZIP\x01": "is compressed by lzip; decompress it first (lzip -d)",
    b"PK\x03\x04": "is a zip archive (an office document is one, too); take the text out of it first",
    b"PK\x05\x06": "is an empty zip archive",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; take the text out of it first",
    b"Rar!\x1a\x07": "is a RAR archive; take the text out of it first",
    b"%PDF-": "is a PDF document; take the text out of it first",
    b"{\\rtf": "is an RTF document; take the text out of it first",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "is an office document; take the text out of it first",
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file, such as a model's weights, not text",
    b"version https://git-lfs.github.com/spec/": "is a Git LFS pointer, not the file itself; fetch that (git lfs pull)",
    codecs.BOM_UTF32_LE: "is UTF-32 text; convert it to UTF-8 first (iconv -f UTF-32 -t UTF-8)",
    codecs.BOM_UTF32_BE: "is UTF-32 text; convert it to UTF-8 first (iconv -f UTF-32 -t UTF-8)",
    codecs.BOM_UTF16_LE: "is UTF-16 text; convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)",
    codecs.BOM_UTF16_BE: "is UTF-16 text; convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)",
}
"""Longer marks before those that begin them."""
READING_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""Of reading a stream that may be compressed."""
CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\n\v\f\r\x1b"))
"""Control characters that text does not hold; terminals' colours are said with ESC."""


def open_binary(path: Path) -> BinaryIO:
    """A text file for reading bytes, decompressed if need be; `-` is standard input.

    Raises:
        UserError: if it cannot be opened, or its first bytes are not those of UTF-8 text.
    """
    if path == STANDARD:
        return _plain(standard_input(), input_name(path))
    return _plain(open_file(path), str(path))


def open_file(path: Path) -> BinaryIO:
    """The bytes of a file as they are; raises UserError if it cannot be opened."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory, not a text file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None


def check_inputs(paths: Sequence[Path]) -> None:
    """Look at the texts of a command before the work begins; not into pipes, which can be read only once.

    Raises:
        UserError: for what `open_binary` raises it, or if several are standard input.
    """
    if list(paths).count(STANDARD) > 1:
        raise UserError(ONCE)
    for path in paths:
        if path != STANDARD and (path.is_file() or not path.exists() or path.is_dir()):
            open_binary(path).close()


def unreadable(name: str, error: Exception) -> UserError:
    """What one of READING_ERRORS means to the user."""
    if isinstance(error, OSError) and error.errno is not None:
        return UserError(f"{name} cannot be read: {error.strerror or error}")
    return UserError(f"{name} is not a complete compressed file: {error}")


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes have been read, and that which it decompresses, if it does."""

    def __init__(self, head: bytes, stream: BinaryIO, compressed: BinaryIO | None) -> None:
        self._head = head
        self._stream = stream
        self._compressed = compressed

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            return int(self._stream.readinto1(buffer))  # type: ignore[attr-defined]
        size = min(len(buffer), len(self._head))
        buffer[:size], self._head = self._head[:size], self._head[size:]
        return size

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        for each in (self._stream, self._compressed):
            if each is not None:
                each.close()
        super().close()


def _plain(stream: Any, name: str) -> BinaryIO:
    """The text of a buffered stream; UserError if it is none."""
    joined = None
    for _ in range(NESTED):
        try:
            head = _read_head(stream)
        except READING_ERRORS as error:
            raise unreadable(name, error) from None
        joined = io.BufferedReader(_Rejoined(head, stream, joined), 2**16)
        opener = next((opener for mark, opener in COMPRESSIONS.items() if head.startswith(mark)), None)
        if opener is None:
            if why := _why_not_text(head):
                raise UserError(f"{name} {why}")
            return joined
        stream = opener(joined, "rb")
    raise UserError(f"{name} is compressed {NESTED} times or more; decompress it first")


def _read_head(stream: Any) -> bytes:
    """As much as one read gives; more only while that may begin a mark, so that a line that has come is not held up."""
    head = b""
    while not head or any(mark.startswith(head) and mark != head for mark in (*COMPRESSIONS, *REFUSED)):
        more = stream.read1(HEAD)
        if not more:
            break
        head += more
    return head


def _why_not_text(head: bytes) -> str | None:
    for mark, why in REFUSED.items():
        if head.startswith(mark):
            return why
    if head[257:262] == b"ustar":
        return "is a tar archive; take the text out of it first"
    if encoding := _wide_encoding(head):
        return f"is {encoding} text; convert it to UTF-8 first (iconv -f {encoding} -t UTF-8)"
    strange = len(head) - len(head.translate(None, CONTROLS))
    if len(head) >= SMALL and strange > len(head) / 20 and (b"\0" in head or _invalid(head)):
        return "is not text but binary data"
    return None


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without its mark: rubbish as UTF-8, and all of it characters and line ends as that.

    Zero bytes here and there are in many a text; so the line feeds have to be those of the encoding, too.
    """
    rubbish = sum(byte < 0x20 for byte in head) - head.count(b"\n") + _invalid(head)
    if b"\0" not in head or rubbish < len(head) / 5:
        return None
    found = {}
    for encoding, width in (("UTF-32LE", 4), ("UTF-32BE", 4), ("UTF-16LE", 2), ("UTF-16BE", 2)):
        whole = head[: len(head) // width * width]
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(whole)
        except UnicodeDecodeError:
            continue
        if text and text.count("\n") >= head.count(b"\n") / 2 and not any(map(_is_strange, text)):
            found[encoding] = sum(character.isascii() for character in text)
    return max(found, key=found.__getitem__, default=None)


def _is_strange(character: str) -> bool:
    """Control characters, and what is no character or a private one."""
    return character not in "\t\n\v\f\r\x1b" and unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")


def _invalid(head: bytes) -> int:
    """How many places are not UTF-8; one may be a character that is cut at the end."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(head).count("\ufffd")
