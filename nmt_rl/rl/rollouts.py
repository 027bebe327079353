"""Rollouts of the current policy: greedy translations, their forks, and samples of the behaviour policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import BatchConfig, DecodingConfig
from nmt_rl.corpus.batches import bucket_lengths, pad_mode
from nmt_rl.corpus.tokenizer import BOS, PAD, Tokenizer
from nmt_rl.decoding.search import Generation, Generator
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.rl.bleu import Reference
from nmt_rl.rl.reward import sentence_scores


@dataclass(frozen=True)
class Forks:
    """States on greedy translations where the runner-up was tried too; `n` forks.

    Attributes:
        row: which sentence of the batch each fork is on, int32 [n].
        time: at which piece, int32 [n].
        actions: the greedy piece a and its runner-up a', int32 [n, 2].
        values: BLEU of the two continuations under the greedy policy, float64 [n, 2], in [0, 1].
    """

    row: NDArray[np.int32]
    time: NDArray[np.int32]
    actions: NDArray[np.int32]
    values: NDArray[np.float64]


class ForkRollout:
    """Plays the greedy policy, and from some states its runner-up action followed by the greedy policy again.

    Transitions and policy are deterministic, so BLEU(y) - BLEU(y') is the exact difference of the greedy policy's Q of
    the two actions.

    Args:
        model: its current weights are the policy.
        tokenizer: of the target side.
        decoding: limits of the length.
        forks: most forks per sentence.
        probability: fork only where the runner-up's probability exceeds this.
    """

    def __init__(
        self, model: Seq2Seq, tokenizer: Tokenizer, decoding: DecodingConfig, forks: int, probability: float
    ) -> None:
        """See the class docstring."""
        self.tokenizer, self.decoding, self.forks, self.probability = tokenizer, decoding, forks, probability
        self._longest = model.max_length
        self._greedy = Generator(model, runner_up=True)
        self._continue = Generator(model)

    def play(
        self, source: NDArray[np.int32], references: Sequence[Reference], rng: np.random.Generator
    ) -> tuple[Generation, NDArray[np.float64], Forks]:
        """Greedy translations of source ids [batch, source], their BLEU [batch], and their forks."""
        limits = length_limits(source, self.decoding, self._longest)
        greedy = self._greedy(source, limits)
        scores = sentence_scores(self.tokenizer.decode(greedy.ids), references)
        assert greedy.runner_up is not None and greedy.runner_up_probs is not None
        row, time = choose_forks(greedy.runner_up_probs, greedy.lengths, self.forks, self.probability, rng)
        actions = np.stack([greedy.ids[row, time], greedy.runner_up[row, time]], axis=1)
        if not len(row):
            return greedy, scores, Forks(row, time, actions, np.zeros((0, 2)))
        prefix = np.where(np.arange(greedy.ids.shape[1]) < time[:, None], greedy.ids[row], PAD)
        prefix[np.arange(len(row)), time] = actions[:, 1]
        forked = self._continue(source[row], limits[row], prefix, time + 1)
        values = sentence_scores(self.tokenizer.decode(forked.ids), [references[i] for i in row])
        return greedy, scores, Forks(row, time, actions, np.stack([scores[row], values], axis=1))


def choose_forks(
    runner_up_probs: NDArray[np.float32],
    lengths: NDArray[np.int32],
    forks: int,
    probability: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """States to fork at: at most `forks` per row, without replacement, in proportion to the runner-up's probability.

    Args:
        runner_up_probs: p_2 of each step, float32 [batch, time].
        lengths: int32 [batch]; steps behind them are never chosen.
        forks: most per row.
        probability: only states with p_2 above this.
        rng: of the draw (Gumbel top-k).

    Returns:
        (row, time), int32 [n] each.
    """
    real = np.arange(runner_up_probs.shape[1]) < lengths[:, None]
    eligible = real & (runner_up_probs > probability)
    noise = np.log(np.maximum(runner_up_probs, 1e-30)) + rng.gumbel(size=runner_up_probs.shape)
    noise = np.where(eligible, noise, -np.inf)
    count = min(forks, noise.shape[1])
    chosen = np.argsort(-noise, axis=1)[:, :count]
    row = np.repeat(np.arange(len(chosen)), count)
    time = chosen.reshape(-1)
    kept = eligible[row, time]
    return row[kept].astype(np.int32), time[kept].astype(np.int32)


def length_limits(source: NDArray[np.int32], decoding: DecodingConfig, longest: int) -> NDArray[np.int32]:
    """Longest translation of each source int32 [batch, source], in pieces including EOS, as the translator sets it.

    Args:
        source: pieces, EOS, padding.
        decoding: ratio and extra pieces.
        longest: what the model has room for.
    """
    pieces = (source != PAD).sum(axis=1) - 1
    limits = (pieces * decoding.max_length_ratio).astype(np.int32) + decoding.max_length_extra
    return np.minimum(limits, min(longest, 2**30)).astype(np.int32)


def padded_length(length: int, longest: int) -> int:
    """Length to which translations are padded for a model: up to a bucket on JAX, which compiles anew for each shape.

    Args:
        length: of the longest translation.
        longest: what the model has room for.
    """
    config = BatchConfig()
    if pad_mode(config) == "longest":
        return length
    return min(int(bucket_lengths(np.array([length]), config.buckets)[0]), longest)


def shift_right(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Decoder input of translations int32 [batch, time]: BOS, then all but the last piece."""
    return np.concatenate([np.full((len(ids), 1), BOS, np.int32), ids[:, :-1]], axis=1)
