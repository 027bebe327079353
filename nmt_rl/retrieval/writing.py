"""Making a memory of a model: its decoder states on pairs of sentences, written once."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.bundle import WEIGHTS, bundle_folder, load_bundle
from nmt_rl.config import BatchConfig
from nmt_rl.corpus.batches import ordered_batches
from nmt_rl.corpus.characters import plain
from nmt_rl.corpus.sources import tagged
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.errors import RunError, UserError
from nmt_rl.models.retrieval import Mixing
from nmt_rl.retrieval.fitting import Kind, fit
from nmt_rl.retrieval.memory import (
    CONTENTS,
    INDEX,
    LEXICAL,
    PAIRS,
    STATES,
    Memory,
    Scope,
    load_index,
    require_library,
    words_of,
)
from nmt_rl.retrieval.record import FORMAT, RECORD, must_belong
from nmt_rl.storage.hashes import file_hash, write_hashes
from nmt_rl.storage.ownership import mark, must_be_ours
from nmt_rl.storage.writing import write_json, written_folder

if TYPE_CHECKING:
    from nmt_rl.bundle import Bundle

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
    pieces: int
    mixing: Mixing
    likelihood: dict[str, float]
    """Mean log-probability per piece of the memory's own targets, each pair left out: `alone`, `mixed`."""


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
    """Write a memory of a model.

    Args:
        model: a model folder, or a run that holds one.
        pairs: (source, target).
        out: where to.
        scope: what is looked up; of a memory that is added to, as it has it.
        kind: how neighbours are mixed in.
        add: to the memory that stands there; else there must be nothing.
        tag: before every source.
        progress: told how many pairs are done.

    Raises:
        UserError: if `out` stands in the way, is of another model, or there is nothing to remember.
        RunError: if the disk is full.
    """
    old = None
    if add:
        must_belong(out, model)
        must_be_ours(out, CONTENTS, "be replaced")
        old = Memory.open(out)
        scope = old.scope
    elif out.exists() or out.is_symlink():
        raise UserError(f"{out} exists; give another folder, or --add to add to the memory there")
    require_library(scope)
    bundle = load_bundle(model)
    try:
        with written_folder(out, lambda there: must_be_ours(there, CONTENTS, "be replaced")) as made:
            counted = _Writer(bundle, made, old, tag, progress)(pairs)
            record = {"format": FORMAT, "model": _model_record(model, bundle), "languages": _languages(bundle)}
            written = EncodedCorpus.open(made / PAIRS)
            states = np.load(made / STATES, mmap_mode="r")
            write_index(made, scope, written, states)
            memory = Memory(made, written, states, scope, load_index(made, scope), Mixing("constant", 1, 1.0, (0.0,)))
            mixing, likelihood = fit(bundle.model, memory, kind)
            record |= {"scope": scope, "mixing": dataclasses.asdict(mixing), "likelihood": likelihood}
            write_json(made / RECORD, record)
            write_hashes(made)
            mark(made, "memory")
    except OSError as error:
        raise RunError(f"{out} could not be written: {error.strerror or error}") from error
    return Made(len(written), counted, len(states), mixing, likelihood)


def _model_record(model: Path, bundle: Bundle) -> dict[str, str]:
    return {"name": bundle.config.name, "weights": file_hash(bundle_folder(model) / WEIGHTS)}


def _languages(bundle: Bundle) -> list[str]:
    return [bundle.config.corpus.source_language, bundle.config.corpus.target_language]


class _Writer:
    """Writes pairs, states and index into a folder that is being made; gives the number of pairs that are left out."""

    def __init__(
        self, bundle: Bundle, folder: Path, old: Memory | None, tag: str, progress: Callable[[int], None]
    ) -> None:
        self.written = (lambda source: tagged(tag, source)) if tag else (lambda source: source)
        self.bundle, self.folder, self.old, self.progress = bundle, folder, old, progress
        model = bundle.model
        self.longest = min(model.max_length, bundle.config.decoding.max_source_length) - 1
        self._states = compile_fn(
            lambda source, target: model.decode_states(target, model.encode(source)).states, model
        )

    def __call__(self, pairs: Iterable[Pair]) -> int:
        sizes = (self.bundle.tokenizers.source.size, self.bundle.tokenizers.target.size)
        left_out = 0
        raw, count = self.folder / "states.raw", 0
        with CorpusWriter(self.folder / PAIRS, *sizes) as writer, raw.open("wb") as states:
            seen: set[bytes] = set()
            for sources, targets, read_states, dropped in self._parts(pairs, seen):
                left_out += dropped
                writer.append(sources, targets)
                states.write(read_states.tobytes())
                count += len(sources)
        if not count:
            raise UserError("there is nothing to remember: no pair has text on both sides that the model has room for")
        width = self.bundle.model.width
        with (self.folder / STATES).open("wb") as file:
            shape = (raw.stat().st_size // (2 * width), width)
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            with raw.open("rb") as written:
                while part := written.read(1 << 24):
                    file.write(part)
        raw.unlink()
        return left_out

    def _parts(self, pairs: Iterable[Pair], seen: set[bytes]) -> Iterator[tuple[Any, Any, Any, int]]:
        """Sources, targets, their states and how many were left out: first of the memory that is added to."""
        if self.old is not None:
            held = self.old.pairs
            for start in range(0, len(held), CHUNK):
                numbers = range(start, min(start + CHUNK, len(held)))
                sources, targets = ([side(i).tolist() for i in numbers] for side in (held.source, held.target))
                seen.update(_key(pair) for pair in zip(sources, targets, strict=True))
                yield sources, targets, self.old.keys_of(numbers), 0
        tokenizers, done = self.bundle.tokenizers, 0
        given = iter(pairs)
        while part := list(itertools.islice(given, CHUNK)):
            encoded = zip(
                tokenizers.source.encode([self.written(plain(source)) for source, _ in part]),
                tokenizers.target.encode([plain(target) for _, target in part]),
                strict=True,
            )
            kept = []
            for pair in encoded:
                fits = all(0 < len(side) <= self.longest for side in pair)
                if fits and (key := _key(pair)) not in seen:
                    seen.add(key)
                    kept.append(pair)
            sources, targets = [pair[0] for pair in kept], [pair[1] for pair in kept]
            yield sources, targets, self._read(sources, targets), len(part) - len(kept)
            done += len(part)
            self.progress(done)

    def _read(self, sources: list[list[int]], targets: list[list[int]]) -> np.ndarray:
        """float16 [pieces and ends, width], in the order of the pairs."""
        ends = np.cumsum([0, *(len(target) + 1 for target in targets)])
        found = np.zeros((int(ends[-1]), self.bundle.model.width), np.float16)
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
    library = require_library(scope)
    if scope == "like":
        index = library.BM25()
        index.index([words_of(pairs.source(i).tolist()) for i in range(len(pairs))], show_progress=False)
        index.save(str(folder / LEXICAL))
        return
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
