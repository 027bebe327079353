"""Batches in a seeded order that can be resumed anywhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import BatchConfig, TokenizerConfig
from nmt_rl.corpus.batches import (
    Batch,
    Indices,
    bucket_lengths,
    collate,
    collate_by,
    cut_by_length,
    pad_mode,
)
from nmt_rl.corpus.packing import first_fit
from nmt_rl.corpus.store import EncodedCorpus, PackedSide, Ragged, ragged
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.errors import UserError

T = TypeVar("T")

SINGLE_PAIRS = 131_072
"""Up to so many pairs are shuffled one by one."""
BLOCKS = 8192
"""Blocks into which a larger corpus is divided: a constant, so that the order needs no memory that grows with the
corpus, and few, so that a pool lies in few places of the memory map."""


class Position(NamedTuple):
    """Where the next batch is: both count from 0."""

    epoch: int = 0
    batch: int = 0


START = Position()


class Cut(NamedTuple):
    """A batch of a pool."""

    places: Indices
    """Of its pairs in the pool, int64 [pairs]."""
    rows: Indices | None = None
    """Of a packed batch: the row of each pair, int64 [pairs], rising."""


class BatchStream:
    """Endless iterator over (Batch, Position of the next batch): epoch after epoch, each in its own order.

    Blocks of contiguous pairs are shuffled (single pairs, if there are few enough) and gathered into pools of
    `config.pool` pairs; a pool is sorted by length with random ties (or shuffled, if `config.sort` is false), cut into
    batches, and the batches are shuffled. Packed batches are of full rows in random order, several pairs in each.
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
                for cut, ends_pool in _mark_last(cuts):
                    if number >= skip:
                        sides = sides or self.corpus.load(pool)
                        after = Position(epoch + 1, 0) if last and ends_pool else Position(epoch, number + 1)
                        yield self._build(sides, pool, cut, Position(epoch, number)), after
                    number += 1
            epoch, skip = epoch + 1, 0

    def plan(self, epoch: int) -> Iterator[Indices]:
        """Pair numbers of every batch of an epoch, in order; reads lengths, no tokens."""
        for pool, cuts in self._plan_pools(epoch):
            yield from (pool[cut.places] for cut in cuts)

    def _plan_pools(self, epoch: int) -> Iterator[tuple[Indices, list[Cut]]]:
        """Each pool's pair numbers, sorted, and its batches."""
        carried = np.empty(0, np.int64)
        for number, (drawn, last) in enumerate(
            _mark_last(_pools(len(self.corpus.mixture), self.config.pool, self.seed, epoch))
        ):
            drawn = self.corpus.mixture.pairs_at(epoch, drawn)
            rng = np.random.default_rng([self.seed, epoch, number])
            pool = np.sort(np.concatenate([carried, drawn]))
            pool = pool[self._longest(pool) <= self.config.max_length]
            cuts: list[Cut] = []
            if self.config.type == "packed":
                cuts, over = self._pack_pool(pool, rng, last)
                carried = pool[over]
            elif self.config.type == "sentences" and not last:  # only the epoch's last batch may be smaller
                over = rng.choice(len(pool), len(pool) % self.config.size, replace=False)
                carried, pool = pool[over], np.delete(pool, over)
            if self.config.type != "packed" and len(pool):
                cuts = self._cut_pool(pool, rng)
            if cuts:
                yield pool, cuts

    def _cut_pool(self, pool: Indices, rng: np.random.Generator) -> list[Cut]:
        lengths = self.corpus.lengths(pool)
        longest = lengths.max(axis=0) + 1
        if pad_mode(self.config) == "buckets":
            longest = bucket_lengths(longest, self.config.buckets)
        by_length = (rng.random(len(pool)), lengths[0], longest)
        order = np.lexsort(by_length) if self.config.sort else rng.permutation(len(pool))
        cuts = cut_by_length(longest[order], self.config)
        return [Cut(order[cuts[i]]) for i in rng.permutation(len(cuts))]

    def _pack_pool(self, pool: Indices, rng: np.random.Generator, last: bool) -> tuple[list[Cut], Indices]:
        """Full batches of packed rows, and the places of the pairs that are left; none are if the pool is the last."""
        order = rng.permutation(len(pool))
        row = first_fit(self.corpus.lengths(pool)[:, order] + 1, self.config.packed_length)
        rows, size = int(row.max(initial=-1)) + 1, self.config.size // self.config.packed_length
        kept = rows if last else rows - rows % size  # Rows opened last are the least full.
        batch_of, row_of = np.divmod(rng.permutation(kept), size)
        inside = row < kept
        batch, within, places = batch_of[row[inside]], row_of[row[inside]], order[inside]
        by_batch = np.lexsort((within, batch))
        ends = np.searchsorted(batch[by_batch], np.arange(-(-kept // size)) + 1)
        cuts = [Cut(places[part], within[part]) for part in np.split(by_batch, ends[:-1]) if len(part)]
        return cuts, order[~inside]

    def _longest(self, indices: Indices) -> NDArray[np.int64]:
        """Length of the longer side, int64, end symbol included."""
        return self.corpus.lengths(indices).max(axis=0) + 1

    def _count_too_long(self) -> int:
        count, step = 0, 1 << 16
        for start in range(0, len(self.corpus), step):
            part = np.arange(start, min(start + step, len(self.corpus)))
            count += int(np.count_nonzero(self._longest(part) > self.config.max_length))
        return count

    def _build(self, sides: tuple[PackedSide, PackedSide], pool: Indices, cut: Cut, at: Position) -> Batch:
        source, target = (side.gather(cut.places) for side in sides)
        links = None if self.corpus.links is None else self.corpus.links.gather(pool[cut.places])
        if cut.rows is not None:
            width = self.config.packed_length
            rows = self.config.size // width
            return collate(source, target, pool[cut.places], rows, (width, width), cut.rows, links)
        planned = max(int(source[1].max()), int(target[1].max())) + 1
        if self.resample is not None:
            rng = np.random.default_rng([self.seed, at.epoch, at.batch, len(cut.places)])
            source, target = self.resample(source, target, rng)
        return collate_by(self.config, source, target, pool[cut.places], planned, len(self.corpus), links)


def subword_sampler(
    tokenizers: Tokenizers, config: TokenizerConfig, max_length: int
) -> Callable[[Ragged, Ragged, np.random.Generator], tuple[Ragged, Ragged]]:
    """Subword regularisation for `BatchStream`: segments both sides anew; a draw beyond `max_length` is not taken."""

    def resample(source: Ragged, target: Ragged, rng: np.random.Generator) -> tuple[Ragged, Ragged]:
        sides = []
        for (flat, lengths), tokenizer in ((source, tokenizers.source), (target, tokenizers.target)):
            rows = [row.tolist() for row in np.split(flat, np.cumsum(lengths)[:-1])]
            drawn = tokenizer.sample(tokenizer.decode(rows), rng, config)
            sides.append(ragged([new if len(new) < max_length else old for old, new in zip(rows, drawn, strict=True)]))
        return sides[0], sides[1]

    return resample


def _pools(pairs: int, pool: int, seed: int, epoch: int) -> Iterator[Indices]:
    """Places of each pool's pairs in an epoch: blocks of contiguous ones in the epoch's order."""
    block = 1 if pairs <= SINGLE_PAIRS else -(-pairs // BLOCKS)
    blocks = -(-pairs // block)
    order = np.random.default_rng([seed, epoch]).permutation(blocks)
    step = -(-pool // block)
    for start in range(0, blocks, step):
        indices = (order[start : start + step, None] * block + np.arange(block)).ravel()
        yield indices[indices < pairs]


def _mark_last(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Each item, and whether it is the last."""
    iterator = iter(items)
    with contextlib.suppress(StopIteration):
        item = next(iterator)
        for following in iterator:
            yield item, False
            item = following
        yield item, True
