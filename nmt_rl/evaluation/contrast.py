"""In what systems' translations of one test set differ: n-grams, sentences, lengths, rare words, repetitions.

Of a system with outputs of several seeds, every number is the mean over them, and examples are of the first.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from nmt_rl.corpus.words import word_splitter
from nmt_rl.evaluation.examples import Examples, Texts, choose_examples
from nmt_rl.evaluation.metrics import build_metrics, choose_tokenizer, reference_streams, sentence_bleu
from nmt_rl.evaluation.pooling import seed_outputs
from nmt_rl.evaluation.tables import align_columns

LENGTHS = (10, 20, 30, 40)
"""Words of the reference at which a bucket of sentences ends, itself in it; the last bucket is open."""
FREQUENCIES = (1, 2, 4, 9, 99)
"""How often a word stands in the reference of the whole test set, at which a bucket of words ends."""
REPEATED = 3
"""A repetition is an n-gram of so many words that a sentence holds again."""

FACTORS = ("1-grams", "2-grams", "3-grams", "4-grams", "brevity penalty")
"""Precisions and penalty as they are printed."""

Lines = Sequence[Sequence[str]]
"""A text in words, line by line."""


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Some sentences or words, and a number in percent for each of the systems."""

    name: str
    size: int
    """Sentences, or words of the reference."""
    scores: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Wording:
    """How a text is worded."""

    words: int
    length_ratio: float
    """To the reference, in words."""
    repetitions: float
    """Repeated n-grams of REPEATED words, per 1,000 words."""


@dataclasses.dataclass(frozen=True)
class BleuFactors:
    """What corpus BLEU is made of: brevity penalty times the geometric mean of the precisions."""

    precisions: tuple[float, ...]
    """Of n-grams of 1 to 4 words, in percent."""
    brevity_penalty: float


@dataclasses.dataclass(frozen=True)
class Change:
    """Where a system is better or worse than the baseline."""

    wins: int
    """Sentences in which the system has the higher sentence BLEU."""
    ties: int
    losses: int
    changes: tuple[float, ...]
    """Sentence BLEU of the system less that of the baseline, line by line."""
    examples: Examples


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Systems in their order, the baseline first; words are BLEU's, of the first reference."""

    changes: tuple[Change, ...]
    """Of every system but the baseline."""
    by_length: tuple[Bucket, ...]
    """Corpus BLEU by the reference's length."""
    by_frequency: tuple[Bucket, ...]
    """F1 of the words by their frequency in the reference (Neubig et al., 2019)."""
    reference: Wording
    systems: tuple[Wording, ...]
    factors: tuple[BleuFactors, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)


def contrast(
    systems: Sequence[Sequence[str] | Sequence[Sequence[str]]],
    references: Sequence[str] | Sequence[Sequence[str]],
    sources: Sequence[str] = (),
    target_language: str = "",
    tokenize: str | None = None,
    seed: int = 12345,
) -> Contrast:
    """Compare systems beyond their scores; words are those that BLEU counts.

    Args:
        systems: translations, one per line, or several such lists, one of each seed; two systems or more, the first is
            the baseline.
        references: one reference per line, or several such lists.
        sources: one per line; empty if they are not known.
        target_language, tokenize: as in `metrics.corpus_scores`.
        seed: of the examples drawn at random.
    """
    streams, language = reference_streams(references), (target_language, tokenize)
    outputs = [seed_outputs(system) for system in systems]
    words = word_splitter(choose_tokenizer(*language))
    reference = [words(line) for line in streams[0]]
    worded = [[[words(line) for line in output] for output in system] for system in outputs]
    scores = [_mean_sentence_bleu(system, streams, language) for system in outputs]
    texts = [Texts(sources, references, outputs[0][0], system[0]) for system in outputs[1:]]
    examples = [choose_examples(both, *language, seed=seed) for both in texts]
    return Contrast(
        changes=tuple(_change(scores[0], own, chosen) for own, chosen in zip(scores[1:], examples, strict=True)),
        by_length=tuple(_by_length(outputs, streams, [len(line) for line in reference], language)),
        by_frequency=tuple(_by_frequency(reference, worded)),
        reference=wording(reference, reference),
        systems=tuple(_mean_wording([wording(output, reference) for output in system]) for system in worded),
        factors=tuple(_factors(outputs, streams, language)),
    )


def _mean_sentence_bleu(
    outputs: Sequence[Sequence[str]], streams: list[list[str]], language: tuple[str, str | None]
) -> list[float]:
    scores = [sentence_bleu(output, streams, *language) for output in outputs]
    return [statistics.fmean(line) for line in zip(*scores, strict=True)]


def _change(baseline: Sequence[float], scores: Sequence[float], examples: Examples) -> Change:
    # Means of equal scores differ in their last bits.
    changes = tuple(round(new - old, 9) for new, old in zip(scores, baseline, strict=True))
    return Change(
        wins=sum(change > 0 for change in changes),
        ties=sum(change == 0 for change in changes),
        losses=sum(change < 0 for change in changes),
        changes=changes,
        examples=examples,
    )


def _factors(
    systems: Sequence[Sequence[Sequence[str]]], streams: list[list[str]], language: tuple[str, str | None]
) -> Iterator[BleuFactors]:
    bleu = build_metrics(streams, ("bleu",), *language)["bleu"]
    for outputs in systems:
        found = [bleu.corpus_score(output, None) for output in outputs]
        precisions = zip(*(each.precisions for each in found), strict=True)
        yield BleuFactors(tuple(map(statistics.fmean, precisions)), statistics.fmean(each.bp for each in found))


def _mean_wording(outputs: Sequence[Wording]) -> Wording:
    return Wording(
        round(statistics.fmean(each.words for each in outputs)),
        statistics.fmean(each.length_ratio for each in outputs),
        statistics.fmean(each.repetitions for each in outputs),
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
    systems: Sequence[Sequence[Sequence[str]]],
    streams: list[list[str]],
    lengths: list[int],
    language: tuple[str, str | None],
) -> Iterator[Bucket]:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for name, group in itertools.groupby(order, lambda i: bucket_of(lengths[i], LENGTHS)):
        chosen = list(group)
        own = [[stream[i] for i in chosen] for stream in streams]
        bleu = build_metrics(own, ("bleu",), *language)["bleu"]
        scores = [
            statistics.fmean(bleu.corpus_score([output[i] for i in chosen], None).score for output in outputs)
            for outputs in systems
        ]
        yield Bucket(name, len(chosen), tuple(scores))


def _by_frequency(reference: Lines, systems: Sequence[Sequence[Lines]]) -> Iterator[Bucket]:
    counts = Counter(word for line in reference for word in line)
    order = sorted(counts, key=counts.__getitem__)
    for name, group in itertools.groupby(order, lambda word: bucket_of(counts[word], FREQUENCIES)):
        chosen = set(group)
        scores = tuple(
            statistics.fmean(word_f1(output, reference, chosen) for output in outputs) for outputs in systems
        )
        yield Bucket(name, sum(counts[word] for word in chosen), scores)


def change_sentence(change: Change, name: str, baseline: str) -> str:
    """In how many sentences a system is better than the baseline."""
    counts = f"{change.wins:,} sentences, worse in {change.losses:,}, the same in {change.ties:,}"
    return f"By sentence BLEU {name} is better than {baseline} in {counts}"


def format_contrast(found: Contrast, names: Sequence[str]) -> str:
    """Plain text tables; the sentences that changed most are in the HTML report and in JSON."""
    sentences = (change_sentence(*both, names[0]) for both in zip(found.changes, names[1:], strict=True))
    parts = ["\n".join(sentences)]
    for title, unit, buckets in (
        ("BLEU by words of the reference", "sentences", found.by_length),
        ("F1 of words by their frequency in the reference", "words", found.by_frequency),
    ):
        rows = [[title, *names, unit]]
        rows += [[b.name, *(f"{score:.2f}" for score in b.scores), f"{b.size:,}"] for b in buckets]
        parts.append(align_columns(rows))
    rows = [["wording", "words", "length ratio", f"repeated {REPEATED}-grams per 1,000 words"]]
    for name, side in zip(("reference", *names), (found.reference, *found.systems), strict=True):
        rows.append([name, f"{side.words:,}", f"{side.length_ratio:.3f}", f"{side.repetitions:.2f}"])
    parts.append(align_columns(rows))
    rows = [["factors of BLEU", *FACTORS, ""]]
    rows += [[name, *factor_cells(own), ""] for name, own in zip(names, found.factors, strict=True)]
    return "\n\n".join([*parts, align_columns(rows)])


def factor_cells(factors: BleuFactors) -> list[str]:
    """As they stand below FACTORS."""
    return [*(f"{precision:.2f}" for precision in factors.precisions), f"{factors.brevity_penalty:.3f}"]
