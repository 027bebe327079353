"""What a Q-parameterisation is, and the one of the KL-anchored policy: Q = V + tau log(pi / prior)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn, seeded
from nmt_rl.config import BatchConfig, KLConfig, OptimizerConfig
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.episode import EpisodeBatch
from nmt_rl.rl.forks import kl_q_difference
from nmt_rl.rl.losses import trajectory_loss, trajectory_td_error
from nmt_rl.rl.target_network import TargetNetwork
from nmt_rl.rl.targets import log_ratio, q_values, value_targets
from nmt_rl.rl.term import ERRORS, Arrays, Numbers, root_mean_square, value_numbers
from nmt_rl.rl.value import VALUE_UNITS, ValueHead, value_objective
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import log_probs, log_probs_at, real_positions

Floats = NDArray[np.floating]


class Evaluated(NamedTuple):
    """What targets are made of; float [batch, time] each."""

    value: Floats
    """Value of s_t by the target network, which targets bootstrap from."""
    penalty: Floats
    """Q(s_t, a_t) - value of s_t, both of the target network: what later actions of a multi-step target are charged, so
    that it is right for any behaviour policy (path consistency; Harutyunyan et al., 2016, for hard backups)."""
    kept: dict[str, Floats]
    """What `QNetwork.fit` needs beside them."""


class QNetwork(ABC):
    """Q(s_t, a_t) of given translations: as it is learnt, and as its slower copy sees it."""

    target: TargetNetwork
    penalty_is_exact: ClassVar[bool] = False
    """Whether the penalty is tau times log-probabilities of the policy, and not a difference of estimates."""

    @abstractmethod
    def evaluate(self, batch: EpisodeBatch, source: np.ndarray, target_in: np.ndarray) -> Evaluated:
        """Both networks on a batch of translations."""

    @abstractmethod
    def fit(self, evaluated: Evaluated, batch: EpisodeBatch, y: Floats, weights: Floats) -> tuple[Arrays, Numbers]:
        """What the loss needs beside targets and weights, or in place of these, and numbers to report; networks beside
        the policy are updated here."""

    @abstractmethod
    def loss(self, model: Seq2Seq, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """`loss`, `errors` and numbers to report, of `source`, `target_in`, `tokens`, their `positions`, `target`,
        `weights` and what `fit` gave."""

    @abstractmethod
    def difference(self, model: Seq2Seq, batch: dict[str, Tensor]) -> Tensor:
        """Q(s, a) - Q(s, a') [forks], of `source`, `target_in` and what `forks.fork_arrays` gives."""

    @property
    def variables(self) -> list[Any]:
        """What a resume needs beside the policy."""
        return self.target.variables


class KLNetwork(QNetwork):
    """Q = V + tau kappa with kappa = log pi - log pi_0: the policy is the advantage stream, V a head on its states.

    Args:
        model: the policy.
        target: a model of the same shape.
        features: number of privileged features of a state, which V may know.
        settings: of V.
        tau: BLEU per nat.
        huber: cut of the Huber loss on TD errors; 0: squared.
        target_rate: Polyak rate of the target network.
        seed: of V.
    """

    penalty_is_exact = True

    def __init__(
        self,
        model: Seq2Seq,
        target: Seq2Seq,
        features: int,
        settings: KLConfig,
        *,
        tau: float,
        huber: float,
        target_rate: float,
        seed: int,
    ) -> None:
        """See the class docstring."""
        self.settings, self.tau, self.huber = settings, tau, huber
        with seeded(seed):
            self.head, target_head = (ValueHead(model.embeddings.width, features, VALUE_UNITS) for _ in range(2))
        self.value_learner = Learner(self.head, value_objective, OptimizerConfig(learning_rate=settings.learning_rate))
        self.target = TargetNetwork([(model, target), (self.head, target_head)], target_rate)
        self._online = compile_fn(_evaluation(model, self.head), model, self.head)
        self._target = compile_fn(_evaluation(target, target_head), target, target_head)

    def evaluate(self, batch: EpisodeBatch, source: np.ndarray, target_in: np.ndarray) -> Evaluated:
        """See QNetwork.evaluate."""
        inputs = (source, target_in, batch.tokens, real_positions(batch.tokens, BatchConfig()), batch.features)
        value, _, states = (np.asarray(x) for x in self._online(*inputs))
        target_value, target_log_pi, _ = (np.asarray(x) for x in self._target(*inputs))
        kappa = log_ratio(target_log_pi, batch.prior_log_probs) * batch.mask
        kept = {"value": value, "states": states, "features": batch.features}
        return Evaluated(target_value, q_values(0.0, kappa, self.tau), kept)

    def fit(self, evaluated: Evaluated, batch: EpisodeBatch, y: Floats, weights: Floats) -> tuple[Arrays, Numbers]:
        """One update of V towards y - tau kappa."""
        goal = value_targets(y, evaluated.penalty).astype(np.float32)
        kept = evaluated.kept
        task = {"states": kept["states"], "features": kept["features"], "target": goal, "weights": weights}
        told = value_numbers(self.value_learner.update([task], self.settings.learning_rate))
        return {"log_prior": batch.prior_log_probs, "value": kept["value"].astype(np.float32)}, told

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Regression of Q, equation (2) of docs/methods.md, on the targets, equation (7)."""
        log_pi = log_probs(model, *(batch[name] for name in ("source", "target_in", "tokens", "positions")))
        rest = (batch["log_prior"], batch["value"], batch["target"], self.tau)
        delta = trajectory_td_error(log_pi, *rest)
        loss = trajectory_loss(log_pi, *rest, huber=self.huber, weights=batch["weights"])
        return {"loss": loss, "td_error": root_mean_square(delta, batch["weights"]), ERRORS: delta}

    def difference(self, model: Seq2Seq, batch: dict[str, Tensor]) -> Tensor:
        """See QNetwork.difference."""
        return kl_q_difference(model, batch, self.tau)

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
