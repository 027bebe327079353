"""The encoded corpus on disk: packed token arrays, memory-mapped."""

from __future__ import annotations

import hashlib
import mmap
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.corpus.mixture import Mixture, draws_of
from nmt_rl.errors import UserError
from nmt_rl.storage.reading import file_size, must_be, read_json
from nmt_rl.storage.writing import write_json

Ragged = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Sentences in a row: tokens int32 [sum of lengths], and lengths int64 [sentences]."""

CHUNK = 1024
"""Pairs that are read before their pages are given back: one touch may map two megabytes on a recent kernel."""


@dataclass(frozen=True)
class PackedSide:
    """One language: the tokens of all sentences in a row, and where each begins.

    Attributes:
        tokens: uint16 or uint32 [tokens], memory-mapped, or int32 in RAM.
        offsets: int64 [pairs + 1]; sentence i is tokens[offsets[i]:offsets[i + 1]].
    """

    tokens: NDArray[Any]
    offsets: NDArray[np.int64]

    def lengths(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of pieces of some sentences, int64, without BOS and EOS."""
        return self.offsets[indices + 1] - self.offsets[indices]

    def gather(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Tokens of some sentences in a row (int32), and their lengths (int64)."""
        starts, lengths = self.offsets[indices], self.lengths(indices)
        ends = np.cumsum(lengths)
        flat = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
        return self.tokens[flat].astype(np.int32), lengths

    @classmethod
    def concatenate(cls, parts: Sequence[tuple[NDArray[np.int32], NDArray[np.int64]]]) -> PackedSide:
        """The sentences that `gather` returned, in RAM."""
        tokens = [np.empty(0, np.int32), *(tokens for tokens, _ in parts)]
        lengths = [np.zeros(1, np.int64), *(lengths for _, lengths in parts)]
        return cls(np.concatenate(tokens), np.cumsum(np.concatenate(lengths)))


class EncodedCorpus:
    """Encoded sentence pairs, opened as memory maps: opening costs no memory, reading only what is touched.

    Args:
        source: the source side.
        target: the target side.
        header: content of corpus.json.
        links: what `LinkWriter` wrote.
    """

    def __init__(
        self, source: PackedSide, target: PackedSide, header: dict[str, Any], links: PackedSide | None = None
    ) -> None:
        self.sides = (source, target)
        self.links = links
        """Of each pair: which pieces belong together, places in source and target by turns."""
        self.header = header
        self.mixture = Mixture(self.pairs_of_sources, self.pairs_of_sources)
        """Of the sources in an epoch."""

    def mix(self, weights: Sequence[float], temperature: float) -> None:
        """Let epochs go through some sources more often than through others; see `draws_of`."""
        pairs = [*self.pairs_of_sources, *[0] * (len(weights) - len(self.pairs_of_sources))]
        self.mixture = Mixture(pairs, draws_of(pairs, weights, temperature))

    @classmethod
    def open(cls, folder: Path) -> EncodedCorpus:
        """Open what `CorpusWriter` wrote; raises UserError naming the file that is missing or damaged."""
        header = read_json(folder / "corpus.json")
        source, target = (_open_side(folder, side, header) for side in ("source", "target"))
        if len(source.offsets) != len(target.offsets):
            raise UserError(
                f"{folder} is damaged: {len(source.offsets)} source and {len(target.offsets)} target offsets"
            )
        where, pairs = folder / "corpus.json", len(source.offsets) - 1
        sources = must_be(header.get("sources", []), list, f"{where}: sources")
        if sources and sum(must_be(count, int, f"{where}: sources") for count in sources) != pairs:
            raise UserError(f"{where} is damaged: sources has {sources}, but there are {pairs} pairs")
        links = _open_side(folder, "links", header) if "links_tokens" in header else None
        return cls(source, target, header, links)

    def __len__(self) -> int:
        return len(self.sides[0].offsets) - 1

    @property
    def pairs_of_sources(self) -> list[int]:
        """Pairs of each training source, one after the other in the corpus; one source if it is not known."""
        return self.header.get("sources") or [len(self)]

    def source(self, i: int) -> NDArray[np.int32]:
        """Source pieces of pair i, int32 [source], without EOS."""
        return _sentence(self.sides[0], i)

    def target(self, i: int) -> NDArray[np.int32]:
        """Target pieces of pair i, int32 [target], without BOS and EOS."""
        return _sentence(self.sides[1], i)

    @property
    def source_lengths(self) -> NDArray[np.int64]:
        """Pieces of every source, int64 [pairs]; a new array in RAM."""
        return np.diff(self.sides[0].offsets)

    @property
    def target_lengths(self) -> NDArray[np.int64]:
        """Pieces of every target, int64 [pairs]; a new array in RAM."""
        return np.diff(self.sides[1].offsets)

    def lengths(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pieces of both sides of some pairs, int64 [2, pairs], without BOS and EOS. Sorted `indices` read fastest."""
        lengths = np.empty((2, len(indices)), np.int64)
        for start in range(0, len(indices), CHUNK):
            part = slice(start, start + CHUNK)
            for row, side in zip(lengths, self.sides, strict=True):
                row[part] = side.lengths(indices[part])
            self.release()
        return lengths

    def load(self, indices: NDArray[np.int64]) -> tuple[PackedSide, PackedSide]:
        """A copy of some pairs in RAM, numbered from 0 in their order. Sorted `indices` read fastest."""
        parts: tuple[list[Any], list[Any]] = ([], [])
        for start in range(0, len(indices), CHUNK):
            for part, side in zip(parts, self.sides, strict=True):
                part.append(side.gather(indices[start : start + CHUNK]))
            self.release()
        source, target = (PackedSide.concatenate(part) for part in parts)
        return source, target

    def release(self) -> None:
        """Give the pages read so far back to the system, so that resident memory does not grow with the corpus."""
        for side in (*self.sides, *([] if self.links is None else [self.links])):
            for array in (side.tokens, side.offsets):
                mapped: Any = array
                while mapped is not None and not isinstance(mapped, mmap.mmap):
                    mapped = getattr(mapped, "base", None)
                if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
                    mapped.madvise(mmap.MADV_DONTNEED)


def _open_side(folder: Path, side: str, header: dict[str, Any]) -> PackedSide:
    tokens, offsets = (_open_array(folder / f"{side}.{part}.npy") for part in ("tokens", "offsets"))
    counts = (len(offsets) - 1, int(offsets[-1]), len(tokens))
    pairs, written = (
        must_be(header.get(name), int, f"{folder / 'corpus.json'}: {name}") for name in ("pairs", f"{side}_tokens")
    )
    if counts != (pairs, written, written):
        found = f"{counts[0]} pairs that end at token {counts[1]} of {counts[2]}"
        raise UserError(
            f"{folder} is damaged: {side} has {found}, where {pairs} pairs of {written} tokens were written"
        )
    # plain views: NumPy's memmap subclass makes every small operation slower
    return PackedSide(tokens.view(np.ndarray), offsets.view(np.ndarray))


def _open_array(path: Path) -> NDArray[Any]:
    """A memory-mapped array of whole numbers; offsets have at least one."""
    file_size(path)
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy evaluates the header, which fails in many ways
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from None
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iu":
        raise UserError(f"{path} is damaged: it does not hold a row of whole numbers")
    if not len(array) and path.name.endswith("offsets.npy"):
        raise UserError(f"{path} is damaged: it holds no offset")
    return array


def _sentence(side: PackedSide, i: int) -> NDArray[np.int32]:
    if not 0 <= i < len(side.offsets) - 1:
        raise IndexError(f"pair {i} of {len(side.offsets) - 1}")
    return side.tokens[side.offsets[i] : side.offsets[i + 1]].astype(np.int32)


def ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    """Sentences in a row."""
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    return np.fromiter((token for row in rows for token in row), np.int32, int(lengths.sum())), lengths


class CorpusWriter:
    """Writes an encoded corpus in a stream; a context manager, complete when it closes. What fails leaves nothing.

    Args:
        folder: is made.
        source_size: pieces of the source vocabulary; tokens are uint16 if both fit, else uint32.
        target_size: pieces of the target vocabulary.
    """

    def __init__(self, folder: Path, source_size: int, target_size: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        dtype = np.dtype(np.uint16 if max(source_size, target_size) <= 65536 else np.uint32)
        self._sides = [_SideWriter(folder, side, dtype) for side in ("source", "target")]
        self._pairs: list[int] = []
        """Of each training source."""

    def append(self, source: Sequence[Sequence[int]], target: Sequence[Sequence[int]]) -> None:
        """Add encoded pairs, without BOS and EOS."""
        self.append_ragged(ragged(source), ragged(target))

    def append_ragged(self, source: Ragged, target: Ragged, number: int = 0) -> None:
        """Add encoded pairs, without BOS and EOS, that lie in a row; they are of the training source of this number."""
        self._pairs.extend([0] * (number + 1 - len(self._pairs)))
        self._pairs[number] += len(source[1])
        if len(source[1]) != len(target[1]):
            raise ValueError(f"{len(source[1])} sources but {len(target[1])} targets")
        for side, (flat, lengths) in zip(self._sides, (source, target), strict=True):
            side.append(flat, lengths)

    def __enter__(self) -> CorpusWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for side in self._sides:
            side.close()
        if kind is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        source, target = self._sides
        digest = hashlib.sha256(b"".join(part.digest() for side in self._sides for part in side.digests)).hexdigest()
        header = {
            "pairs": source.offsets.length - 1,
            "sources": self._pairs,
            "source_tokens": source.tokens.length,
            "target_tokens": target.tokens.length,
            "sha256": digest,
        }
        write_json(self.folder / "corpus.json", header)


class LinkWriter:
    """Writes the links of all pairs of a store in a stream; a context manager, complete when it closes.

    Args:
        folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        """See the class docstring."""
        self.folder = folder
        self._side = _SideWriter(folder, "links", np.dtype(np.uint16))

    def append(self, links: Sequence[int]) -> None:
        """Add those of the next pair: places of a source and of a target piece, by turns."""
        flat = np.asarray(links, np.int32)
        kept = flat if flat.max(initial=0) < 2**16 else flat[:0]
        self._side.append(kept, np.array([len(kept)]))

    def __enter__(self) -> LinkWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._side.close()
        if kind is None:
            path = self.folder / "corpus.json"
            write_json(path, {**read_json(path), "links_tokens": self._side.tokens.length})


class _SideWriter:
    """Appends sentences to the two arrays of one side."""

    def __init__(self, folder: Path, side: str, dtype: np.dtype[Any]) -> None:
        self.tokens = _ArrayWriter(folder / f"{side}.tokens.npy", dtype)
        self.offsets = _ArrayWriter(folder / f"{side}.offsets.npy", np.dtype(np.int64))
        self.offsets.append(np.zeros(1, np.int64))
        self.digests = (hashlib.sha256(), hashlib.sha256())

    def append(self, flat: NDArray[np.int32], lengths: NDArray[np.int64]) -> None:
        self.digests[0].update(lengths.astype("<i8").tobytes())
        self.digests[1].update(flat.astype("<u4").tobytes())
        self.offsets.append(self.tokens.length + np.cumsum(lengths))
        self.tokens.append(flat)

    def close(self) -> None:
        self.tokens.close()
        self.offsets.close()


class _ArrayWriter:
    """A one-dimensional .npy file that grows; the header is written again, in place, when it closes."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.dtype, self.length = dtype, 0
        self._file: IO[bytes] = path.open("wb")
        self._write_header()

    def append(self, values: NDArray[Any]) -> None:
        self._file.write(values.astype(self.dtype, copy=False).tobytes())
        self.length += len(values)

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis may grow to 21 digits: its size never changes
        description = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": description, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, header)
