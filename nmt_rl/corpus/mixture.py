"""How often an epoch goes through the pairs of each training source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def draws_of(pairs: Sequence[int], weights: Sequence[float], temperature: float) -> list[int]:
    """How many pairs of each source an epoch draws: w n (n / N)^(1/T - 1), scaled to the sum of w n.

    With temperature 1 that is w n; with a large one the sources are drawn in proportion to their weights, whatever
    their size (Arivazhagan et al., 2019, section 5).

    Args:
        pairs: n of each source.
        weights: w of each source.
        temperature: T, from 1.
    """
    n, w = np.asarray(pairs, np.float64), np.asarray(weights, np.float64)
    plain = w * n
    share = n / max(n.sum(), 1.0)
    tempered = plain * np.where(share > 0, share, 1.0) ** (1.0 / temperature - 1.0)
    tempered *= plain.sum() / max(tempered.sum(), 1e-300)
    return [int(count) for count in np.where(n > 0, np.maximum(np.rint(tempered), 1), 0)]


class Mixture:
    """The pairs of an epoch: of each source as many as are drawn, all of them before one comes again, in the next
    epoch from where this one ends.

    Args:
        pairs: of each source; in the corpus they stand one after the other.
        draws: of each source per epoch.
    """

    def __init__(self, pairs: Sequence[int], draws: Sequence[int]) -> None:
        """See the class docstring."""
        self.pairs, self.draws = list(pairs), list(draws)
        self._ends = np.cumsum(self.draws)
        self._starts = np.cumsum(self.pairs) - self.pairs

    def __len__(self) -> int:
        """Pairs of an epoch."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def pairs_at(self, epoch: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers in the corpus, int64 [n], of the pairs at places int64 [n] of an epoch, from 0 to its length."""
        if self.pairs == self.draws:
            return places
        source = np.searchsorted(self._ends, places, side="right")
        draws, pairs = np.asarray(self.draws), np.asarray(self.pairs)
        within = places - (self._ends - draws)[source]
        return self._starts[source] + (epoch * draws[source] + within) % pairs[source]
