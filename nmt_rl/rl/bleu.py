"""Smoothed sentence BLEU of growing prefixes: the potential Phi of the delta-BLEU reward.

Works on words of any hashable type. A prefix grows word by word at a cost of O(max_order) each, so the BLEU after
every word of a sentence costs O(length) in all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass


class Reference:
    """A reference translation as clipped n-gram counts; made once by `SentenceBleu.reference`, read many times.

    Attributes:
        length: number of words.
        counts: occurrences of each n-gram, n = 1 .. max_order; n-grams with the unknown word are left out.
    """

    __slots__ = ("counts", "length")

    def __init__(self, words: Sequence[Hashable], max_order: int, unknown: Hashable = None) -> None:
        self.length = len(words)
        self.counts: Counter[tuple[Hashable, ...]] = Counter()
        for order in range(1, max_order + 1):
            grams = (tuple(words[i : i + order]) for i in range(len(words) - order + 1))
            self.counts.update(gram for gram in grams if unknown is None or unknown not in gram)


@dataclass(frozen=True)
class SentenceBleu:
    """Sentence BLEU (Papineni et al., 2002) with the smoothing of Chen and Cherry (2014), in [0, 1].

        BLEU = min(1, exp(1 - |ref| / |hyp|)) * (p_1 * ... * p_N)^(1/N)

    With m_n clipped matches among t_n n-grams of the hypothesis, p_n = (m_n + add_k) / (t_n + add_k) (their
    method 2), and where no k is added p_n = max(m_n, floor) / t_n (their method 1). The brevity penalty uses raw
    lengths. The empty hypothesis scores 0. For a hypothesis with at least one matching word the defaults equal
    sacreBLEU's `smooth_method="add-k"`; without one sacreBLEU answers 0, the floor a little more.

    Raises:
        ValueError: for max_order < 1 or negative add_k or floor.
    """

    max_order: int = 4
    """Longest n-gram, N."""
    add_k: float = 1.0
    """Added to matches and totals of the orders from 2 on; 0: these orders are floored, and those longer than the
    hypothesis left out of the mean."""
    smooth_unigrams: bool = False
    """Add k to the unigrams too."""
    floor: float = 0.01
    """Match count that replaces 0 where no k is added."""
    unknown: Hashable = None
    """A word that never matches; None: every word can match."""

    def __post_init__(self) -> None:
        if self.max_order < 1 or self.add_k < 0.0 or self.floor < 0.0:
            raise ValueError(f"max_order must be at least 1, add_k and floor at least 0, found {self}")

    def reference(self, words: Sequence[Hashable]) -> Reference:
        """The n-gram counts of a reference."""
        return Reference(words, self.max_order, self.unknown)

    def prefix(self, reference: Reference) -> Prefix:
        """The empty hypothesis, to be extended word by word."""
        return Prefix(self, reference)

    def score(self, words: Iterable[Hashable], reference: Reference) -> float:
        """BLEU of a whole hypothesis."""
        prefix = self.prefix(reference)
        prefix.extend(words)
        return prefix.score()

    def from_counts(self, matches: Sequence[int], length: int, reference_length: int) -> float:
        """BLEU from its sufficient statistics.

        Args:
            matches: clipped matches of each order, [max_order].
            length: words of the hypothesis.
            reference_length: words of the reference.
        """
        if length == 0:
            return 0.0
        product, orders = 1.0, self.max_order
        for order, matched in enumerate(matches, start=1):
            total = max(length - order + 1, 0)
            k = self.add_k if order > 1 or self.smooth_unigrams else 0.0
            if k > 0.0:
                product *= (matched + k) / (total + k)
            elif total:
                product *= max(matched, self.floor) / total
            else:
                orders -= 1
        brevity = 1.0 if length >= reference_length else math.exp(1.0 - reference_length / length)
        return brevity * product ** (1.0 / orders)


class Prefix:
    """A growing hypothesis and its matches with one reference.

    Attributes:
        length: words so far.
        matches: clipped n-gram matches so far, [max_order].
    """

    __slots__ = ("_bleu", "_reference", "_tail", "_used", "length", "matches")

    def __init__(self, bleu: SentenceBleu, reference: Reference) -> None:
        self._bleu = bleu
        self._reference = reference
        self._tail: tuple[Hashable, ...] = ()
        self._used: dict[tuple[Hashable, ...], int] = {}
        self.length = 0
        self.matches = [0] * bleu.max_order

    def extend(self, words: Iterable[Hashable]) -> None:
        """Append words; O(max_order) each."""
        counts, used, matches, keep = self._reference.counts, self._used, self.matches, self._bleu.max_order - 1
        tail = self._tail
        for word in words:
            window = (*tail, word)
            for order in range(1, len(window) + 1):
                gram = window[-order:]
                allowed = counts.get(gram)
                if allowed is None:  # nor can a longer n-gram that ends in this one occur in the reference
                    break
                seen = used.get(gram, 0)
                if seen < allowed:
                    used[gram] = seen + 1
                    matches[order - 1] += 1
            tail = window[-keep:] if keep else ()
            self.length += 1
        self._tail = tail

    def score(self) -> float:
        """BLEU of the words so far, in [0, 1]."""
        return self._bleu.from_counts(self.matches, self.length, self._reference.length)

    def precisions(self) -> list[float]:
        """Unsmoothed n-gram precisions so far, [max_order]; 0 where there is no n-gram yet."""
        return [m / max(self.length - n, 1) for n, m in enumerate(self.matches)]
