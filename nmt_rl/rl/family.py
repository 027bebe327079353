"""From the method of an experiment to its model, its actor, its replay and the terms of its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import keras

from nmt_rl.backend import seeded
from nmt_rl.config import (
    Config,
    CrossEntropyConfig,
    DQNConfig,
    DuelingConfig,
    ForkConfig,
    GRPOConfig,
    HeadsConfig,
    KLConfig,
    LogitsConfig,
    MBRDistillConfig,
    MixerConfig,
    MRTConfig,
    QHeadsConfig,
    ReinforceConfig,
    RLOOConfig,
    SCSTConfig,
    TrajectoryConfig,
)
from nmt_rl.corpus.prepared import Prepared
from nmt_rl.models.adapters import adapt
from nmt_rl.models.build import build_model
from nmt_rl.models.q_guided import QGuided, QHeads
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.action_values import DuelingNetwork, ILQLNetwork, LogitsNetwork
from nmt_rl.rl.actor import Actor, MixerActor, ReferenceActor, SampleActor
from nmt_rl.rl.baselines import MixerTerm, ReinforceTerm, RiskTerm, RLOOTerm, SCSTTerm
from nmt_rl.rl.critic import Critic
from nmt_rl.rl.distillation import DistillationTerm, MBRActor
from nmt_rl.rl.fork_actor import ForkActor
from nmt_rl.rl.forks import ForkTerm
from nmt_rl.rl.grpo import GRPOTerm
from nmt_rl.rl.q_network import KLNetwork, QNetwork
from nmt_rl.rl.references import ReferenceTerm
from nmt_rl.rl.replay import Memory, Queue, Replay
from nmt_rl.rl.reward import Reward
from nmt_rl.rl.term import Term
from nmt_rl.rl.trajectories import TrajectoryTerm
from nmt_rl.rl.value import VALUE_UNITS

QDifference = Callable[[Seq2Seq, dict[str, Tensor]], Tensor]
"""Of a model and a batch with forks; see `QNetwork.difference`."""


@dataclass
class Family:
    """What a fine-tuning method is made of."""

    config: Config
    """The experiment with the model that is trained, Q heads included, and the rate it is trained with."""
    prior: Seq2Seq
    """The frozen pretrained model."""
    prepared: Prepared
    reward: Reward
    model: Seq2Seq
    """That is trained and acts; it starts as the prior."""
    actor: Actor
    replay: Memory
    terms: list[Term]
    ratio: int = 1
    """Updates for each batch that is played."""
    together: int = 1
    """Batches that are played at once."""
    apart: bool = False
    """Whether every episode is learnt from alone, so that a batch of them may be cut."""
    q: QDifference | None = None
    """Q(s, a) - Q(s, a') as the model has learnt it; None: the method has no Q."""
    critic: Critic | None = None
    """V, if the method learns it on greedy translations."""

    def acting(self) -> list[keras.Variable]:
        """What the actor plays by and updates change: the model, and the V that completes what is cut."""
        return [*self.model.variables, *(self.critic.acting() if self.critic is not None else [])]


def build_family(config: Config, prior: Seq2Seq, prepared: Prepared, reward: Reward) -> Family:
    """All that the configured method needs.

    Args:
        config: the experiment.
        prior: the frozen pretrained model.
        prepared: corpus and tokenizers.
        reward: what a translation is worth.
    """
    settings = config.finetune
    family = Family(config, prior, prepared, reward, copy_of(prior, config), ReferenceActor(), Queue(), [])
    _complete(settings.method, family)
    if settings.cross_entropy:
        family.terms.append(_cross_entropy_term(family, settings.cross_entropy))
    return family


@singledispatch
def _complete(method: Any, family: Family) -> None:
    """Give a family the actor, replay and terms of its method."""
    raise TypeError(f"no such method: {method!r}")


@_complete.register
def _fork(method: ForkConfig, family: Family) -> None:
    family.actor = _fork_actor(family, method)
    term = ForkTerm(family.model, family.prepared.train, method.per_source, method.tau, method.huber)
    family.terms, family.q, family.apart = [term], term.q_difference, True


@_complete.register
def _dqn(method: DQNConfig, family: Family) -> None:
    config, updates, replay = family.config, family.config.finetune.updates, method.replay
    sentences = config.finetune.sentences
    critic = None
    if method.steps:
        target, features = copy_of(family.prior, config), family.reward.features
        critic = Critic(family.model, target, features, method, updates, config.finetune_seed)
    exploring = {"epsilon": method.epsilon, "top_k": method.top_k}
    family.actor = _fork_actor(family, method, **exploring, steps=method.steps, critic=critic)
    # Batches that are not too old: each is of `ratio` updates, and the last ones were played together.
    batches = replay.max_age // replay.ratio + replay.batches + 1
    capacity, fresh = sentences * config.finetune.optimizer.accumulate * batches, -(-sentences // replay.ratio)
    family.replay = Replay(capacity, 0.0, replay.max_age, replay.priority, updates, fresh)
    family.ratio, family.together = replay.ratio, replay.batches
    term = ForkTerm(family.model, family.prepared.train, method.per_source, method.tau, method.huber, critic)
    family.terms, family.q, family.critic, family.apart = [term], term.q_difference, critic, True


def _fork_actor(family: Family, method: ForkConfig | DQNConfig, **options: Any) -> ForkActor:
    return ForkActor(
        family.model,
        family.prior,
        family.prepared.tokenizers.target,
        family.reward,
        family.config.decoding,
        method.per_source,
        method.probability,
        **options,
    )


@_complete.register
def _trajectory(method: TrajectoryConfig, family: Family) -> None:
    network = _q_network(method.q, method, family)
    family.actor = SampleActor(
        family.model,
        family.reward,
        family.config.decoding,
        method.samples,
        method.temperatures,
        method.top_k,
        family.prior if isinstance(method.q, KLConfig) else None,
        epsilons=method.epsilons,
    )
    updates, replay = family.config.finetune.updates, method.replay
    family.replay = Replay(
        replay.capacity, replay.share, replay.max_age, replay.priority, updates, importance=replay.importance
    )
    family.terms = [TrajectoryTerm(network, family.prepared.train, method, updates, family.model.max_length)]
    family.q = network.difference


@_complete.register
def _mixer(method: MixerConfig, family: Family) -> None:
    options = {"pieces": method.pieces, "every": method.every}
    family.actor = _sample_actor(family, method.samples, method.temperature, MixerActor, **options)
    family.terms = [MixerTerm(*_sampled(family), method, family.config.finetune_seed)]


@_complete.register
def _reinforce(method: ReinforceConfig, family: Family) -> None:
    family.actor = _sample_actor(family, method.samples, method.temperature)
    seed = family.config.finetune_seed
    family.terms = [ReinforceTerm(*_sampled(family), method.baseline_learning_rate, seed)]


@_complete.register
def _scst(method: SCSTConfig, family: Family) -> None:
    family.actor = _sample_actor(family, method.samples, method.temperature, greedy=True)
    family.terms = [SCSTTerm(*_sampled(family))]


@_complete.register
def _rloo(method: RLOOConfig, family: Family) -> None:
    family.actor = _sample_actor(family, method.samples, method.temperature)
    family.terms = [RLOOTerm(*_sampled(family))]


@_complete.register
def _grpo(method: GRPOConfig, family: Family) -> None:
    prior = family.prior if method.beta else None
    family.actor = _sample_actor(family, method.samples, method.temperature, prior=prior)
    family.replay, family.ratio = Queue(method.ratio), method.ratio
    family.terms = [GRPOTerm(*_sampled(family), method)]


@_complete.register
def _mbr_distill(method: MBRDistillConfig, family: Family) -> None:
    teacher, tokenizer, decoding = family.prior, family.prepared.tokenizers.target, family.config.decoding
    family.actor = MBRActor(
        teacher, family.reward, decoding, method.samples, (method.temperature,), tokenizer=tokenizer
    )
    family.terms = [_cross_entropy_term(family, 1.0, DistillationTerm)]


@_complete.register
def _mrt(method: MRTConfig, family: Family) -> None:
    family.actor = _sample_actor(family, method.samples, method.temperature, references=method.reference)
    family.terms = [RiskTerm(*_sampled(family), method, family.config.finetune.sentences)]


@_complete.register
def _cross_entropy(method: CrossEntropyConfig, family: Family) -> None:
    family.terms = [_cross_entropy_term(family, 1.0)]


def _cross_entropy_term(family: Family, weight: float, kind: type[ReferenceTerm] = ReferenceTerm) -> ReferenceTerm:
    smoothing = family.config.pretrain.label_smoothing
    return kind(family.model, family.prepared.train, smoothing, weight)


def _sampled(family: Family) -> tuple[Seq2Seq, Any, Any]:
    return family.model, family.prepared.train, family.config.decoding


def _sample_actor(
    family: Family, samples: int, temperature: float, kind: Callable[..., SampleActor] = SampleActor, **options: Any
) -> SampleActor:
    return kind(family.model, family.reward, family.config.decoding, samples, (temperature,), **options)


@singledispatch
def _q_network(q: Any, method: TrajectoryConfig, family: Family) -> QNetwork:
    """The parameterisation of Q; the family's model becomes what it trains."""
    raise TypeError(f"no such Q: {q!r}")


def _rates(method: TrajectoryConfig) -> dict[str, float]:
    return {"tau": method.tau, "huber": method.huber, "target_rate": method.target_rate}


@_q_network.register
def _kl(q: KLConfig, method: TrajectoryConfig, family: Family) -> QNetwork:
    target, seed = copy_of(family.prior, family.config), family.config.finetune_seed
    return KLNetwork(family.model, target, family.reward.features, q, **_rates(method), seed=seed)


@_q_network.register
def _logits(q: LogitsConfig, method: TrajectoryConfig, family: Family) -> QNetwork:
    return LogitsNetwork(family.model, copy_of(family.prior, family.config), family.prior, q, **_rates(method))


@_q_network.register
def _heads(q: HeadsConfig, method: TrajectoryConfig, family: Family) -> QNetwork:
    config, model = family.config, family.model
    heads = QHeadsConfig(kind="dueling" if isinstance(q, DuelingConfig) else "ilql", units=VALUE_UNITS)
    optimizer = config.finetune.optimizer.model_copy(update={"learning_rate": q.learning_rate})
    finetune = config.finetune.model_copy(update={"optimizer": optimizer})
    guided = config.model.model_copy(update={"q_heads": heads})
    family.config = config.model_copy(update={"model": guided, "finetune": finetune})
    model.trainable = False
    online, target = (QGuided(model, draw_heads(model, heads, config.finetune_seed), q.beta) for _ in range(2))
    family.model = online
    network = DuelingNetwork if isinstance(q, DuelingConfig) else ILQLNetwork
    return network(online, target, family.prior, q, **_rates(method))


def copy_of(prior: Seq2Seq, config: Config) -> Seq2Seq:
    """A second model with the weights of the first, of which is trained what `finetune.adapt` says."""
    model = build_model(config.model, *prior.embeddings.sizes, config.seed, config.finetune.precision)
    model.set_weights(prior.get_weights())
    adapt(model, config.finetune.adapt, config.finetune_seed)
    return model


def draw_heads(base: Seq2Seq, config: QHeadsConfig, seed: int) -> QHeads:
    """Fresh Q heads for the states of a model; the same for the same seed."""
    with seeded(seed):
        return QHeads(config.kind, base.embeddings.width, base.embeddings.sizes[1], config.units)
