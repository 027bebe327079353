"""A model that remembers: what it has seen before in states like its own is mixed into what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from keras import ops

from nmt_rl.backend import call_host, dimension, gather_rows
from nmt_rl.models.insight import Insight, Neighbours
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


class Store(Protocol):
    """What a model remembers: decoder states, each with the piece that followed."""

    def recall(self, source: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays with a row for each of sources int32 [sources, time], which `nearest` needs."""

    def nearest(self, states: Tensor, recalled: dict[str, Tensor], count: int) -> tuple[Tensor, Tensor]:
        """The nearest of what is remembered: squared distances, rising, float32 [rows, count], and pieces int32.

        Args:
            states: [rows, width]; rows are the hypotheses of source 0, then of source 1, and so on.
            recalled: of the sources.
            count: of neighbours; where there are fewer, the distance is FAR.
        """

    def pairs(self, states: Tensor, recalled: dict[str, Tensor], count: int) -> Tensor:
        """Of which remembered pair each of these is, int32 [rows, count]."""


class Recalled:
    """A store that is looked up by sources, before their translations begin, and small for each (Dai et al., 2023).

    Args:
        recall: from sources int32 [sources, time] to `keys` float32 [sources, n, width], `values` int32 [sources, n],
            PAD where there is none, and, to look in, `pairs` int32 [sources, n].
    """

    def __init__(self, recall: Callable[[np.ndarray], dict[str, np.ndarray]]) -> None:
        """See the class docstring."""
        self.recall = recall

    def nearest(self, states: Tensor, recalled: dict[str, Tensor], count: int) -> tuple[Tensor, Tensor]:
        """See Store."""
        return self._nearest(states, recalled, "values", count)

    def pairs(self, states: Tensor, recalled: dict[str, Tensor], count: int) -> Tensor:
        """See Store."""
        return self._nearest(states, recalled, "pairs", count)[1]

    def _nearest(self, states: Tensor, recalled: dict[str, Tensor], what: str, count: int) -> tuple[Tensor, Tensor]:
        """Distances of the nearest keys, and what stands for them in one of the arrays."""
        keys, exists = recalled["keys"], recalled["values"] != PAD
        queries = ops.reshape(states, (dimension(keys, 0), -1, keys.shape[2]))
        found = nearest(squared_distances(queries, keys, exists), recalled[what], count)
        near, values = (ops.reshape(x, (-1, count)) for x in found)
        return near, values


class Searched:
    """A store that is searched as a whole at every step, outside of the compiled loop (Khandelwal et al., 2021).

    Args:
        search: from states float32 [rows, width] and a count to distances float32 and pieces int32 [rows, count].
        origins: from the same to the pairs they are of, int32 [rows, count].
    """

    def __init__(
        self,
        search: Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]],
        origins: Callable[[np.ndarray, int], np.ndarray],
    ) -> None:
        """See the class docstring."""
        self._search, self._origins = search, origins

    def recall(self, source: np.ndarray) -> dict[str, np.ndarray]:
        """See Store; nothing."""
        return {}

    def nearest(self, states: Tensor, recalled: dict[str, Tensor], count: int) -> tuple[Tensor, Tensor]:
        """See Store."""
        results = (("float32", count), ("int32", count))
        near, pieces = call_host(
            lambda rows: self._search(np.asarray(rows), count), results, ops.cast(states, "float32")
        )
        return near, pieces

    def pairs(self, states: Tensor, recalled: dict[str, Tensor], count: int) -> Tensor:
        """See Store; not inside of a loop."""
        return self._origins(ops.convert_to_numpy(ops.cast(states, "float32")), count)


class Retrieval(Wrapper):
    """A model whose next piece is drawn from (1 - share) p_model + share p_neighbours, in translating.

    The neighbours are remembered decoder states, each with the piece that followed (Khandelwal et al., 2021).
    Teacher-forced passes are the model's own.

    Args:
        base: the model.
        store: what is remembered.
        mixing: how much it says.
    """

    def __init__(self, base: Seq2Seq, store: Store, mixing: Mixing) -> None:
        """See the class docstring."""
        super().__init__(base, "retrieval")
        self.store, self.mixing = store, mixing
        self.built = True

    def recall(self, source: np.ndarray) -> dict[str, Any]:
        """See Seq2Seq.recall."""
        return {"recalled": self.store.recall(source)}

    def start(self, encoded: Encoded, room: Tensor, beam: int = 1) -> Cache:
        """See Seq2Seq.start."""
        return _beside(self.base.start(encoded, room, beam), encoded["recalled"])

    def resume(
        self, target_in: Tensor, encoded: Encoded, rows: Tensor, times: Tensor, room: Tensor, beam: int = 1
    ) -> tuple[Tensor, Cache]:
        """See Seq2Seq.resume."""
        states, cache = self.base.resume(target_in, encoded, rows, times, room, beam)
        return states, _beside(cache, {name: gather_rows(x, rows) for name, x in encoded["recalled"].items()})

    def step_states(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Tensor, Cache]:
        """See Seq2Seq.step_states; without neighbours."""
        states, attention, after = self.base.step_states(tokens, {**cache, "shared": cache["shared"]["base"]})
        return states, attention, {**after, "shared": cache["shared"]}

    def step(self, tokens: Tensor, cache: Cache) -> tuple[StepOutput, Cache]:
        """See Seq2Seq.step; the logits are log-probabilities."""
        output, after = super().step(tokens, cache)
        near, pieces = self.store.nearest(output.states, cache["shared"]["recalled"], self.mixing.neighbours)
        return output._replace(logits=self._mixed(output.logits, near, pieces)[0]), after

    def inspect(self, source: np.ndarray, target_in: np.ndarray) -> Insight:
        """See Seq2Seq.inspect; with the neighbours."""
        seen, recalled, count = self.base.inspect(source, target_in), self.store.recall(source), self.mixing.neighbours
        # All times of a source are its rows.
        states, logits = (ops.reshape(x, (-1, x.shape[-1])) for x in (seen.states, seen.logits))
        near, pieces = self.store.nearest(states, recalled, count)
        logits, weights, share = self._mixed(logits, near, pieces)
        share = ops.where(ops.sum(weights, axis=-1) > 0, share, 0.0)
        found = (near, pieces, self.store.pairs(states, recalled, count), weights, share)
        by_time = (ops.reshape(x, (*target_in.shape, *x.shape[1:])) for x in (logits, *found))
        return seen._replace(logits=next(by_time), neighbours=Neighbours(*by_time))

    def _mixed(self, logits: Tensor, near: Tensor, pieces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities [rows, vocab], the weights of neighbours [rows, count], and their share [rows]."""
        log_probs, weights = ops.log_softmax(logits), neighbour_weights(near, self.mixing.temperature)
        share = self.mixing.share(near, pieces, weights, log_probs)
        return mixed(log_probs, pieces, weights, share), weights, share


def _beside(cache: Cache, recalled: dict[str, Tensor]) -> Cache:
    return {**cache, "shared": {"base": cache["shared"], "recalled": recalled}}
