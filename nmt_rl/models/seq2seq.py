"""The one interface everything hangs on: training, search, scoring and fine-tuning are written once, against it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import ops

from nmt_rl.backend import dimension, gather
from nmt_rl.models.insight import Insight

if TYPE_CHECKING:
    from nmt_rl.models.embedding import Embeddings

Tensor = Any
"""A backend tensor."""

Encoded = dict[str, Tensor]
"""What the decoder needs of a source batch; `mask` (bool [batch, source]) is always there."""

Cache = dict[str, Any]
"""Decoder memory of hypotheses. `shared` has a row per source sentence; all others have one per hypothesis.

`time` int32 [rows]: tokens fed so far; `begun` int32 [rows]: how many of them when the loop began. What was computed
for each of them, arrays [rows, heads, length, size]: in `past` at places below `begun`, in `recent` at `time - begun`;
a step writes to `recent` alone, which is short, because to write is to copy. See `with_room` and `settled`. `rows`:
other state. A search reorders `rows`, `past` and `recent`; the encoder's side is never copied beam-wide.
"""

PAD = 0


class DecoderStates(NamedTuple):
    """Decoder output before the vocabulary projection."""

    states: Tensor
    """[batch, time, width]"""
    attention: Tensor
    """Attention on the source, averaged over heads, of the last layer: [batch, time, source]."""


class DecoderOutput(NamedTuple):
    """Decoder output of a whole prefix."""

    logits: Tensor
    """float32 [batch, time, vocab]"""
    states: Tensor
    """[batch, time, width]"""
    attention: Tensor
    """[batch, time, source]"""


class StepOutput(NamedTuple):
    """Decoder output of one token."""

    logits: Tensor
    """float32 [rows, vocab]"""
    states: Tensor
    """[rows, width]"""
    attention: Tensor
    """[rows, source]"""


def with_room(past: Any, time: Tensor, room: Tensor) -> Cache:
    """`past`, `recent`, `begun` and `time` of a cache before so many steps.

    Args:
        past: pytree of arrays [rows, heads, length, size], all of one length: what was computed for the tokens so far.
        time: int32 [rows]: how many they are.
        room: int32 []: steps there will be, at most.
    """
    rows = dimension(time, 0)

    def empty(x: Tensor) -> Tensor:
        return ops.zeros((rows, dimension(x, 1), room, x.shape[3]), x.dtype)

    return {"past": past, "recent": keras.tree.map_structure(empty, past), "begun": time, "time": time}


def settled(cache: Cache, room: Tensor) -> Cache:
    """The cache with all that was computed in its `past`, and room for int32 [] `room` steps more."""
    past, begun, time = cache["past"], cache["begun"][:, None], cache["time"]
    both = keras.tree.map_structure(lambda *parts: ops.concatenate(parts, axis=2), past, cache["recent"])
    if keras.tree.flatten(both):
        old, length = (dimension(keras.tree.flatten(x)[0], 2) for x in (past, both))
        places = ops.arange(ops.max(time), dtype="int32")[None, :]
        # Behind a row's time stands anything; it is masked.
        behind = ops.minimum(old + places - begun, length - 1)
        index = ops.where(places < begun, places, behind)
        past = keras.tree.map_structure(lambda x: gather(x, index, axis=2), both)
    return {**cache, **with_room(past, time, room)}


class Seq2Seq(keras.Model):
    """A conditional language model p(target | source) over token ids.

    `decode` over a whole target and `step` token by token give the same numbers. PAD (0) positions change nothing.
    Call arguments: a dict with `source` int32 [batch, source] and `target_in` int32 [batch, time] (BOS first).
    """

    max_length: int
    """Longest source or target in pieces, or a very large number."""
    embeddings: Embeddings
    """Embedding tables and softmax weights."""

    @abstractmethod
    def encode(self, source: Tensor, training: bool = False, packed: bool = False) -> Encoded:
        """Encode source ids int32 [batch, source].

        Args:
            source: each ends with EOS.
            training: drop out.
            packed: a row holds several sentences; then rows of targets hold theirs in the same order, each beginning
                with BOS. For `decode_states` only.
        """

    def recall(self, source: np.ndarray) -> dict[str, Tensor]:
        """What a search adds to the encoding of sources int32 [batch, source]: arrays with a row for each, looked up in
        what is no weight of the model; nothing."""
        return {}

    @abstractmethod
    def decode_states(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> DecoderStates:
        """Decoder states for target prefixes int32 [batch, time] that start with BOS, or for packed ones."""

    def project(self, states: Tensor) -> Tensor:
        """Logits float32 [..., vocab] of decoder states [..., width]."""
        return self.embeddings.project(states)

    def logits_of(self, states: Tensor, pieces: Tensor) -> Tensor:
        """Logits float32 [n, k] of chosen pieces int32 [n, k] only, for decoder states [n, width]."""
        return self.embeddings.logits_of(states, pieces)

    def mean_logit(self, states: Tensor) -> Tensor:
        """Mean over the vocabulary of `project`, float32 [...], of states [..., width], without computing it."""
        return self.embeddings.mean_logit(states)

    @abstractmethod
    def start(self, encoded: Encoded, room: Tensor, beam: int = 1) -> Cache:
        """Cache for `beam` hypotheses per source and at most `room` steps."""

    @abstractmethod
    def resume(
        self, target_in: Tensor, encoded: Encoded, rows: Tensor, times: Tensor, room: Tensor, beam: int = 1
    ) -> tuple[Tensor, Cache]:
        """Cache of hypotheses whose first tokens have been fed already, from one teacher-forced pass.

        Args:
            target_in: int32 [batch, time], BOS first.
            encoded: of `encode`, of the same batch.
            rows: int32 [n]: on which row of the batch each hypothesis is; a row may have any number of them.
            times: int32 [n]: how many tokens of that row it has been fed; at most `time`.
            room: steps that follow, at most.
            beam: equal hypotheses of each row and time.

        Returns:
            The decoder states [batch, time, width] of the pass, as of `decode_states`, and the cache.
        """

    @abstractmethod
    def step_states(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Tensor, Cache]:
        """Feed one token int32 [rows] to every hypothesis: (states [rows, width], attention [rows, source], cache)."""

    def decode(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> DecoderOutput:
        """Logits, states and attention for target prefixes int32 [batch, time]."""
        states, attention = self.decode_states(target_in, encoded, training)
        return DecoderOutput(self.project(states), states, attention)

    def step(self, tokens: Tensor, cache: Cache) -> tuple[StepOutput, Cache]:
        """Feed one token int32 [rows]; rows are the hypotheses of source 0, then of source 1, and so on."""
        states, attention, cache = self.step_states(tokens, cache)
        return StepOutput(self.project(states), states, attention), cache

    def inspect(self, source: np.ndarray, target_in: np.ndarray) -> Insight:
        """What goes on while target prefixes int32 [batch, time] of sources int32 [batch, source] are written.

        For people, and not compiled; the logits are those of `step`. A model that looks at more shows it as well.
        """
        output = self.decode_states(target_in, self.encode(source))
        return Insight(self.project(output.states), output.states, output.attention)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Logits float32 [batch, time, vocab], teacher-forced."""
        return self.decode(inputs["target_in"], self.encode(inputs["source"], training), training).logits
