"""Example translations for the report: the largest changes both ways and a random draw, differences marked."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import random
import re
import unicodedata
from collections.abc import Sequence

from nmt_rl.corpus.characters import ALPHABETS, IDEOGRAPHS
from nmt_rl.evaluation.metrics import reference_streams, sentence_bleu

Marked = tuple[tuple[str, bool], ...]
"""A text in pieces, each with whether it differs from the other text."""


@dataclasses.dataclass(frozen=True)
class Texts:
    """A test set in the words of one or two systems; all lists have one entry per line."""

    sources: Sequence[str]
    """Empty if they are not known."""
    references: Sequence[str] | Sequence[Sequence[str]]
    """One reference per line, or several such lists."""
    first: Sequence[str]
    second: Sequence[str] | None = None


@dataclasses.dataclass(frozen=True)
class Example:
    """One line of a test set; sentence BLEU in [0, 100]."""

    line: int
    """Counted from 1."""
    source: str
    reference: str
    first: Marked
    first_bleu: float
    second: Marked | None = None
    second_bleu: float | None = None


@dataclasses.dataclass(frozen=True)
class Examples:
    """Lines that gained most, lost most, and a random draw from the rest."""

    gained: tuple[Example, ...]
    lost: tuple[Example, ...]
    drawn: tuple[Example, ...]


def choose_examples(
    texts: Texts, target_language: str, tokenize: str | None = None, *, seed: int, count: int = 5
) -> Examples:
    """Up to `count` examples of each kind; without a second system only the random draw.

    Args:
        texts: of one test set.
        target_language, tokenize: of the sentence scores, as in `metrics.corpus_scores`.
        seed: of the random draw.
        count: examples of each kind.
    """
    before = sentence_bleu(texts.first, texts.references, target_language, tokenize)
    lines = range(len(before))
    if texts.second is None:
        after, gained, lost = None, [], []
    else:
        after = sentence_bleu(texts.second, texts.references, target_language, tokenize)
        change = [new - old for new, old in zip(after, before, strict=True)]
        order = sorted(lines, key=change.__getitem__)
        gained = [line for line in reversed(order) if change[line] > 0][:count]
        lost = [line for line in order if change[line] < 0][:count]
    rest = sorted(set(lines) - {*gained, *lost})
    drawn = sorted(random.Random(seed).sample(rest, min(count, len(rest))))

    def examples(chosen: list[int]) -> tuple[Example, ...]:
        return tuple(_example(texts, line, before, after) for line in chosen)

    return Examples(examples(gained), examples(lost), examples(drawn))


def mark_differences(first: str, second: str) -> tuple[Marked, Marked]:
    """Both texts cut where they differ, word by word; the pieces of each join to the text."""
    a, b = _token().findall(first), _token().findall(second)
    left: list[tuple[str, bool]] = []
    right: list[tuple[str, bool]] = []
    for tag, i, j, k, l in difflib.SequenceMatcher(a=a, b=b).get_opcodes():  # noqa: E741
        left.append(("".join(a[i:j]), tag != "equal"))
        right.append(("".join(b[k:l]), tag != "equal"))
    return tuple(piece for piece in left if piece[0]), tuple(piece for piece in right if piece[0])


@functools.cache
def _token() -> re.Pattern[str]:
    """A word, or a letter of a script without blanks, with its signs and accents; blanks; or one other character."""
    marks = "".join(c for c in map(chr, range(0x300, 0x20000)) if unicodedata.category(c) in ("Mn", "Mc"))
    apart = IDEOGRAPHS + ALPHABETS
    return re.compile(rf"[{apart}][{marks}]*|[^\W{apart}](?:[^\W{apart}]|[{marks}])*|\s+|[^\w\s]|.", re.DOTALL)


def _example(texts: Texts, line: int, before: list[float], after: list[float] | None) -> Example:
    source = texts.sources[line] if texts.sources else ""
    reference, old = reference_streams(texts.references)[0][line], texts.first[line]
    if texts.second is None or after is None:
        return Example(line + 1, source, reference, ((old, False),), before[line])
    marked_old, marked_new = mark_differences(old, texts.second[line])
    return Example(line + 1, source, reference, marked_old, before[line], marked_new, after[line])
