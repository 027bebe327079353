"""Policy-gradient and risk baselines in the same harness: reinforce, mixer, scst, rloo and mrt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn, seeded
from nmt_rl.config import BatchConfig, DecodingConfig, MixerConfig, MRTConfig, OptimizerConfig
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl import policy_gradient as pg
from nmt_rl.rl.critic import value_and_states
from nmt_rl.rl.episode import Episode, EpisodeBatch, Origin, collate
from nmt_rl.rl.padding import corpus_sources, padded_length, shift_right, source_limits
from nmt_rl.rl.replay import Sampled
from nmt_rl.rl.targets import monte_carlo_returns
from nmt_rl.rl.term import Arrays, Numbers, Term, root_mean_square, value_numbers
from nmt_rl.rl.value import VALUE_UNITS, ValueHead, value_objective
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import log_probs, real_positions

Floats = NDArray[np.float64]


class SampleTerm(Term):
    """A term on samples of the policy as it is.

    Args:
        model: the policy.
        corpus: sources of the episodes.
        decoding: limits of the length.
    """

    def __init__(self, model: Seq2Seq, corpus: EncodedCorpus, decoding: DecodingConfig) -> None:
        """See the class docstring."""
        self.corpus, self.decoding, self._longest = corpus, decoding, model.max_length

    def arrays(self, episodes: Sequence[Episode]) -> tuple[EpisodeBatch, Arrays]:
        """Episodes as arrays; `weights` [episodes, time] are 1 at their pieces."""
        batch = collate(episodes, padded_length(max(len(e.tokens) for e in episodes), self._longest))
        return batch, {
            "source": corpus_sources(self.corpus, batch.source_id, self._longest),
            "target_in": shift_right(batch.tokens),
            "tokens": batch.tokens,
            "positions": real_positions(batch.tokens, BatchConfig()),
            "weights": batch.mask.astype(np.float32),
        }

    def drawn(self, batch: EpisodeBatch, source: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Pieces that the policy chose, [episodes, time]: not an EOS that the limit of the length forced, where there
        was nothing to choose."""
        last = source_limits(source, self.decoding, self._longest) - 1
        forced = (np.arange(batch.tokens.shape[1]) >= last[:, None]) & (batch.tokens == EOS)
        return batch.mask & ~forced


class PolicyGradientTerm(SampleTerm):
    """- mean A(s_t, a_t) log pi(a_t|s_t); what A is the subclasses say."""

    name = "policy_gradient"

    @abstractmethod
    def advantages(
        self, sampled: Sampled, samples: Sequence[Episode], batch: EpisodeBatch, arrays: Arrays
    ) -> tuple[Floats, Numbers]:
        """A [samples, time] or [samples, 1], and numbers to report."""

    def given(self, batch: EpisodeBatch, step: int) -> NDArray[np.bool_]:
        """Pieces that were not drawn but taken from the reference, [samples, time]."""
        return np.zeros(batch.tokens.shape, bool)

    def batch(self, sampled: Sampled, step: int) -> tuple[Arrays, Numbers]:
        """See Term.batch."""
        samples = [episode for episode in sampled.episodes if episode.origin == Origin.SAMPLE]
        batch, arrays = self.arrays(samples)
        given = self.given(batch, step)
        drawn = self.drawn(batch, arrays["source"]) & ~given
        arrays["weights"] = drawn.astype(np.float32)
        advantages, numbers = self.advantages(sampled, samples, batch, arrays)
        # Cross-entropy is the policy gradient of advantage 1.
        advantages = np.where(given, 1.0, advantages * drawn)
        arrays |= {"advantages": advantages.astype(np.float32), "weights": (given | drawn).astype(np.float32)}
        return arrays, numbers | {"tokens": float(batch.mask.sum())}

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """See Term.loss."""
        log_pi = log_probs(model, *(batch[name] for name in ("source", "target_in", "tokens", "positions")))
        loss = pg.policy_gradient_loss(log_pi, batch["advantages"], batch["weights"])
        return {"loss": loss, "advantage": root_mean_square(batch["advantages"], batch["weights"])}


class SCSTTerm(PolicyGradientTerm):
    """Self-critical sequence training (Rennie et al., 2017): what a sample is better than the greedy translation."""

    def advantages(
        self, sampled: Sampled, samples: Sequence[Episode], batch: EpisodeBatch, arrays: Arrays
    ) -> tuple[Floats, Numbers]:
        """See PolicyGradientTerm.advantages."""
        greedy = scores([episode for episode in sampled.episodes if episode.origin == Origin.GREEDY])
        return pg.scst_advantages(scores(samples).reshape(len(greedy), -1), greedy).reshape(-1, 1), {}


class RLOOTerm(PolicyGradientTerm):
    """Leave-one-out (Kool et al., 2019): what a sample is better than the source's other samples."""

    def advantages(
        self, sampled: Sampled, samples: Sequence[Episode], batch: EpisodeBatch, arrays: Arrays
    ) -> tuple[Floats, Numbers]:
        """See PolicyGradientTerm.advantages."""
        sources = len(set(batch.source_id.tolist()))
        return pg.rloo_advantages(scores(samples).reshape(sources, -1)).reshape(-1, 1), {}


class ReinforceTerm(PolicyGradientTerm):
    """REINFORCE with a learned baseline (Williams, 1992; Ranzato et al., 2016), piece by piece.

    Args:
        model: the policy.
        corpus: sources of the episodes.
        decoding: limits of the length.
        learning_rate: of the baseline.
        seed: of the baseline.
    """

    def __init__(
        self, model: Seq2Seq, corpus: EncodedCorpus, decoding: DecodingConfig, learning_rate: float, seed: int
    ) -> None:
        """See the class docstring."""
        super().__init__(model, corpus, decoding)
        self.learning_rate = learning_rate
        with seeded(seed):
            head = ValueHead(model.embeddings.width, 0, VALUE_UNITS)
        self.baseline = Learner(head, value_objective, OptimizerConfig(learning_rate=learning_rate))
        self._evaluate = compile_fn(partial(value_and_states, model, head), model, head)

    def advantages(
        self, sampled: Sampled, samples: Sequence[Episode], batch: EpisodeBatch, arrays: Arrays
    ) -> tuple[Floats, Numbers]:
        """Returns-to-go less the learned baseline, which is then moved towards them."""
        returns = monte_carlo_returns(batch.rewards, np.ones(batch.rewards.shape)) * batch.mask
        features = np.zeros((*batch.mask.shape, 0), np.float32)
        value, states = (np.asarray(x) for x in self._evaluate(arrays["source"], arrays["target_in"], features))
        task = {"states": states, "features": features, "target": returns.astype(np.float32)}
        task["weights"] = arrays["weights"]
        told = value_numbers(self.baseline.update([task], self.learning_rate))
        return pg.reinforce_advantages(returns, value, batch.mask), told

    def state(self) -> Arrays:
        """See Term.state."""
        return {f"baseline/{i}": np.asarray(v.value) for i, v in enumerate(self.baseline.state)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See Term.restore."""
        for i, variable in enumerate(self.baseline.state):
            variable.assign(arrays[f"baseline/{i}"])


class MixerTerm(ReinforceTerm):
    """MIXER (Ranzato et al., 2016): cross-entropy on what the actor took from the reference, REINFORCE on the rest.

    Args:
        model, corpus, decoding, seed: see ReinforceTerm.
        settings: how much is taken when.
    """

    def __init__(
        self, model: Seq2Seq, corpus: EncodedCorpus, decoding: DecodingConfig, settings: MixerConfig, seed: int
    ) -> None:
        """See the class docstring."""
        super().__init__(model, corpus, decoding, settings.baseline_learning_rate, seed)
        self.settings = settings

    def given(self, batch: EpisodeBatch, step: int) -> NDArray[np.bool_]:
        """See PolicyGradientTerm.given."""
        references = self.corpus.target_lengths[batch.source_id] + 1
        moves = pg.mixer_moves(step, self.settings.every)
        forced = pg.mixer_split(references, moves, self.settings.pieces)
        return pg.mixer_masks(forced, batch.mask.sum(axis=1), batch.tokens.shape[1])[0]


class RiskTerm(SampleTerm):
    """Minimum risk training (Shen et al., 2016) over sampled translations, with or without the reference.

    Args:
        model: the policy.
        corpus: sources of the episodes.
        decoding: limits of the length.
        settings: sharpness of the risk.
        sources: most sources of a batch.
    """

    name = "risk"

    def __init__(
        self, model: Seq2Seq, corpus: EncodedCorpus, decoding: DecodingConfig, settings: MRTConfig, sources: int
    ) -> None:
        """See the class docstring."""
        super().__init__(model, corpus, decoding)
        self.settings, self.sources = settings, sources

    def batch(self, sampled: Sampled, step: int) -> tuple[Arrays, Numbers]:
        """See Term.batch; translations that occur twice count once."""
        batch, arrays = self.arrays(sampled.episodes)
        rows = np.unique(batch.source_id, return_inverse=True)[1]
        arrays |= {
            "scores": scores(sampled.episodes).astype(np.float32),
            "source_index": rows.astype(np.int32),
            "kept": pg.dedupe(batch.tokens, batch.mask.sum(axis=1), rows).astype(np.float32),
        }
        return arrays, {"tokens": float(batch.mask.sum())}

    def size(self, arrays: Arrays) -> float:
        """See Term.size: sources."""
        return float(len(np.unique(arrays["source_index"])))

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """See Term.loss."""
        taken = log_probs(model, *(batch[name] for name in ("source", "target_in", "tokens", "positions")))
        log_pi = pg.sequence_log_prob(taken, batch["weights"])
        rest = (batch["scores"], batch["source_index"], self.sources, self.settings.alpha, batch["kept"])
        return {"loss": pg.risk_loss(log_pi, *rest)}


def scores(episodes: Sequence[Episode]) -> Floats:
    """What episodes are worth, float64 [n]."""
    return np.array([episode.score for episode in episodes])
