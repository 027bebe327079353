"""Example translations for the report: the largest changes both ways and a random draw, differences marked."""

from __future__ import annotations

import dataclasses
import difflib
import random
import re

from nmt_rl.evaluation.comparison import Translations
from nmt_rl.evaluation.metrics import sentence_bleu

Marked = tuple[tuple[str, bool], ...]
"""A text in pieces, each with whether it differs from the other text."""

# One Chinese or Japanese character, a word, blanks, or one other character.
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|\s+|[^\w\s]")


@dataclasses.dataclass(frozen=True)
class Example:
    """One line of a test set; sentence BLEU in [0, 100]."""

    line: int
    """Counted from 1."""
    source: str
    reference: str
    pretrained: Marked
    pretrained_bleu: float
    finetuned: Marked | None = None
    finetuned_bleu: float | None = None


@dataclasses.dataclass(frozen=True)
class Examples:
    """Lines that gained most, lost most, and a random draw from the rest."""

    gained: tuple[Example, ...]
    lost: tuple[Example, ...]
    drawn: tuple[Example, ...]


def choose_examples(translations: Translations, target_language: str, seed: int, count: int = 5) -> Examples:
    """Up to `count` examples of each kind; without a fine-tuned model only the random draw.

    Args:
        translations: one split.
        target_language: language code, for the tokenizer of the sentence scores.
        seed: of the random draw.
        count: examples of each kind.
    """
    before = sentence_bleu(translations.pretrained, translations.references, target_language)
    lines = range(len(before))
    if translations.finetuned is None:
        after, gained, lost = None, [], []
    else:
        after = sentence_bleu(translations.finetuned, translations.references, target_language)
        change = [new - old for new, old in zip(after, before, strict=True)]
        order = sorted(lines, key=change.__getitem__)
        gained = [line for line in reversed(order) if change[line] > 0][:count]
        lost = [line for line in order if change[line] < 0][:count]
    rest = sorted(set(lines) - {*gained, *lost})
    drawn = sorted(random.Random(seed).sample(rest, min(count, len(rest))))

    def examples(chosen: list[int]) -> tuple[Example, ...]:
        return tuple(_example(translations, line, before, after) for line in chosen)

    return Examples(examples(gained), examples(lost), examples(drawn))


def mark_differences(first: str, second: str) -> tuple[Marked, Marked]:
    """Both texts cut where they differ, word by word; the pieces of each join to the text."""
    a, b = _TOKEN.findall(first), _TOKEN.findall(second)
    left: list[tuple[str, bool]] = []
    right: list[tuple[str, bool]] = []
    for tag, i, j, k, l in difflib.SequenceMatcher(a=a, b=b).get_opcodes():  # noqa: E741
        left.append(("".join(a[i:j]), tag != "equal"))
        right.append(("".join(b[k:l]), tag != "equal"))
    return tuple(piece for piece in left if piece[0]), tuple(piece for piece in right if piece[0])


def _example(translations: Translations, line: int, before: list[float], after: list[float] | None) -> Example:
    source, reference, old = (
        text[line] for text in (translations.sources, translations.references, translations.pretrained)
    )
    if translations.finetuned is None or after is None:
        return Example(line + 1, source, reference, ((old, False),), before[line])
    marked_old, marked_new = mark_differences(old, translations.finetuned[line])
    return Example(line + 1, source, reference, marked_old, before[line], marked_new, after[line])
