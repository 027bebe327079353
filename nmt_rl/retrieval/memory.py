"""A memory: pairs of sentences with the decoder states of a model on them, and an index of the words of their sources.

pairs/         the pairs, encoded (corpus.store)
states.npy     float16 [target pieces and ends, width]: the decoder's state before each of them
lexical/       BM25 index of the sources' pieces (bm25s), of a memory that is looked up by sources
states.faiss   index of the states (FAISS), of one that is searched as a whole
memory.json    format, `model` (name and hash of its weights), languages, `scope`, and `mixing`, how much neighbours say
hashes.json    what the files were when they were written
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmt_rl.bundle import Bundle, load_bundle, read_bundle_config
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.errors import UserError
from nmt_rl.models.neighbours import FAR
from nmt_rl.models.pair_memory import recalling
from nmt_rl.models.retrieval import Mixing, Recalled, Retrieval, Searched, Store
from nmt_rl.retrieval.lexical import load_lexical, most_similar, require_library
from nmt_rl.retrieval.pairs import LEXICAL, PAIRS, SimilarPairs
from nmt_rl.retrieval.record import RECORD, read_record
from nmt_rl.storage.hashes import HASHES, check_hashes
from nmt_rl.storage.reading import must_be

STATES, INDEX = "states.npy", "states.faiss"
CONTENTS = (PAIRS, STATES, LEXICAL, INDEX, RECORD, HASHES)
Scope = Literal["like", "all"]
"""What is looked up: the pairs with sources like the one that is translated, or all."""
PROBES = 16
"""Cells of the index of states that are searched."""
SENTENCES = 16
"""Pairs that are looked up for a source (Dai et al., 2023)."""
LONGEST = 4096
"""Keys of a source, at most."""


@dataclass(frozen=True)
class Memory:
    """An open memory."""

    folder: Path
    pairs: EncodedCorpus
    states: NDArray[Any]
    """float16 [target pieces and ends, width], memory-mapped."""
    scope: Scope
    index: Any
    """bm25s.BM25 of the sources, or FAISS' of the states."""
    mixing: Mixing

    @classmethod
    def open(cls, folder: Path) -> Memory:
        """Open a memory's folder; raises UserError if it is none, or damaged."""
        record = read_record(folder)
        check_hashes(folder, full=None)
        pairs, states = EncodedCorpus.open(folder / PAIRS), _open_states(folder / STATES)
        tokens = len(pairs) + int(pairs.sides[1].offsets[-1])
        if states.ndim != 2 or len(states) != tokens:
            raise UserError(f"{folder / STATES} is damaged: it has {len(states)} states of {tokens} pieces")
        scope: Scope = "all" if record.get("scope") == "all" else "like"
        return cls(folder, pairs, states, scope, load_index(folder, scope), mixing_of(record, folder / RECORD))

    def store(self) -> Store:
        """As a model looks it up."""
        return Searched(self.search, self.origins) if self.scope == "all" else Recalled(self.recall)

    @cached_property
    def values(self) -> NDArray[np.int32]:
        """The piece that follows each state."""
        side = self.pairs.sides[1]
        ends = side.offsets[1:] + np.arange(len(self.pairs))
        found = np.full(len(self.states), EOS, np.int32)
        found[np.delete(np.arange(len(found)), ends)] = side.tokens
        return found

    def search(self, states: NDArray[Any], count: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """The nearest of all states: squared distances float32 and pieces int32 [rows, count]."""
        distances, places = self.places(states, count)
        return distances, np.where(places >= 0, self.values[places], 0).astype(np.int32)

    def origins(self, states: NDArray[Any], count: int) -> NDArray[np.int32]:
        """Of which pairs the nearest of all states are, int32 [rows, count]; 0 where there is none."""
        places = np.maximum(self.places(states, count)[1], 0)
        ends = self.pairs.sides[1].offsets[1:] + np.arange(len(self.pairs))
        return np.searchsorted(ends, places).astype(np.int32)

    def places(self, states: NDArray[Any], count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The same with places of states, -1 where there is none, int64 [rows, count]."""
        distances, places = self.index.search(np.ascontiguousarray(states, np.float32), count)
        return np.where(places >= 0, np.maximum(distances, 0), FAR).astype(np.float32), places

    def found(self, sources: list[list[int]], without: list[int] | None = None) -> list[NDArray[np.int64]]:
        """The pairs whose sources are most like each of some sources, best first, int64 [SENTENCES or fewer].

        Args:
            sources: pieces.
            without: of each source the pair that it is itself, which is left out.
        """
        rows = most_similar(self.index, sources, min(SENTENCES + (without is not None), len(self.pairs)))
        if without is not None:
            rows = [row[row != own] for row, own in zip(rows, without, strict=True)]
        return [row[:SENTENCES] for row in rows]

    def keys(self, pairs: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """States float16 [n, width] and the pieces that follow them int32 [n], ends included, of some pairs."""
        offsets = self.pairs.sides[1].offsets
        places = [np.arange(offsets[i] + i, offsets[i + 1] + i + 1) for i in pairs]
        flat = np.concatenate([np.zeros(0, np.int64), *places])[:LONGEST]
        values = [np.append(self.pairs.target(int(i)), EOS) for i in pairs]
        return self.states[flat], np.concatenate([np.zeros(0, np.int32), *values])[:LONGEST].astype(np.int32)

    def keys_of(self, pairs: range) -> NDArray[Any]:
        """States of pairs that stand next to each other, float16 [pieces and ends, width]."""
        offsets = self.pairs.sides[1].offsets
        return np.array(self.states[offsets[pairs.start] + pairs.start : offsets[pairs.stop] + pairs.stop])

    def recall(self, source: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
        """See `models.retrieval.Recalled`; the number of keys is a power of two, so that there are few shapes."""
        rows = [row[(row != PAD) & (row != EOS)].tolist() for row in source]
        found = self.found(rows)
        kept = [self.keys(pairs) for pairs in found]
        most = max([self.mixing.neighbours, 32, *(len(values) for _, values in kept)])
        size = 1 << (most - 1).bit_length()
        keys = np.zeros((len(rows), size, self.states.shape[1]), np.float32)
        values, pairs = np.zeros((2, len(rows), size), np.int32)
        for row, (states, pieces) in enumerate(kept):
            keys[row, : len(states)], values[row, : len(pieces)] = states, pieces
            lengths = self.pairs.sides[1].lengths(found[row]) + 1
            pairs[row, : len(pieces)] = np.repeat(found[row], lengths)[: len(pieces)]
        return {"keys": keys, "values": values, "pairs": pairs}


def load_remembering(model: Path, folder: Path, precision: str = "float32") -> Bundle:
    """A model folder with the memory of another: what it reads (`model.memory`), or looks up beside what it says.

    Raises:
        UserError: if one of them is none, or damaged.
    """
    layer = read_bundle_config(model)[0].model.memory
    if layer is not None:
        with recalling(SimilarPairs.open(folder, layer.pairs)):
            return load_bundle(model, precision)
    bundle, memory = load_bundle(model, precision), Memory.open(folder)
    return replace(bundle, model=Retrieval(bundle.model, memory.store(), memory.mixing))


def _open_states(path: Path) -> NDArray[Any]:
    try:
        states: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from None
    return states


def load_index(folder: Path, scope: Scope) -> Any:
    """The index of a memory's folder; raises UserError if it is damaged."""
    if scope == "like":
        return load_lexical(folder / LEXICAL)
    library, path = require_library("faiss"), folder / INDEX
    try:
        index = library.read_index(str(path))
    except Exception as error:  # FAISS fails in many ways.
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from None
    if hasattr(index, "nprobe"):  # Not of few states, which are all compared.
        index.nprobe = PROBES
    return index


def mixing_of(record: dict[str, Any], path: Path) -> Mixing:
    """How much neighbours say, by the record."""
    found = must_be(record.get("mixing"), dict, f"{path}: mixing")
    numbers = must_be(found.get("numbers"), list, f"{path}: mixing.numbers")
    kind: Any = must_be(found.get("kind"), str, f"{path}: mixing.kind")
    temperature = must_be(found.get("temperature"), float, f"{path}: mixing.temperature")
    count = must_be(found.get("neighbours"), int, f"{path}: mixing.neighbours")
    wanted = {"constant": 1, "distance": 1, "adaptive": 5}
    if wanted.get(kind) != len(numbers) or count < 1 or temperature <= 0:
        raise UserError(f"{path} is damaged: mixing has {found}")
    return Mixing(kind, count, temperature, tuple(float(number) for number in numbers))
