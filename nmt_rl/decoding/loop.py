"""The loop that greedy decoding, sampling and beam search share: rows that are done leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from nmt_rl.backend import dimension, gather_rows, is_jax
from nmt_rl.decoding.task import ROOM, power_of_two
from nmt_rl.models.seq2seq import settled

if TYPE_CHECKING:
    from nmt_rl.models.seq2seq import Cache

FEW = 8
"""So few rows are finished together; of more, finished ones leave the loop when they are half of them."""


def goes_on(active: Any, step: Any, until: Any) -> Any:
    """Whether a loop goes on: its cache has room, and more than half of its rows are active, or any of few."""
    rows = dimension(active, 0)
    crowded = ops.sum(ops.cast(active, "int32")) > ops.where(rows > FEW, rows // 2, 0)
    return crowded & (step < until)


def play(loop: Callable[..., Any], keep: Callable[..., Any], state: dict[str, Any]) -> dict[str, np.ndarray]:
    """Run a loop, and again without the rows that are done, until all are; `out` of all rows as they left.

    Args:
        loop: from state to state, until it does not go on.
        keep: the same rows of everything in a state, and more room.
        state: `active` bool [rows], `out` and whatever the loop needs; see `take_rows`.
    """
    result = {name: np.array(ops.convert_to_numpy(value)) for name, value in state["out"].items()}
    rows = np.arange(len(state["active"]))
    while True:
        state = loop(state)
        for name, value in state["out"].items():
            result[name][rows] = ops.convert_to_numpy(value)[: len(rows)]
        active = np.flatnonzero(ops.convert_to_numpy(state["active"])[: len(rows)])
        if not len(active):
            return result
        rows = rows[active]
        # The last row again, so that there are few shapes: JAX compiles for each, TensorFlow's kernels keep memory.
        room = power_of_two(len(active), 1) if is_jax() else -(-len(active) // FEW) * FEW
        state = keep(state, np.pad(active, (0, room - len(active)), mode="edge").astype("int32"))


def take_rows(state: dict[str, Any], rows: Any, beam: int) -> dict[str, Any]:
    """The same rows int32 [kept] of a loop's state, and room in its cache for ROOM steps more.

    All arrays but `step` and `until` have rows; those of the cache have `beam` hypotheses of each, which stay together.
    """
    hypotheses = ops.reshape(rows[:, None] * beam + ops.arange(beam, dtype="int32")[None, :], (-1,))

    def of(index: Any) -> Callable[[Any], Any]:
        return lambda x: gather_rows(x, index)

    cache, step, until = state["cache"], state["step"], state["until"]
    kept = {
        name: keras.tree.map_structure(of(rows if name == "shared" else hypotheses), part)
        for name, part in cache.items()
    }
    if not is_jax():  # There every length is compiled anew, so the cache has all the room from the beginning.
        kept = settled(kept, ROOM)
        until = step + ROOM
    others = {name: value for name, value in state.items() if name not in ("cache", "step", "until")}
    return {**keras.tree.map_structure(of(rows), others), "cache": kept, "step": step, "until": until}


def hold_time(cache: Cache, before: Cache, active: Any) -> Cache:
    """The cache after a step, in which the time of hypotheses that are not `active` bool [rows] stands still.

    A row that is done is stepped along until the loop is left; its time must not run out of the cache.
    """
    return {**cache, "time": ops.where(active, cache["time"], before["time"])}
