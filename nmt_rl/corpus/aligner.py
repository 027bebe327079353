"""A statistical word aligner: which piece of a source each piece of its translation comes from, learnt from the text.

IBM model 2 with a prior around the diagonal and sparse lexicons (Dyer et al., 2013), in both directions, whose
alignments are joined (Och and Ney, 2003). Pieces are ids from 1; 0 is padding and stands for no piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.int64]
"""Sentences, ids [pairs, longest], 0 behind them."""
Links = NDArray[np.bool_]
"""Which piece of the target comes from which of the source: [pairs, target, source]."""

NULL, TENSION, SPARSE = 0.08, 4.0, 0.01
"""Probability that a piece comes from none; how fast the prior falls off beside the diagonal; the Dirichlet prior of a
lexicon. Those of Dyer et al. (2013)."""
ROUNDS = 5
"""Of expectation maximisation."""
UNSEEN = 1e-9
"""Probability of a translation that did not occur."""


def diagonal_prior(sources: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.float32]:
    """p(i | j, m, n) = (1 - p0) exp(-tension |i / n - j / m|) / Z, and p0 of none (Dyer et al., 2013, section 2).

    Args:
        sources, targets: n and m, lengths of the sides of each pair, int64 [pairs]; i and j count from 1.

    Returns:
        float32 [pairs, 1 + longest source, longest target]; the first row is that of none, padding has 0.
    """
    i, j = np.arange(1, sources.max() + 1)[None, :, None], np.arange(1, targets.max() + 1)[None, None, :]
    n, m = sources[:, None, None], targets[:, None, None]
    near = np.where(i <= n, np.exp(-TENSION * np.abs(i / n - j / m)), 0.0)
    near *= (1.0 - NULL) / near.sum(axis=1, keepdims=True)
    prior = np.concatenate([np.full_like(near[:, :1], NULL), near], axis=1)
    return np.where(j <= m, prior, 0.0).astype("float32")


def digamma(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The derivative of log gamma, of x above 0: its asymptotic series behind six steps of its recurrence."""
    shifted = x + 6.0
    square = 1.0 / shifted**2
    series = np.log(shifted) - 0.5 / shifted - square * (1 / 12 - square * (1 / 120 - square / 252))
    return series - sum(1.0 / (x + step) for step in range(6))


@dataclass(frozen=True)
class Lexicon:
    """t(f | e), how a piece is translated: of the pairs of pieces that stand in a pair of sentences."""

    keys: NDArray[np.int64]
    """(e << 32) + f, rising; e is 0 for none."""
    probabilities: NDArray[np.float64]
    """Of each, and last that of all others."""

    @classmethod
    def learnt(cls, text: Sequence[tuple[Grid, Grid]]) -> Lexicon:
        """By variational Bayes, from (source, target) grids of sentences."""
        keys = np.unique(np.concatenate([_keys(*pair)[_inside(*pair)] for pair in text]))
        lexicon = cls(keys, np.ones(len(keys) + 1))
        places = [lexicon._places(*pair) for pair in text]
        owner, first = np.unique(keys >> 32, return_inverse=True)
        options = np.bincount(first)
        for _ in range(ROUNDS):
            counts = np.zeros(len(keys) + 1)
            for (source, target), place in zip(text, places, strict=True):
                shares = lexicon._shares(source, target, place)
                shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-30)
                counts += np.bincount(place.ravel(), shares.ravel(), len(counts))
            counts[-1] = 0.0
            totals = np.bincount(first, counts[:-1], len(owner)) + SPARSE * options
            new = np.exp(digamma(counts[:-1] + SPARSE) - digamma(totals)[first])
            lexicon = cls(keys, np.append(new, UNSEEN))
        return lexicon

    def best(self, source: Grid, target: Grid) -> Links:
        """The likeliest origin of every target piece, which may be none: bool [pairs, target, source]."""
        shares = self._shares(source, target, self._places(source, target))
        origin = shares.argmax(axis=1)[:, :, None]
        return (origin == np.arange(1, source.shape[1] + 1)) & (target != 0)[:, :, None]

    def _shares(self, source: Grid, target: Grid, places: NDArray[np.int32]) -> NDArray[np.float64]:
        prior = diagonal_prior((source != 0).sum(axis=1), (target != 0).sum(axis=1))
        return prior * self.probabilities[places]

    def _places(self, source: Grid, target: Grid) -> NDArray[np.int32]:
        keys = _keys(source, target)
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[found] == keys, found, len(self.keys)).astype("int32")


def _with_none(source: Grid) -> Grid:
    return np.pad(source, ((0, 0), (1, 0)))


def _keys(source: Grid, target: Grid) -> NDArray[np.int64]:
    """int64 [pairs, 1 + source, target]."""
    return (_with_none(source)[:, :, None].astype(np.int64) << 32) + target[:, None, :]


def _inside(source: Grid, target: Grid) -> NDArray[np.bool_]:
    there = _with_none(source) != 0
    there[:, 0] = True
    return there[:, :, None] & (target != 0)[:, None, :]


def grow_diag_final_and(forward: Links, backward: Links) -> Links:
    """One alignment of the two directions' (Koehn et al., 2003): what both have; round by round what one has beside
    that, diagonally too, where the source or the target piece is still without; and at last what one has where both
    are.

    All links of a round are judged by those before it, so that their order does not matter.
    """
    found, either = forward & backward, forward | backward
    while True:
        row, column = _covered(found)
        new = either & ~found & _beside(found) & ~(row & column)
        if not new.any():
            break
        found = found | new
    row, column = _covered(found)
    return found | (either & ~row & ~column)


def _covered(links: Links) -> tuple[Links, Links]:
    """Which target and which source pieces have links."""
    return np.any(links, axis=2, keepdims=True), np.any(links, axis=1, keepdims=True)


def _beside(links: Links) -> Links:
    """What has one of the links among its eight neighbours."""
    padded = np.pad(links, ((0, 0), (1, 1), (1, 1)))
    height, width = links.shape[1:]
    shifts = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    return np.logical_or.reduce([padded[:, y : y + height, x : x + width] for y, x in shifts])


class Aligner:
    """Aligns sentences by lexicons of both directions.

    Args:
        sample: of the text, (source, target) grids that they are learnt from.
    """

    def __init__(self, sample: Sequence[tuple[Grid, Grid]]) -> None:
        """See the class docstring."""
        self._there = Lexicon.learnt(sample)
        self._back = Lexicon.learnt([(target, source) for source, target in sample])

    def __call__(self, source: Grid, target: Grid) -> Links:
        """The links of pairs of sentences, bool [pairs, target, source]."""
        back = self._back.best(target, source).transpose(0, 2, 1)
        return grow_diag_final_and(self._there.best(source, target), back)
