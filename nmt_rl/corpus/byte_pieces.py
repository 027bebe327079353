"""Bytes that are pieces (byte fallback): the characters that they make."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

NONE = -1
"""Value of a piece that is no byte."""


def byte_value(piece: str) -> int:
    """The byte that a piece such as `<0xE2>` stands for, or NONE."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        try:
            return int(piece[3:5], 16)
        except ValueError:
            return NONE
    return NONE


def parts_words(pieces: Sequence[str]) -> list[bool]:
    """Which pieces are bytes of a blank or a control character: in text a translation has blanks there."""
    values = [byte_value(piece) for piece in pieces]
    found, at = [False] * len(values), 0
    while at < len(values):
        size = _length(values[at])
        part = [value for value in values[at : at + size] if value != NONE]
        if size and len(part) == size and _is_blank(bytes(part)):
            found[at : at + size] = [True] * size
            at += size
        else:
            at += 1
    return found


def spelled(pieces: Sequence[str]) -> str:
    """What pieces say together; bytes that make no character are U+FFFD, blanks are SentencePiece's."""
    data = bytearray()
    for piece in pieces:
        value = byte_value(piece)
        data += piece.encode("utf-8") if value == NONE else bytes([value])
    return data.decode("utf-8", "replace")


def _length(value: int) -> int:
    """How many bytes a character has that begins with this one; 0 if none does."""
    bounds = ((0x80, 1), (0xC2, 0), (0xE0, 2), (0xF0, 3), (0xF5, 4))
    return next((size for bound, size in bounds if 0 <= value < bound), 0)


def _is_blank(data: bytes) -> bool:
    try:
        character = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return character.isspace() or unicodedata.category(character) == "Cc"
