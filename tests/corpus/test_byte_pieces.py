"""Bytes make characters."""

import pytest

from nmt_rl.corpus.byte_pieces import NONE, byte_value, parts_words, spelled


def bytes_of(text):
    return [f"<0x{byte:02X}>" for byte in text.encode("utf-8", "surrogateescape")]


def test_which_pieces_are_bytes():
    pieces = ("<0xF0>", "<0x0a>", "▁a", "<0xZZ>", "<unk>", "<0x123>")
    assert [byte_value(piece) for piece in pieces] == [0xF0, 0x0A, NONE, NONE, NONE, NONE]


@pytest.mark.parametrize(
    ("text", "parts"),
    [("\n", True), ("\x00", True), ("\x7f", True), ("\x85", True), (" ", True), ("\u2028", True), ("\u3000", True)]
    + [("é", False), ("👍", False), ("A", False), ("\udcff", False), ("\udce2\udc80", False)],
)
def test_blanks_and_control_characters_part_words(text, parts):
    pieces = ["▁a", *bytes_of(text), "b"]
    assert parts_words(pieces) == [False, *[parts] * (len(pieces) - 2), False]


def test_pieces_are_spelled():
    assert spelled(["▁a", *bytes_of("Ω👍"), "b"]) == "▁aΩ👍b"
    assert spelled(["▁a", "<0xF0>", "b", "<0x80>"]) == "▁a\ufffdb\ufffd"
