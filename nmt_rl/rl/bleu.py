"""Smoothed sentence BLEU: of whole sentences, many at once, and of growing prefixes, the potential of the reward.

Works on words of any hashable type. A prefix grows word by word at a cost of O(max_order) each, so the BLEU after
every word of a sentence costs O(length) in all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nmt_rl.rl.ngrams import clipped_matches

Smoothing = Literal["add-k", "floor", "exp", "none"]
SMOOTHING_VALUES: dict[str, float | None] = {"add-k": 1.0, "floor": 0.1, "exp": None, "none": None}
"""sacreBLEU's default value of each smoothing; exp and none have none."""


class Reference:
    """A reference translation as n-gram counts; made once by `SentenceBleu.reference`, read many times.

    Attributes:
        length: number of words.
        counts: occurrences of each n-gram, n = 1 .. max_order; n-grams with the unknown word are left out.
    """

    __slots__ = ("counts", "length")

    def __init__(self, words: Sequence[Hashable], max_order: int, unknown: Hashable = None) -> None:
        self.length = len(words)
        self.counts: Counter[tuple[Hashable, ...]] = Counter()
        for order in range(1, max_order + 1):
            self.counts.update(zip(*(words[i:] for i in range(order)), strict=False))
        if unknown is not None and unknown in words:
            self.counts = Counter({gram: n for gram, n in self.counts.items() if unknown not in gram})


@dataclass(frozen=True)
class SentenceBleu:
    """Sentence BLEU (Papineni et al., 2002) with the smoothing of Chen and Cherry (2014), in [0, 1].

        BLEU = min(1, exp(1 - |ref| / |hyp|)) * (p_1 * ... * p_N)^(1/N)

    With m_n clipped matches among t_n n-grams of the hypothesis, p_n = m_n / t_n, but

        add-k   (their method 2)  p_n = (m_n + k) / (t_n + k) from bigrams on
        floor   (their method 1)  p_n = value / t_n where m_n = 0
        exp     (their method 3)  p_n = 1 / (2^j t_n) for the j-th order with m_n = 0
        none                      p_n = 0 where m_n = 0, and so the whole product

    N is max_order for add-k; for the others it is at most |hyp| (sacreBLEU's effective order). Equal to sacreBLEU's
    sentence score with `effective_order=True` and the same smoothing, with two exceptions. Where no word matches
    sacreBLEU answers 0 for every smoothing; here add-k sets m_1 to `no_match`, so that lengths and hopeless
    hypotheses keep an order. And the `unknown` word never matches. The empty hypothesis scores 0.

    `brevity` words are added to |ref| (Nakov et al., 2012): add-k flatters short hypotheses, so that what is best in
    every sentence is too short for the whole corpus.

    Raises:
        ValueError: for max_order < 1, an unknown smoothing, a value that is not positive or that the smoothing does
            not have, or negative no_match or brevity.
    """

    max_order: int = 4
    """Longest n-gram, N."""
    smoothing: Smoothing = "add-k"
    value: float | None = None
    """k of add-k, or the floor; None: sacreBLEU's default, 1 and 0.1."""
    no_match: float = 0.01
    """Unigram matches that add-k assumes where there are none; 0: the score is 0, as in sacreBLEU."""
    unknown: Hashable = None
    """A word that never matches; None: every word can match."""
    brevity: float = 0.0
    """Words added to the reference's length in the brevity penalty; sacreBLEU adds none."""

    def __post_init__(self) -> None:
        if self.smoothing not in SMOOTHING_VALUES:
            raise ValueError(f"smoothing must be one of {', '.join(SMOOTHING_VALUES)}, found {self.smoothing!r}")
        if self.value is None:
            object.__setattr__(self, "value", SMOOTHING_VALUES[self.smoothing])
        elif SMOOTHING_VALUES[self.smoothing] is None:
            raise ValueError(f"smoothing {self.smoothing} has no value, found {self.value}")
        least = min(self.no_match, self.brevity)
        if self.max_order < 1 or least < 0.0 or (self.value is not None and self.value <= 0.0):
            raise ValueError(f"max_order from 1, value above 0, no_match and brevity from 0 are needed, found {self}")

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

    def scores(
        self, hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Hashable]]
    ) -> NDArray[np.float64]:
        """BLEU of many hypotheses, given as words like their references; float64 [pairs].

        The same numbers as `score`, several times faster for a batch.
        """
        ids: dict[Hashable, int] = {self.unknown: 0, object(): 1}
        ours = [[ids.setdefault(word, len(ids)) for word in words] for words in hypotheses]
        ids[self.unknown] = 1  # in references; so it matches nothing
        theirs = [[ids.setdefault(word, len(ids)) for word in words] for words in references]
        matches = clipped_matches(ours, theirs, self.max_order).tolist()
        scores = map(self.from_counts, matches, map(len, ours), map(len, theirs))
        return np.fromiter(scores, np.float64, len(ours))

    def from_counts(self, matches: Sequence[int], length: int, reference_length: int) -> float:
        """BLEU from its sufficient statistics.

        Args:
            matches: clipped matches of each order, [max_order].
            length: words of the hypothesis.
            reference_length: words of the reference.
        """
        if length == 0:
            return 0.0
        if self.smoothing == "add-k":
            mean = self._add_k(matches, length)
        else:
            mean = self._replace_zeros(matches[:length], length) if matches[0] else 0.0
        wanted = reference_length + self.brevity
        return mean if length >= wanted else mean * math.exp(1.0 - wanted / length)

    def _add_k(self, matches: Sequence[int], length: int) -> float:
        """Geometric mean of the precisions, method 2."""
        k = self.value or 0.0
        product = (matches[0] or self.no_match) / length
        for order in range(1, self.max_order):
            product *= (matches[order] + k) / (max(length - order, 0) + k)
        return float(product ** (1.0 / self.max_order))

    def _replace_zeros(self, matches: Sequence[int], length: int) -> float:
        """Geometric mean of the precisions, methods 1 and 3 or none; every order given has an n-gram."""
        fallback = {"floor": self.value, "exp": 1.0}.get(self.smoothing) or 0.0
        product = 1.0
        for order, matched in enumerate(matches):
            if not matched and self.smoothing == "exp":
                fallback /= 2.0
            product *= (matched or fallback) / (length - order)
        return float(product ** (1.0 / len(matches)))


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
