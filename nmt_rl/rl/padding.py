"""Translations and their sources as arrays, of few widths on a backend that compiles anew for each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import BatchConfig, DecodingConfig
from nmt_rl.corpus.batches import Batch, bucket_lengths, pad_mode, pad_source
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import BOS, PAD
from nmt_rl.decoding.hypotheses import length_limits

WIDTHS = (8, 16, 24, 32, 48, 64, 96, 128)
"""Of translations and their sources where shapes must be few: each costs several compilations in fine-tuning."""


def source_limits(source: NDArray[np.int32], decoding: DecodingConfig, longest: int) -> NDArray[np.int32]:
    """Most pieces of the translation of each source int32 [batch, source], as in translating; see `length_limits`."""
    return length_limits((source != PAD).sum(axis=1) - 1, decoding, longest)


def padded_length(length: int, longest: int) -> int:
    """Length to which translations are padded for a model: up to a bucket on JAX, which compiles anew for each shape.

    Args:
        length: of the longest translation.
        longest: what the model has room for.
    """
    if pad_mode(BatchConfig()) == "longest":
        return length
    return min(int(bucket_lengths(np.array([length]), WIDTHS)[0]), longest)


def padded_to(ids: NDArray[np.int32], longest: int) -> NDArray[np.int32]:
    """Translations int32 [batch, time] with PAD behind them up to `padded_length`."""
    return np.pad(ids, ((0, 0), (0, padded_length(ids.shape[1], longest) - ids.shape[1])))


def shift_right(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Decoder input of translations int32 [batch, time]: BOS, then all but the last piece."""
    return np.concatenate([np.full((len(ids), 1), BOS, np.int32), ids[:, :-1]], axis=1)


def corpus_sources(corpus: EncodedCorpus, source_id: NDArray[np.int64], longest: int) -> NDArray[np.int32]:
    """Sources of the corpus by their places in it [batch], as models read them, int32 [batch, source]."""
    pieces = [corpus.source(int(i)).tolist() for i in source_id]
    return pad_source(pieces, padded_length(max(map(len, pieces)) + 1, longest))


def corpus_pairs(corpus: EncodedCorpus, source_id: NDArray[np.int64], longest: int) -> Batch:
    """Pairs of the corpus by their places in it [batch]."""
    references = [corpus.target(int(i)).tolist() for i in source_id]
    target = pad_source(references, padded_length(max(map(len, references)) + 1, longest) - 1)
    return Batch(corpus_sources(corpus, source_id, longest), shift_right(target), target, source_id)
