"""Q-networks with a value for every action: a dueling head, twin heads with an expectile V, or the raw logits."""

from __future__ import annotations

import functools

import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.config import FinetuneConfig, TrajectoryConfig
from nmt_rl.decoding.policies import free_pieces
from nmt_rl.models.q_guided import QGuided
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl import backups
from nmt_rl.rl.losses import cql_loss, expectile_loss, margin_loss, td_loss
from nmt_rl.rl.q_network import Array, Evaluated, QNetwork
from nmt_rl.rl.replay import EpisodeBatch, Origin
from nmt_rl.rl.term import Arrays, Numbers, root_mean_square


class ActionValues(QNetwork):
    """Q of every piece: by heads on the states of the frozen pretrained model, or by the logits of the model itself.

    ILQL's V is that of the target network, as all values are here that targets bootstrap from; Kostrikov et al. (2022)
    and Snell et al. (2023) take the online one.

    The logits z are Q for the hard backups, where they fail (they are no returns: the negative control), and tau z
    for the soft ones, so that softmax(Q / tau) is the model's own distribution.

    Args:
        model: a `QGuided` model, or for q `logits` any model; it is the behaviour policy too.
        target: the same again.
        prior: the frozen pretrained model.
        settings: of the stage.
    """

    def __init__(self, model: Seq2Seq, target: Seq2Seq, prior: Seq2Seq, settings: FinetuneConfig) -> None:
        """See the class docstring."""
        self.settings, self.prior = settings, prior
        self.pairs = [(model, target)]
        self._evaluate = compile_fn(self._values, model, target, prior)

    @property
    def _scaled(self) -> bool:
        """Whether Q is tau z."""
        return self.settings.trajectory.backup in ("psi", "munchausen")

    def evaluate(self, batch: EpisodeBatch, source: np.ndarray, target_in: np.ndarray, tau: float) -> Evaluated:
        """See QNetwork.evaluate."""
        q, target_q, value, bonus = (
            np.asarray(x, np.float64) * batch.mask
            for x in self._evaluate(source, target_in, batch.tokens, np.float32(tau))
        )
        return Evaluated(q, value, target_q - value, bonus, {"target_q": target_q})

    def _values(self, source: Tensor, target_in: Tensor, tokens: Tensor, tau: Tensor) -> tuple[Tensor, ...]:
        """Q(s, a), Q of the target network, its value of s and the bonus, [batch, time] each."""
        part, (model, target) = self.settings.trajectory, self.pairs[0]
        prior_states = _states(self.prior, source, target_in)
        log_prior = ops.log_softmax(self.prior.project(prior_states), axis=-1)
        # Heads stand on the frozen prior: it is run once for all three.
        frozen = isinstance(model, QGuided)
        states, target_states = (prior_states if frozen else _states(m, source, target_in) for m in (model, target))
        q, target_q = self._each(model, states, tau)[0], self._lowest(target, target_states, tau)
        # Of pieces that translations can hold: nobody learns what PAD, BOS and UNK are worth.
        free = free_pieces(q.shape[-1], allow_unknown=False)
        if isinstance(target, QGuided) and part.q == "ilql":
            value = target.heads.value(target_states)
        else:
            value = backup(target_q + free, q + free, log_prior, tau, part)
        bonus = ops.zeros_like(value)
        if part.backup == "psi":
            bonus = tau * backups.action_value(log_prior, tokens)
        elif part.backup == "munchausen":
            log_pi = backups.action_value(backups.boltzmann(target_q + free, tau), tokens)
            bonus = backups.munchausen_bonus(log_pi, tau, part.munchausen, part.munchausen_floor)
        return backups.action_value(q, tokens), backups.action_value(target_q, tokens), value, bonus

    def _each(self, model: Seq2Seq, states: Tensor, tau: Tensor) -> list[Tensor]:
        """Q [batch, time, vocab] of every head."""
        if isinstance(model, QGuided):
            return list(model.heads.all_q(states))
        return [model.project(states) * (tau if self._scaled else 1.0)]

    def _lowest(self, model: Seq2Seq, states: Tensor, tau: Tensor) -> Tensor:
        return functools.reduce(ops.minimum, self._each(model, states, tau))

    def fit(self, evaluated: Evaluated, batch: EpisodeBatch, y: Array, weights: Array) -> tuple[Arrays, Numbers]:
        """See QNetwork.fit."""
        shown = (batch.origin == Origin.REFERENCE)[:, None] * weights
        value_target = evaluated.kept["target_q"].astype(np.float32)
        return {"value_target": value_target, "demonstrated": shown.astype(np.float32)}, {}

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Huber loss of the TD error of every Q, and what keeps Q near the data."""
        part, weights, tokens, tau = self.settings.trajectory, batch["weights"], batch["tokens"], batch["tau"]
        states = _states(model, batch["source"], batch["target_in"])
        loss = delta = ops.zeros(())
        for q in self._each(model, states, tau):
            delta = batch["target"] - backups.action_value(q, tokens)
            loss = loss + td_loss(backups.action_value(q, tokens), batch["target"], self.settings.huber, weights)
            if part.cql:
                loss = loss + part.cql * cql_loss(q, tokens, weights, tau)
            if part.margin:
                loss = loss + part.margin * margin_loss(q, tokens, part.margin_size, batch["demonstrated"])
        if isinstance(model, QGuided) and part.q == "ilql":
            value = model.heads.value(states)
            loss = loss + expectile_loss(value, batch["value_target"], part.expectile, weights)
        # tau z has a gradient tau times smaller than z (see losses.py).
        scale = tau if self._scaled else 1.0
        return {"loss": loss / scale, "trajectory_td_error": root_mean_square(delta, weights)}


def backup(target_q: Tensor, q: Tensor, log_prior: Tensor, tau: Tensor, part: TrajectoryConfig) -> Tensor:
    """The configured value of a state, [...], from action values and the prior's log-probabilities [..., actions]."""
    if part.candidates:
        target_q, q = (backups.among_candidates(x, log_prior, part.candidates) for x in (target_q, q))
    if part.backup == "max":
        return backups.max_value(target_q)
    if part.backup == "double":
        return backups.double_value(target_q, q)
    if part.backup == "psi":
        return backups.psi_value(target_q, tau)
    if part.backup == "munchausen":
        return backups.munchausen_value(target_q, tau)
    return backups.soft_value(target_q, log_prior, tau)


def _states(model: Seq2Seq, source: Tensor, target_in: Tensor) -> Tensor:
    return model.decode_states(target_in, model.encode(source)).states
