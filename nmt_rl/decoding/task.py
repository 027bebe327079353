"""What a search is asked for: sources, the pieces that are given, limits; and what it begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn, dimension, is_jax
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD
from nmt_rl.decoding.policies import pick

if TYPE_CHECKING:
    from nmt_rl.models.seq2seq import Cache, Seq2Seq

ROOM = 8
"""Steps that a cache has room for, at first and whenever a loop is gone on with: attention pays for the whole of it."""


class Task(NamedTuple):
    """NumPy arrays; `rows` results on `sources` sentences.

    On JAX rows, sources and widths are padded to powers of two, so that few shapes are compiled; the rows added have 0
    steps. `prefix` and `prefix_lengths` are never padded.
    """

    source: np.ndarray
    """int32 [sources, source time]."""
    target_in: np.ndarray | None
    """int32 [sources, time]: BOS and pieces that were given; None if none was."""
    rows: np.ndarray
    """int32 [rows]: which sentence each row is on."""
    fed: np.ndarray
    """int32 [rows]: how many pieces of `target_in` the decoder has seen when the loop begins."""
    tokens: np.ndarray
    """int32 [rows]: the first piece that the loop feeds."""
    steps: np.ndarray
    """int32 [rows]: most pieces to be chosen, EOS included; 0 for a row that is complete."""
    blank: np.ndarray
    """int32 [rows, width]: zeros, as wide as the most steps."""
    prefix: np.ndarray
    """int32 [rows, prefix time]: the pieces each result begins with, up to the first EOS; PAD behind them."""
    prefix_lengths: np.ndarray
    """int32 [rows]."""

    def behind_prefix(self, new: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
        """Results [rows, ..., time]: in `new` [rows (padded), ..., width] those of the loop, moved behind the prefix.

        Args:
            new: of the loop.
            before: what stands at the prefix, [rows, prefix time], 0 on PAD; None: zeros.
        """
        count, held = self.prefix.shape
        joined = np.zeros((count, *new.shape[1:-1], held + new.shape[-1]), new.dtype)
        if before is not None:
            joined[..., :held] = before.reshape(count, *[1] * (new.ndim - 2), held)
        places = self.prefix_lengths[:, None] + np.arange(new.shape[-1])
        rows = np.arange(count)[:, None]
        np.moveaxis(joined, -1, 1)[rows, places] = np.moveaxis(new[:count], -1, 1)
        return joined


def make_task(
    source: np.ndarray,
    max_lengths: np.ndarray | int,
    prefix: np.ndarray | None = None,
    prefix_lengths: np.ndarray | None = None,
    given: np.ndarray | None = None,
    rows: np.ndarray | None = None,
) -> Task:
    """The task of a search.

    Args:
        source: int [sources, source time], PAD-padded.
        max_lengths: int [rows] or one number, at least 1: most pieces of a result, prefix and EOS included. A prefix
            that leaves no room for EOS raises its row's limit.
        prefix: int [rows, prefix time], without BOS: the first pieces of each row.
        prefix_lengths: int [rows]; needed with `prefix`.
        given: int [sources, time]: pieces that all prefixes on a source share with it, but for their last one; None:
            there are as many rows as sources, and each prefix is fed by itself.
        rows: int [rows]: which source each row is on; needed with `given`.
    """
    count = len(source) if rows is None else len(rows)
    limits = np.broadcast_to(np.asarray(max_lengths, "int32"), (count,))
    if count and limits.min() < 1:
        raise ValueError(f"max_lengths must be at least 1, found {limits.min()}")
    if prefix is None or prefix_lengths is None:
        prefix, prefix_lengths = np.zeros((count, 0), "int32"), np.zeros(count, "int32")
    prefix, lengths = _up_to_end(np.asarray(prefix, "int32"), np.asarray(prefix_lengths, "int32"))
    with_bos = np.pad(prefix, ((0, 0), (1, 0)), constant_values=BOS)
    longest = int(lengths.max(initial=0 if given is None else 1))
    shared = with_bos if given is None else np.pad(np.asarray(given, "int32"), ((0, 0), (1, 0)), constant_values=BOS)
    steps = np.where((prefix == EOS).any(axis=1), 0, np.maximum(limits - lengths, 1)).astype("int32")
    task = Task(
        source=np.asarray(source, "int32"),
        target_in=shared[:, :longest] if longest else None,
        rows=np.arange(count, dtype="int32") if rows is None else np.asarray(rows, "int32"),
        fed=lengths,
        tokens=with_bos[np.arange(count), lengths],
        steps=steps,
        blank=np.zeros((count, int(steps.max(initial=1))), "int32"),
        prefix=prefix,
        prefix_lengths=lengths,
    )
    return _padded(task) if is_jax() else task


def _up_to_end(prefix: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prefixes and their lengths without what follows an EOS; as wide as the longest."""
    prefix = np.where(np.arange(prefix.shape[1]) < lengths[:, None], prefix, PAD)
    is_end = prefix == EOS
    lengths = np.where(is_end.any(axis=1), is_end.argmax(axis=1) + 1, lengths) if prefix.shape[1] else lengths
    prefix = prefix[:, : int(lengths.max(initial=0))]
    return np.where(np.arange(prefix.shape[1]) < lengths[:, None], prefix, PAD), lengths.astype("int32")


def power_of_two(number: int, least: int) -> int:
    """The smallest power of two that is neither below `number` nor below `least`, itself one."""
    return max(least, 1 << (number - 1).bit_length())


def _padded(task: Task) -> Task:
    def pad(array: np.ndarray, *sizes: int) -> np.ndarray:
        return np.pad(array, [(0, size - old) for size, old in zip(sizes, array.shape, strict=True)])

    sentences, count = (power_of_two(len(x), 1) for x in (task.source, task.rows))
    source = pad(task.source, sentences, power_of_two(task.source.shape[1], 8))
    # A row of PAD alone would leave attention nothing to look at.
    source[len(task.source) :] = source[:1]
    target_in = task.target_in
    if target_in is not None:
        target_in = pad(target_in, sentences, power_of_two(target_in.shape[1], 8))
    of_rows = {name: pad(getattr(task, name), count) for name in ("rows", "fed", "tokens", "steps")}
    blank = np.zeros((count, power_of_two(task.blank.shape[1], 16)), "int32")
    return task._replace(source=source, target_in=target_in, blank=blank, **of_rows)


def _room(blank: Any) -> int:
    """Steps the cache has room for at first; on JAX for all of them, as every length is compiled anew there."""
    return dimension(blank, 1) if is_jax() else ROOM


class Beginning:
    """Encodes the sources of a task and feeds the decoder what was given, in one teacher-forced pass.

    Args:
        model: its current weights are used at each call.
        beam: hypotheses per row.
    """

    def __init__(self, model: Seq2Seq, beam: int = 1) -> None:
        """See the class docstring."""
        self.model, self.beam = model, beam
        self._start = compile_fn(self._started, model)
        self._resume = compile_fn(lambda *task: self._resumed(*task)[1], model)
        self._resume_and_score = compile_fn(self._resumed_and_scored, model)

    def __call__(self, task: Task) -> dict[str, Any]:
        """`cache`, its `step` 0, and `until`, the step that it has no room for."""
        if task.target_in is None:
            return self._with_room(task, self._start(task.source, self.model.recall(task.source), task.blank))
        return self._with_room(task, self._resume(*self._given(task)))

    def scored(self, task: Task) -> tuple[dict[str, Any], np.ndarray]:
        """The same, and the log-probability of each piece of the prefixes, float32 [rows, prefix time], 0 on PAD.

        For tasks without `given` translations, where the prefixes are all that is fed.
        """
        if task.target_in is None:
            return self(task), np.zeros(task.prefix.shape, "float32")
        count, width = task.prefix.shape
        pieces = np.zeros_like(task.target_in)
        pieces[:count, :width] = task.prefix
        cache, scores = self._resume_and_score(*self._given(task), pieces)
        scores = ops.convert_to_numpy(scores)[:count, :width]
        return self._with_room(task, cache), np.where(task.prefix != PAD, scores, 0).astype("float32")

    def _with_room(self, task: Task, cache: Cache) -> dict[str, Any]:
        return {"cache": cache, "step": np.int32(0), "until": np.int32(_room(task.blank))}

    def _given(self, task: Task) -> tuple[Any, ...]:
        return task.source, self.model.recall(task.source), task.target_in, task.rows, task.fed, task.blank

    def _started(self, source: Any, recalled: Any, blank: Any) -> Cache:
        return self.model.start({**self.model.encode(source), **recalled}, _room(blank), self.beam)

    def _resumed(
        self, source: Any, recalled: Any, target_in: Any, rows: Any, fed: Any, blank: Any
    ) -> tuple[Any, Cache]:
        encoded = {**self.model.encode(source), **recalled}
        return self.model.resume(target_in, encoded, rows, fed, _room(blank), self.beam)

    def _resumed_and_scored(self, *task: Any) -> tuple[Cache, Any]:
        *given, pieces = task
        states, cache = self._resumed(*given)
        columns = ops.arange(dimension(pieces, 1), dtype="int32")[None, :]

        def body(time: Any, scores: Any) -> tuple[Any, Any]:
            # Step by step, so that the logits of one piece per row are held at a time.
            logits = self.model.project(ops.take(states, time, axis=1))
            now = pick(logits, ops.take(pieces, time, axis=1)) - ops.logsumexp(logits, axis=-1)
            return time + 1, ops.where(columns == time, now[:, None], scores)

        start = (ops.zeros((), "int32"), ops.zeros(ops.shape(pieces), "float32"))
        return cache, ops.while_loop(lambda time, _: time < dimension(pieces, 1), body, start)[1]
