"""Greedy episodes and their forks: another action at some of their states, and greedy from there on again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn
from nmt_rl.config import DecodingConfig
from nmt_rl.corpus.tokenizer import PAD, Tokenizer
from nmt_rl.decoding.generator import Generation, Generator
from nmt_rl.decoding.restrictions import Restrictions
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.rl.actor import Actor, Numbers, Sentences, played_numbers
from nmt_rl.rl.critic import Critic
from nmt_rl.rl.episode import Episode, Forks, Origin
from nmt_rl.rl.forks import logit_difference
from nmt_rl.rl.padding import padded_to, shift_right, source_limits
from nmt_rl.rl.reward import Episode as Paid
from nmt_rl.rl.reward import Reward, RewardReference

TOGETHER = 256
"""Sentences that are translated at once."""


class ForkActor(Actor):
    """An epsilon-greedy policy whose exploration is the fork: one action per fork is another one than the greedy one.

    Transitions and policy are deterministic, so the difference of the two scores is the exact difference of the greedy
    policy's Q of the two actions. Where continuations are cut, both sides are completed by V there.

    Args:
        model: the policy.
        prior: the frozen pretrained model.
        tokenizer: of the target side.
        reward: what a translation is worth.
        decoding: limits of the length, and what translations must not repeat.
        per_source: most forks of each translation.
        probability: fork only where the runner-up's probability exceeds this.
        epsilon: probability that the other action is drawn uniformly among the `top_k` next best, in place of the
            runner-up.
        top_k: how many are the next best.
        steps: cut a continuation after so many pieces.
        critic: V, which completes what is cut, as soon as it is trained; None: nothing is cut.
    """

    def __init__(
        self,
        model: Seq2Seq,
        prior: Seq2Seq,
        tokenizer: Tokenizer,
        reward: Reward,
        decoding: DecodingConfig,
        per_source: int,
        probability: float,
        epsilon: float = 0.0,
        top_k: int = 1,
        steps: int = 0,
        critic: Critic | None = None,
    ) -> None:
        """See the class docstring."""
        super().__init__()
        self.tokenizer, self.reward, self.decoding = tokenizer, reward, decoding
        self.per_source, self.probability, self.epsilon, self.steps = per_source, probability, epsilon, steps
        self.critic = critic
        self._longest = model.max_length
        # A fork goes on as if the policy had written what is before it.
        restrictions = Restrictions.of(decoding, prefix=True)
        self._path = Generator(model, alternatives=top_k if epsilon else 1, restrictions=restrictions)
        self._continue = Generator(model, restrictions=restrictions)
        self._prior_difference = compile_fn(partial(logit_difference, prior), prior)
        # The reward is plain Python: it is computed while the backend plays the forks, which holds no lock.
        self._scorer = ThreadPoolExecutor(1, "reward")

    def play(self, sentences: Sentences, version: int, rng: np.random.Generator) -> tuple[list[Episode], Numbers]:
        """See Actor.play; an episode for each source, with its forks. Many sentences are sorted by length before."""
        parts = sentences.sorted(TOGETHER)
        episodes = [episode for part in parts for episode in self._play(part, version, rng)]
        numbers = played_numbers(sentences, episodes, np.arange(len(episodes)), "return")
        return episodes, numbers | fork_numbers(np.concatenate([episode.forks.values for episode in episodes]))

    def _play(self, sentences: Sentences, version: int, rng: np.random.Generator) -> list[Episode]:
        source, references = sentences.rows.source, sentences.references
        limits = source_limits(source, self.decoding, self._longest)
        path = self._path(source, limits)
        translations = [ids[:length] for ids, length in zip(path.ids, path.lengths, strict=True)]
        waiting = self._scorer.submit(self.reward.episodes, translations, references)
        row, time, actions = self._choose(path, rng)
        critic = self.critic if self.critic is not None and self.critic.is_trained(version + 1) else None
        values = self._values(source, path, limits, (row, time, actions[:, 1]), references, waiting.result, critic)
        difference = self._difference(source, path, row, time, actions)
        episodes = []
        for i, (pieces, paid) in enumerate(zip(translations, waiting.result(), strict=True)):
            own = row == i
            episodes.append(
                Episode(
                    id=self.next_id(),
                    source_id=int(sentences.rows.indices[i]),
                    policy_version=version,
                    origin=Origin.GREEDY,
                    tokens=pieces,
                    rewards=paid.rewards.astype(np.float32),
                    log_probs=path.log_probs[i, : len(pieces)],
                    prior_log_probs=np.zeros(len(pieces), np.float32),
                    features=paid.features,
                    forks=Forks(time[own], actions[own], values[own], difference[own]),
                )
            )
        return episodes

    def _choose(
        self, path: Generation, rng: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Row and time of each fork [n], and what was and what is done there, int32 [n, 2]."""
        assert path.best is not None and path.alternatives is not None and path.alternative_probs is not None
        row, time = choose_forks(path.alternative_probs[..., 0], path.lengths, self.per_source, self.probability, rng)
        rank = (
            explored(len(row), path.alternatives.shape[-1], self.epsilon, rng)
            if self.epsilon
            else np.zeros(len(row), int)
        )
        others = path.alternatives[row, time, rank]
        # Where fewer pieces are permitted than are drawn among.
        others = np.where(others == PAD, path.alternatives[row, time, 0], others)
        return row, time, np.stack([path.best[row, time], others], axis=1)

    def _values(
        self,
        source: NDArray[np.int32],
        path: Generation,
        limits: NDArray[np.int32],
        forks: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
        references: Sequence[RewardReference],
        paid: Callable[[], list[Paid]],
        critic: Critic | None,
    ) -> NDArray[np.float32]:
        """Worth of the greedy action and of the other one, float32 [n, 2]."""
        row, time, pieces = forks
        if not len(row):
            return np.zeros((0, 2), np.float32)
        against, whole = [references[i] for i in row], limits[row]
        until = time + 1 + self.steps
        # A cut continuation is one piece longer: its last piece, an EOS that the limit forced, does not count.
        most = np.minimum(whole, until + 1) if critic is not None else whole
        forked = self._continue.continue_from(source, path.ids, row, time, pieces, most)
        if critic is None:
            other = self._scorer.submit(self.reward.scores, self.tokenizer.decode(forked.ids), against).result()
            greedy = np.array([episode.score for episode in paid()])[row]
        else:
            episodes = self._scorer.submit(self.reward.episodes, _rows(forked), against).result()
            other = completed(self._along(critic, source[row], forked.ids, episodes), episodes, until, most < whole)
            along = self._along(critic, source, path.ids, paid())
            greedy = completed(along[row], [paid()[i] for i in row], until, np.ones(len(row), bool))
        return np.stack([greedy, other], axis=1).astype(np.float32)

    def _along(
        self, critic: Critic, source: NDArray[np.int32], ids: NDArray[np.int32], episodes: Sequence[Paid]
    ) -> NDArray[np.float32]:
        """V of the state before each piece, float32 [n, time]."""
        ids = padded_to(ids, self._longest)
        features = np.zeros((*ids.shape, episodes[0].features.shape[1]), np.float32)
        for i, episode in enumerate(episodes):
            features[i, : episode.length] = episode.features
        return critic.value(source, ids, features)

    def _difference(
        self,
        source: NDArray[np.int32],
        path: Generation,
        row: NDArray[np.int32],
        time: NDArray[np.int32],
        actions: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        """The prior's z_0(a) - z_0(a') of each fork, float32 [n]; padded to the most, so that shapes stay few."""
        target_in, room = shift_right(padded_to(path.ids, self._longest)), len(source) * self.per_source
        positions, pairs = np.zeros(room, np.int32), np.zeros((room, 2), np.int32)
        positions[: len(row)], pairs[: len(row)] = row * target_in.shape[1] + time, actions
        return np.asarray(self._prior_difference(source, target_in, positions, pairs))[: len(row)]


def completed(
    value: NDArray[np.float32], episodes: Sequence[Paid], until: NDArray[np.int32], cut: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Phi(s_t) + V(s_t) after t pieces where a translation is cut there and goes on, else its score; float64 [n].

    Equation (6) of docs/methods.md.

    Args:
        value: V of the state before each piece, [n, time].
        episodes: what is paid for the pieces.
        until: t, [n].
        cut: whether it is cut at all, [n].
    """
    return np.array(
        [
            episode.potentials[t] + value[i, t] if here and episode.length > t else episode.score
            for i, (episode, t, here) in enumerate(zip(episodes, until, cut, strict=True))
        ]
    )


def choose_forks(
    runner_up: NDArray[np.float32],
    lengths: NDArray[np.int32],
    per_source: int,
    probability: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """States to fork at: some per row, without replacement, in proportion to the runner-up's probability.

    Args:
        runner_up: its probability at each step, float32 [batch, time].
        lengths: int32 [batch]; steps behind them are never chosen.
        per_source: most per row.
        probability: only states where the runner-up's exceeds it.
        rng: of the draw (Gumbel top-k).

    Returns:
        (row, time), int32 [n] each.
    """
    real = np.arange(runner_up.shape[1]) < lengths[:, None]
    eligible = real & (runner_up > probability)
    noise = np.log(np.maximum(runner_up, 1e-30)) + rng.gumbel(size=runner_up.shape)
    noise = np.where(eligible, noise, -np.inf)
    count = min(per_source, noise.shape[1])
    chosen = np.argsort(-noise, axis=1)[:, :count]
    row = np.repeat(np.arange(len(chosen)), count)
    time = chosen.reshape(-1)
    kept = eligible[row, time]
    return row[kept].astype(np.int32), time[kept].astype(np.int32)


def explored(count: int, top_k: int, epsilon: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which of the next best actions is taken, int64 [count]: with probability epsilon any of `top_k`, or the first."""
    return np.where(rng.random(count) < epsilon, rng.integers(0, top_k, count), 0)


def fork_numbers(values: NDArray[np.float32]) -> Numbers:
    """How forks [n, 2] compare with the greedy action."""
    gains = values[:, 1] - values[:, 0]
    return {
        "forks": float(len(gains)),
        "fork_better": float((gains > 0).mean()) if len(gains) else 0.0,
        "fork_gap": float(np.abs(gains).mean()) if len(gains) else 0.0,
    }


def _rows(played: Generation) -> list[NDArray[np.int32]]:
    return [ids[:length] for ids, length in zip(played.ids, played.lengths, strict=True)]
