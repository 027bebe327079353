"""Q-networks with a value for every action: a dueling head, twin heads with an expectile V, or the raw logits."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import Any

import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.config import DuelingConfig, ILQLConfig, LogitsConfig
from nmt_rl.decoding.policies import free_pieces
from nmt_rl.models.q_guided import QGuided
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl import backups
from nmt_rl.rl.episode import EpisodeBatch
from nmt_rl.rl.forks import fork_states
from nmt_rl.rl.losses import cql_loss, expectile_loss, td_loss
from nmt_rl.rl.q_network import Evaluated, Floats, QNetwork
from nmt_rl.rl.rescaling import rescaled, unscaled
from nmt_rl.rl.target_network import TargetNetwork
from nmt_rl.rl.term import ERRORS, Arrays, Numbers, root_mean_square


class ActionValues(QNetwork):
    """Q of every piece, from the states of a model.

    Args:
        model: what is trained; it is the behaviour policy too.
        target: the same again.
        prior: the frozen pretrained model.
        settings: the section of this Q.
        tau: BLEU per nat, of soft backups.
        huber: cut of the Huber loss on TD errors; 0: squared.
        target_rate: Polyak rate of the target network.
    """

    def __init__(
        self,
        model: Seq2Seq,
        target: Seq2Seq,
        prior: Seq2Seq,
        settings: Any,
        *,
        tau: float,
        huber: float,
        target_rate: float,
    ) -> None:
        """See the class docstring."""
        self.settings, self.tau, self.huber, self.prior = settings, tau, huber, prior
        self.models = (model, target)
        self.target = TargetNetwork([(model, target)], target_rate)
        self._evaluate = compile_fn(self._values, model, target, prior)

    @abstractmethod
    def each(self, model: Seq2Seq, states: Tensor) -> list[Tensor]:
        """Q [..., vocab] of every head, of states [..., width], as it is regressed."""

    def returns(self, q: Tensor) -> Tensor:
        """What values of `each` are in BLEU of [0, 1]."""
        return q

    def regressed(self, y: Floats) -> Floats:
        """What values in BLEU are as `each` gives them."""
        return y

    @abstractmethod
    def value(self, target_q: Tensor, q: Tensor, target_states: Tensor, log_prior: Tensor) -> Tensor:
        """Value of the states by the target network [batch, time]; Q of pieces that no translation holds is low."""

    def evaluate(self, batch: EpisodeBatch, source: np.ndarray, target_in: np.ndarray) -> Evaluated:
        """See QNetwork.evaluate."""
        target_q, value = (
            np.asarray(x, np.float64) * batch.mask for x in self._evaluate(source, target_in, batch.tokens)
        )
        return Evaluated(value, target_q - value, {"target_q": target_q})

    def _values(self, source: Tensor, target_in: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Q(s, a) of the target network and its value of s, [batch, time] each."""
        model, target = self.models
        prior_states = _states(self.prior, source, target_in)
        log_prior = ops.log_softmax(self.prior.project(prior_states), axis=-1)
        states, target_states = self._both(prior_states, source, target_in)
        q = self.returns(self.each(model, states)[0])
        target_q = self.returns(functools.reduce(ops.minimum, self.each(target, target_states)))
        # Of pieces that translations can hold: nobody learns what PAD, BOS and UNK are worth.
        free = free_pieces(q.shape[-1], allow_unknown=False)
        value = self.value(target_q + free, q + free, target_states, log_prior)
        return backups.action_value(target_q, tokens), value

    def _both(self, prior_states: Tensor, source: Tensor, target_in: Tensor) -> tuple[Tensor, Tensor]:
        """States of the online and of the target network."""
        online, target = (_states(model, source, target_in) for model in self.models)
        return online, target

    def fit(self, evaluated: Evaluated, batch: EpisodeBatch, y: Floats, weights: Floats) -> tuple[Arrays, Numbers]:
        """See QNetwork.fit."""
        target_q = evaluated.kept["target_q"].astype(np.float32)
        return {"target": self.regressed(y).astype(np.float32), "value_target": target_q}, {}

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Huber loss of the TD error of every Q, and what else the network learns from the same states."""
        weights, tokens = batch["weights"], batch["tokens"]
        states = _states(model, batch["source"], batch["target_in"])
        loss = delta = ops.zeros(())
        for q in self.each(model, states):
            taken = backups.action_value(q, tokens)
            delta = batch["target"] - taken
            loss = loss + td_loss(taken, batch["target"], self.huber, weights)
            loss = loss + self.regulariser(q, batch)
        loss = loss + self.beside(model, states, batch)
        return {"loss": loss, "td_error": root_mean_square(delta, weights), ERRORS: delta}

    def difference(self, model: Seq2Seq, batch: dict[str, Tensor]) -> Tensor:
        """See QNetwork.difference; of several Q heads the smallest value counts."""
        states = fork_states(model, *(batch[name] for name in ("source", "target_in", "positions")))
        q = ops.take_along_axis(functools.reduce(ops.minimum, self.each(model, states)), batch["actions"], axis=-1)
        q = self.returns(q)
        return q[:, 0] - q[:, 1]

    def regulariser(self, q: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """What keeps a head near the data."""
        return ops.zeros(())

    def beside(self, model: Seq2Seq, states: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """The loss of what is learnt beside Q."""
        return ops.zeros(())


class LogitsNetwork(ActionValues):
    """The logits z are Q with hard backups, where they fail: they are no returns (the negative control)."""

    settings: LogitsConfig

    def each(self, model: Seq2Seq, states: Tensor) -> list[Tensor]:
        """See ActionValues.each."""
        return [model.project(states)]

    def value(self, target_q: Tensor, q: Tensor, target_states: Tensor, log_prior: Tensor) -> Tensor:
        """See ActionValues.value."""
        return backups.max_value(target_q) if self.settings.backup == "max" else backups.double_value(target_q, q)


class HeadsNetwork(ActionValues):
    """Heads on the states of the frozen pretrained model, which is run once for all."""

    models: tuple[QGuided, QGuided]

    def each(self, model: QGuided, states: Tensor) -> list[Tensor]:
        """See ActionValues.each."""
        return list(model.heads.all_q(states))

    def _both(self, prior_states: Tensor, source: Tensor, target_in: Tensor) -> tuple[Tensor, Tensor]:
        return prior_states, prior_states


class DuelingNetwork(HeadsNetwork):
    """V + A - mean A (Wang et al., 2016)."""

    settings: DuelingConfig

    def returns(self, q: Tensor) -> Tensor:
        """See ActionValues.returns."""
        return unscaled(q) if self.settings.rescale else q

    def regressed(self, y: Floats) -> Floats:
        """See ActionValues.regressed."""
        return np.asarray(rescaled(y)) if self.settings.rescale else y

    def value(self, target_q: Tensor, q: Tensor, target_states: Tensor, log_prior: Tensor) -> Tensor:
        """See ActionValues.value."""
        if self.settings.backup == "max":
            return backups.max_value(target_q)
        if self.settings.backup == "double":
            return backups.double_value(target_q, q)
        return backups.soft_value(target_q, log_prior, self.tau)


class ILQLNetwork(HeadsNetwork):
    """Twin heads with an expectile V (Snell et al., 2023).

    V is that of the target network, as all values are here that targets bootstrap from; Kostrikov et al. (2022) and
    Snell et al. (2023) take the online one.
    """

    settings: ILQLConfig

    def value(self, target_q: Tensor, q: Tensor, target_states: Tensor, log_prior: Tensor) -> Tensor:
        """See ActionValues.value."""
        return self.models[1].heads.value(target_states)

    def regulariser(self, q: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Conservative Q-learning at temperature tau (Kumar et al., 2020)."""
        if not self.settings.cql:
            return ops.zeros(())
        return self.settings.cql * cql_loss(q, batch["tokens"], batch["weights"], self.tau)

    def beside(self, model: QGuided, states: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """The expectile regression of V."""
        value = model.heads.value(states)
        return expectile_loss(value, batch["value_target"], self.settings.expectile, batch["weights"])


def _states(model: Seq2Seq, source: Tensor, target_in: Tensor) -> Tensor:
    return model.decode_states(target_in, model.encode(source)).states
