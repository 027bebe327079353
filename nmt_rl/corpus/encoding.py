"""From clean text to token ids: parts by several processes, then one store."""

from __future__ import annotations

import functools
import hashlib
import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt_rl.corpus.clean_text import CleanText, read_part
from nmt_rl.corpus.cleaning import TOO_MANY_PIECES
from nmt_rl.corpus.pair_progress import pair_progress
from nmt_rl.corpus.processes import in_order
from nmt_rl.corpus.store import CorpusWriter, ragged
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.storage.writing import written_file


def encode(text: CleanText, tokenizers: Path, max_length: int, folder: Path, processes: int) -> str:
    """Encode a text into a store, leaving out (and counting) too long pairs; the text's SHA-256.

    Args:
        text: cleaned, its duplicates marked; its report counts what is too long.
        tokenizers: folder of the tokenizers.
        max_length: pieces of a side, EOS included.
        folder: of the store; is made. Encoded parts stay beside the text's.
        processes: that encode.
    """
    both, digest, done, too_long = load_tokenizers(tokenizers), hashlib.sha256(), 0, 0
    calls = ((path, kept, tokenizers, max_length) for path, kept in text.parts())
    total = text.report.kept
    with CorpusWriter(folder, both.source.size, both.target.size) as writer, pair_progress("encoded", total) as tell:
        parts = zip(in_order(encode_part, calls, processes), text.parts(), text.sources, strict=True)
        for encoded, (path, kept), number in parts:
            pairs = read_part(path) if kept is None else itertools.compress(read_part(path), kept)
            for source, target in pairs:
                digest.update(f"{source}\t{target}\n".encode())
            with np.load(encoded, allow_pickle=False) as arrays:
                sides = [(arrays[side], arrays[f"{side}_lengths"]) for side in ("source", "target")]
            fits = fitting(path, max_length)
            too_long += int(np.count_nonzero(~fits))
            rows, columns = ((flat[np.repeat(fits, lengths)], lengths[fits]) for flat, lengths in sides)
            writer.append_ragged(rows, columns, number)
            done += len(fits)
            tell(done)
    text.report.dropped.update({TOO_MANY_PIECES: too_long} if too_long else {})
    return digest.hexdigest()


def encode_part(path: Path, kept: NDArray[np.bool_] | None, tokenizers: Path, max_length: int) -> Path:
    """Encode what is left of a part into a file beside it, and return that; nothing is done if it is there."""
    encoded = path.with_suffix(".npz")
    if encoded.exists():
        return encoded
    both, pairs = load_tokenizers(tokenizers), read_part(path)
    left = list(pairs if kept is None else itertools.compress(pairs, kept))
    sides = {"source": both.source, "target": both.target}
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, (side, tokenizer) in enumerate(sides.items()):
        arrays[side], arrays[f"{side}_lengths"] = ragged(tokenizer.encode([pair[number] for pair in left]))
    with written_file(encoded) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return encoded


def fitting(path: Path, max_length: int) -> NDArray[np.bool_]:
    """Which pairs that are left of a part, encoded, go into the store: bool [pairs]."""
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        fits: NDArray[np.bool_] = (arrays["source_lengths"] < max_length) & (arrays["target_lengths"] < max_length)
    return fits


@functools.lru_cache(maxsize=1)
def load_tokenizers(folder: Path) -> Tokenizers:
    """Once in each process."""
    return Tokenizers.load(folder)
