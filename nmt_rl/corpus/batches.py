"""Batches of padded token ids in a seeded order that can be resumed anywhere, and a thread that prepares them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import BatchConfig, TokenizerConfig
from nmt_rl.corpus.store import EncodedCorpus, PackedSide
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, Tokenizers
from nmt_rl.errors import UserError

T = TypeVar("T")

Indices = NDArray[np.int64]
Ragged = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Sentences in a row: tokens int32 [sum of lengths], and lengths int64 [batch]."""

SINGLE_PAIRS = 131_072
"""Up to so many pairs are shuffled one by one."""
BLOCKS = 8192
"""Blocks into which a larger corpus is divided: a constant, so that the order needs no memory that grows with the
corpus, and few, so that a pool lies in few places of the memory map."""


@dataclass(frozen=True)
class Batch:
    """Padded token ids of some sentence pairs; B rows, S and T the padded lengths.

    Attributes:
        source: int32 [B, S], pieces and EOS.
        target_in: int32 [B, T], BOS and pieces.
        target_out: int32 [B, T], pieces and EOS.
        indices: int64 [B], which pair each row is; -1 for a row that is only padding.
    """

    source: NDArray[np.int32]
    target_in: NDArray[np.int32]
    target_out: NDArray[np.int32]
    indices: Indices


class Position(NamedTuple):
    """Where the next batch is: both count from 0."""

    epoch: int = 0
    batch: int = 0


START = Position()


def pad_mode(config: BatchConfig) -> str:
    """`longest` or `buckets`; auto means buckets on JAX, which compiles anew for every shape."""
    if config.pad != "auto":
        return config.pad
    return "buckets" if os.environ.get("KERAS_BACKEND") == "jax" else "longest"


def bucket_lengths(lengths: NDArray[np.int64], buckets: Sequence[int]) -> NDArray[np.int64]:
    """Each length rounded up to a bucket; beyond the last bucket, to its next multiple."""
    steps = np.sort(np.asarray(buckets, np.int64))
    place = np.searchsorted(steps, lengths)
    beyond = -(-lengths // steps[-1]) * steps[-1]
    return np.where(place < len(steps), steps[np.minimum(place, len(steps) - 1)], beyond)


def pad_source(rows: Sequence[Sequence[int]], width: int = 0) -> NDArray[np.int32]:
    """Sources as the models read them, int32 [batch, source]: pieces, EOS, padding to the longest or to `width`."""
    flat, lengths = _ragged(rows)
    return _fill(flat, lengths, len(rows), max(width, int(lengths.max(initial=0)) + 1), end=EOS)


def collate(source: Ragged, target: Ragged, indices: Indices, rows: int = 0, width: int = 0) -> Batch:
    """Pad pairs to the longest of each side, or both sides to `width`, and the batch to `rows` rows."""
    rows = max(rows, len(indices))
    source_width = max(width, int(source[1].max(initial=0)) + 1)
    target_width = max(width, int(target[1].max(initial=0)) + 1)
    numbers = np.full(rows, -1, np.int64)
    numbers[: len(indices)] = indices
    target_in = _fill(*target, rows, target_width, shift=1)
    target_in[: len(indices), 0] = BOS
    return Batch(
        source=_fill(*source, rows, source_width, end=EOS),
        target_in=target_in,
        target_out=_fill(*target, rows, target_width, end=EOS),
        indices=numbers,
    )


def ordered_batches(
    source: Sequence[Sequence[int]], target: Sequence[Sequence[int]], config: BatchConfig
) -> Iterator[Batch]:
    """Every pair once, the shortest first, none left out: for the loss on a validation set."""
    source_lengths, target_lengths = _ragged(source)[1], _ragged(target)[1]
    longest = np.maximum(source_lengths, target_lengths) + 1
    order = np.lexsort((source_lengths, longest))
    for cut in _cut(longest[order], config):
        picked = order[cut]
        pairs = (_ragged([source[i] for i in picked]), _ragged([target[i] for i in picked]))
        yield _collate_by(config, pairs[0], pairs[1], picked, int(longest[picked[-1]]), len(order))


class BatchStream:
    """Endless iterator over (Batch, Position of the next batch): epoch after epoch, each in its own order.

    Blocks of contiguous pairs are shuffled (single pairs, if there are few enough) and gathered into pools of
    `config.pool` pairs; a pool is sorted by length with random ties (or shuffled, if `config.sort` is false), cut into
    batches, and the batches are shuffled.
    The order depends on the seed, the epoch and the lengths only, so any position is reached again by planning, which
    reads no tokens.

    Args:
        corpus: the encoded corpus.
        config: how to cut; pairs with a side longer than `max_length` (pieces and EOS) are left out.
        seed: of the order.
        position: where to begin.
        resample: draws new segmentations of a batch, given (source, target, rng); see `subword_sampler`.

    Raises:
        UserError: if every pair is longer than `max_length`.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        config: BatchConfig,
        seed: int,
        position: Position = START,
        resample: Callable[[Ragged, Ragged, np.random.Generator], tuple[Ragged, Ragged]] | None = None,
    ) -> None:
        self.corpus, self.config, self.seed, self.resample = corpus, config, seed, resample
        self.position = Position(*position)
        self.left_out = self._count_too_long()
        if self.left_out == len(corpus):
            raise UserError(
                f"all {len(corpus)} training pairs are longer than {config.max_length} pieces, of batch.max_length and "
                "model.max_positions the smaller, or there are none"
            )

    def __iter__(self) -> Iterator[tuple[Batch, Position]]:
        epoch, skip = self.position
        while True:
            number = 0
            for (pool, cuts), last in _mark_last(self._plan_pools(epoch)):
                sides: tuple[PackedSide, PackedSide] | None = None
                for places, ends_pool in _mark_last(cuts):
                    if number >= skip:
                        sides = sides or self.corpus.load(pool)
                        after = Position(epoch + 1, 0) if last and ends_pool else Position(epoch, number + 1)
                        yield self._build(sides, pool, places, Position(epoch, number)), after
                    number += 1
            epoch, skip = epoch + 1, 0

    def plan(self, epoch: int) -> Iterator[Indices]:
        """Pair numbers of every batch of an epoch, in order; reads lengths, no tokens."""
        for pool, cuts in self._plan_pools(epoch):
            yield from (pool[places] for places in cuts)

    def _plan_pools(self, epoch: int) -> Iterator[tuple[Indices, list[Indices]]]:
        """Each pool's pair numbers, sorted, and its batches as places in the pool."""
        carried = np.empty(0, np.int64)
        for number, (drawn, last) in enumerate(
            _mark_last(_pools(len(self.corpus), self.config.pool, self.seed, epoch))
        ):
            rng = np.random.default_rng([self.seed, epoch, number])
            pool = np.sort(np.concatenate([carried, drawn]))
            pool = pool[self._longest(pool) <= self.config.max_length]
            if self.config.type == "sentences" and not last:  # only the epoch's last batch may be smaller
                over = rng.choice(len(pool), len(pool) % self.config.size, replace=False)
                carried, pool = pool[over], np.delete(pool, over)
            if len(pool):
                yield pool, self._cut_pool(pool, rng)

    def _cut_pool(self, pool: Indices, rng: np.random.Generator) -> list[Indices]:
        lengths = self.corpus.lengths(pool)
        longest = lengths.max(axis=0) + 1
        by_length = (rng.random(len(pool)), lengths[0], longest)
        order = np.lexsort(by_length) if self.config.sort else rng.permutation(len(pool))
        cuts = _cut(longest[order], self.config)
        return [order[cuts[i]] for i in rng.permutation(len(cuts))]

    def _longest(self, indices: Indices) -> NDArray[np.int64]:
        """Length of the longer side, int64, end symbol included."""
        return self.corpus.lengths(indices).max(axis=0) + 1

    def _count_too_long(self) -> int:
        count, step = 0, 1 << 16
        for start in range(0, len(self.corpus), step):
            part = np.arange(start, min(start + step, len(self.corpus)))
            count += int(np.count_nonzero(self._longest(part) > self.config.max_length))
        return count

    def _build(self, sides: tuple[PackedSide, PackedSide], pool: Indices, places: Indices, at: Position) -> Batch:
        source, target = (side.gather(places) for side in sides)
        planned = max(int(source[1].max()), int(target[1].max())) + 1
        if self.resample is not None:
            rng = np.random.default_rng([self.seed, at.epoch, at.batch, len(places)])
            source, target = self.resample(source, target, rng)
        return _collate_by(self.config, source, target, pool[places], planned, len(self.corpus))


def subword_sampler(
    tokenizers: Tokenizers, config: TokenizerConfig, max_length: int
) -> Callable[[Ragged, Ragged, np.random.Generator], tuple[Ragged, Ragged]]:
    """Subword regularisation for `BatchStream`: segments both sides anew; a draw beyond `max_length` is not taken."""

    def resample(source: Ragged, target: Ragged, rng: np.random.Generator) -> tuple[Ragged, Ragged]:
        sides = []
        for (flat, lengths), tokenizer in ((source, tokenizers.source), (target, tokenizers.target)):
            rows = [row.tolist() for row in np.split(flat, np.cumsum(lengths)[:-1])]
            drawn = tokenizer.sample(tokenizer.decode(rows), rng, config)
            sides.append(_ragged([new if len(new) < max_length else old for old, new in zip(rows, drawn, strict=True)]))
        return sides[0], sides[1]

    return resample


def _pools(pairs: int, pool: int, seed: int, epoch: int) -> Iterator[Indices]:
    """Pair numbers of each pool: blocks of contiguous pairs in the epoch's order."""
    block = 1 if pairs <= SINGLE_PAIRS else -(-pairs // BLOCKS)
    blocks = -(-pairs // block)
    order = np.random.default_rng([seed, epoch]).permutation(blocks)
    step = -(-pool // block)
    for start in range(0, blocks, step):
        indices = (order[start : start + step, None] * block + np.arange(block)).ravel()
        yield indices[indices < pairs]


def _cut(longest: NDArray[np.int64], config: BatchConfig) -> list[slice]:
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


def _collate_by(
    config: BatchConfig, source: Ragged, target: Ragged, indices: Indices, planned: int, total: int
) -> Batch:
    """Pad as the configuration says; `planned` is the longer side's length by which the batch was cut.

    No batch has more rows than the `total` of pairs. Sampled segmentations may be longer; then the bucket grows, not
    the number of rows.
    """
    if pad_mode(config) == "longest":
        return collate(source, target, indices)
    longest = max(int(source[1].max()), int(target[1].max())) + 1
    width, planned_width = bucket_lengths(np.array([longest, planned]), config.buckets)
    rows = min(total, config.size if config.type == "sentences" else config.size // int(planned_width))
    # A bucket may be wider than what the model has room for, which `max_length` is at most.
    return collate(
        source, target, indices, rows, min(max(int(width), int(planned_width)), max(longest, config.max_length))
    )


def _ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    return np.fromiter((token for row in rows for token in row), np.int32, int(lengths.sum())), lengths


def _fill(
    flat: NDArray[np.int32], lengths: NDArray[np.int64], rows: int, width: int, shift: int = 0, end: int | None = None
) -> NDArray[np.int32]:
    """Lay sentences into a padded int32 [rows, width], `shift` places to the right, `end` after each."""
    out = np.full((rows, width), PAD, np.int32)
    columns = np.arange(width)
    present = out[: len(lengths)]
    present[(columns >= shift) & (columns < lengths[:, None] + shift)] = flat
    if end is not None:
        present[np.arange(len(lengths)), lengths] = end
    return out


def _mark_last(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Each item, and whether it is the last."""
    iterator = iter(items)
    with contextlib.suppress(StopIteration):
        item = next(iterator)
        for following in iterator:
            yield item, False
            item = following
        yield item, True
