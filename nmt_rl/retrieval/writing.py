"""Making a memory of a model: its decoder states on pairs of sentences, written once."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.bundle import WEIGHTS, load_bundle, open_bundle
from nmt_rl.config import BatchConfig
from nmt_rl.corpus.batches import ordered_batches
from nmt_rl.corpus.characters import plain
from nmt_rl.corpus.sources import tagged
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.errors import RunError, UserError
from nmt_rl.models.retrieval import Mixing
from nmt_rl.retrieval.fitting import Kind, fit
from nmt_rl.retrieval.lexical import index_sources, require_library
from nmt_rl.retrieval.memory import CONTENTS, INDEX, STATES, Memory, Scope, load_index
from nmt_rl.retrieval.pairs import LEXICAL, PAIRS, SimilarPairs
from nmt_rl.retrieval.record import FORMAT, PAIRS_ALONE, RECORD, must_be_new, must_belong, tokenizer_hashes
from nmt_rl.storage.hashes import file_hash, write_hashes
from nmt_rl.storage.ownership import mark, must_be_ours
from nmt_rl.storage.writing import write_json, written_folder

if TYPE_CHECKING:
    from nmt_rl.bundle import Opened
    from nmt_rl.models.seq2seq import Seq2Seq

Pair = tuple[str, str]
CHUNK = 20_000
"""Pairs that are encoded and read by the model together."""
TOKENS = 4096
"""Of a batch."""
FEW = 20_000
"""States that are compared with all; more are divided into cells."""
MOST_CELLS, EXAMPLES = 4096, 40
"""Cells at most, and states for each that they are learnt from."""


@dataclasses.dataclass(frozen=True)
class Made:
    """What a memory holds."""

    pairs: int
    left_out: int
    """Blank, longer than the model reads, or there already."""
    pieces: int = 0
    """With a state each; 0 in a memory of pairs alone."""
    likelihood: dict[str, float] = dataclasses.field(default_factory=dict)
    """Mean log-probability per piece of the memory's own targets, each pair left out: `alone`, `mixed`; of one with
    states."""


def remember(
    model: Path,
    pairs: Iterable[Pair],
    out: Path,
    scope: Scope = "like",
    kind: Kind = "adaptive",
    add: bool = False,
    tag: str = "",
    progress: Callable[[int], None] = lambda pairs: None,
) -> Made:
    """Write a memory of a model: of pairs and its states, or, of one with `model.memory`, of pairs alone.

    Args:
        model: a model folder, or a run that holds one.
        pairs: (source, target).
        out: where to.
        scope: what is looked up; of a memory that is added to, as it has it. Not of pairs alone.
        kind: how neighbours are mixed in. Not of pairs alone.
        add: to the memory that stands there; else there must be nothing.
        tag: before every source.
        progress: told how many pairs are done.

    Raises:
        UserError: if `out` stands in the way, is of another model, or there is nothing to remember.
        RunError: if the disk is full.
    """
    if add:
        must_belong(out, model)
        must_be_ours(out, CONTENTS, "be replaced")
    else:
        must_be_new(out)
    opened = open_bundle(model)
    with_pairs_alone = opened.config.model.memory is not None
    old = None if not add or with_pairs_alone else Memory.open(out)
    scope = scope if old is None else old.scope
    require_library("faiss" if scope == "all" and not with_pairs_alone else "bm25s")
    bundle = None if with_pairs_alone else load_bundle(model)
    record = {
        "format": FORMAT,
        "model": {"name": opened.config.name, "weights": file_hash(opened.folder / WEIGHTS)},
        "languages": [opened.config.corpus.source_language, opened.config.corpus.target_language],
    }
    try:
        with written_folder(out, lambda there: must_be_ours(there, CONTENTS, "be replaced")) as made:
            if bundle is None:
                before = SimilarPairs.open(out, 1).pairs if add else None
                left_out = _PairWriter(opened, made, before, tag, progress).write(pairs)
                written = EncodedCorpus.open(made / PAIRS)
                index_sources(written).save(str(made / LEXICAL))
                record |= {"scope": PAIRS_ALONE, "tokenizers": tokenizer_hashes(opened.folder)}
                told = Made(len(written), left_out)
            else:
                left_out = _StateWriter(opened, made, old, tag, progress, bundle.model).write(pairs)
                told, more = _with_mixing(made, bundle.model, scope, kind, left_out)
                record |= more
            write_json(made / RECORD, record)
            write_hashes(made)
            mark(made, "memory")
    except OSError as error:
        raise RunError(f"{out} could not be written: {error.strerror or error}") from error
    return told


def _with_mixing(folder: Path, model: Seq2Seq, scope: Scope, kind: Kind, left_out: int) -> tuple[Made, dict[str, Any]]:
    """Index what was written, and find how much neighbours are to say: what is told, and stands in the record."""
    written = EncodedCorpus.open(folder / PAIRS)
    states = np.load(folder / STATES, mmap_mode="r")
    write_index(folder, scope, written, states)
    memory = Memory(folder, written, states, scope, load_index(folder, scope), Mixing("constant", 1, 1.0, (0.0,)))
    mixing, likelihood = fit(model, memory, kind)
    record = {"scope": scope, "mixing": dataclasses.asdict(mixing), "likelihood": likelihood}
    return Made(len(written), left_out, len(states), likelihood), record


class _PairWriter:
    """Writes pairs into a folder that is being made."""

    def __init__(
        self, opened: Opened, folder: Path, old: EncodedCorpus | None, tag: str, progress: Callable[[int], None]
    ) -> None:
        self.written = (lambda source: tagged(tag, source)) if tag else (lambda source: source)
        self.tokenizers, self.folder, self.old, self.progress = opened.tokenizers, folder, old, progress
        config = opened.config
        self.longest = min(getattr(config.model, "max_positions", sys.maxsize), config.decoding.max_source_length) - 1

    def write(self, pairs: Iterable[Pair]) -> int:
        """The number of pairs that are left out."""
        left_out = count = 0
        with CorpusWriter(self.folder / PAIRS, self.tokenizers.source.size, self.tokenizers.target.size) as writer:
            for sources, targets, numbers, dropped in self._parts(pairs):
                writer.append(sources, targets)
                self.add(sources, targets, numbers)
                left_out += dropped
                count += len(sources)
        if not count:
            raise UserError("there is nothing to remember: no pair has text on both sides that the model has room for")
        return left_out

    def add(self, sources: list[list[int]], targets: list[list[int]], numbers: range | None) -> None:
        """What else is kept of pairs; `numbers`: of those that the memory held before."""

    def _parts(self, pairs: Iterable[Pair]) -> Iterator[tuple[Any, Any, range | None, int]]:
        """Sources, targets, their old numbers and how many were left out: first of the memory that is added to."""
        seen: set[bytes] = set()
        if self.old is not None:
            for start in range(0, len(self.old), CHUNK):
                numbers = range(start, min(start + CHUNK, len(self.old)))
                sources, targets = ([side(i).tolist() for i in numbers] for side in (self.old.source, self.old.target))
                seen.update(_key(pair) for pair in zip(sources, targets, strict=True))
                yield sources, targets, numbers, 0
        done, given = 0, iter(pairs)
        while part := list(itertools.islice(given, CHUNK)):
            encoded = zip(
                self.tokenizers.source.encode([self.written(plain(source)) for source, _ in part]),
                self.tokenizers.target.encode([plain(target) for _, target in part]),
                strict=True,
            )
            kept = []
            for pair in encoded:
                fits = all(0 < len(side) <= self.longest for side in pair)
                if fits and (key := _key(pair)) not in seen:
                    seen.add(key)
                    kept.append(pair)
            yield [pair[0] for pair in kept], [pair[1] for pair in kept], None, len(part) - len(kept)
            done += len(part)
            self.progress(done)


class _StateWriter(_PairWriter):
    """Writes pairs, and the states of a model before each of their pieces."""

    def __init__(
        self,
        opened: Opened,
        folder: Path,
        old: Memory | None,
        tag: str,
        progress: Callable[[int], None],
        model: Seq2Seq,
    ) -> None:
        super().__init__(opened, folder, None if old is None else old.pairs, tag, progress)
        self.memory, self.width = old, model.width
        self._states = compile_fn(
            lambda source, target: model.decode_states(target, model.encode(source)).states, model
        )

    def write(self, pairs: Iterable[Pair]) -> int:
        """See _PairWriter.write."""
        raw = self.folder / "states.raw"
        with raw.open("wb") as self._raw:
            left_out = super().write(pairs)
        with (self.folder / STATES).open("wb") as file:
            shape = (raw.stat().st_size // (2 * self.width), self.width)
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            with raw.open("rb") as written:
                while part := written.read(1 << 24):
                    file.write(part)
        raw.unlink()
        return left_out

    def add(self, sources: list[list[int]], targets: list[list[int]], numbers: range | None) -> None:
        """See _PairWriter.add."""
        if numbers is not None and self.memory is not None:
            self._raw.write(self.memory.keys_of(numbers).tobytes())
        else:
            self._raw.write(self._read(sources, targets).tobytes())

    def _read(self, sources: list[list[int]], targets: list[list[int]]) -> np.ndarray:
        """float16 [pieces and ends, width], in the order of the pairs."""
        ends = np.cumsum([0, *(len(target) + 1 for target in targets)])
        found = np.zeros((int(ends[-1]), self.width), np.float16)
        config = BatchConfig(type="tokens", size=TOKENS, max_length=max(self.longest + 1, 4))
        for batch in ordered_batches(sources, targets, config) if sources else ():
            states = ops.convert_to_numpy(self._states(batch.source, batch.target_in))
            for row, number in enumerate(batch.indices):
                if number >= 0:
                    count = int((batch.target_out[row] != PAD).sum())
                    found[ends[number] : ends[number + 1]] = states[row, :count]
        return found


def write_index(folder: Path, scope: Scope, pairs: EncodedCorpus, states: np.ndarray) -> None:
    """Index the sources of pairs, or states float16 [n, width], into a memory's folder."""
    if scope == "like":
        index_sources(pairs).save(str(folder / LEXICAL))
        return
    library = require_library("faiss")
    count, width = states.shape
    cells = min(MOST_CELLS, int(4 * count**0.5))
    index = library.index_factory(width, f"IVF{cells},SQfp16" if count >= FEW else "Flat")
    if count >= FEW:
        chosen = np.random.default_rng(1).permutation(count)[: EXAMPLES * cells]
        index.train(np.ascontiguousarray(states[np.sort(chosen)], np.float32))
    for start in range(0, count, CHUNK):
        index.add(np.ascontiguousarray(states[start : start + CHUNK], np.float32))
    library.write_index(index, str(folder / INDEX))


def _key(pair: tuple[list[int], list[int]]) -> bytes:
    source, target = (np.asarray(side, "<i4").tobytes() for side in pair)
    return b"%d:%b%b" % (len(source), source, target)
