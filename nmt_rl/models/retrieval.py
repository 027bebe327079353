"""A model that remembers: what it has seen before in states like its own is mixed into what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from keras import ops

from nmt_rl.backend import dimension, gather_rows
from nmt_rl.models.neighbours import (
    adaptive_share,
    distance_share,
    features,
    mixed,
    nearest,
    neighbour_weights,
    squared_distances,
)
from nmt_rl.models.seq2seq import Cache, Encoded, Seq2Seq, StepOutput, Tensor
from nmt_rl.models.wrapper import Wrapper

PAD = 0
Recall = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From sources int32 [sources, time] to `keys` float32 [sources, n, width], and `values` int32 [sources, n], PAD where
there is none."""
MOST = 0.999
"""Of the share of neighbours: what they do not say stays possible."""


@dataclass(frozen=True)
class Mixing:
    """How much neighbours say."""

    kind: Literal["constant", "distance", "adaptive"]
    neighbours: int
    """Of a state, that say something."""
    temperature: float
    """Squared distance that divides a neighbour's weight by e."""
    numbers: tuple[float, ...]
    """The share (constant); the reach, a squared distance (distance); the weights of `features` and the scale of
    distances (adaptive)."""

    def share(self, distances: Tensor, values: Tensor, weights: Tensor, log_probs: Tensor) -> Tensor:
        """Of the neighbours in what is said: [rows]."""
        if self.kind == "constant":
            return ops.full_like(distances[..., 0], self.numbers[0])
        if self.kind == "distance":
            return ops.minimum(distance_share(distances, self.numbers[0]), MOST)
        *judged, scale = self.numbers
        return ops.minimum(adaptive_share(features(distances, values, weights, log_probs, scale), judged), MOST)


class Retrieval(Wrapper):
    """A model whose next piece is drawn from (1 - share) p_model + share p_neighbours, in translating.

    The neighbours are decoder states of pairs whose sources are like the sentence, each with the piece that followed
    (Khandelwal et al., 2021; of such pairs alone: Dai et al., 2023). Teacher-forced passes are the model's own.

    Args:
        base: the model.
        recall: looks up what is remembered for sources.
        mixing: how much it says.
    """

    def __init__(self, base: Seq2Seq, recall: Recall, mixing: Mixing) -> None:
        """See the class docstring."""
        super().__init__(base, "retrieval")
        self._recall, self.mixing = recall, mixing
        self.built = True

    def recall(self, source: np.ndarray) -> dict[str, Any]:
        """See Seq2Seq.recall."""
        return self._recall(source)

    def start(self, encoded: Encoded, room: Tensor, beam: int = 1) -> Cache:
        """See Seq2Seq.start."""
        return _beside(self.base.start(encoded, room, beam), encoded["keys"], encoded["values"])

    def resume(
        self, target_in: Tensor, encoded: Encoded, rows: Tensor, times: Tensor, room: Tensor, beam: int = 1
    ) -> tuple[Tensor, Cache]:
        """See Seq2Seq.resume."""
        states, cache = self.base.resume(target_in, encoded, rows, times, room, beam)
        return states, _beside(cache, gather_rows(encoded["keys"], rows), gather_rows(encoded["values"], rows))

    def step_states(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Tensor, Cache]:
        """See Seq2Seq.step_states; without neighbours."""
        states, attention, after = self.base.step_states(tokens, {**cache, "shared": cache["shared"]["base"]})
        return states, attention, {**after, "shared": cache["shared"]}

    def step(self, tokens: Tensor, cache: Cache) -> tuple[StepOutput, Cache]:
        """See Seq2Seq.step; the logits are log-probabilities."""
        output, after = super().step(tokens, cache)
        keys, values = (cache["shared"][name] for name in ("keys", "values"))
        queries = ops.reshape(output.states, (dimension(keys, 0), -1, keys.shape[2]))
        distances = squared_distances(queries, keys, values != PAD)
        near, pieces = nearest(distances, values, self.mixing.neighbours)
        near, pieces = (ops.reshape(x, (-1, self.mixing.neighbours)) for x in (near, pieces))
        log_probs, weights = ops.log_softmax(output.logits), neighbour_weights(near, self.mixing.temperature)
        share = self.mixing.share(near, pieces, weights, log_probs)
        return output._replace(logits=mixed(log_probs, pieces, weights, share)), after


def _beside(cache: Cache, keys: Tensor, values: Tensor) -> Cache:
    return {**cache, "shared": {"base": cache["shared"], "keys": keys, "values": values}}
