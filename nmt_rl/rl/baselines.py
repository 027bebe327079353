"""Policy-gradient and risk baselines in the same harness: reinforce, scst, rloo, mixer and mrt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn, seeded
from nmt_rl.config import BatchConfig, Config, OptimizerConfig
from nmt_rl.corpus.tokenizer import EOS, PAD, Tokenizer
from nmt_rl.decoding.generator import Generator
from nmt_rl.decoding.restrictions import Restrictions
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl import policy_gradient as pg
from nmt_rl.rl.reward import Reward
from nmt_rl.rl.rollouts import padded_length, shift_right, source_limits
from nmt_rl.rl.targets import monte_carlo_returns
from nmt_rl.rl.term import Arrays, Drawn, Numbers, Term, root_mean_square
from nmt_rl.rl.value import ValueHead, value_objective
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import log_probs, real_positions


class Samples(NamedTuple):
    """Translations of the sources of a batch, several of each."""

    rows: NDArray[np.int64]
    """Which source each translates, [rows]."""
    ids: NDArray[np.int32]
    """Pieces, PAD behind the end, [rows, time]."""
    lengths: NDArray[np.int64]
    """[rows]."""
    chosen: NDArray[np.bool_]
    """Pieces that were drawn: false behind the end, and at an EOS that the limit of the length forced, where there
    was nothing to choose; [rows, time]."""


class Sampler:
    """Samples translations and pads them to few widths.

    Args:
        model: its current weights are the policy.
        config: the experiment.
    """

    def __init__(self, model: Seq2Seq, config: Config) -> None:
        """See the class docstring."""
        self.decoding, self.settings = config.decoding, config.finetune.policy_gradient
        self._longest = model.max_length
        restrictions = Restrictions.of(config.decoding, prefix=True)
        self._generator = Generator(model, top_k=self.settings.top_k, restrictions=restrictions)
        self._greedy = Generator(model, restrictions=restrictions)

    def draw(self, drawn: Drawn, prefix: NDArray[np.int32] | None = None, forced: Any = None) -> Samples:
        """Samples of every source; if a prefix [batch, time] is given, after its first `forced` pieces [batch].

        Pieces of the prefix count as chosen here.
        """
        rows = np.repeat(np.arange(len(drawn.rows.source)), self.settings.samples)
        if prefix is not None:
            prefix, forced = prefix[rows], forced[rows]
        source, seed = drawn.rows.source[rows], int(drawn.rng.integers(2**31))
        limits = source_limits(source, self.decoding, self._longest)
        played = self._generator(source, limits, prefix, forced, temperature=self.settings.temperature, seed=seed)
        samples = self.padded(rows, played.ids)
        last = np.arange(samples.ids.shape[1]) >= limits[:, None] - 1
        return samples._replace(chosen=samples.chosen & ~(last & (samples.ids == EOS)))

    def greedy(self, drawn: Drawn) -> NDArray[np.int32]:
        """Greedy translations, int32 [batch, time]."""
        return self._greedy(drawn.rows.source, source_limits(drawn.rows.source, self.decoding, self._longest)).ids

    def padded(self, rows: NDArray[np.int64], ids: NDArray[np.int32]) -> Samples:
        """Translations with their lengths, padded to a width that is compiled."""
        width = padded_length(ids.shape[1], self._longest)
        ids = np.pad(ids, ((0, 0), (0, width - ids.shape[1])))
        real = ids != PAD
        return Samples(rows, ids, real.sum(axis=1), real)


class PolicyGradientTerm(Term):
    """REINFORCE with a learned baseline, self-critical training, leave-one-out, or MIXER.

    Args:
        model: the policy.
        tokenizer: of the target side.
        reward: what a translation is worth.
        config: the experiment.
        seed: of the baseline.
    """

    name = "policy_gradient"

    def __init__(self, model: Seq2Seq, tokenizer: Tokenizer, reward: Reward, config: Config, seed: int) -> None:
        """See the class docstring."""
        self.objective, self.settings = config.finetune.objective, config.finetune.policy_gradient
        self.tokenizer, self.reward, self.sampler = tokenizer, reward, Sampler(model, config)
        self.baseline: Learner | None = None
        if self.objective in ("reinforce", "mixer"):
            with seeded(seed):
                self.head = ValueHead(model.embeddings.width, 0, self.settings.baseline_units)
            rate = self.settings.baseline_learning_rate
            self.baseline = Learner(self.head, value_objective, OptimizerConfig(learning_rate=rate))
            self._evaluate = compile_fn(_baseline(model, self.head), model, self.head)

    def batch(self, drawn: Drawn) -> tuple[Arrays, Numbers]:
        """See Term.batch."""
        if self.objective == "mixer":
            moves = pg.mixer_moves(drawn.step, self.settings.mixer_updates)
            references = drawn.rows.target_out
            forced = pg.mixer_split((references != PAD).sum(axis=1), moves, self.settings.mixer_pieces)
            samples = self.sampler.draw(drawn, references, forced)
            given, sampled = pg.mixer_masks(forced[samples.rows], samples.lengths, samples.ids.shape[1])
        else:
            samples = self.sampler.draw(drawn)
            given, sampled = np.zeros(samples.ids.shape, bool), samples.ids != PAD
        sampled = sampled & samples.chosen
        mask = given | sampled
        arrays = {
            "source": drawn.rows.source[samples.rows],
            "target_in": shift_right(samples.ids),
            "tokens": samples.ids,
            "positions": real_positions(samples.ids, BatchConfig()),
            "weights": mask.astype(np.float32),
        }
        if self.baseline is None:
            numbers: Numbers = {}
            scores = self._scores(samples, drawn)
            advantages = self._sentence_advantages(scores, drawn)[:, None] * mask
        else:
            scores, advantages, numbers = self._step_advantages(self.baseline, samples, arrays, sampled, drawn)
        # Cross-entropy is the policy gradient of advantage 1.
        advantages = np.where(given, 1.0, advantages)
        numbers |= sample_numbers(scores, samples, drawn)
        return {**arrays, "advantages": advantages.astype(np.float32)}, numbers

    def _scores(self, samples: Samples, drawn: Drawn) -> NDArray[np.float64]:
        references = [drawn.references[row] for row in samples.rows]
        return self.reward.scores(self.tokenizer.decode(samples.ids), references)

    def _sentence_advantages(self, scores: NDArray[np.float64], drawn: Drawn) -> NDArray[np.float64]:
        grouped = scores.reshape(len(drawn.rows.source), -1)
        if self.objective == "rloo":
            return pg.rloo_advantages(grouped).reshape(-1)
        greedy = self.reward.scores(self.tokenizer.decode(self.sampler.greedy(drawn)), drawn.references)
        return pg.scst_advantages(grouped, greedy).reshape(-1)

    def _step_advantages(
        self, baseline: Learner, samples: Samples, arrays: Arrays, sampled: NDArray[np.bool_], drawn: Drawn
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], Numbers]:
        """Returns-to-go less the learned baseline, which is then moved towards them."""
        mask = samples.ids != PAD
        rewards, scores = np.zeros(samples.ids.shape), np.zeros(len(samples.ids))
        translations = [ids[:length] for ids, length in zip(samples.ids, samples.lengths, strict=True)]
        episodes = self.reward.episodes(translations, [drawn.references[row] for row in samples.rows])
        for i, episode in enumerate(episodes):
            rewards[i, : samples.lengths[i]], scores[i] = episode.rewards, episode.score
        returns = monte_carlo_returns(rewards, np.ones_like(rewards)) * mask
        value, states = (np.asarray(x) for x in self._evaluate(arrays["source"], arrays["target_in"]))
        features = np.zeros((*mask.shape, 0), np.float32)
        task = {"states": states, "features": features, "target": returns.astype(np.float32)}
        task["weights"] = sampled.astype(np.float32)
        loss = baseline.update([task], self.settings.baseline_learning_rate)["loss"]
        return scores, pg.reinforce_advantages(returns, value, mask), {"value_loss": loss}

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """See Term.loss."""
        log_pi = log_probs(model, *(batch[name] for name in ("source", "target_in", "tokens", "positions")))
        loss = pg.policy_gradient_loss(log_pi, batch["advantages"], batch["weights"])
        return {"loss": loss, "advantage": root_mean_square(batch["advantages"], batch["weights"])}

    def state(self) -> Arrays:
        """See Term.state."""
        variables = self.baseline.state if self.baseline is not None else []
        return {f"baseline/{i}": np.asarray(v.value) for i, v in enumerate(variables)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See Term.restore."""
        for i, variable in enumerate(self.baseline.state if self.baseline is not None else []):
            variable.assign(arrays[f"baseline/{i}"])


class RiskTerm(Term):
    """Minimum risk training (Shen et al., 2016) over sampled translations, with or without the reference.

    Args:
        model: the policy.
        tokenizer: of the target side.
        reward: what a translation is worth.
        config: the experiment.
    """

    name = "risk"

    def __init__(self, model: Seq2Seq, tokenizer: Tokenizer, reward: Reward, config: Config) -> None:
        """See the class docstring."""
        self.settings, self.sources = config.finetune.policy_gradient, config.finetune.sentences
        self.tokenizer, self.reward, self.sampler = tokenizer, reward, Sampler(model, config)

    def batch(self, drawn: Drawn) -> tuple[Arrays, Numbers]:
        """See Term.batch; translations that occur twice count once."""
        samples = played = self.sampler.draw(drawn)
        if self.settings.mrt_reference:
            width = max(samples.ids.shape[1], drawn.rows.target_out.shape[1])
            both = [np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in (samples.ids, drawn.rows.target_out)]
            rows = np.concatenate([samples.rows, np.arange(len(drawn.rows.source))])
            samples = self.sampler.padded(rows, np.concatenate(both))
        references = [drawn.references[row] for row in samples.rows]
        scores = self.reward.scores(self.tokenizer.decode(samples.ids), references)
        kept = pg.dedupe(samples.ids, samples.lengths, samples.rows)
        arrays = {
            "source": drawn.rows.source[samples.rows],
            "target_in": shift_right(samples.ids),
            "tokens": samples.ids,
            "positions": real_positions(samples.ids, BatchConfig()),
            "weights": (samples.ids != PAD).astype(np.float32),
            "scores": scores.astype(np.float32),
            "source_index": samples.rows.astype(np.int32),
            "kept": kept.astype(np.float32),
        }
        return arrays, sample_numbers(scores[: len(played.ids)], played, drawn)

    def size(self, arrays: Arrays) -> float:
        """See Term.size: sources."""
        return float(len(np.unique(arrays["source_index"])))

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """See Term.loss."""
        taken = log_probs(model, *(batch[name] for name in ("source", "target_in", "tokens", "positions")))
        log_pi = pg.sequence_log_prob(taken, batch["weights"])
        rest = (batch["scores"], batch["source_index"], self.sources, self.settings.mrt_alpha, batch["kept"])
        return {"loss": pg.risk_loss(log_pi, *rest)}


def sample_numbers(scores: NDArray[np.float64], samples: Samples, drawn: Drawn) -> Numbers:
    """What the diary says of a batch of samples."""
    references = (drawn.rows.target_out != PAD).sum(axis=1)[samples.rows]
    return {
        "sample_return": float(scores.mean()),
        "length_ratio": float(samples.lengths.sum() / references.sum()),
        "tokens": float(samples.lengths.sum()),
    }


def _baseline(model: Seq2Seq, head: ValueHead) -> Any:
    """b(s_t) [batch, time], and the decoder's states [batch, time, width]."""

    def evaluate(source: Any, target_in: Any) -> Any:
        states = ops.cast(model.decode_states(target_in, model.encode(source)).states, "float32")
        return head(states, ops.zeros((*ops.shape(states)[:2], 0))), states

    return evaluate
