"""Words: of a language, as its BLEU counts them; and of any text, as cleaning counts them."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from nmt_rl.corpus.characters import ALPHABETS, IDEOGRAPHS, UNSPACED, composed
from nmt_rl.errors import UserError

Splitter = Callable[[str], list[str]]
"""A text in words."""

IDEOGRAPHS_PER_WORD, LETTERS_PER_WORD = 2, 3
"""Characters that count as one word where no blanks stand between words: Chinese and Japanese ones; Thai and others."""
_IDEOGRAPH, _LETTER = re.compile(f"[{IDEOGRAPHS}]"), re.compile(f"[{ALPHABETS}]")
_OTHER_WORD = re.compile(rf"[^\W{IDEOGRAPHS}{ALPHABETS}]+(?:[.,'’-][^\W{IDEOGRAPHS}{ALPHABETS}]+)*")
PACKAGES = {"ja-mecab": "pip install 'sacrebleu[ja]'", "ko-mecab": "pip install 'sacrebleu[ko]'"}
"""How to get what two of sacreBLEU's tokenizers need."""


def count_words(text: str) -> int:
    """How many words a text has, roughly, in any script; so that lengths of two languages can be compared.

    What stands between blanks is a word. Where a script puts no blanks between words, two Chinese or Japanese
    characters count as one, or three letters of Thai, Lao, Burmese, Khmer or Tibetan (vowel signs, tone marks and
    punctuation do not count), rounded up over the text; so does each word or number of another script among them.
    """
    if text.isascii() or not UNSPACED.search(text):
        return len(text.split())
    words = ideographs = letters = 0
    for token in text.split():
        if not UNSPACED.search(token):
            words += 1
            continue
        ideographs += len(_IDEOGRAPH.findall(token))
        letters += sum(unicodedata.category(letter)[0] in "LN" for letter in _LETTER.findall(token))
        words += len(_OTHER_WORD.findall(token))
    return words + math.ceil(ideographs / IDEOGRAPHS_PER_WORD) + math.ceil(letters / LETTERS_PER_WORD)


def is_unspaced(lines: Sequence[str]) -> bool:
    """Whether most lines of a text are in scripts that put no blanks between words."""
    return 2 * sum(UNSPACED.search(line) is not None for line in lines) > len(lines)


@functools.cache
def word_splitter(tokenizer: str) -> Splitter:
    """What cuts a text, composed, into the words of one of sacreBLEU's tokenizers.

    Args:
        tokenizer: its name, as `languages.bleu_tokenizer` gives it.

    Raises:
        UserError: if it is not installed.
    """
    if tokenizer == "13a":
        return _words_13a
    from sacrebleu.metrics import BLEU

    with installed(tokenizer):
        tokenize = BLEU(tokenize=tokenizer, force=True).tokenizer
    return lambda text: tokenize(composed(text).rstrip()).split()


def _words_13a(text: str) -> list[str]:
    """13a never looks across white space, so each stretch between blanks is cut once and remembered."""
    return list(itertools.chain.from_iterable(map(_tokenizer_13a(), composed(text).split())))


@functools.cache
def _tokenizer_13a() -> Callable[[str], tuple[str, ...]]:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenize = Tokenizer13a()
    return functools.lru_cache(maxsize=2**17)(lambda chunk: tuple(tokenize(chunk).split()))


@contextlib.contextmanager
def installed(tokenizer: str) -> Iterator[None]:
    """Turn what sacreBLEU says of a tokenizer that cannot be made into a UserError."""
    try:
        yield
    except (RuntimeError, ImportError, OSError, SystemExit) as error:
        if tokenizer in PACKAGES:
            hint = f"run {PACKAGES[tokenizer]}"
        else:  # It is a SentencePiece model, which sacreBLEU downloads to its cache.
            from sacrebleu.utils import SACREBLEU_DIR

            reason = " ".join(str(getattr(error, "reason", None) or error).split())
            hint = f"its model is not in {SACREBLEU_DIR} ({reason}); connect to the network once"
        raise UserError(f"sacreBLEU's tokenizer {tokenizer} is not available here: {hint}") from error
