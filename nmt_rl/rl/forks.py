"""Part A of the objective: forked rollouts, the exact Q-differences of the greedy policy."""

from __future__ import annotations

from functools import partial

import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn
from nmt_rl.config import Config
from nmt_rl.corpus.tokenizer import PAD, Tokenizer
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.losses import fork_loss, fork_td_error
from nmt_rl.rl.reward import Reward
from nmt_rl.rl.rollouts import ForkRollout, Forks, padded_length, shift_right
from nmt_rl.rl.term import Arrays, Drawn, Numbers, Term, root_mean_square


class ForkTerm(Term):
    """Regression of log-ratio differences on return differences: equation (4) of docs/fine-tuning.md.

    Args:
        model: the policy.
        prior: the frozen pretrained model.
        tokenizer: of the target side.
        reward: what a translation is worth.
        config: the experiment.
    """

    name = "fork"

    def __init__(self, model: Seq2Seq, prior: Seq2Seq, tokenizer: Tokenizer, reward: Reward, config: Config) -> None:
        """See the class docstring."""
        self.settings = config.finetune
        self._longest = model.max_length
        self._rollout = ForkRollout(model, tokenizer, reward, config.decoding, self.settings.fork)
        self._prior_difference = compile_fn(partial(logit_difference, prior), prior)

    def batch(self, drawn: Drawn) -> tuple[Arrays, Numbers]:
        """See Term.batch; forks are padded to their largest number, so that shapes stay few."""
        source = drawn.rows.source
        path, scores, forks = self._rollout.play(source, drawn.references, drawn.rng)
        width = padded_length(path.ids.shape[1], self._longest)
        ids = np.pad(path.ids, ((0, 0), (0, width - path.ids.shape[1])))
        size, room = len(forks.row), len(source) * self.settings.fork.per_source
        positions, actions = np.zeros(room, np.int32), np.zeros((room, 2), np.int32)
        positions[:size] = forks.row * width + forks.time
        actions[:size] = forks.actions
        values, weights = np.zeros(room, np.float32), np.zeros(room, np.float32)
        values[:size] = forks.values[:, 0] - forks.values[:, 1]
        weights[:size] = 1.0
        target_in = shift_right(ids)
        prior_difference = np.asarray(self._prior_difference(source, target_in, positions, actions))
        arrays = {
            "source": source,
            "target_in": target_in,
            "positions": positions,
            "actions": actions,
            "prior_difference": prior_difference,
            "value_difference": values,
            "weights": weights,
            "tau": np.array(drawn.tau, np.float32),
        }
        references = (drawn.rows.target_out != PAD).sum()
        numbers = fork_numbers(scores, forks) | {"tokens": float(path.lengths.sum())}
        return arrays, numbers | {"length_ratio": numbers["tokens"] / references}

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """Equation (4); only the two logits of each fork are computed."""
        inputs = (batch[name] for name in ("source", "target_in", "positions", "actions"))
        difference, weights = logit_difference(model, *inputs), batch["weights"]
        rest = (batch["prior_difference"], batch["value_difference"], batch["tau"])
        delta = fork_td_error(difference, *rest)
        loss = fork_loss(difference, *rest, huber=self.settings.huber, weights=weights)
        return {"loss": loss, "td_error": root_mean_square(delta, weights)}


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


def fork_numbers(scores: NDArray[np.float64], forks: Forks) -> dict[str, float]:
    """What the diary says of a batch of forks: the greedy policy's return, and how forks compare with it."""
    gains = forks.values[:, 1] - forks.values[:, 0]
    return {
        "return": float(scores.mean()),
        "forks": float(len(gains)),
        "fork_better": float((gains > 0).mean()) if len(gains) else 0.0,
        "fork_gap": float(np.abs(gains).mean()) if len(gains) else 0.0,
    }
