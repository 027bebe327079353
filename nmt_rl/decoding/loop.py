"""The loop that greedy decoding, sampling and beam search share: rows that are done leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from nmt_rl.backend import is_jax
from nmt_rl.corpus.tokenizer import PAD

FEW = 8
"""So few rows are finished together; of more, finished ones leave the loop when they are half of them."""


def prepare_task(
    source: np.ndarray,
    max_lengths: np.ndarray | int,
    prefix: np.ndarray | None,
    prefix_lengths: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """int32 arrays for a loop: source, forced pieces [batch, width], prefix lengths [batch], limits [batch].

    The width of the forced pieces is the width of the result. On JAX rows, source and width are padded to powers of
    two, so that few shapes are compiled; the rows added have a limit of 0.
    """
    rows = len(source)
    source = np.asarray(source, "int32")
    limits = np.broadcast_to(np.asarray(max_lengths, "int32"), (rows,))
    if rows and limits.min() < 1:
        raise ValueError(f"max_lengths must be at least 1, found {limits.min()}")
    if prefix is None or prefix_lengths is None:
        prefix, prefix_lengths = np.zeros((rows, 0), "int32"), np.zeros(rows, "int32")
    prefix_lengths = np.asarray(prefix_lengths, "int32")
    limits = np.maximum(limits, prefix_lengths + 1)
    width = int(limits.max(initial=1))
    forced = np.full((rows, width), PAD, "int32")
    used = min(prefix.shape[1], width)
    forced[:, :used] = prefix[:, :used]
    if is_jax():
        extra = _power_of_two(rows, 1) - rows
        source = np.pad(source, ((0, extra), (0, _power_of_two(source.shape[1], 8) - source.shape[1])))
        # A row of PAD alone would leave attention nothing to look at.
        source[rows:] = source[:1]
        forced = np.pad(forced, ((0, extra), (0, _power_of_two(width, 16) - width)))
        prefix_lengths, limits = np.pad(prefix_lengths, (0, extra)), np.pad(limits, (0, extra))
    return source, forced, prefix_lengths, limits


def _power_of_two(number: int, least: int) -> int:
    return max(least, 1 << (number - 1).bit_length())


def crowded(active: Any) -> Any:
    """Whether a loop goes on: more than half of its rows are active, or any of few."""
    rows = ops.shape(active)[0]
    return ops.sum(ops.cast(active, "int32")) > ops.where(rows > FEW, rows // 2, 0)


def play(loop: Callable[..., Any], keep: Callable[..., Any], state: dict[str, Any]) -> dict[str, np.ndarray]:
    """Run a loop, and again without the rows that are done, until all are; `out` of all rows as they left.

    Args:
        loop: from state to state, until too few rows are `active`.
        keep: the same rows of everything in a state.
        state: `active` bool [rows], `out` and whatever the loop needs; all arrays but the cache's time have rows.
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
        # On JAX up to a power of two, so that few shapes are compiled: the last row again.
        room = _power_of_two(len(active), 1) if is_jax() else len(active)
        state = keep(state, np.pad(active, (0, room - len(active)), mode="edge").astype("int32"))


def take_rows(state: dict[str, Any], rows: Any, beam: int) -> dict[str, Any]:
    """The same rows int32 [kept] of every array of a loop's state; a row's hypotheses stay together."""
    hypotheses = ops.reshape(rows[:, None] * beam + ops.arange(beam, dtype="int32")[None, :], (-1,))

    def of(index: Any) -> Callable[[Any], Any]:
        return lambda x: ops.take(x, index, axis=0)

    cache = {
        "shared": keras.tree.map_structure(of(rows), state["cache"]["shared"]),
        "rows": keras.tree.map_structure(of(hypotheses), state["cache"]["rows"]),
        "time": state["cache"]["time"],
    }
    others = {name: value for name, value in state.items() if name != "cache"}
    return {**keras.tree.map_structure(of(rows), others), "cache": cache}
