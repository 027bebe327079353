"""Seeded random choices; built on `random()` alone, whose sequence is the same in every Python version."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


@cache
def _zipf_sums(size: int) -> tuple[float, ...]:
    return tuple(accumulate((rank + 3) ** -1.7 for rank in range(size)))


class Dice:
    """A source of random decisions."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """Return one item, all equally likely."""
        return items[int(self._random() * len(items))]

    def number(self, low: int, high: int) -> int:
        """Return an integer from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def zipf(self, items: Sequence[T]) -> T:
        """Return one item; item k (from 0) has weight (k + 3) ** -1.7, so the last ones are rare."""
        sums = _zipf_sums(len(items))
        return items[bisect_right(sums, self._random() * sums[-1], hi=len(items) - 1)]

    def weighted(self, items: Sequence[tuple[float, T]]) -> T:
        """Return the second member of one pair; the first member is its weight."""
        sums = list(accumulate(weight for weight, _ in items))
        return items[bisect_right(sums, self._random() * sums[-1], hi=len(items) - 1)][1]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in random order (Fisher-Yates)."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.number(0, last)
            result[last], result[other] = result[other], result[last]
        return result
