"""Codes of languages, and what is a word in each: the one place that says which tokenizer BLEU takes."""

from __future__ import annotations

import re

_TWO_LETTERS = {
    three: two
    for two, all_ in {
        "zh": "zho chi cmn cn", "ja": "jpn jp", "ko": "kor", "th": "tha", "lo": "lao", "km": "khm", "my": "mya bur",
        "bo": "bod tib", "dz": "dzo", "en": "eng", "de": "deu ger", "fr": "fra fre", "es": "spa", "it": "ita",
        "pt": "por", "nl": "nld dut", "ru": "rus", "cs": "ces cze", "pl": "pol", "fi": "fin", "ro": "ron rum",
        "hi": "hin", "ar": "ara arb", "vi": "vie", "tr": "tur", "uk": "ukr",
    }.items()
    for three in all_.split()
}  # fmt: skip
"""Of codes in three letters and of two that are wrong but usual."""
_TOKENIZERS = (
    dict.fromkeys(
        ["zh", "yue", "lzh", "wuu", "hak", "gan", "hsn", "nan", "cdo", "cjy", "cpx", "czh", "czo", "mnp"], "zh"
    )
    | {"ja": "ja-mecab", "ko": "ko-mecab"}
    | dict.fromkeys(["th", "lo", "km", "my", "bo", "dz", "shn", "mnw", "rki", "ksw"], "char")
)
"""sacreBLEU's tokenizers by the language's code; 13a for all others."""
_SCRIPTS = {
    **dict.fromkeys(("hans", "hant", "hani"), "zh"),
    **dict.fromkeys(("thai", "laoo", "khmr", "mymr", "tibt"), "char"),
    "jpan": "ja-mecab",
    "kore": "ko-mecab",
    "hang": "ko-mecab",
    "latn": "13a",
    "cyrl": "13a",
}
"""Those of scripts, which say more than the language: `zho_Latn` is written with blanks."""
_TAG = re.compile("<2([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]+)*)>")


def bleu_tokenizer(language: str) -> str:
    """Name of the sacreBLEU tokenizer that makes a language's words.

    As sacreBLEU chooses: zh, ja-mecab, ko-mecab, and 13a for others. But Thai, Lao, Khmer, Burmese and Tibetan, which
    put no blanks between words, are cut into characters (char): 13a would take a clause for a word.

    Args:
        language: its code in any form: `zh`, `zh-CN`, `zh_Hans`, `zho`, `cmn`, `zho_Hant`; empty: not known.
    """
    written = [_SCRIPTS[part] for part in _subtags(language)[1:] if part in _SCRIPTS]
    return written[0] if written else _TOKENIZERS.get(short_code(language), "13a")


def short_code(language: str) -> str:
    """The code in two letters, where there is one, without country and script: `zh` of `zho_Hans` and `zh-CN`."""
    code = _subtags(language)[0]
    return _TWO_LETTERS.get(code, code)


def split_pair(pair: str) -> tuple[str, str]:
    """Both codes of `en-de`, `en-zh-CN` or `zh_Hans-en`; empty ones of what is no pair, or may be parted otherwise."""
    parts = pair.split("-")
    if len(parts) == 2:
        return parts[0], parts[1]
    # Countries in capitals and scripts in four letters belong to the language before them.
    begins = [i for i, part in enumerate(parts) if not re.fullmatch("[A-Z]{2}|[A-Za-z]{4}|[0-9]{3}", part)]
    if len(begins) != 2 or begins[0] != 0:
        return "", ""
    return "-".join(parts[: begins[1]]), "-".join(parts[begins[1] :])


def language_tag(language: str) -> str:
    """What sources begin with that a model of several languages is to translate into this one: `<2de>`."""
    return f"<2{language}>"


def tagged_language(tag: str | None) -> str:
    """The code of the language that a tag asks for, `de` of `<2de>`; empty if it is another tag, or none."""
    found = _TAG.fullmatch(tag or "")
    return found[1] if found else ""


def joins_sentences(language: str) -> str:
    """What stands between two sentences: nothing in Chinese and Japanese, a blank in all others."""
    return "" if bleu_tokenizer(language) in ("zh", "ja-mecab") else " "


def _subtags(language: str) -> list[str]:
    return re.split("[-_.@]", language.strip().lower())
