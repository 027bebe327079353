"""Sections of fine-tuning: the token-level deep Q-network and its baselines."""

from __future__ import annotations

import difflib
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from nmt_rl.config.adaptation import AdaptConfig, FullConfig
from nmt_rl.config.methods import DQNConfig, DuelingConfig, ILQLConfig, MethodConfig, TrajectoryConfig
from nmt_rl.config.section import Section
from nmt_rl.config.training import OptimizerConfig, ValidationConfig

METRICS = ("bleu", "chrf", "ter", "accuracy", "exact", "f1", "rouge-l", "constant")


class RewardConfig(Section):
    """What a translation is worth, and when the reward is paid."""

    metrics: dict[str, float] = Field(default_factory=lambda: {"bleu": 1.0}, min_length=1)
    """Weights of sentence metrics, which are added: bleu, chrf, ter (as 1 - TER), accuracy, exact, f1, rouge-l (of
    labels, answers and summaries), constant (a control: always 0.5), or `module:function` of (hypotheses, references),
    two lists of text, that returns a number for each, about [0, 1]. The mapping is given whole."""
    smoothing: Literal["add-k", "floor", "exp", "none"] = "add-k"
    """Of the sentence BLEU (Chen and Cherry, 2014): 1 added from bigrams on; 0.1 for counts of 0 (their method 1);
    halving for each order without a match (method 3, sacreBLEU's default); or none."""
    brevity: float = Field(0.0, ge=0.0)
    """Words added to the reference's length in the sentence BLEU's brevity penalty (Nakov et al., 2012: 1), where
    fine-tuning makes translations too short."""
    shape: Literal["delta", "terminal"] = "delta"
    """Pay the gain of each completed word, or everything at the end; the sum is the same."""

    @model_validator(mode="after")
    def _metrics_are_known(self) -> RewardConfig:
        for name in self.metrics:
            if name not in METRICS and ":" not in name:
                near = difflib.get_close_matches(name.lower(), METRICS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(METRICS)} and module:function"
                raise ValueError(f"metrics has no {name!r}; {hint}")
        if not any(self.metrics.values()):
            raise ValueError(f"metrics needs a weight that is not 0, found {self.metrics}")
        return self


class FinetuneOptimizerConfig(OptimizerConfig):
    """The optimizer with the defaults of fine-tuning: a small constant rate."""

    learning_rate: float = Field(5e-5, gt=0.0)
    schedule: Literal["constant", "inverse-sqrt", "cosine", "plateau", "wsd"] = "constant"
    warmup: int = Field(100, ge=0)


class FinetuneValidationConfig(ValidationConfig):
    """Validation with the defaults of fine-tuning: often, and without early stopping."""

    every: int = Field(100, ge=1)
    patience: int = Field(1000, ge=1)


class FinetuneConfig(Section):
    """Token-level deep Q-network with a BLEU reward, or one of its baselines."""

    method: MethodConfig = DQNConfig()
    """A bare name stands for that method with its defaults."""
    adapt: AdaptConfig = FullConfig()
    """What of the model is trained."""
    updates: int = Field(1500, ge=1)
    minutes: float | None = Field(None, gt=0.0)
    """Stop after this much fine-tuning time, in minutes, validation not counted, kept across restarts."""
    seed: int | None = Field(None, ge=0)
    """Of this stage alone; the experiment's if absent."""
    devices: PositiveInt | Literal["all"] = 1
    """GPUs, or whatever JAX computes with, that batches are divided among (data parallel); TensorFlow uses one."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Type of the products with weight matrices, of policy and prior, while they play and learn; all else stays
    float32. auto is bfloat16 where hardware multiplies in it, else float32."""
    actors: int = Field(0, ge=0, le=10_000)
    """Processes that play, by Ray (`nmt-rl[ray]`), on this machine or the cluster that RAY_ADDRESS names; 0: none but
    this one, which otherwise only learns."""
    ahead: bool = False
    """Actors go on playing while the learner learns, by weights that are older for it; or each waits for the other,
    and one actor gives the same weights as none."""
    sentences: int = Field(32, ge=1)
    """Source sentences per update."""
    max_length: int = Field(128, ge=4)
    """Longest side of a source or reference, pieces including the end symbol."""
    reward: RewardConfig = RewardConfig()
    cross_entropy: float = Field(0.0, ge=0.0)
    """Weight of the cross-entropy anchor on the references."""
    optimizer: FinetuneOptimizerConfig = FinetuneOptimizerConfig()
    validation: FinetuneValidationConfig = FinetuneValidationConfig()
    average: int = Field(3, ge=1)
    """The candidate model is the average of the last so many validated checkpoints."""
    checkpoint_every: int = Field(100, ge=1)
    log_every: int = Field(10, ge=1)

    @model_validator(mode="after")
    def _what_is_divided_by(self) -> FinetuneConfig:
        method = self.method
        if isinstance(method, TrajectoryConfig) and isinstance(method.q, DuelingConfig) and method.q.backup == "soft":
            _above_zero(method.tau, "a soft backup divides by it")
        if isinstance(method, TrajectoryConfig) and isinstance(method.q, ILQLConfig) and method.q.cql:
            _above_zero(method.tau, "cql divides by it")
        return self

    @model_validator(mode="after")
    def _heads_leave_the_model_as_it_is(self) -> FinetuneConfig:
        q = getattr(self.method, "q", None)
        if isinstance(q, DuelingConfig | ILQLConfig) and not isinstance(self.adapt, FullConfig):
            kind = self.adapt.type
            raise ValueError(f"adapt {kind} has no effect with method.q {q.type}: only its heads are trained")
        return self

    @model_validator(mode="after")
    def _some_updates_bootstrap(self) -> FinetuneConfig:
        method = self.method
        if isinstance(method, DQNConfig) and not method.steps:
            return self
        if (
            isinstance(method, DQNConfig | TrajectoryConfig)
            and round(method.monte_carlo * self.updates) >= self.updates
        ):
            raise ValueError(
                f"method.monte_carlo must leave some of the {self.updates} updates to temporal differences, "
                f"found {method.monte_carlo}"
            )
        return self


def _above_zero(tau: float, why: str) -> None:
    if not tau:
        raise ValueError(f"method.tau must be above 0, for {why}; found 0")
