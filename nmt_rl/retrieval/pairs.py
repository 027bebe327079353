"""The pairs that sources recall: what a model with `model.memory` reads, in training and in translating.

A memory of such a model is a folder with

pairs/         the pairs, encoded (corpus.store)
lexical/       BM25 index of the sources' pieces (bm25s)
memory.json    format, `scope` pairs, `model` (whose it was made for), `tokenizers` (their hashes) and languages
hashes.json    what the files were when they were written
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.retrieval.lexical import index_sources, load_lexical, most_similar
from nmt_rl.retrieval.record import read_record
from nmt_rl.storage.hashes import check_hashes

PAIRS, LEXICAL = "pairs", "lexical"
SPARE = 8
"""Pairs that are looked up in place of those that may be left out."""
KNOWN = 1_000_000
"""Sources whose pairs are kept in mind, at most."""

Pair = tuple[NDArray[np.int32], NDArray[np.int32]]


class SimilarPairs:
    """The pairs whose sources share most of their pieces with a source, the most similar first.

    Args:
        pairs: all there are.
        index: of their sources; None: one is made, which takes a second for some 10,000 pairs.
        count: of pairs for a source.
        without_itself: leave out all whose source is the very one that is looked up. So training, which would
            otherwise be shown its answers, and learn to copy.
    """

    def __init__(self, pairs: EncodedCorpus, index: Any = None, *, count: int, without_itself: bool = False) -> None:
        """See the class docstring."""
        self.pairs, self.index = pairs, index_sources(pairs) if index is None else index
        self.count, self.without_itself = count, without_itself
        self._known: dict[bytes, NDArray[np.int64]] = {}

    @classmethod
    def open(cls, folder: Path, count: int) -> SimilarPairs:
        """Those of a memory's folder; raises UserError if it is none, or damaged."""
        read_record(folder)
        check_hashes(folder, full=None)
        return cls(EncodedCorpus.open(folder / PAIRS), load_lexical(folder / LEXICAL), count=count)

    def __call__(self, sources: NDArray[np.int32]) -> list[list[Pair]]:
        """The pairs, source and target pieces without ends, of each of sources int32 [sources, time]."""
        rows = [row[(row != PAD) & (row != EOS)] for row in sources]
        keys = [row.tobytes() for row in rows]
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._known}
        if len(self._known) + len(new) > KNOWN:
            self._known.clear()
            new = dict(zip(keys, rows, strict=True))
        self._known |= self._looked_up(new)
        return [[(self.pairs.source(i), self.pairs.target(i)) for i in self._known[key].tolist()] for key in keys]

    def _looked_up(self, rows: dict[bytes, NDArray[np.int32]]) -> dict[bytes, NDArray[np.int64]]:
        found = {}
        count = min(self.count + SPARE * self.without_itself, len(self.pairs))
        similar = most_similar(self.index, [row.tolist() for row in rows.values()], count)
        for (key, row), numbers in zip(rows.items(), similar, strict=True):
            if self.without_itself:
                numbers = numbers[[not np.array_equal(self.pairs.source(i), row) for i in numbers.tolist()]]
            found[key] = numbers[: self.count]
        return found
