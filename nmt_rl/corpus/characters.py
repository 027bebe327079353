"""Characters: which scripts put no blanks between words, and composition (Unicode's NFC)."""

from __future__ import annotations

import re
import unicodedata

IDEOGRAPHS = (
    "\u2e80-\u2fdf\u3005-\u3007\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u312f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00016fe0-\U00018dff\U0001aff0-\U0001b16f"
    "\U00020000-\U000323af"
)
"""Chinese and Japanese: ideographs, kana, bopomofo; inside the brackets of a regular expression."""
ALPHABETS = "\u0e01-\u0e3a\u0e40-\u0eff\u0f00-\u109f\u1780-\u17d3\u17d7-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f"
"""Thai, Lao, Tibetan, Burmese and Khmer, which put no blanks between words either; likewise."""
UNSPACED = re.compile(f"[{IDEOGRAPHS}{ALPHABETS}]")
"""One character of a script that puts no blanks between words."""


def composed(text: str) -> str:
    """The text with letters and their accents as one character where there is one (NFC), as models write it."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


_SPACES = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_PLAIN = dict.fromkeys(_SPACES, " ") | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def plain(text: str) -> str:
    """Without control characters and surrounding blanks."""
    return text.translate(_PLAIN).strip()
