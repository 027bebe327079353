"""Rollouts of the current policy: greedy translations, their forks, and samples of the behaviour policy."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import BatchConfig, DecodingConfig, ForkConfig
from nmt_rl.corpus.batches import bucket_lengths, pad_mode
from nmt_rl.corpus.tokenizer import BOS, PAD, Tokenizer
from nmt_rl.decoding.generator import Generation, Generator
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.rl.reward import Reward


@dataclass(frozen=True)
class Forks:
    """States on greedy translations where the runner-up was tried too; `n` forks.

    Attributes:
        row: which sentence of the batch each fork is on, int32 [n].
        time: at which piece, int32 [n].
        actions: the greedy piece a and its runner-up a', int32 [n, 2].
        values: scores of the two continuations under the greedy policy, float64 [n, 2].
    """

    row: NDArray[np.int32]
    time: NDArray[np.int32]
    actions: NDArray[np.int32]
    values: NDArray[np.float64]


class ForkRollout:
    """Plays the greedy policy, and from some states another action followed by the greedy policy again.

    Transitions and policy are deterministic, so the difference of the two scores is the exact difference of the greedy
    policy's Q of the two actions.

    Args:
        model: its current weights are the policy.
        tokenizer: of the target side.
        reward: what a translation is worth.
        decoding: limits of the length.
        settings: how many forks, and where.
    """

    def __init__(
        self, model: Seq2Seq, tokenizer: Tokenizer, reward: Reward, decoding: DecodingConfig, settings: ForkConfig
    ) -> None:
        """See the class docstring."""
        self.tokenizer, self.reward, self.decoding, self.settings = tokenizer, reward, decoding, settings
        self._longest = model.max_length
        self._greedy = Generator(model, runner_up=True)
        self._continue = Generator(model)
        # The reward is plain Python: it is computed while the backend plays the forks, which holds no lock.
        self._scorer = ThreadPoolExecutor(1, "reward")

    def play(
        self, source: NDArray[np.int32], references: Sequence[Any], rng: np.random.Generator
    ) -> tuple[Generation, NDArray[np.float64], Forks]:
        """Greedy translations of source ids [batch, source], their scores [batch], and their forks."""
        limits = length_limits(source, self.decoding, self._longest)
        greedy = self._greedy(source, limits)
        waiting = self._scorer.submit(self._scores, greedy, references)
        assert greedy.runner_up is not None and greedy.runner_up_probs is not None
        row, time = choose_forks(greedy.runner_up_probs, greedy.lengths, self.settings, rng)
        actions = np.stack([greedy.ids[row, time], greedy.runner_up[row, time]], axis=1)
        if not len(row):
            return greedy, waiting.result(), Forks(row, time, actions, np.zeros((0, 2)))
        forked = self._continue.continue_from(source, greedy.ids, row, time, actions[:, 1], limits[row])
        values = self._scores(forked, [references[i] for i in row])
        scores = waiting.result()
        return greedy, scores, Forks(row, time, actions, np.stack([scores[row], values], axis=1))

    def _scores(self, played: Generation, references: Sequence[Any]) -> NDArray[np.float64]:
        return self.reward.scores(self.tokenizer.decode(played.ids), references)


def choose_forks(
    runner_up_probs: NDArray[np.float32],
    lengths: NDArray[np.int32],
    settings: ForkConfig,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """States to fork at: some per row, without replacement, in proportion to the runner-up's probability or all alike.

    Args:
        runner_up_probs: p_2 of each step, float32 [batch, time].
        lengths: int32 [batch]; steps behind them are never chosen.
        settings: most per row, and only states with p_2 above a probability.
        rng: of the draw (Gumbel top-k).

    Returns:
        (row, time), int32 [n] each.
    """
    real = np.arange(runner_up_probs.shape[1]) < lengths[:, None]
    eligible = real & (runner_up_probs > settings.probability)
    log_weights = np.log(np.maximum(runner_up_probs, 1e-30)) if settings.choice == "probability" else 0.0
    noise = np.where(eligible, log_weights + rng.gumbel(size=runner_up_probs.shape), -np.inf)
    count = min(settings.per_source, noise.shape[1])
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
