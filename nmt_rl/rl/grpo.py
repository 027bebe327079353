"""Group-relative policy optimisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmt_rl.config import DecodingConfig, GRPOConfig
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl import policy_gradient as pg
from nmt_rl.rl.baselines import Floats, PolicyGradientTerm, scores
from nmt_rl.rl.episode import Episode, EpisodeBatch
from nmt_rl.rl.losses import clipped_loss, kl_estimate
from nmt_rl.rl.replay import Sampled
from nmt_rl.rl.term import Arrays, Numbers
from nmt_rl.training.losses import log_probs


class GRPOTerm(PolicyGradientTerm):
    """Standardised scores, clipped ratios and a pull to the pretrained model (Shao et al., 2024, equation 3).

    As there, the mean is over the pieces of each translation, then over translations.

    Args:
        model: the policy.
        corpus: sources of the episodes.
        decoding: limits of the length.
        settings: the clip and the strength of the pull.
    """

    def __init__(self, model: Seq2Seq, corpus: EncodedCorpus, decoding: DecodingConfig, settings: GRPOConfig) -> None:
        """See the class docstring."""
        super().__init__(model, corpus, decoding)
        self.settings = settings

    def arrays(self, episodes: Sequence[Episode]) -> tuple[EpisodeBatch, Arrays]:
        """See SampleTerm.arrays; with log-probabilities of the policy that played and of the pretrained model."""
        batch, arrays = super().arrays(episodes)
        return batch, arrays | {"behaviour": batch.log_probs, "log_prior": batch.prior_log_probs}

    def advantages(
        self, sampled: Sampled, samples: Sequence[Episode], batch: EpisodeBatch, arrays: Arrays
    ) -> tuple[Floats, Numbers]:
        """See PolicyGradientTerm.advantages."""
        return pg.group_advantages(scores(samples).reshape(-1, self.settings.samples)).reshape(-1, 1), {}

    def batch(self, sampled: Sampled, step: int) -> tuple[Arrays, Numbers]:
        """See Term.batch."""
        arrays, numbers = super().batch(sampled, step)
        arrays["weights"] /= np.maximum(arrays["weights"].sum(axis=1, keepdims=True), 1.0)
        return arrays, numbers

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """See Term.loss; `clipped` is the share of pieces that the clip keeps from being pushed further."""
        log_pi = log_probs(model, *(batch[name] for name in ("source", "target_in", "tokens", "positions")))
        weights = batch["weights"]
        loss, clipped = clipped_loss(log_pi, batch["behaviour"], batch["advantages"], self.settings.clip, weights)
        if self.settings.beta:
            loss = loss + self.settings.beta * kl_estimate(log_pi, batch["log_prior"], weights)
        return {"loss": loss, "clipped": clipped}
