"""Sentence pairs as padded token ids: rows of equal width, each with one pair or with several."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import BatchConfig
from nmt_rl.corpus.store import Ragged, ragged
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Padded token ids of some sentence pairs; B rows, S and T the padded lengths.

    Attributes:
        source: int32 [B, S], pieces and EOS.
        target_in: int32 [B, T], BOS and pieces.
        target_out: int32 [B, T], pieces and EOS.
        indices: int64 [B], which pair each row is; -1 for a row that is only padding. Of packed rows int64 [pairs]: the
            pairs as they stand in the rows.
        alignment: bool [B, T, S], which pieces of `target_out` come from which of `source`; None: it is not known.
    """

    source: NDArray[np.int32]
    target_in: NDArray[np.int32]
    target_out: NDArray[np.int32]
    indices: Indices
    alignment: NDArray[np.bool_] | None = None


def pad_mode(config: BatchConfig) -> str:
    """`longest`, or `buckets`: shapes must be few. That is what auto and packed mean on JAX, which compiles each."""
    if config.pad != "auto" and config.type != "packed":
        return config.pad
    return "buckets" if os.environ.get("KERAS_BACKEND") == "jax" else "longest"


def bucket_lengths(lengths: NDArray[np.int64], buckets: Sequence[int]) -> NDArray[np.int64]:
    """Each length rounded up to a bucket; beyond the last bucket, to its next multiple."""
    steps = np.sort(np.asarray(buckets, np.int64))
    place = np.searchsorted(steps, lengths)
    beyond = -(-lengths // steps[-1]) * steps[-1]
    return np.where(place < len(steps), steps[np.minimum(place, len(steps) - 1)], beyond)


def side_widths(longest: tuple[int, int], widest: int, config: BatchConfig) -> tuple[int, int]:
    """Padded lengths of source and target: each side's bucket, but the shorter's at most one below that of the longer.

    So most of what can be saved is saved, and there are at most three shapes for each bucket.

    Args:
        longest: of each side, EOS included.
        widest: what the longer side is padded to at least, a bucket.
        config: of the buckets; neither side becomes wider than `max_length`, for which models have room, unless it is.
    """
    width = max(widest, int(bucket_lengths(np.array([max(longest)]), config.buckets)[0]))
    below = max((bucket for bucket in config.buckets if bucket < width), default=width)
    each = bucket_lengths(np.array(longest), config.buckets)
    each[int(longest[1] > longest[0])] = width
    source, target = (min(max(int(own), below), max(*longest, config.max_length)) for own in each)
    return source, target


def pad_source(rows: Sequence[Sequence[int]], width: int = 0) -> NDArray[np.int32]:
    """Sources as the models read them, int32 [batch, source]: pieces, EOS, padding to the longest or to `width`."""
    flat, lengths = ragged(rows)
    cells = _Cells(lengths, np.arange(len(rows)), len(rows), max(width, int(lengths.max(initial=0)) + 1))
    return cells.filled(flat, end=EOS)


def collate(
    source: Ragged,
    target: Ragged,
    indices: Indices,
    rows: int = 0,
    widths: tuple[int, int] = (0, 0),
    row_of: Indices | None = None,
    links: Ragged | None = None,
) -> Batch:
    """Lay pairs into rows of PAD.

    Args:
        source, target: their pieces.
        indices: which pairs they are, int64 [pairs].
        rows: of the batch, at least.
        widths: of source and target, at least; the longest decides.
        row_of: the row of each pair, int64 [pairs], rising; a pair each if it is not given.
        links: of each pair, places in source and target by turns.
    """
    own = np.arange(len(indices)) if row_of is None else row_of
    rows = max(rows, int(own.max(initial=-1)) + 1)
    cells = [
        _Cells(lengths, own, rows, max(width, int(lengths.max(initial=0)) + 1))
        for (_, lengths), width in zip((source, target), widths, strict=True)
    ]
    numbers = indices
    if row_of is None:
        numbers = np.full(rows, -1, np.int64)
        numbers[: len(indices)] = indices
    return Batch(
        source=cells[0].filled(source[0], end=EOS),
        target_in=cells[1].filled(target[0], begin=BOS),
        target_out=cells[1].filled(target[0], end=EOS),
        indices=numbers,
        alignment=None if links is None else _alignment(links, *cells),
    )


def with_rows(batch: Batch, multiple: int) -> Batch:
    """A batch with rows of padding below it, so that their number can be divided by `multiple`."""
    more = -len(batch.source) % multiple
    if not more:
        return batch
    sides = (batch.source, batch.target_in, batch.target_out)
    source, target_in, target_out = (np.pad(side, ((0, more), (0, 0)), constant_values=PAD) for side in sides)
    alignment = None if batch.alignment is None else np.pad(batch.alignment, ((0, more), (0, 0), (0, 0)))
    return Batch(source, target_in, target_out, np.pad(batch.indices, (0, more), constant_values=-1), alignment)


def divided(batch: Batch, parts: int) -> list[Batch]:
    """A batch in parts of as many rows each, of which every so-manieth is taken: long and short ones in all of them.

    Args:
        batch: its rows can be divided by `parts` (see `with_rows`).
        parts: 1 is the batch itself. All indices of packed rows, which are not one for each row, stay with the first.
    """
    if parts == 1:
        return [batch]
    rows = [slice(first, None, parts) for first in range(parts)]
    pairs = rows if len(batch.indices) == len(batch.source) else [slice(None), *[slice(0)] * (parts - 1)]
    arrays = {name: array for name, array in vars(batch).items() if name != "indices" and array is not None}
    return [
        Batch(**{name: array[own] for name, array in arrays.items()}, indices=batch.indices[held])
        for own, held in zip(rows, pairs, strict=True)
    ]


def ordered_batches(
    source: Sequence[Sequence[int]], target: Sequence[Sequence[int]], config: BatchConfig
) -> Iterator[Batch]:
    """Every pair once, the shortest first, none left out: for the loss on a validation set."""
    lengths = np.stack([ragged(source)[1], ragged(target)[1]])
    longest = lengths.max(axis=0) + 1
    order = np.lexsort((lengths[0], longest))
    for cut in cut_by_length(longest[order], config):
        picked = order[cut]
        pairs = (ragged([source[i] for i in picked]), ragged([target[i] for i in picked]))
        yield collate_by(config, *pairs, picked, int(longest[picked].max()), len(order))


def cut_by_length(longest: NDArray[np.int64], config: BatchConfig) -> list[slice]:
    """Cut pairs of these lengths into batches: `size` pairs, or rows times padded length at most `size`."""
    total = len(longest)
    if config.type == "sentences":
        return [slice(start, min(start + config.size, total)) for start in range(0, total, config.size)]
    if pad_mode(config) == "buckets":
        longest = bucket_lengths(longest, config.buckets)
    cuts, start = [], 0
    while start < total:
        window = np.maximum.accumulate(longest[start : start + max(1, config.size // int(longest[start]))])
        fits = window * np.arange(1, len(window) + 1) <= config.size  # non-decreasing product: a prefix is true
        stop = start + max(1, int(np.count_nonzero(fits)))
        cuts.append(slice(start, stop))
        start = stop
    return cuts


def collate_by(
    config: BatchConfig,
    source: Ragged,
    target: Ragged,
    indices: Indices,
    planned: int,
    total: int,
    links: Ragged | None = None,
) -> Batch:
    """Pad as the configuration says; `planned` is the longer side's length by which the batch was cut.

    No batch has more rows than the `total` of pairs. Sampled segmentations may be longer; then the bucket grows, not
    the number of rows.
    """
    if pad_mode(config) == "longest":
        return collate(source, target, indices, links=links)
    planned = int(bucket_lengths(np.array([planned]), config.buckets)[0])
    rows = min(total, config.size if config.type == "sentences" else config.size // planned)
    longest = (int(source[1].max()) + 1, int(target[1].max()) + 1)
    return collate(source, target, indices, rows, side_widths(longest, planned, config), links=links)


class _Cells:
    """Where sentences stand in an array [rows, width]: each behind those before it in its row, with a place more."""

    def __init__(self, lengths: NDArray[np.int64], row_of: Indices, rows: int, width: int) -> None:
        self.shape, self.lengths = (rows, width), lengths
        begins = np.cumsum(lengths + 1) - (lengths + 1)
        first = np.searchsorted(row_of, row_of)  # The first sentence of each one's row.
        self.begins = row_of * width + begins - begins[first]
        # Of a sentence's pieces, which lie behind those of the sentences before.
        self.pieces = np.repeat(self.begins - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))

    def filled(self, flat: NDArray[np.int32], begin: int | None = None, end: int | None = None) -> NDArray[np.int32]:
        """int32 [rows, width]: PAD, and the sentences, each with `begin` before it or `end` behind it."""
        out = np.full(self.shape[0] * self.shape[1], PAD, np.int32)
        out[self.pieces + (begin is not None)] = flat
        if begin is not None:
            out[self.begins] = begin
        if end is not None:
            out[self.begins + self.lengths] = end
        return out.reshape(self.shape)


def _alignment(links: Ragged, source: _Cells, target: _Cells) -> NDArray[np.bool_]:
    """bool [rows, target, source] of links of pairs, places in source and target by turns."""
    flat, pair = links[0].reshape(-1, 2), np.repeat(np.arange(len(links[1])), links[1] // 2)
    row, column = np.divmod(source.begins[pair] + flat[:, 0], source.shape[1])
    found = np.zeros((target.shape[0], target.shape[1], source.shape[1]), np.bool_)
    found[row, (target.begins[pair] + flat[:, 1]) % target.shape[1], column] = True
    return found
