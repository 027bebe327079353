"""Part B of the objective: sampled translations, replay, and temporal differences on whole sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn
from nmt_rl.config import BatchConfig, Config, TrajectoryConfig
from nmt_rl.corpus.batches import pad_source
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.decoding.restrictions import Restrictions
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.behaviour import Behaviour
from nmt_rl.rl.priorities import PrioritySampler, importance_exponent, importance_weights, sequence_priorities
from nmt_rl.rl.q_network import Array, Evaluated, QNetwork
from nmt_rl.rl.replay import EpisodeBatch, EpisodeRecord, Origin, SequenceReplay, choose_uniform, collate
from nmt_rl.rl.reward import Reward
from nmt_rl.rl.rollouts import padded_length, shift_right, source_limits
from nmt_rl.rl.targets import n_step_targets, next_step, soft_lambda_targets
from nmt_rl.rl.term import Arrays, Drawn, Numbers, Term, below
from nmt_rl.training.losses import log_probs, real_positions

DEMONSTRATIONS = 256
"""Demonstrations that a new prior looks at at a time."""


class TrajectoryTerm(Term):
    """Plays, stores and draws translations, and computes the targets of a Q-network on them.

    Args:
        model: the policy; its current weights act.
        prior: the frozen pretrained model.
        network: the Q-parameterisation.
        reward: what a translation is worth.
        corpus: sources of replayed sequences.
        config: the experiment.
    """

    name = "trajectory"

    def __init__(
        self,
        model: Seq2Seq,
        prior: Seq2Seq,
        network: QNetwork,
        reward: Reward,
        corpus: EncodedCorpus,
        config: Config,
    ) -> None:
        """See the class docstring."""
        self.config, self.settings = config, config.finetune.trajectory
        self.weight = config.finetune.trajectory_weight if config.finetune.objective == "both" else 1.0
        self.network, self.reward, self.corpus = network, reward, corpus
        self._longest = model.max_length
        self._behaviour = Behaviour(model, self.settings.behaviour, Restrictions.of(config.decoding))
        self._evaluate_prior = compile_fn(partial(log_probs, prior), prior)
        self._forget()
        network.move_target(1.0)

    def batch(self, drawn: Drawn) -> tuple[Arrays, Numbers]:
        """See Term.batch: plays, draws, stores, computes targets; trains V once, if it stands beside the policy."""
        fresh = self._play(drawn)
        # Drawn before the new ones are stored: those may evict what is drawn.
        ids, weights, old = self._draw(len(fresh), drawn)
        new = self.replay.add(fresh)
        self.sampler.insert(new)
        weights = np.concatenate([np.ones(len(fresh)), weights])
        arrays, numbers, priorities = self.regression([*fresh, *old], weights, drawn.step, drawn.tau)
        if np.isfinite(priorities).all():  # Otherwise the loss is not finite, either, and the loop ends with that.
            self.sampler.update(np.concatenate([new, ids]), priorities)
        return arrays, numbers | self._numbers(fresh, drawn)

    def regression(
        self, records: Sequence[EpisodeRecord], weights: NDArray[np.float64], step: int, tau: float
    ) -> tuple[Arrays, Numbers, Array]:
        """What `loss` needs to regress Q on the targets of some records, numbers, and the records' new priorities.

        Args:
            records: translations.
            weights: of each record.
            step: the update this is for, from 1.
            tau: BLEU per nat.
        """
        batch = collate(records, padded_length(max(len(record.tokens) for record in records), self._longest))
        source, target_in = self._sources(batch.source_id), shift_right(batch.tokens)
        evaluated = self.network.evaluate(batch, source, target_in, tau)
        y = td_targets(batch, evaluated, self.settings, step)
        priorities = sequence_priorities(y - evaluated.q, batch.mask, self.settings.replay.priority_mix)
        each = (weights[:, None] * batch.mask).astype(np.float32)
        extra, numbers = self.network.fit(evaluated, batch, y, each)
        arrays = {
            "source": source,
            "target_in": target_in,
            "tokens": batch.tokens,
            "positions": real_positions(batch.tokens, BatchConfig()),
            "target": y.astype(np.float32),
            "weights": each,
            "tau": np.array(tau, np.float32),
            **extra,
        }
        return arrays, numbers | {"tokens": float(batch.mask.sum())}, priorities

    def _numbers(self, fresh: Sequence[EpisodeRecord], drawn: Drawn) -> Numbers:
        pieces = np.mean([len(record.tokens) for record in fresh])
        references = np.mean((drawn.rows.target_out != PAD).sum(axis=1))
        return {
            "sample_return": float(np.mean([record.score for record in fresh])),
            "length_ratio": float(pieces / references),
            "replay": float(len(self.replay)),
        }

    def _play(self, drawn: Drawn) -> list[EpisodeRecord]:
        rows = np.repeat(np.arange(len(drawn.rows.source)), self.settings.samples)
        source = drawn.rows.source[rows]
        limits = source_limits(source, self.config.decoding, self._longest)
        played = self._behaviour(source, limits, drawn.step, drawn.rng)
        translations = [ids[:length] for ids, length in zip(played.ids, played.lengths, strict=True)]
        return self._records(drawn, rows, translations, Origin.SAMPLE)

    def _records(
        self,
        drawn: Drawn,
        rows: NDArray[np.int64],
        translations: Sequence[NDArray[np.int32]],
        origin: Origin,
    ) -> list[EpisodeRecord]:
        """Translations of some rows of the batch with rewards and the prior's log-probabilities."""
        width = padded_length(max(map(len, translations)), self._longest)
        ids = np.stack([np.pad(pieces, (0, width - len(pieces))) for pieces in translations])
        log_prior = np.asarray(
            self._evaluate_prior(drawn.rows.source[rows], shift_right(ids), ids, real_positions(ids, BatchConfig()))
        )
        records = []
        episodes = self.reward.episodes(translations, [drawn.references[int(row)] for row in rows])
        for i, (row, pieces, episode) in enumerate(zip(rows, translations, episodes, strict=True)):
            records.append(
                EpisodeRecord(
                    source_id=int(drawn.rows.indices[row]),
                    tokens=pieces,
                    rewards=episode.rewards.astype(np.float32),
                    prior_logp=log_prior[i, : len(pieces)],
                    features=episode.features,
                    policy_version=drawn.step - 1,
                    origin=origin,
                )
            )
        return records

    def _draw(self, fresh: int, drawn: Drawn) -> tuple[NDArray[np.int64], NDArray[np.float64], list[EpisodeRecord]]:
        """Stored samples and demonstrations, each its share of a batch in which `fresh` are new: ids, weights, records.

        Only drawing by priority needs importance weights; whatever is new or demonstrated weighs 1.
        """
        settings = self.settings.replay
        whole = fresh / (1.0 - settings.share - settings.demonstrations)
        ids, weights = np.zeros(0, np.int64), np.zeros(0)
        alive = self.replay.ids_since(drawn.step - 1 - settings.max_age) if settings.max_age else self.replay.ids
        old = round(whole * settings.share)
        if old and len(alive):
            ids, probabilities = self.sampler.draw(old, drawn.rng, alive.start)
            exponent = importance_exponent(settings.importance, drawn.step, self.config.finetune.updates)
            weights = importance_weights(probabilities, len(self.sampler), exponent)
        if settings.demonstrations:
            self._demonstrate(drawn)
            shown = choose_uniform(self.replay.demonstration_ids, round(whole * settings.demonstrations), drawn.rng)
            ids, weights = np.concatenate([ids, shown]), np.concatenate([weights, np.ones(len(shown))])
        return ids, weights, self.replay.get(ids)

    def _demonstrate(self, drawn: Drawn) -> None:
        """Store the references of the batch that are not stored yet."""
        rows = np.array([row for row, index in enumerate(drawn.rows.indices) if int(index) not in self._demonstrated])
        if not len(rows):
            return
        references = drawn.rows.target_out
        translations = [references[row][references[row] != PAD] for row in rows]
        self.replay.add_demonstrations(self._records(drawn, rows, translations, Origin.REFERENCE))
        self._demonstrated.update(int(drawn.rows.indices[row]) for row in rows)

    def _sources(self, source_id: NDArray[np.int64]) -> NDArray[np.int32]:
        pieces = [self.corpus.source(int(i)).tolist() for i in source_id]
        return pad_source(pieces, padded_length(max(map(len, pieces)) + 1, self._longest))

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """See Term.loss."""
        return self.network.loss(model, batch)

    def after_update(self, step: int) -> None:
        """Move the target network: every `target_period` updates a copy, or a Polyak step."""
        if not self.settings.target_period:
            self.network.move_target(self.settings.target_rate)
        elif step % self.settings.target_period == 0:
            self.network.move_target(1.0)

    def prior_changed(self) -> None:
        """The log-probabilities in the replay are the old prior's: forget the samples, ask anew for demonstrations."""
        shown = self.replay.get(reversed(self.replay.demonstration_ids))  # The oldest first, so that ids stay.
        self._forget()
        for start in range(0, len(shown), DEMONSTRATIONS):
            self.replay.add_demonstrations(self._with_prior(shown[start : start + DEMONSTRATIONS]))
        self._demonstrated.update(record.source_id for record in shown)

    def _with_prior(self, records: Sequence[EpisodeRecord]) -> list[EpisodeRecord]:
        """The same records with log-probabilities of the prior as it is now."""
        batch = collate(records, padded_length(max(len(record.tokens) for record in records), self._longest))
        source, tokens = self._sources(batch.source_id), batch.tokens
        positions = real_positions(tokens, BatchConfig())
        log_prior = np.asarray(self._evaluate_prior(source, shift_right(tokens), tokens, positions))
        return [replace(r, prior_logp=log_prior[i, : len(r.tokens)]) for i, r in enumerate(records)]

    def _forget(self) -> None:
        settings = self.settings.replay
        self.replay = SequenceReplay(settings.capacity)
        self.sampler = PrioritySampler(settings.capacity, settings.priority, settings.uniform_mix)
        self._demonstrated: set[int] = set()

    def state(self) -> Arrays:
        """See Term.state."""
        arrays = {f"replay/{name}": value for name, value in self.replay.state_dict().items()}
        arrays |= {f"sampler/{name}": value for name, value in self.sampler.state_dict().items()}
        return arrays | {f"network/{i}": np.asarray(v.value) for i, v in enumerate(self.network.variables)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See Term.restore."""
        self.replay.load_state_dict(below(arrays, "replay/"))
        self.sampler.load_state_dict(below(arrays, "sampler/"))
        self._demonstrated = {r.source_id for r in self.replay.get(self.replay.demonstration_ids)}
        for i, variable in enumerate(self.network.variables):
            variable.assign(arrays[f"network/{i}"])


def td_targets(batch: EpisodeBatch, evaluated: Evaluated, settings: TrajectoryConfig, step: int) -> Array:
    """The configured targets of Q(s_t, a_t), float64 [batch, time].

    In n-step targets every later action is charged its penalty, as in path consistency and Q(lambda), whatever the
    backup: that is the target of V(s_t) on rewards less penalties, plus the first action's own penalty again.

    Monte Carlo targets charge it only where it is the policy's own log-probability (kl, psi, munchausen). For values
    that are estimated they are plain returns: the differences between the largest and the chosen of thousands of noisy
    values would add up over the sentence.
    """
    rewards, value = batch.rewards + evaluated.bonus, next_step(evaluated.value)
    untrained = step <= settings.monte_carlo_updates
    if settings.steps and not untrained:
        charged = rewards - evaluated.penalty
        y = n_step_targets(charged, batch.discount, value, settings.steps) + evaluated.penalty
        return y * batch.mask
    trace, penalty = 1.0 if untrained else settings.trace, next_step(evaluated.penalty)
    if trace == 1.0 and not settings.penalty_is_exact:
        penalty = np.zeros_like(penalty)
    return soft_lambda_targets(rewards, batch.discount, value, penalty, trace, batch.mask)
