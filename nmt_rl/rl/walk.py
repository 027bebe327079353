"""The states that a translation walks through in the eyes of the reward, and what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt_rl.rl.bleu import Prefix

LENGTH_SCALE = 50.0
"""Words that count as 1 in the length features."""

State = tuple[float, tuple[int, ...], int]
"""BLEU of a state, its clipped matches and its words."""


@dataclass(frozen=True)
class Walk:
    """What happens along one episode: state 0 is empty, and a later one has completed more words.

    Attributes:
        cuts: pieces whose text state k has completed, [states]; the last is the length of the episode.
        begins: prefix length from which on state k is reached, [states].
        bleu: BLEU of each state, float64 [states].
        facts: features of each state but Phi, float64 [states, features - 1].
    """

    cuts: list[int]
    begins: list[int]
    bleu: NDArray[np.float64]
    facts: NDArray[np.float64]


def state_of(prefix: Prefix) -> State:
    """A state, from the words that it has completed."""
    return prefix.score(), tuple(prefix.matches), prefix.length


def make_walk(cuts: list[int], begins: list[int], states: Sequence[State], reference_length: int) -> Walk:
    """The walk through some states; see Walk and `facts_of`."""
    bleu, matches, lengths = zip(*states, strict=True)
    facts = facts_of(np.array(matches), np.array(lengths), reference_length)
    return Walk(cuts, begins, np.array(bleu), facts)


def facts_of(matches: NDArray[np.int64], lengths: NDArray[np.int64], reference_length: int) -> NDArray[np.float64]:
    """What a critic may know in training only (Bahdanau et al., 2017), about [0, 1]; [states, features - 1].

    Completed words, reference words (both per LENGTH_SCALE), the share of the reference still missing (-1 .. 1), and
    the unsmoothed n-gram precisions so far (0 where there is no n-gram yet). Phi is the last feature.

    Args:
        matches: clipped n-gram matches of each state, [states, max_order].
        lengths: completed words of each state, [states].
        reference_length: words of the reference.
    """
    missing = np.maximum((reference_length - lengths) / max(reference_length, 1), -1.0)
    expected = np.full(len(lengths), reference_length / LENGTH_SCALE)
    totals = np.maximum(lengths[:, None] - np.arange(matches.shape[1]), 1)
    return np.column_stack([lengths / LENGTH_SCALE, expected, missing, matches / totals])
