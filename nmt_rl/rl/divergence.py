"""How far the policy is from the prior, and how sure of itself: KL and entropy along given translations."""

from __future__ import annotations

from typing import Any

from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.models.seq2seq import Seq2Seq, Tensor


def kl_divergence(log_pi: Tensor, log_prior: Tensor) -> Tensor:
    """KL(pi || prior) = sum_a pi(a) [ log pi(a) - log prior(a) ], in nats; [...] of [..., actions]."""
    return ops.sum(ops.exp(log_pi) * (log_pi - log_prior), axis=-1)


def entropy(log_pi: Tensor) -> Tensor:
    """H(pi) = -sum_a pi(a) log pi(a), in nats; [...] of [..., actions]."""
    return -ops.sum(ops.exp(log_pi) * log_pi, axis=-1)


class Divergence:
    """Sums over the pieces of translations of the policy's KL to the prior and of its entropy.

    Args:
        policy: its current weights are used.
        prior: the model it is compared with.
    """

    def __init__(self, policy: Seq2Seq, prior: Seq2Seq) -> None:
        """See the class docstring."""
        self.policy, self.prior = policy, prior
        self._sums = compile_fn(self._evaluate, policy, prior)

    def __call__(self, source: Any, target_in: Any, target: Any) -> tuple[float, float, float]:
        """Sums of KL and entropy, in nats, and the number of pieces, of int32 [batch, ...] ids; PAD does not count."""
        kl, uncertainty, pieces = (float(x) for x in self._sums(source, target_in, target))
        return kl, uncertainty, pieces

    def _evaluate(self, source: Tensor, target_in: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_pi, log_prior = (
            ops.log_softmax(m.decode(target_in, m.encode(source)).logits, axis=-1) for m in (self.policy, self.prior)
        )
        weights = ops.cast(ops.not_equal(target, PAD), "float32")
        sums = (ops.sum(weights * x) for x in (kl_divergence(log_pi, log_prior), entropy(log_pi)))
        return (*sums, ops.sum(weights))
