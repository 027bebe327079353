"""Beam search for translations that hold given phrases."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from nmt_rl.backend import dimension, gather
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.decoding.constraints import allocated, bank, next_pieces, progress
from nmt_rl.decoding.hypotheses import Hypotheses, Prefix
from nmt_rl.decoding.policies import NEVER
from nmt_rl.decoding.search import Searcher
from nmt_rl.decoding.task import Task, power_of_two

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig
    from nmt_rl.models.seq2seq import Seq2Seq

Phrases = list[list[int]]
"""Piece ids of the phrases of a translation."""


class ConstrainedSearcher(Searcher):
    """Beam search whose translations hold given phrases (Post and Vilar, 2018): the pieces that go on with a phrase are
    among the candidates of every hypothesis, a beam is shared out by how much of the phrases is there, and nothing ends
    before all of them are. A limit grows by their pieces. Those that the model has no room for are left out.

    Args:
        model: the built model.
        settings: a beam of 2 or more, in one group, without an n-gram that must not come twice.
        phrases_of: the phrases of a source, int32 [source time] with EOS and PAD.
    """

    def __init__(self, model: Seq2Seq, settings: DecodingConfig, phrases_of: Callable[[np.ndarray], Phrases]) -> None:
        """See the class docstring."""
        super().__init__(model, settings)
        self.phrases_of = phrases_of

    def __call__(self, source: np.ndarray, max_lengths: np.ndarray | int, prefix: Prefix | None = None) -> Hypotheses:
        """See Search."""
        needed = np.array([sum(map(len, self.phrases_of(row))) for row in source], "int32")
        return super().__call__(source, np.minimum(max_lengths + needed, min(self.max_length, 2**30)), prefix)

    def _first(self, task: Task) -> dict[str, Any]:
        state = super()._first(task)
        # Rows behind those of the task are padding; they hold nothing.
        rows = [
            _fitting(self.phrases_of(row), int(steps) - 1)
            for row, steps in zip(task.source[: len(task.prefix)], task.steps, strict=False)
        ]
        longest = power_of_two(max((len(phrase) for row in rows for phrase in row), default=1), 4)
        padded = np.zeros((len(task.rows), power_of_two(max(map(len, rows), default=1), 1), longest), "int32")
        for place, row in enumerate(rows):
            for number, phrase in enumerate(row):
                padded[place, number, : len(phrase)] = phrase
        state["live"]["phrases"] = np.repeat(padded[:, None], self.beam, axis=1)
        return state

    def _choices(self, live: dict[str, Any], scores: Any, step: Any, last: Any) -> tuple[Any, Any]:
        """The best pieces, and those that go on with phrases; no end before all are held."""
        ids, phrases = _flat(live["ids"]), _flat(live["phrases"])
        met, begun = progress(ids, step, phrases)
        is_end = ops.arange(scores.shape[-1], dtype="int32")[None, :] == EOS
        scores = ops.where(is_end & ops.any(~met, axis=-1, keepdims=True), NEVER, scores)
        best, pieces = super()._choices(live, scores, step, last)
        wanted = next_pieces(met, begun, phrases)
        same = wanted[:, :, None] == wanted[:, None, :]
        number = ops.arange(dimension(wanted, 1), dtype="int32")
        again = ops.any(same & (number[None, :] < number[:, None])[None], axis=-1)
        known = ops.any((wanted[:, :, None] == pieces[:, None, :]) & (best > NEVER / 2)[:, None, :], axis=-1)
        free = (wanted != PAD) & ~again & ~known & ~last[:, None]
        theirs = ops.where(free, gather(scores, wanted), NEVER)
        return ops.concatenate([best, theirs], axis=-1), ops.concatenate([pieces, wanted], axis=-1)

    def _chosen(self, live: dict[str, Any], sums: Any, pieces: Any, step: Any) -> tuple[Any, Any, Any]:
        """By allocation to banks, whose order is what candidates are worth."""
        each, width, time = dimension(pieces, 2), self.width, dimension(live["ids"], 2)
        here = ops.arange(time, dtype="int32") == step
        ids = ops.where(here, pieces[..., None], live["ids"][:, :, None, :])
        phrases = ops.repeat(live["phrases"], each, axis=1)
        phrases = _flat(phrases)
        held = bank(*progress(ops.reshape(ids, (-1, time)), step + 1, phrases), phrases)
        candidates = ops.reshape(sums, (-1, width * each))
        places = allocated(candidates, ops.reshape(held, (-1, width * each)), 2 * width)
        order = -ops.cast(ops.arange(2 * width), "float32")[None, :]
        log_probs = gather(candidates, places)
        return log_probs, ops.where(log_probs > NEVER / 2, order, NEVER), places


def _fitting(phrases: Phrases, room: int) -> Phrases:
    """The first phrases that have so many pieces together, at most."""
    ends = itertools.accumulate(map(len, phrases))
    return [phrase for phrase, end in zip(phrases, ends, strict=True) if end <= room]


def _flat(values: Any) -> Any:
    """[batch, beam, ...] as [rows, ...]."""
    return ops.reshape(values, (-1, *(dimension(values, axis) for axis in range(2, len(values.shape)))))
