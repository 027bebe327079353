"""The links of the training pairs, which piece of a target comes from which of the source: given, or computed."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import Config, SourceSpec
from nmt_rl.corpus.aligner import Aligner, Grid
from nmt_rl.corpus.clean_text import CleanText
from nmt_rl.corpus.cleaning import CleaningReport, Pair, clean_pairs
from nmt_rl.corpus.encoding import fitting
from nmt_rl.corpus.pair_progress import pair_progress
from nmt_rl.corpus.pharaoh import WordLinks, with_links
from nmt_rl.corpus.sources import read_pairs, tagged
from nmt_rl.corpus.store import EncodedCorpus, LinkWriter, PackedSide, ragged
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.corpus.word_pieces import word_starts

log = logging.getLogger("nmt_rl")

CELLS = 2**20
"""Pairs of a source and a target piece that are worked on together."""
POOL = 20_000
"""Pairs of sentences that are sorted by length together."""
SAMPLE = 2**25
"""Pairs of a source and a target piece that lexicons are learnt from: some 80,000 pairs of sentences of 20 pieces."""


def check_alignments(config: Config) -> None:
    """Read the alignment files and their text once; raises UserError for what does not belong together."""
    for spec in config.corpus.train:
        for _ in _of_words(spec, config) if spec.alignment else ():
            pass


def write_links(folder: Path, config: Config, text: CleanText, tokenizers: Tokenizers) -> None:
    """Write the links of a store that was encoded from a text, beside its pairs.

    Args:
        folder: of the store.
        config: says which sources have alignments; the text of the others is aligned.
        text: of which the store was made, its encoded parts still beside it.
        tokenizers: of both sides.

    Raises:
        UserError: as `check_alignments`.
    """
    corpus, has = EncodedCorpus.open(folder), [bool(spec.alignment) for spec in config.corpus.train]
    computed: Iterator[list[int]] = itertools.repeat([]) if all(has) else computed_links(corpus)
    given: Iterator[WordLinks | None] = _given(config, text) if any(has) else itertools.repeat(None)
    unlike = 0
    with LinkWriter(folder) as writer, pair_progress("aligned", len(corpus)) as tell:
        for number, own, words in zip(range(len(corpus)), computed, given, strict=False):
            links = own if words is None else piece_links(words, *_starts(corpus, tokenizers, number))
            unlike += links is None
            writer.append(links or [])
            tell(number + 1)
    if unlike:
        log.warning("%d pairs have other words in pieces than between blanks, and are learnt without alignment", unlike)


def _given(config: Config, text: CleanText) -> Iterator[WordLinks | None]:
    """The links of words of each pair of a store; None where its source has none."""
    of_sources = [_of_clean(spec, config) for spec in config.corpus.train]
    for (path, kept), source, size in zip(text.parts(), text.sources, text.sizes, strict=True):
        links = itertools.islice(of_sources[source], size)
        left = links if kept is None else itertools.compress(links, kept)
        yield from itertools.compress(left, fitting(path, config.pretrain.batch.max_length))


def _of_clean(spec: SourceSpec, config: Config) -> Iterator[WordLinks | None]:
    """Of each pair of a source that passes cleaning, which is done once more and lets the same pairs pass."""
    if not spec.alignment:
        yield from itertools.repeat(None)
    for (source, target), links in _of_words(spec, config):
        pair = (source if spec.tag is None else tagged(spec.tag, source), target)
        if any(clean_pairs([pair], config.corpus.cleaning, CleaningReport())):
            yield [(i + (spec.tag is not None), j) for i, j in links]


def _of_words(spec: SourceSpec, config: Config) -> Iterator[tuple[Pair, WordLinks]]:
    """Of each pair of a source, as it is without a tag."""
    pairs = read_pairs(spec.model_copy(update={"tag": None}), config.corpus)
    return with_links(pairs, spec.alignment, spec.limit is not None)


def _starts(corpus: EncodedCorpus, tokenizers: Tokenizers, number: int) -> tuple[list[int], list[int]]:
    """Where the words of both sides of a pair begin, and where the last one ends."""
    source, target = tokenizers.source.pieces(corpus.source(number)), tokenizers.target.pieces(corpus.target(number))
    return [*word_starts(source), len(source)], [*word_starts(target), len(target)]


def piece_links(words: WordLinks, source: list[int], target: list[int]) -> list[int] | None:
    """Links of all pieces of linked words, source and target by turns; None if a word is not there.

    Args:
        words: links of words.
        source, target: where words begin among the pieces, and where the last one ends.
    """
    if any(i + 1 >= len(source) or j + 1 >= len(target) for i, j in words):
        return None
    pieces = (itertools.product(range(source[i], source[i + 1]), range(target[j], target[j + 1])) for i, j in words)
    return [place for word in pieces for link in word for place in link]


def computed_links(corpus: EncodedCorpus) -> Iterator[list[int]]:
    """Links of each pair, source and target pieces by turns, by an aligner that has learnt from the corpus itself."""
    log.info("aligning the pieces of %s training pairs", f"{len(corpus):,}")
    return _aligned(corpus, _learnt(corpus))


def align_texts(
    corpus: EncodedCorpus, source: Sequence[Sequence[int]], target: Sequence[Sequence[int]]
) -> list[list[int]]:
    """Links of other pairs, piece ids, as `computed_links` has them, by an aligner that has learnt from a corpus."""
    rows, columns = (PackedSide.concatenate([ragged(side)]) for side in (source, target))
    return list(_aligned(EncodedCorpus(rows, columns, {}), _learnt(corpus)))


def _learnt(corpus: EncodedCorpus) -> Aligner:
    return Aligner([grids for _, grids in _grids(corpus, _sample(corpus))])


def _aligned(corpus: EncodedCorpus, aligner: Aligner) -> Iterator[list[int]]:
    for start in range(0, len(corpus), POOL):
        pool = np.arange(start, min(start + POOL, len(corpus)))
        found: list[list[int]] = [[] for _ in pool]
        for places, grids in _grids(corpus, pool):
            pair, target, source = np.nonzero(aligner(*grids))
            cuts = np.searchsorted(pair, np.arange(1, len(places)))
            for place, links in zip(places, np.split(np.stack([source, target], axis=1), cuts), strict=True):
                found[place] = links.ravel().tolist()
        yield from found


def _sample(corpus: EncodedCorpus) -> NDArray[np.int64]:
    """Pairs all over the corpus, as many as have `SAMPLE` pairs of pieces."""
    drawn = np.random.default_rng(0).permutation(len(corpus))[: SAMPLE // 4]
    cells = np.cumsum(np.prod(corpus.lengths(drawn), axis=0))
    return np.sort(drawn[: max(1, int(np.searchsorted(cells, SAMPLE)))])


def _grids(corpus: EncodedCorpus, pairs: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], tuple[Grid, Grid]]]:
    """Pairs of similar lengths together: their places among `pairs`, and both sides padded with 0."""
    sides, (source, target) = corpus.load(pairs), corpus.lengths(pairs)
    order, start = np.lexsort((target, source)), 0
    while start < len(order):
        window = order[start : start + CELLS]
        width = np.maximum.accumulate(target[window]) * (source[window] + 1)
        stop = start + max(1, int(np.count_nonzero(width * np.arange(1, len(window) + 1) <= CELLS)))
        places = order[start:stop]
        yield places, (_grid(sides[0], places), _grid(sides[1], places))
        start = stop


def _grid(side: PackedSide, places: NDArray[np.int64]) -> Grid:
    flat, lengths = side.gather(places)
    grid = np.zeros((len(lengths), int(lengths.max())), np.int64)
    grid[np.arange(grid.shape[1]) < lengths[:, None]] = flat
    return grid
