"""Rows that hold several sentences: which one each token belongs to, and where in it."""

from __future__ import annotations

from keras import ops

from nmt_rl.backend import dimension
from nmt_rl.corpus.tokenizer import BOS, EOS
from nmt_rl.models.seq2seq import Tensor


def source_segments(source: Tensor) -> Tensor:
    """Number of each token's sentence in its row, int32 [batch, source], of ids that end with EOS each."""
    ends = ops.cast(ops.equal(source, EOS), "int32")
    return ops.cumsum(ends, axis=1) - ends


def target_segments(target_in: Tensor) -> Tensor:
    """Number of each token's sentence in its row, int32 [batch, time], of ids that begin with BOS each."""
    return ops.cumsum(ops.cast(ops.equal(target_in, BOS), "int32"), axis=1) - 1


def same_segment(of: Tensor, seen: Tensor) -> Tensor:
    """Whether tokens are of one sentence, bool [batch, time, source]: of numbers [batch, time] and [batch, source]."""
    return ops.equal(of[:, :, None], seen[:, None, :])


def positions_within(segments: Tensor) -> Tensor:
    """How many tokens of its sentence stand before each one, int32 [batch, time]."""
    places = ops.arange(dimension(segments, 1), dtype="int32")
    before = places[None, None, :] < places[None, :, None]
    return ops.sum(ops.cast(same_segment(segments, segments) & before, "int32"), axis=2)
