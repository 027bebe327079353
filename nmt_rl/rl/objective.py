"""The fine-tuning objective: fork loss, trajectory loss and cross-entropy anchor over precomputed targets."""

from __future__ import annotations

from keras import ops

from nmt_rl.config import FinetuneConfig
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.losses import fork_loss, fork_td_error, trajectory_loss, trajectory_td_error
from nmt_rl.training.losses import CrossEntropy, cross_entropy


class QObjective:
    """L = L_fork + c L_trajectory + alpha CE, for the terms that ride in the batch.

    Dropout is off in the Q-network's terms: the policy that is trained is the one that acted.

    Args:
        config: tau, weights, Huber cut.
        label_smoothing: of the cross-entropy anchor.
    """

    def __init__(self, config: FinetuneConfig, label_smoothing: float) -> None:
        """See the class docstring."""
        self.config = config
        self._anchor = CrossEntropy(label_smoothing)

    def __call__(self, model: Seq2Seq, batch: dict[str, dict[str, Tensor]], training: bool) -> dict[str, Tensor]:
        """`loss` and the root mean square TD error of each term, in BLEU of [0, 1]."""
        result: dict[str, Tensor] = {}
        loss = ops.zeros(())
        if "fork" in batch:
            value, result["td_error"] = self._fork(model, batch["fork"])
            loss = loss + value
        if "trajectory" in batch:
            value, result["trajectory_td_error"] = self._trajectory(model, batch["trajectory"])
            weight = self.config.trajectory_weight if self.config.objective == "both" else 1.0
            loss = loss + weight * value
        if "reference" in batch:
            anchor = self._anchor(model, batch["reference"], training)
            result["cross_entropy"] = anchor["nll"]
            loss = loss + self.config.cross_entropy * anchor["loss"]
        return {"loss": loss, **result}

    def _fork(self, model: Seq2Seq, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Equation (4) of docs/fine-tuning.md; only the two logits of each fork are computed."""
        inputs = (batch[name] for name in ("source", "target_in", "positions", "actions"))
        difference, weights = logit_difference(model, *inputs), batch["weights"]
        rest = (batch["prior_difference"], batch["value_difference"], self.config.tau)
        delta = fork_td_error(difference, *rest)
        return fork_loss(difference, *rest, huber=self.config.huber, weights=weights), _rms(delta, weights)

    def _trajectory(self, model: Seq2Seq, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Equation (5): regression of Q on soft lambda-targets."""
        logits = model.decode(batch["target_in"], model.encode(batch["source"])).logits
        log_pi = -cross_entropy(logits, batch["tokens"])
        rest = (batch["log_prior"], batch["value"], batch["target"], self.config.tau)
        delta = trajectory_td_error(log_pi, *rest)
        loss = trajectory_loss(log_pi, *rest, huber=self.config.huber, weights=batch["weights"])
        return loss, _rms(delta, batch["weights"])


def logit_difference(model: Seq2Seq, source: Tensor, target_in: Tensor, positions: Tensor, actions: Tensor) -> Tensor:
    """z(s, a) - z(s, a') float32 [forks]; no other logit is computed.

    Args:
        model: policy or prior.
        source: int32 [batch, source].
        target_in: decoder inputs of the translations the forks are on, int32 [batch, time].
        positions: places of the forks' states in the flattened [batch * time], int32 [forks].
        actions: a and a', int32 [forks, 2].
    """
    states = model.decode_states(target_in, model.encode(source)).states
    states = ops.take(ops.reshape(states, (-1, states.shape[-1])), positions, axis=0)
    logits = model.logits_of(states, actions)
    return logits[:, 0] - logits[:, 1]


def _rms(delta: Tensor, weights: Tensor) -> Tensor:
    """Root of the weighted mean square, 0 without any weight."""
    return ops.sqrt(ops.sum(weights * ops.square(delta)) / ops.maximum(ops.sum(weights), 1.0))
