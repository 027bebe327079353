"""Translations drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.decoding.generator import Generator
from nmt_rl.decoding.hypotheses import Hypotheses, Prefix
from nmt_rl.decoding.penalties import length_penalty
from nmt_rl.decoding.restrictions import Restrictions

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig
    from nmt_rl.models.seq2seq import Seq2Seq


class Sampler:
    """A Search that draws: its hypotheses are samples, in the order in which they were drawn.

    What is drawn for a source depends on the seed and on the source alone.

    Args:
        model: the built model; its current weights are used at each call.
        settings: samples, temperature, top_k, top_p, seed; repetitions; length penalty of the scores.
        banned: piece ids of phrases that no sample may contain.
        byte_values: of pieces, so that bytes drawn make characters; see `Restrictions`.
    """

    def __init__(
        self,
        model: Seq2Seq,
        settings: DecodingConfig,
        banned: Sequence[Sequence[int]] = (),
        byte_values: np.ndarray | None = None,
    ) -> None:
        """See the class docstring."""
        self.settings, self.max_length = settings, model.max_length
        restrictions = Restrictions.of(settings, banned, byte_values=byte_values)
        self._generator = Generator(model, settings.top_k, settings.top_p, restrictions=restrictions)

    def __call__(self, source: np.ndarray, max_lengths: np.ndarray, prefix: Prefix | None = None) -> Hypotheses:
        """See Search."""
        settings, count = self.settings, self.settings.samples
        seeds = [[settings.seed, n, *row[row != PAD].tolist()] for row in source for n in range(count)]
        rows, limits = np.repeat(source, count, axis=0), np.repeat(max_lengths, count)
        ids, lengths = (np.repeat(array, count, axis=0) for array in prefix) if prefix else (None, None)
        found = self._generator(rows, limits, ids, lengths, temperature=settings.temperature, seed=seeds)
        shape = (len(source), count)
        lengths, log_probs = found.lengths.reshape(shape), found.log_probs.sum(axis=1).reshape(shape)
        divisors = length_penalty(lengths.astype("float32"), settings.length_penalty, settings.length_normalization)
        return Hypotheses(found.ids.reshape(*shape, -1), lengths, log_probs, log_probs / divisors)
