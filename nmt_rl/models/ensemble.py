"""Several models that translate as one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from keras import ops

from nmt_rl.models.seq2seq import Cache, DecoderStates, Encoded, Seq2Seq, Tensor


class Ensemble(Seq2Seq):
    """p(a|s) = mean over the members of p_i(a|s), for checkpoints or for models of different kinds.

    A Seq2Seq like any other: its states are those of the members side by side. Its logits are log-probabilities.

    Args:
        members: built models with the same vocabularies.
    """

    def __init__(self, members: Sequence[Seq2Seq]) -> None:
        """See the class docstring."""
        super().__init__(name="ensemble")
        sizes = {member.embeddings.sizes for member in members}
        if len(sizes) != 1:
            raise ValueError(f"an ensemble needs members with the same vocabularies, found sizes {sorted(sizes)}")
        self.members = list(members)
        self.max_length = min(member.max_length for member in members)
        self.widths = [member.width for member in members]
        self.embeddings: Any = SimpleNamespace(sizes=sizes.pop(), width=sum(self.widths))
        self.built = True

    def encode(self, source: Tensor, training: bool = False, packed: bool = False) -> Encoded:
        """See Seq2Seq.encode."""
        encoded = [member.encode(source, training, packed) for member in self.members]
        return {"members": encoded, "mask": encoded[0]["mask"]}

    def decode_states(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> DecoderStates:
        """See Seq2Seq.decode_states; the attention is the mean of the members'."""
        pairs = zip(self.members, encoded["members"], strict=True)
        each = [member.decode_states(target_in, own, training) for member, own in pairs]
        attention = ops.mean(ops.stack([output.attention for output in each]), axis=0)
        return DecoderStates(ops.concatenate([output.states for output in each], axis=-1), attention)

    def project(self, states: Tensor) -> Tensor:
        """log of the mean probability, float32 [..., vocab], of states [..., sum of the widths]."""
        ends = list(itertools.accumulate(self.widths))
        parts = [states[..., end - width : end] for end, width in zip(ends, self.widths, strict=True)]
        each = [ops.log_softmax(member.project(x)) for member, x in zip(self.members, parts, strict=True)]
        return ops.logsumexp(ops.stack(each), axis=0) - math.log(len(each))

    def logits_of(self, states: Tensor, pieces: Tensor) -> Tensor:
        """See Seq2Seq.logits_of; the whole vocabulary is computed, as probabilities need its sum."""
        return ops.take_along_axis(self.project(states), pieces, axis=-1)

    def mean_logit(self, states: Tensor) -> Tensor:
        """See Seq2Seq.mean_logit; the whole vocabulary is computed."""
        return ops.mean(self.project(states), axis=-1)

    def start(self, encoded: Encoded, room: Tensor, beam: int = 1) -> Cache:
        """See Seq2Seq.start."""
        pairs = zip(self.members, encoded["members"], strict=True)
        return _side_by_side([member.start(own, room, beam) for member, own in pairs])

    def resume(
        self, target_in: Tensor, encoded: Encoded, rows: Tensor, times: Tensor, room: Tensor, beam: int = 1
    ) -> tuple[Tensor, Cache]:
        """See Seq2Seq.resume."""
        pairs = zip(self.members, encoded["members"], strict=True)
        resumed = [member.resume(target_in, own, rows, times, room, beam) for member, own in pairs]
        states, caches = zip(*resumed, strict=True)
        return ops.concatenate(states, axis=-1), _side_by_side(caches)

    def step_states(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Tensor, Cache]:
        """See Seq2Seq.step_states."""
        members = range(len(self.members))
        caches = [{name: cache[name][i] if name in PARTS else cache[name] for name in cache} for i in members]
        stepped = [member.step_states(tokens, own) for member, own in zip(self.members, caches, strict=True)]
        states, attention, after = zip(*stepped, strict=True)
        return ops.concatenate(states, axis=-1), ops.mean(ops.stack(attention), axis=0), _side_by_side(after)


PARTS = ("shared", "rows", "past", "recent")
"""What each member has of its own in a cache; the times are the same."""


def _side_by_side(caches: Sequence[Cache]) -> Cache:
    return {**caches[0], **{name: [cache[name] for cache in caches] for name in PARTS}}
