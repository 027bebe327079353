"""Methods of fine-tuning: a union of sections, each with the keys that it reads and nothing else."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from nmt_rl.config.section import Section, named

Temperature = Annotated[float, Field(ge=0.01)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class QLearningConfig(Section):
    """What methods that learn Q have in common."""

    tau: float = Field(0.005, ge=0.0)
    """Strength of the pull to the pretrained model, in BLEU of [0, 1] per nat."""
    huber: float = Field(0.5, ge=0.0)
    """Cut of the Huber loss on TD errors; 0: squared."""


class ForkConfig(QLearningConfig):
    """Forked rollouts of the current policy: exact differences of its Q, each learnt once."""

    type: Literal["fork"] = "fork"
    per_source: int = Field(5, ge=1)
    """Most forks per source."""
    probability: float = Field(0.05, ge=0.0, lt=1.0)
    """Fork only where the runner-up's probability exceeds this."""


class PairReplayConfig(Section):
    """Replay of greedy translations and their forks."""

    ratio: int = Field(1, ge=1)
    """Updates for each batch that is played: how often a translation is learnt from. Most of a fork's worth is the
    accident of one reference, which more than 1 learns again."""
    batches: int = Field(4, ge=1)
    """Batches that are played at once, sorted by length, which is cheaper; the policy that played them is older."""
    max_age: int = Field(40, ge=1)
    """Updates after which a translation is forgotten."""
    priority: float = Field(0.0, ge=0.0, le=1.0)
    """Exponent of the priorities, |TD error| (Schaul et al., 2016); 0: uniform. Most of an error is the accident of one
    reference, and the largest ones are differences of length."""

    @model_validator(mode="after")
    def _all_is_learnt_from(self) -> PairReplayConfig:
        if self.max_age < self.ratio * self.batches:
            raise ValueError(
                f"max_age must be at least ratio times batches, {self.ratio * self.batches} updates, before which "
                f"nothing new is played; found {self.max_age}"
            )
        return self


class EpisodicConfig(Section):
    """Neural episodic control beside V (Pritzel et al., 2017): a dictionary of states and what was gained from them."""

    capacity: int = Field(10_000, ge=1, le=10**7)
    """States kept; the oldest is overwritten. Every look-up measures the distance to all of them."""
    neighbours: int = Field(50, ge=1, le=1024)
    """That a value is a mean of."""
    kernel_delta: float = Field(1e-3, gt=0.0)
    """Of the kernel 1 / (squared distance + delta): below it, distances do not matter."""
    mixing: float = Field(0.5, gt=0.0, le=1.0)
    """Share of the dictionary in the value; 1: V is not asked."""
    learning_rate: float = Field(0.5, gt=0.0, le=1.0)
    """By which the value of a state that is met again moves to its new return."""

    @model_validator(mode="after")
    def _neighbours_are_kept(self) -> EpisodicConfig:
        if self.neighbours > self.capacity:
            raise ValueError(f"neighbours must be at most capacity, {self.capacity}; found {self.neighbours}")
        return self


class DQNConfig(QLearningConfig):
    """Epsilon-greedy forks, replayed; V by temporal differences with a target network."""

    type: Literal["dqn"] = "dqn"
    per_source: int = Field(5, ge=1)
    """Most states of each greedy translation where another action is tried."""
    probability: float = Field(0.05, ge=0.0, lt=1.0)
    """Only states where the runner-up's probability exceeds this."""
    epsilon: float = Field(0.1, ge=0.0, le=1.0)
    """Probability that the other action is drawn uniformly among the next best, in place of the runner-up."""
    top_k: int = Field(5, ge=1)
    """How many are the next best."""
    steps: int = Field(0, ge=0)
    """Cut a fork's continuation after so many pieces and complete it by the target network's V; 0: play to the end,
    without any V."""
    monte_carlo: float = Field(0.3, ge=0.0, lt=1.0)
    """Share of the updates, the first ones, in which V learns from plain returns and no continuation is cut."""
    trace: float = Field(0.9, ge=0.0, lt=1.0)
    """lambda of the targets of V after that: 0 is one-step TD."""
    value_learning_rate: float = Field(1e-3, gt=0.0)
    """Of V."""
    target_rate: float = Field(0.1, gt=0.0, le=1.0)
    """Polyak rate of the target network per update."""
    episodic: EpisodicConfig | None = None
    """A dictionary that V is mixed with wherever targets bootstrap; `{}` is one with its defaults."""
    replay: PairReplayConfig = PairReplayConfig()


class KLConfig(Section):
    """Q = V + tau log(pi / prior): the policy is the advantage stream, V a head that exists in training only."""

    type: Literal["kl"] = "kl"
    learning_rate: float = Field(1e-3, gt=0.0)
    """Of V."""


class HeadsConfig(Section):
    """Q heads on the frozen model's states, which act by log prior + beta times the advantage."""

    learning_rate: float = Field(1e-3, gt=0.0)
    """Of the heads, in place of the optimizer's."""
    beta: float = Field(8.0, gt=0.0)
    """In nats per BLEU of [0, 1]; at the end a quarter, a half, twice and four times as much are tried on validation,
    and the best is stored with the model."""


class DuelingConfig(HeadsConfig):
    """V + A - mean A (Wang et al., 2016)."""

    type: Literal["dueling"] = "dueling"
    backup: Literal["soft", "max", "double"] = "soft"
    """Value of the next state: G-learning (Fox et al., 2016), the maximum, or double Q (van Hasselt et al., 2016)."""
    rescale: bool = False
    """Regress Q on h(y), sign(y) (sqrt(|y| + 1) - 1) + y / 1000, for rewards of several sizes (Pohlen et al., 2018)."""


class ILQLConfig(HeadsConfig):
    """Twin heads with an expectile V (Snell et al., 2023)."""

    type: Literal["ilql"] = "ilql"
    expectile: float = Field(0.7, gt=0.0, lt=1.0)
    """Of V; 0.5 is the mean, 1 the maximum."""
    cql: float = Field(0.0, ge=0.0)
    """Weight of conservative Q-learning (Kumar et al., 2020), fresh samples included."""


class LogitsConfig(Section):
    """The raw logits as Q: the negative control, for they are no returns."""

    type: Literal["logits"] = "logits"
    backup: Literal["max", "double"] = "double"


Q, METHOD = "kl", "dqn"
"""Types where none is given."""

QConfig = Annotated[
    KLConfig | DuelingConfig | ILQLConfig | LogitsConfig,
    Field(discriminator="type"),
    BeforeValidator(partial(named, default=Q)),
]


class ReplayConfig(Section):
    """Replay of whole translations."""

    capacity: int = Field(20_000, ge=1)
    """Sequences kept."""
    share: float = Field(0.25, ge=0.0, lt=1.0)
    """Share of each batch that is drawn from the replay; the rest is fresh."""
    max_age: int = Field(0, ge=0)
    """Updates after which a sequence is not drawn any more; 0: never."""
    priority: float = Field(0.0, ge=0.0, le=1.0)
    """Exponent of the priorities (Schaul et al., 2016); 0: uniform."""
    importance: float = Field(0.4, ge=0.0, le=1.0)
    """Exponent of the weights that correct for them, at the start; it is 1 at the end."""


class TrajectoryConfig(QLearningConfig):
    """Temporal differences on sampled and replayed translations."""

    type: Literal["trajectory"] = "trajectory"
    q: QConfig = KLConfig()
    steps: int = Field(0, ge=0)
    """n-step targets, which `trace` is not for; 0: lambda-targets."""
    trace: float = Field(0.95, ge=0.0, le=1.0)
    """lambda of the targets: 0 one-step TD, 1 Monte Carlo (for heads and hard backups plain returns)."""
    monte_carlo: float = Field(0.3, ge=0.0, lt=1.0)
    """Share of the updates, the first ones, that have Monte Carlo targets, while values are untrained."""
    samples: int = Field(2, ge=1)
    """Sampled translations per source and update."""
    temperatures: tuple[Temperature, ...] = Field((0.7, 1.0, 1.2), min_length=1)
    """Ladder of temperatures of the samples; each source gets some of them."""
    epsilons: tuple[Share, ...] = ()
    """Ladder of epsilon-greedy translations in place of temperatures: each piece is, with this probability, any of the
    top_k (Horgan et al., 2018, have a rung for each actor; here each source gets some of them, however many play)."""
    top_k: int = Field(20, ge=0)
    """Sample among this many pieces only; 0: all."""
    replay: ReplayConfig = ReplayConfig()
    target_rate: float = Field(0.02, gt=0.0, le=1.0)
    """Polyak rate of the target network per update."""

    @model_validator(mode="after")
    def _one_ladder(self) -> TrajectoryConfig:
        if self.epsilons and self.temperatures != TrajectoryConfig.model_fields["temperatures"].default:
            raise ValueError("epsilons stand in place of temperatures; found both, leave one out")
        return self


class SamplesConfig(Section):
    """What methods that learn from samples of the policy have in common."""

    samples: int = Field(5, ge=1)
    """Sampled translations per source."""
    temperature: float = Field(1.0, ge=0.01)
    """Of the samples. Only 1, with nothing in `decoding` that forbids repetitions or rewards words, samples the policy
    whose gradient is taken; nothing corrects for others."""


class ReinforceConfig(SamplesConfig):
    """REINFORCE with a learned baseline (Williams, 1992; Ranzato et al., 2016)."""

    type: Literal["reinforce"] = "reinforce"
    baseline_learning_rate: float = Field(1e-3, gt=0.0)


class MixerConfig(ReinforceConfig):
    """MIXER (Ranzato et al., 2016): cross-entropy on the beginning of the reference, REINFORCE on what follows."""

    type: Literal["mixer"] = "mixer"  # type: ignore[assignment]
    pieces: int = Field(3, ge=1)
    """That move from cross-entropy to REINFORCE at a time, from the end on."""
    every: int = Field(50, ge=1)
    """Updates between two such moves."""


class SCSTConfig(SamplesConfig):
    """Self-critical sequence training (Rennie et al., 2017): the baseline is the greedy translation."""

    type: Literal["scst"] = "scst"


class RLOOConfig(SamplesConfig):
    """Leave-one-out (Kool et al., 2019): the baseline is the mean of the source's other samples."""

    type: Literal["rloo"] = "rloo"
    samples: int = Field(5, ge=2)


class GRPOConfig(SamplesConfig):
    """Group-relative policy optimisation (Shao et al., 2024): scores are standardised within the samples of a source,
    and each batch is learnt from several times, with clipped ratios."""

    type: Literal["grpo"] = "grpo"
    samples: int = Field(5, ge=2)
    ratio: int = Field(2, ge=1)
    """Updates for each batch that is played. With 1 the policy that learns is still the one that played, so that
    nothing is clipped."""
    clip: float = Field(0.2, gt=0.0, lt=1.0)
    """A piece is no longer pushed once its probability has changed by this share (Schulman et al., 2017)."""
    beta: float = Field(0.0, ge=0.0)
    """Weight of the KL divergence from the pretrained model (the paper's: 0.04)."""


class MRTConfig(SamplesConfig):
    """Minimum risk training (Shen et al., 2016)."""

    type: Literal["mrt"] = "mrt"
    samples: int = Field(5, ge=2)
    alpha: float = Field(0.005, gt=0.0)
    """Sharpness of the risk's distribution over the samples (the paper's, for 100 of them)."""
    reference: bool = True
    """Put the reference among the samples."""


class MBRDistillConfig(Section):
    """Cross-entropy on what minimum Bayes risk chooses among samples of the pretrained model (Finkelstein and Freitag,
    2023); utility is the reward, and no reference is learnt from."""

    type: Literal["mbr-distill"] = "mbr-distill"
    samples: int = Field(16, ge=2)
    """Sampled translations per source, candidates and references of each other."""
    temperature: float = Field(1.0, ge=0.01)
    """Of the samples."""


class CrossEntropyConfig(Section):
    """Cross-entropy on the references continued: the control."""

    type: Literal["cross-entropy"] = "cross-entropy"


MethodConfig = Annotated[
    DQNConfig
    | ForkConfig
    | TrajectoryConfig
    | ReinforceConfig
    | MixerConfig
    | SCSTConfig
    | RLOOConfig
    | GRPOConfig
    | MRTConfig
    | MBRDistillConfig
    | CrossEntropyConfig,
    Field(discriminator="type"),
    BeforeValidator(partial(named, default=METHOD)),
]
