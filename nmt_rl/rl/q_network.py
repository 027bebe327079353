"""What a Q-parameterisation is, and the one of the KL-anchored policy: Q = V + tau log(pi / prior)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn, seeded
from nmt_rl.config import BatchConfig, FinetuneConfig, OptimizerConfig
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.losses import trajectory_loss, trajectory_td_error
from nmt_rl.rl.replay import EpisodeBatch
from nmt_rl.rl.targets import log_ratio, q_values, value_targets
from nmt_rl.rl.term import Arrays, Numbers, root_mean_square
from nmt_rl.rl.value import ValueHead, value_objective
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import log_probs, log_probs_at, real_positions

Array = NDArray[np.floating]


class Evaluated(NamedTuple):
    """What targets are made of; float [batch, time] each."""

    q: Array
    """Q(s_t, a_t) of the online network."""
    value: Array
    """Value of s_t by the target network, which targets bootstrap from."""
    penalty: Array
    """Q(s_t, a_t) - value of s_t, both of the target network: what later actions of a multi-step target are charged, so
    that it is right for any behaviour policy (path consistency; Harutyunyan et al., 2016, for hard backups)."""
    bonus: Array
    """Added to the reward of a_t."""
    kept: dict[str, Array]
    """What `QNetwork.fit` needs beside them."""


class QNetwork(ABC):
    """Q(s_t, a_t) of given translations: as it is learnt, and as its slower copy sees it."""

    pairs: list[tuple[keras.Model, keras.Model]]
    """(online, target) networks: the second follows the first."""

    @abstractmethod
    def evaluate(self, batch: EpisodeBatch, source: np.ndarray, target_in: np.ndarray, tau: float) -> Evaluated:
        """Both networks on a batch of translations."""

    @abstractmethod
    def fit(self, evaluated: Evaluated, batch: EpisodeBatch, y: Array, weights: Array) -> tuple[Arrays, Numbers]:
        """What the loss needs beside targets and weights, and numbers to report; networks beside the policy are
        updated here."""

    @abstractmethod
    def loss(self, model: Seq2Seq, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """`loss`, and numbers to report, of `source`, `target_in`, `tokens`, their `positions`, `target`, `weights`,
        `tau` and what `fit` gave."""

    def move_target(self, rate: float) -> None:
        """target += rate (online - target) (Polyak and Juditsky, 1992; Lillicrap et al., 2016); 1 is a copy."""
        for online, target in self.pairs:
            for new, old in zip(online.trainable_variables, target.trainable_variables, strict=True):
                # A copy: on JAX an update of the online network frees its old arrays.
                old.assign(ops.copy(new) if rate == 1.0 else old + rate * (new - old))

    @property
    def variables(self) -> list[Any]:
        """What a resume needs beside the policy."""
        return [v for _, target in self.pairs for v in target.trainable_variables]


class KLNetwork(QNetwork):
    """Q = V + tau kappa with kappa = log pi - log pi_0: the policy is the advantage stream, V a head on its states.

    Args:
        model: the policy.
        target: a model of the same shape.
        features: number of privileged features of a state.
        settings: of the stage.
        seed: of the heads.
    """

    def __init__(self, model: Seq2Seq, target: Seq2Seq, features: int, settings: FinetuneConfig, seed: int) -> None:
        """See the class docstring."""
        part, width = settings.trajectory, model.embeddings.width
        self.settings = settings
        with seeded(seed):
            self.head = ValueHead(width, features if part.privileged else 0, part.value_units)
            self.target_head = ValueHead(width, features if part.privileged else 0, part.value_units)
        rate = part.value_learning_rate
        self.value_learner = Learner(self.head, value_objective, OptimizerConfig(learning_rate=rate))
        self.pairs = [(model, target), (self.head, self.target_head)]
        self._online = compile_fn(_evaluation(model, self.head), model, self.head)
        self._target = compile_fn(_evaluation(target, self.target_head), target, self.target_head)

    def evaluate(self, batch: EpisodeBatch, source: np.ndarray, target_in: np.ndarray, tau: float) -> Evaluated:
        """See QNetwork.evaluate."""
        inputs = (source, target_in, batch.tokens, real_positions(batch.tokens, BatchConfig()), batch.features)
        value, log_pi, states = (np.asarray(x) for x in self._online(*inputs))
        target_value, target_log_pi, _ = (np.asarray(x) for x in self._target(*inputs))
        kappa, target_kappa = (log_ratio(x, batch.prior_logp) * batch.mask for x in (log_pi, target_log_pi))
        kept = {"value": value, "states": states, "features": batch.features}
        return Evaluated(q_values(value, kappa, tau), target_value, tau * target_kappa, np.zeros_like(value), kept)

    def fit(self, evaluated: Evaluated, batch: EpisodeBatch, y: Array, weights: Array) -> tuple[Arrays, Numbers]:
        """One update of V towards y - tau kappa."""
        goal = value_targets(y, evaluated.penalty).astype(np.float32)
        kept = evaluated.kept
        task = {"states": kept["states"], "features": kept["features"], "target": goal, "weights": weights}
        loss = self.value_learner.update([task], self.settings.trajectory.value_learning_rate)["loss"]
        return {"log_prior": batch.prior_logp, "value": kept["value"].astype(np.float32)}, {"value_loss": loss}

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Equation (5): regression of Q on the targets."""
        log_pi = log_probs(model, *(batch[name] for name in ("source", "target_in", "tokens", "positions")))
        rest = (batch["log_prior"], batch["value"], batch["target"], batch["tau"])
        delta = trajectory_td_error(log_pi, *rest)
        loss = trajectory_loss(log_pi, *rest, huber=self.settings.huber, weights=batch["weights"])
        return {"loss": loss, "trajectory_td_error": root_mean_square(delta, batch["weights"])}

    @property
    def variables(self) -> list[Any]:
        """See QNetwork.variables."""
        return [*self.value_learner.state, *super().variables]


def _evaluation(model: Seq2Seq, head: ValueHead) -> Any:
    """V(s_t), log pi(a_t|s_t), both [batch, time], and the decoder's states [batch, time, width]."""

    def evaluate(source: Any, target_in: Any, tokens: Any, positions: Any, features: Any) -> Any:
        states = model.decode_states(target_in, model.encode(source)).states
        return head(states, features), log_probs_at(model, states, tokens, positions), ops.cast(states, "float32")

    return evaluate
