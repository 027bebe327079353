"""Temporal differences on whole translations: targets of Q along episodes, and their regression."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nmt_rl.config import BatchConfig, TrajectoryConfig
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.episode import EpisodeBatch, collate
from nmt_rl.rl.padding import corpus_sources, padded_length, shift_right
from nmt_rl.rl.q_network import Evaluated, Floats, QNetwork
from nmt_rl.rl.replay import Sampled
from nmt_rl.rl.targets import n_step_targets, next_step, soft_lambda_targets
from nmt_rl.rl.term import Arrays, Numbers, Term
from nmt_rl.training.losses import real_positions


class TrajectoryTerm(Term):
    """Regresses a Q-network on the targets of episodes.

    Args:
        network: the Q-parameterisation.
        corpus: sources of the episodes.
        settings: of the targets.
        updates: of the stage.
        longest: pieces that the model has room for.
    """

    name = "trajectory"

    def __init__(
        self, network: QNetwork, corpus: EncodedCorpus, settings: TrajectoryConfig, updates: int, longest: int
    ) -> None:
        """See the class docstring."""
        self.network, self.corpus, self.settings = network, corpus, settings
        self.monte_carlo_updates, self._longest = round(settings.monte_carlo * updates), longest

    def batch(self, sampled: Sampled, step: int) -> tuple[Arrays, Numbers]:
        """See Term.batch; V is trained here, once, if it stands beside the policy."""
        episodes = sampled.episodes
        batch = collate(episodes, padded_length(max(len(e.tokens) for e in episodes), self._longest))
        source, target_in = corpus_sources(self.corpus, batch.source_id, self._longest), shift_right(batch.tokens)
        evaluated = self.network.evaluate(batch, source, target_in)
        y = td_targets(batch, evaluated, self.settings, step <= self.monte_carlo_updates, self.network.penalty_is_exact)
        each = (sampled.weights[:, None] * batch.mask).astype(np.float32)
        extra, numbers = self.network.fit(evaluated, batch, y, each)
        arrays = {
            "source": source,
            "target_in": target_in,
            "tokens": batch.tokens,
            "positions": real_positions(batch.tokens, BatchConfig()),
            "target": y.astype(np.float32),
            "weights": each,
            **extra,
        }
        return arrays, numbers | {"tokens": float(batch.mask.sum())}

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """See Term.loss."""
        return self.network.loss(model, batch)

    def after_update(self, step: int) -> None:
        """See Term.after_update: a Polyak step of the target network."""
        self.network.target.move()

    def state(self) -> Arrays:
        """See Term.state."""
        return {f"network/{i}": np.asarray(v.value) for i, v in enumerate(self.network.variables)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See Term.restore."""
        for i, variable in enumerate(self.network.variables):
            variable.assign(arrays[f"network/{i}"])


def td_targets(
    batch: EpisodeBatch, evaluated: Evaluated, settings: TrajectoryConfig, untrained: bool, penalty_is_exact: bool
) -> Floats:
    """The configured targets of Q(s_t, a_t), float64 [batch, time].

    In n-step targets every later action is charged its penalty, as in path consistency and Q(lambda), whatever the
    backup: that is the target of V(s_t) on rewards less penalties, plus the first action's own penalty again.

    Monte Carlo targets charge it only where it is the policy's own log-probability (kl). For values that are estimated
    they are plain returns: the differences between the largest and the chosen of thousands of noisy values would add up
    over the sentence.

    Args:
        batch: episodes.
        evaluated: the target network's values of them.
        settings: lambda, or n.
        untrained: whether values are not to be bootstrapped from yet.
        penalty_is_exact: see `QNetwork.penalty_is_exact`.
    """
    value = next_step(evaluated.value)
    if settings.steps and not untrained:
        charged = batch.rewards - evaluated.penalty
        y = n_step_targets(charged, batch.discount, value, settings.steps) + evaluated.penalty
        return y * batch.mask
    trace, penalty = 1.0 if untrained else settings.trace, next_step(evaluated.penalty)
    if trace == 1.0 and not penalty_is_exact:
        penalty = np.zeros_like(penalty)
    return soft_lambda_targets(batch.rewards, batch.discount, value, penalty, trace, batch.mask)
