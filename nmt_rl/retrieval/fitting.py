"""How much neighbours are to say: what makes a memory's own pairs most likely, each without itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.models.neighbours import (
    FAR,
    adaptive_share,
    distance_share,
    features,
    nearest,
    neighbour_weights,
    squared_distances,
)
from nmt_rl.models.retrieval import Mixing

if TYPE_CHECKING:
    from nmt_rl.models.seq2seq import Seq2Seq
    from nmt_rl.retrieval.memory import Memory

Kind = Literal["constant", "distance", "adaptive"]
PAIRS = 400
"""Of the memory, at most, that are looked at."""
NEIGHBOURS = (4, 8, 16, 32)
TEMPERATURES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Times the mean distance of first neighbours."""
SHARES = tuple(round(0.1 * n, 1) for n in range(1, 10))
REACHES = (0.25, 0.5, 1.0, 2.0)
"""Times the mean distance of first neighbours."""
SILENT: dict[Kind, tuple[float, ...]] = {
    "constant": (0.0,),
    "distance": (1e-6,),
    "adaptive": (-30.0, 0.0, 0.0, 0.0, 1.0),
}
"""Numbers of mixings in which neighbours say nothing: where they would make no pair more likely."""
ROUNDS, RIDGE = 20, 1e-3
"""Of the fit, and what keeps its weights small, per piece."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """What is known of n pieces of the memory's own targets."""

    distances: Floats
    """Of their neighbours, rising, [n, count]."""
    values: NDArray[np.int32]
    """[n, count]"""
    pieces: NDArray[np.int32]
    """What follows truly, [n]."""
    truth: Floats
    """Log-probability of that by the model, [n]."""
    best: Floats
    """Largest log-probability of the model, [n]."""

    @property
    def scale(self) -> float:
        """Mean distance of first neighbours."""
        first = self.distances[:, 0]
        near = first[first < FAR / 2]
        return float(near.mean()) if near.size and near.mean() > 0 else 1.0


def fit(model: Seq2Seq, memory: Memory, kind: Kind, seed: int = 1) -> tuple[Mixing, dict[str, float]]:
    """The settings under which pairs of the memory are most likely when each is left out of what is looked up.

    Args:
        model: whose memory it is.
        memory: with any settings.
        kind: of the mixing.
        seed: of the choice of pairs.

    Returns:
        The mixing, and the mean log-probability per piece: `alone` (the model), `mixed`.
    """
    seen = look(model, memory, seed)
    alone = float(seen.truth.mean()) if len(seen.truth) else 0.0
    best, reached = Mixing(kind, min(NEIGHBOURS), 1.0, SILENT[kind]), alone
    for count in NEIGHBOURS:
        for factor in TEMPERATURES if len(seen.truth) else ():
            temperature = factor * seen.scale
            for numbers, likelihood in _tried(seen, kind, count, temperature):
                if likelihood > reached:
                    best, reached = Mixing(kind, count, temperature, numbers), likelihood
    return best, {"alone": alone, "mixed": reached}


def _tried(seen: Seen, kind: Kind, count: int, temperature: float) -> list[tuple[tuple[float, ...], float]]:
    """Numbers of a mixing, and the mean log-probability under each."""
    distances, values = seen.distances[:, :count], seen.values[:, :count]
    weights = _numpy(neighbour_weights(distances, temperature))
    said = (weights * (values == seen.pieces[:, None])).sum(axis=1)
    exists, model = weights.sum(axis=1) > 0, np.exp(seen.truth)

    def likelihood(share: Floats) -> float:
        return float(np.log(np.where(exists, (1 - share) * model + share * said, model) + 1e-30).mean())

    if kind == "constant":
        return [((share,), likelihood(np.full_like(said, share))) for share in SHARES]
    if kind == "distance":
        reaches = [factor * seen.scale for factor in REACHES]
        return [((reach,), likelihood(_numpy(distance_share(distances, reach)))) for reach in reaches]
    judged = _numpy(features(distances, values, weights, seen.best[:, None], seen.scale))
    learnt = logistic_mixture(judged[exists], model[exists], said[exists])
    return [((*map(float, learnt), seen.scale), likelihood(_numpy(adaptive_share(judged, learnt))))]


def logistic_mixture(judged: Floats, first: Floats, second: Floats) -> NDArray[np.float64]:
    """Weights w of share = sigmoid(w . f), under which (1 - share) first + share second is most likely.

    By expectation maximisation: how probably each piece came from the second, then a step of Newton's towards that.

    Args:
        judged: features f, [n, features].
        first, second: probabilities of the truth by either, [n].
    """
    weights = np.zeros(judged.shape[1])
    f, ridge = judged.astype(np.float64), RIDGE * max(len(judged), 1) * np.eye(judged.shape[1])
    for _ in range(ROUNDS):
        share = 1 / (1 + np.exp(-f @ weights))
        owed = share * second / np.maximum((1 - share) * first + share * second, 1e-30)
        curvature = (f * (share * (1 - share))[:, None]).T @ f + ridge
        weights = weights + np.linalg.solve(curvature, f.T @ (owed - share) - ridge @ weights)
        weights = np.clip(weights, -30, 30)
    return weights


def look(model: Seq2Seq, memory: Memory, seed: int) -> Seen:
    """Neighbours of states of the memory's own pairs, each pair without itself, and what the model says there."""
    draw, count = np.random.default_rng(seed), max(NEIGHBOURS)
    chosen = np.sort(draw.permutation(len(memory.pairs))[:PAIRS])
    parts: list[list[Any]] = [[] for _ in range(5)]
    for queries, pieces, near, values in _neighbours(memory, chosen, count):
        log_probs = _numpy(ops.log_softmax(model.project(queries.astype("float32"))))
        truth = log_probs[np.arange(len(pieces)), pieces]
        for part, new in zip(parts, (near, values, pieces, truth, log_probs.max(axis=1)), strict=True):
            part.append(new)
    empty = (np.zeros((0, count), "float32"), np.zeros((0, count), "int32"), np.zeros(0, "int32"))
    none = (*empty, np.zeros(0, "float32"), np.zeros(0, "float32"))
    return Seen(*(np.concatenate([first, *part]) for first, part in zip(none, parts, strict=True)))


def _neighbours(memory: Memory, chosen: NDArray[np.int64], count: int) -> Iterator[tuple[Any, Any, Any, Any]]:
    """States and pieces of pairs, and the distances and values [pieces, count] of their neighbours in other pairs."""
    if memory.scope == "all":
        offsets = memory.pairs.sides[1].offsets
        for pair in chosen:
            queries, pieces = memory.keys(np.array([pair]))
            distances, places = memory.places(queries, count + len(pieces))
            own = (places >= offsets[pair] + pair) & (places <= offsets[pair + 1] + pair)
            order = np.argsort(np.where(own, FAR, distances), axis=1, kind="stable")[:, :count]
            near = np.take_along_axis(np.where(own, FAR, distances), order, axis=1)
            yield queries, pieces, near, memory.values[np.take_along_axis(places, order, axis=1)]
        return
    found = memory.found([memory.pairs.source(int(i)).tolist() for i in chosen], list(map(int, chosen)))
    for pair, others in zip(chosen, found, strict=True):
        queries, pieces = memory.keys(np.array([pair]))
        keys, values = memory.keys(others)
        room = max(count - len(values), 0)
        keys, values = np.pad(keys, ((0, room), (0, 0))), np.pad(values, (0, room))
        exists = (np.arange(len(values)) < len(values) - room)[None]
        distances = squared_distances(queries[None].astype("float32"), keys[None].astype("float32"), exists)
        near, their = nearest(distances, values[None], count)
        yield queries, pieces, _numpy(near)[0], _numpy(their)[0]


def _numpy(values: Any) -> Any:
    return np.asarray(ops.convert_to_numpy(values))
