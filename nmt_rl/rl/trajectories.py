"""Part B of the objective: sampled translations, replay, target network and soft lambda-targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn, seeded
from nmt_rl.config import Config, OptimizerConfig
from nmt_rl.corpus.batches import pad_source
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import Tokenizer
from nmt_rl.decoding.search import Generator
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.rl.bleu import Reference
from nmt_rl.rl.replay import EpisodeRecord, SequenceReplay, choose_uniform, collate
from nmt_rl.rl.reward import BleuReward
from nmt_rl.rl.rollouts import length_limits, padded_length, shift_right
from nmt_rl.rl.targets import log_ratio, next_step, soft_lambda_targets, value_targets
from nmt_rl.rl.value import ValueHead, value_objective
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import cross_entropy


class Trajectories:
    """Makes trajectory batches and owns what they need: replay, target network, value head.

    Args:
        model: the policy; its current weights act.
        prior: the frozen pretrained model.
        target: a model of the same shape, used as the target network.
        tokenizer: of the target side.
        corpus: sources of replayed sequences.
        config: the experiment.
    """

    def __init__(
        self,
        model: Seq2Seq,
        prior: Seq2Seq,
        target: Seq2Seq,
        tokenizer: Tokenizer,
        corpus: EncodedCorpus,
        config: Config,
    ) -> None:
        """See the class docstring."""
        self.settings, self.config = config.finetune.trajectory, config
        self.model, self.target, self.corpus = model, target, corpus
        self.reward = BleuReward(tokenizer)
        self.replay = SequenceReplay(self.settings.replay.capacity)
        width = model.embeddings.width
        features = self.reward.features if self.settings.privileged else 0
        with seeded(config.seed):
            self.head = ValueHead(width, features, self.settings.value_units)
            self.target_head = ValueHead(width, features, self.settings.value_units)
        rate = self.settings.value_learning_rate
        self.value_learner = Learner(self.head, value_objective, OptimizerConfig(learning_rate=rate))
        self._sampler = Generator(model, top_k=self.settings.behaviour.top_k)
        self._evaluate_online = compile_fn(_evaluation(model, self.head), model, self.head)
        self._evaluate_target = compile_fn(_evaluation(target, self.target_head), target, self.target_head)
        self._evaluate_prior = compile_fn(_log_probs(prior), prior)
        self._copy(1.0)

    def batch(
        self,
        indices: NDArray[np.int64],
        source: NDArray[np.int32],
        references: Sequence[Reference],
        step: int,
        rng: np.random.Generator,
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Play, draw, store, and compute the targets of one batch; also trains the value head once.

        Args:
            indices: pairs of the corpus, int64 [batch].
            source: their sources, int32 [batch, source].
            references: their references.
            step: the update this batch is for, from 1.
            rng: of samples and replay.

        Returns:
            What `QObjective` reads as `trajectory`, and numbers to report.
        """
        fresh = self._play(indices, source, references, step, rng)
        share = self.settings.replay.share
        old = round(len(fresh) * share / (1.0 - share)) if len(self.replay) else 0
        records = fresh + (self.replay.get(choose_uniform(self.replay.ids, old, rng)) if old else [])
        self.replay.add(fresh)
        batch, numbers = self._targets(records, step)
        scores = [record.score for record in fresh]
        return batch, {"sample_return": float(np.mean(scores)), "replay": float(len(self.replay)), **numbers}

    def after_update(self, step: int) -> None:
        """Move the target network: every `target_period` updates a copy, or a Polyak step."""
        if self.settings.target_period:
            if step % self.settings.target_period == 0:
                self._copy(1.0)
        else:
            self._copy(self.settings.target_rate)

    def state(self) -> dict[str, np.ndarray]:
        """Everything for an exact resume, as arrays."""
        arrays = {f"replay/{name}": value for name, value in self.replay.state_dict().items()}
        arrays |= {f"value/{i}": np.asarray(v.value) for i, v in enumerate(self._variables())}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave."""
        prefix = "replay/"
        self.replay.load_state_dict({k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)})
        for i, variable in enumerate(self._variables()):
            variable.assign(arrays[f"value/{i}"])

    def _variables(self) -> list[Any]:
        return [*self.value_learner.state, *self.target.trainable_variables, *self.target_head.trainable_variables]

    def _copy(self, rate: float) -> None:
        for online, target in ((self.model, self.target), (self.head, self.target_head)):
            for new, old in zip(online.trainable_variables, target.trainable_variables, strict=True):
                # A copy: on JAX an update of the online network frees its old arrays.
                old.assign(ops.copy(new) if rate == 1.0 else old + rate * (new - old))

    def _play(
        self,
        indices: NDArray[np.int64],
        source: NDArray[np.int32],
        references: Sequence[Reference],
        step: int,
        rng: np.random.Generator,
    ) -> list[EpisodeRecord]:
        count = self.settings.samples
        rows = np.repeat(np.arange(len(source)), count)
        ladder = np.resize(np.asarray(self.settings.behaviour.temperatures, np.float32), len(rows))
        temperatures = rng.permutation(ladder)
        limits = length_limits(source, self.config.decoding, self.model.max_length)[rows]
        played = self._sampler(source[rows], limits, temperature=temperatures, seed=int(rng.integers(2**31)))
        width = padded_length(played.ids.shape[1], self.model.max_length)
        ids = np.pad(played.ids, ((0, 0), (0, width - played.ids.shape[1])))
        log_prior = np.asarray(self._evaluate_prior(source[rows], shift_right(ids), ids))
        records = []
        for i, row in enumerate(rows):
            length = int(played.lengths[i])
            episode = self.reward.episode(played.ids[i, :length], references[int(row)])
            records.append(
                EpisodeRecord(
                    source_id=int(indices[row]),
                    tokens=played.ids[i, :length],
                    rewards=episode.rewards.astype(np.float32),
                    prior_logp=log_prior[i, :length],
                    features=episode.features,
                    policy_version=step - 1,
                    temperature=float(temperatures[i]),
                )
            )
        return records

    def _targets(self, records: list[EpisodeRecord], step: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Equation (5), and one update of V towards y - tau kappa."""
        tau, warm = self.config.finetune.tau, step <= self.settings.monte_carlo_updates
        longest = self.model.max_length
        batch = collate(records, padded_length(max(len(record.tokens) for record in records), longest))
        pieces = [self.corpus.source(int(i)).tolist() for i in batch.source_id]
        source = pad_source(pieces, padded_length(max(map(len, pieces)) + 1, longest))
        target_in = shift_right(batch.tokens)
        inputs = (source, target_in, batch.tokens, batch.features)
        value, _, states = (np.asarray(x) for x in self._evaluate_online(*inputs))
        target_value, target_log_pi, _ = (np.asarray(x) for x in self._evaluate_target(*inputs))
        kappa = log_ratio(target_log_pi, batch.prior_logp) * batch.mask
        trace = 1.0 if warm else self.settings.trace
        y = soft_lambda_targets(
            batch.rewards, batch.discount, next_step(target_value), next_step(tau * kappa), trace, batch.mask
        )
        weights = batch.mask.astype(np.float32)
        goal = value_targets(y, kappa, tau).astype(np.float32)
        fit = {"states": states, "features": batch.features, "target": goal, "weights": weights}
        value_loss = self.value_learner.update(fit, self.settings.value_learning_rate)["loss"]
        result = {
            "source": source,
            "target_in": target_in,
            "tokens": batch.tokens,
            "log_prior": batch.prior_logp,
            "value": value.astype(np.float32),
            "target": y.astype(np.float32),
            "weights": weights,
        }
        return result, {"value_loss": value_loss}


def _log_probs(model: Seq2Seq) -> Any:
    """log pi(a_t|s_t) float32 [batch, time] of given translations."""

    def evaluate(source: Any, target_in: Any, tokens: Any) -> Any:
        return -cross_entropy(model.decode(target_in, model.encode(source)).logits, tokens)

    return evaluate


def _evaluation(model: Seq2Seq, head: ValueHead) -> Any:
    """V(s_t), log pi(a_t|s_t), both [batch, time], and the decoder's states [batch, time, width]."""

    def evaluate(source: Any, target_in: Any, tokens: Any, features: Any) -> Any:
        output = model.decode(target_in, model.encode(source))
        return head(output.states, features), -cross_entropy(output.logits, tokens), ops.cast(output.states, "float32")

    return evaluate
