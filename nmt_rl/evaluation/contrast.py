"""In what two systems' translations of one test set differ: sentences, lengths, rare words, repetitions."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from nmt_rl.corpus.languages import bleu_tokenizer
from nmt_rl.corpus.words import word_splitter
from nmt_rl.evaluation.examples import Examples, Texts, choose_examples
from nmt_rl.evaluation.metrics import build_metrics, reference_streams, sentence_bleu
from nmt_rl.evaluation.tables import align_columns

LENGTHS = (10, 20, 30, 40)
"""Words of the reference at which a bucket of sentences ends, itself in it; the last bucket is open."""
FREQUENCIES = (1, 2, 4, 9, 99)
"""How often a word stands in the reference of the whole test set, at which a bucket of words ends."""
REPEATED = 3
"""A repetition is an n-gram of so many words that a sentence holds again."""

Lines = Sequence[Sequence[str]]
"""A text in words, line by line."""


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Some sentences or words, and a number in percent for each of the two systems."""

    name: str
    size: int
    """Sentences, or words of the reference."""
    first: float
    second: float


@dataclasses.dataclass(frozen=True)
class Wording:
    """How a text is worded."""

    words: int
    length_ratio: float
    """To the reference, in words."""
    repetitions: float
    """Repeated n-grams of REPEATED words, per 1,000 words."""


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Where the second system is better or worse than the first; words are BLEU's, of the first reference."""

    wins: int
    """Sentences in which the second system has the higher sentence BLEU."""
    ties: int
    losses: int
    changes: tuple[float, ...]
    """Sentence BLEU of the second system less that of the first, line by line."""
    by_length: tuple[Bucket, ...]
    """Corpus BLEU by the reference's length."""
    by_frequency: tuple[Bucket, ...]
    """F1 of the words by their frequency in the reference (Neubig et al., 2019)."""
    reference: Wording
    first: Wording
    second: Wording
    examples: Examples

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)


def contrast(texts: Texts, target_language: str = "", seed: int = 12345) -> Contrast:
    """Compare two systems beyond their scores; words are those that BLEU counts.

    Args:
        texts: of both.
        target_language: language code, for sacreBLEU's tokenizer.
        seed: of the examples drawn at random.
    """
    if texts.second is None:
        raise ValueError("a contrast needs two systems")
    sides, streams = (texts.first, texts.second), reference_streams(texts.references)
    scores = [sentence_bleu(side, streams, target_language) for side in sides]
    changes = tuple(new - old for old, new in zip(*scores, strict=True))
    words = word_splitter(bleu_tokenizer(target_language))
    reference, *both = ([words(line) for line in side] for side in (streams[0], *sides))
    return Contrast(
        wins=sum(change > 0 for change in changes),
        ties=sum(change == 0 for change in changes),
        losses=sum(change < 0 for change in changes),
        changes=changes,
        by_length=tuple(_by_length(sides, streams, [len(line) for line in reference], target_language)),
        by_frequency=tuple(_by_frequency(reference, both)),
        reference=wording(reference, reference),
        first=wording(both[0], reference),
        second=wording(both[1], reference),
        examples=choose_examples(texts, target_language, seed),
    )


def bucket_of(number: int, ends: Sequence[int]) -> str:
    """The bucket a number from 1 on is in: `1`, `2`, `3-4`, ..., `100+` for ends 1, 2, 4, ..., 99."""
    start = 1
    for end in ends:
        if number <= end:
            return str(end) if start == end else f"{start}-{end}"
        start = end + 1
    return f"{start}+"


def word_f1(hypotheses: Lines, references: Lines, chosen: set[str]) -> float:
    """F1 in percent of the chosen words: matches, clipped sentence by sentence, twice over the words of both sides."""
    matches = total = 0
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        ours, theirs = (Counter(word for word in side if word in chosen) for side in (hypothesis, reference))
        matches += (ours & theirs).total()
        total += ours.total() + theirs.total()
    return 200 * matches / total if total else 0.0


def wording(lines: Lines, reference: Lines) -> Wording:
    """Length and repetitions of a text."""
    count, again = sum(map(len, lines)), 0
    for line in lines:
        grams = Counter(tuple(line[i : i + REPEATED]) for i in range(len(line) - REPEATED + 1))
        again += grams.total() - len(grams)
    return Wording(count, count / max(sum(map(len, reference)), 1), 1000 * again / max(count, 1))


def _by_length(
    sides: Sequence[Sequence[str]], streams: list[list[str]], lengths: list[int], language: str
) -> Iterator[Bucket]:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for name, group in itertools.groupby(order, lambda i: bucket_of(lengths[i], LENGTHS)):
        chosen = list(group)
        own = [[stream[i] for i in chosen] for stream in streams]
        bleu = build_metrics(own, ("bleu",), language)["bleu"]
        first, second = (float(bleu.corpus_score([side[i] for i in chosen], None).score) for side in sides)
        yield Bucket(name, len(chosen), first, second)


def _by_frequency(reference: Lines, sides: Sequence[Lines]) -> Iterator[Bucket]:
    counts = Counter(word for line in reference for word in line)
    order = sorted(counts, key=counts.__getitem__)
    for name, group in itertools.groupby(order, lambda word: bucket_of(counts[word], FREQUENCIES)):
        chosen = set(group)
        first, second = (word_f1(side, reference, chosen) for side in sides)
        yield Bucket(name, sum(counts[word] for word in chosen), first, second)


def format_contrast(found: Contrast, names: Sequence[str]) -> str:
    """Plain text tables; the sentences that changed most are in the HTML report and in JSON."""
    better = f"better in {found.wins:,} sentences, worse in {found.losses:,}, the same in {found.ties:,}"
    parts = [f"By sentence BLEU {names[1]} is {better}"]
    for title, unit, buckets in (
        ("BLEU by words of the reference", "sentences", found.by_length),
        ("F1 of words by their frequency in the reference", "words", found.by_frequency),
    ):
        rows = [[title, *names, unit]]
        rows += [[b.name, f"{b.first:.2f}", f"{b.second:.2f}", f"{b.size:,}"] for b in buckets]
        parts.append(align_columns(rows))
    rows = [["wording", "words", "length ratio", f"repeated {REPEATED}-grams per 1,000 words"]]
    for name, side in zip(("reference", *names), (found.reference, found.first, found.second), strict=True):
        rows.append([name, f"{side.words:,}", f"{side.length_ratio:.3f}", f"{side.repetitions:.2f}"])
    return "\n\n".join([*parts, align_columns(rows)])
