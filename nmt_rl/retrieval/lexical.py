"""An index of sources by their pieces (BM25, by bm25s), without Keras."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.errors import UserError


def require_library(name: str) -> Any:
    """What looks a memory up, bm25s or faiss; raises UserError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"such a memory needs {name}; pip install 'nmt-rl[memory]'") from None


def index_sources(pairs: EncodedCorpus) -> Any:
    """bm25s.BM25 of the sources of pairs."""
    index = require_library("bm25s").BM25()
    index.index([words_of(pairs.source(i).tolist()) for i in range(len(pairs))], show_progress=False)
    return index


def load_lexical(path: Path) -> Any:
    """The index in a folder; raises UserError if it is damaged."""
    library = require_library("bm25s")
    try:
        return library.BM25.load(str(path), mmap=True)
    except Exception as error:  # JSON and NumPy fail in many ways.
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from None


def most_similar(index: Any, sources: Sequence[list[int]], count: int) -> list[NDArray[np.int64]]:
    """Numbers of the pairs whose sources share most with each of some sources, best first, int64 [count or fewer].

    Of equally similar ones the first come first: the library's own choice among them depends on the processor and
    on what else is installed.

    Args:
        index: of `index_sources`.
        sources: pieces.
        count: of pairs for a source, at most those of the index.
    """
    nothing = np.zeros(0, np.int64)
    return [best(index.get_scores(words_of(source)), count) if source else nothing for source in sources]


def best(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Places of the count largest of scores [pairs] above 0, the largest first, of equal ones the first first."""
    least = np.partition(scores, -count)[-count]
    places = np.flatnonzero((scores >= least) & (scores > 0))
    return places[np.argsort(-scores[places], kind="stable")][:count]


def words_of(source: list[int]) -> list[str]:
    """Pieces as the words of the index."""
    return list(map(str, source))
