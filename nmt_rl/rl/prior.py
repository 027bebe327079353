"""The prior, and how strongly the policy is pulled to it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from keras import ops

from nmt_rl.config import FinetuneConfig
from nmt_rl.models.seq2seq import Seq2Seq


def controlled_tau(tau: float, kl: float, length_ratio: float, limit: float, deviation: float, rate: float) -> float:
    """tau e^rate if the policy has gone too far, tau e^-rate otherwise.

    A multiplicative controller of the KL, as PPO's adaptive penalty (Schulman et al., 2017, section 4) or Ziegler et
    al. (2019, section 2.2), with the length ratio as a second alarm.

    Args:
        tau: BLEU per nat.
        kl: KL(pi || prior), nats per piece.
        length_ratio: pieces of what was played (forks: greedy, trajectories: samples) per piece of the references.
        limit: largest `kl`.
        deviation: largest distance of `length_ratio` from 1.
        rate: exponent of a move.
    """
    far = kl > limit or abs(length_ratio - 1.0) > deviation
    return tau * math.exp(rate if far else -rate)


class Prior:
    """The frozen model the policy is compared with, tau, and the rules that move them.

    Args:
        model: the pretrained model; never trained, replaced by the policy at every refresh.
        settings: tau, controller, refresh.
    """

    def __init__(self, model: Seq2Seq, settings: FinetuneConfig) -> None:
        """See the class docstring."""
        self.model, self.settings, self.tau = model, settings, settings.tau

    def control(self, step: int, kl: float, length_ratio: float) -> None:
        """Move tau if it is time to."""
        rule = self.settings.controller
        if rule.every and step % rule.every == 0:
            tau, start = controlled_tau(self.tau, kl, length_ratio, rule.kl, rule.length, rule.rate), self.settings.tau
            self.tau = min(max(tau, start / rule.range), start * rule.range)

    def refresh(self, step: int, policy: Seq2Seq) -> bool:
        """Take over the policy's weights if it is time to; whether it was. tau is what it was at the start then."""
        every = self.settings.prior_refresh
        if not every or step % every:
            return False
        for old, new in zip(self.model.weights, policy.weights, strict=True):
            # A copy: on JAX an update of the policy frees its old arrays.
            old.assign(ops.copy(new.value))
        self.tau = self.settings.tau
        return True

    def state(self) -> dict[str, np.ndarray]:
        """Everything for an exact resume; the weights only if they can have changed."""
        weights = self.model.weights if self.settings.prior_refresh else []
        arrays = {f"prior/{i}": ops.convert_to_numpy(w.value) for i, w in enumerate(weights)}
        return {"prior/tau": np.array(self.tau), **arrays}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave."""
        self.tau = float(arrays["prior/tau"])
        if self.settings.prior_refresh:
            for i, variable in enumerate(self.model.weights):
                variable.assign(arrays[f"prior/{i}"])
