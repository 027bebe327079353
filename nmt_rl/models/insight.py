"""What goes on in a model while it writes: what `Seq2Seq.inspect` gives."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Tensor = Any
"""A backend tensor."""

Axis = Literal["source", "target", "time", "slots"]
"""What an axis goes over: pieces of the source or of the target, both one after the other, slots of a memory."""


class Weighting(NamedTuple):
    """Weights by which something is looked at, read or written at each step."""

    name: str
    kind: Literal["attention", "memory"]
    values: Tensor
    """In [0, 1], float32 [batch, heads, rows, columns]."""
    rows: Axis
    columns: Axis | tuple[str, ...]
    """Or their names."""


class ActionValues(NamedTuple):
    """What Q heads say, in the units in which they were trained."""

    q: Tensor
    """Q(s, a), float32 [batch, time, vocab]."""
    value: Tensor
    """V(s), float32 [batch, time]."""


class Neighbours(NamedTuple):
    """What a model with a memory has remembered before each piece."""

    distances: Tensor
    """Squared, rising, float32 [batch, time, count]; FAR where there is none."""
    pieces: Tensor
    """That followed, int32 [batch, time, count]."""
    pairs: Tensor
    """Number of the remembered pair, int32 [batch, time, count]."""
    weights: Tensor
    """Among the neighbours, of sum 1 or, without any, 0, float32 [batch, time, count]."""
    share: Tensor
    """Of the neighbours in what is said, float32 [batch, time]."""


class Insight(NamedTuple):
    """What a model did for given translations."""

    logits: Tensor
    """What the next piece is chosen by in translating, float32 [batch, time, vocab]."""
    states: Tensor
    """[batch, time, width]"""
    attention: Tensor | None
    """On the source, as `DecoderStates` has it, [batch, time, source]; None if the model has none."""
    weightings: tuple[Weighting, ...] = ()
    """Of all heads of all layers, and of memories."""
    q: ActionValues | None = None
    neighbours: Neighbours | None = None
