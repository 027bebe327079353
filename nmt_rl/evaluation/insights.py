"""What is shown of a model's work on a sentence: pieces, weights, alternatives, memories; arrays, texts and numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class HeatMap:
    """Weights of some heads, and what their rows and columns are."""

    name: str
    values: NDArray[np.float32]
    """In [0, 1], [heads, rows, columns]."""
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    read: int = 0
    """Of rows over time: so many are of the source, which is read first."""

    def mean(self) -> HeatMap:
        """The mean of the heads, as one."""
        return HeatMap(self.name, self.values.mean(axis=0, keepdims=True), self.rows, self.columns, self.read)


@dataclass(frozen=True)
class Alternative:
    """A piece that could have stood where another does."""

    piece: str
    probability: float
    q: float | None = None
    """Q(s, a); None: there is none, or only less an unknown V(s)."""
    advantage: float | None = None


@dataclass(frozen=True)
class Neighbour:
    """A state that the model remembers, near to the one that it is in."""

    pair: int
    piece: str
    """That followed."""
    distance: float
    """Squared."""
    share: float
    """Of it in what is said next, in [0, 1]."""


@dataclass(frozen=True)
class Step:
    """One piece of a translation."""

    chosen: Alternative
    best: tuple[Alternative, ...]
    """The most probable pieces, falling."""
    value: float | None = None
    """V(s)"""
    neighbours: tuple[Neighbour, ...] = ()
    """The nearest first."""

    @property
    def remembered(self) -> float:
        """The share of all neighbours in what is said."""
        return sum(neighbour.share for neighbour in self.neighbours)


@dataclass(frozen=True)
class Sentence:
    """A model's work on one line."""

    line: int
    source: str
    target: str
    """The translation, or what was given."""
    steps: tuple[Step, ...]
    attention: HeatMap | None
    """On the source: mean of the heads of the last layer, or whatever the model has."""
    heads: tuple[HeatMap, ...] = ()
    """Of all layers, if they were asked for."""
    memory: tuple[HeatMap, ...] = ()
    """Reads, writes and gates of an external memory over time."""
    pairs: tuple[tuple[int, str, str], ...] = ()
    """Remembered pairs, by falling share: number, source, target."""

    @property
    def log_prob(self) -> float:
        """Of all pieces, in nats."""
        return float(sum(np.log(max(step.chosen.probability, 1e-38)) for step in self.steps))


@dataclass(frozen=True)
class Insights:
    """All that a page shows."""

    model: str
    languages: tuple[str, str]
    how: str
    """How the translations came about."""
    values: str
    """What Q and advantage are; empty: there are none."""
    sentences: tuple[Sentence, ...]
