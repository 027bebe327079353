"""Codes of languages."""

from __future__ import annotations

import re

_TWO_LETTERS = {"zho": "zh", "chi": "zh", "cmn": "zh", "jpn": "ja", "kor": "ko"}
"""Codes of the languages for which sacreBLEU has its own tokenizer; it knows only the two-letter ones."""


def short_code(language: str) -> str:
    """The code that sacreBLEU knows of a language given as `zh`, `zh-CN`, `zh_CN`, `zho` or `cmn`."""
    code = re.split("[-_]", language.lower())[0]
    return _TWO_LETTERS.get(code, code)
