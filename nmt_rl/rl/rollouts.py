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
from nmt_rl.decoding.hypotheses import length_limits
from nmt_rl.decoding.restrictions import Restrictions
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.rl.reward import Reward


@dataclass(frozen=True)
class Forks:
    """States on translations where an alternative to the best piece was tried; `n` forks.

    Attributes:
        row: which sentence of the batch each fork is on, int32 [n].
        time: at which piece, int32 [n].
        actions: the best piece a and the alternative a', int32 [n, 2].
        values: scores of the two continuations under the greedy policy, float64 [n, 2].
    """

    row: NDArray[np.int32]
    time: NDArray[np.int32]
    actions: NDArray[np.int32]
    values: NDArray[np.float64]


class ForkRollout:
    """Plays translations, and from some of their states another action followed by the greedy policy.

    Transitions and policy are deterministic, so the difference of the two scores is the exact difference of the greedy
    policy's Q of the two actions. Of a greedy translation the best action's score is its own.

    Args:
        model: its current weights are the policy.
        tokenizer: of the target side.
        reward: what a translation is worth.
        decoding: limits of the length, and what translations must not repeat.
        settings: how many forks, and where.
    """

    def __init__(
        self, model: Seq2Seq, tokenizer: Tokenizer, reward: Reward, decoding: DecodingConfig, settings: ForkConfig
    ) -> None:
        """See the class docstring."""
        self.tokenizer, self.reward, self.decoding, self.settings = tokenizer, reward, decoding, settings
        self._longest = model.max_length
        # A fork goes on as if the policy had written what is before it.
        restrictions = Restrictions.of(decoding, prefix=True)
        self._path = Generator(model, alternatives=settings.alternatives, restrictions=restrictions)
        self._continue = Generator(model, restrictions=restrictions)
        # The reward is plain Python: it is computed while the backend plays the forks, which holds no lock.
        self._scorer = ThreadPoolExecutor(1, "reward")

    def play(
        self, source: NDArray[np.int32], references: Sequence[Any], rng: np.random.Generator
    ) -> tuple[Generation, NDArray[np.float64], Forks]:
        """Translations of source ids [batch, source], their scores [batch], and their forks."""
        limits = source_limits(source, self.decoding, self._longest)
        sampled = self.settings.path == "sampled"
        seed = int(rng.integers(2**31)) if sampled or self.settings.alternatives > 1 else 0
        path = self._path(source, limits, temperature=self.settings.temperature if sampled else None, seed=seed)
        waiting = self._scorer.submit(self._scores, path, references)
        assert path.best is not None and path.alternative is not None and path.alternative_probs is not None
        row, time = choose_forks(path.alternative_probs, path.lengths, self.settings, rng)
        actions = np.stack([path.best[row, time], path.alternative[row, time]], axis=1)
        if not len(row):
            return path, waiting.result(), Forks(row, time, actions, np.zeros((0, 2)))
        tried = actions.T.reshape(-1) if sampled else actions[:, 1]
        rows, times = (np.tile(x, len(tried) // len(row)) for x in (row, time))
        forked = self._continue.continue_from(source, path.ids, rows, times, tried, limits[rows])
        values = self._scores(forked, [references[i] for i in rows]).reshape(-1, len(row))
        scores = waiting.result()
        best = values[0] if sampled else scores[row]
        return path, scores, Forks(row, time, actions, np.stack([best, values[-1]], axis=1))

    def _scores(self, played: Generation, references: Sequence[Any]) -> NDArray[np.float64]:
        return self.reward.scores(self.tokenizer.decode(played.ids), references)


def choose_forks(
    alternative_probs: NDArray[np.float32],
    lengths: NDArray[np.int32],
    settings: ForkConfig,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """States to fork at: some per row, without replacement, in proportion to the alternative's probability or alike.

    Args:
        alternative_probs: p_2 of each step, float32 [batch, time].
        lengths: int32 [batch]; steps behind them are never chosen.
        settings: most per row, and only states with p_2 above a probability.
        rng: of the draw (Gumbel top-k).

    Returns:
        (row, time), int32 [n] each.
    """
    real = np.arange(alternative_probs.shape[1]) < lengths[:, None]
    eligible = real & (alternative_probs > settings.probability)
    log_weights = np.log(np.maximum(alternative_probs, 1e-30)) if settings.choice == "probability" else 0.0
    noise = np.where(eligible, log_weights + rng.gumbel(size=alternative_probs.shape), -np.inf)
    count = min(settings.per_source, noise.shape[1])
    chosen = np.argsort(-noise, axis=1)[:, :count]
    row = np.repeat(np.arange(len(chosen)), count)
    time = chosen.reshape(-1)
    kept = eligible[row, time]
    return row[kept].astype(np.int32), time[kept].astype(np.int32)


def source_limits(source: NDArray[np.int32], decoding: DecodingConfig, longest: int) -> NDArray[np.int32]:
    """Most pieces of the translation of each source int32 [batch, source], as in translating; see `length_limits`."""
    return length_limits((source != PAD).sum(axis=1) - 1, decoding, longest)


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
