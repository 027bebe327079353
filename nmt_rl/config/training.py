"""Sections of cross-entropy training, shared in part by fine-tuning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from nmt_rl.config.adaptation import AdaptConfig, FullConfig, KeepConfig, NothingConfig
from nmt_rl.config.corpus import BatchConfig
from nmt_rl.config.guidance import GuidedAlignmentConfig
from nmt_rl.config.section import Section
from nmt_rl.storage.streams import from_home


class OptimizerConfig(Section):
    """Adam (Kingma and Ba, 2015) or another of Keras' optimizers, with the learning-rate schedule."""

    name: Literal["adam", "adamw", "muon", "schedule-free"] = "adam"
    """muon (Jordan et al., 2024): matrices between layers by orthogonal momentum, the rest by AdamW; an update costs a
    CPU much more. schedule-free (Defazio et al., 2024): AdamW whose averaged weights need no falling rate."""
    learning_rate: float = Field(5e-4, gt=0.0)
    """Peak learning rate."""
    beta_1: float = Field(0.9, ge=0.0, lt=1.0)
    beta_2: float = Field(0.98, ge=0.0, lt=1.0)
    epsilon: float = Field(1e-9, gt=0.0)
    weight_decay: float = Field(0.0, ge=0.0)
    """Decoupled weight decay (not of adam)."""
    schedule: Literal["constant", "inverse-sqrt", "cosine", "plateau", "wsd"] = "inverse-sqrt"
    """inverse-sqrt is Noam's, scaled so that the peak is `learning_rate`; plateau halves on stalled validation; wsd is
    warm-up, stable, decay: constant, but for the last updates."""
    warmup: int = Field(4000, ge=0)
    """Updates of linear warm-up."""
    decay: float = Field(0.2, gt=0.0, le=1.0)
    """Share of the updates, the last ones, in which wsd falls to its floor."""
    floor: float = Field(0.0, ge=0.0)
    """Lowest learning rate of cosine, plateau and wsd."""
    plateau_factor: float = Field(0.5, gt=0.0, lt=1.0)
    plateau_patience: int = Field(2, ge=1)
    """Validations without improvement before the plateau schedule lowers the rate."""
    clip_norm: float = Field(1.0, ge=0.0)
    """Global gradient norm; 0 turns clipping off."""
    accumulate: int = Field(1, ge=1, le=10_000)
    """Batches that make up an update together, as one of them all would: each counts by its tokens (in fine-tuning, in
    each part of the loss by what that is a mean over)."""
    ema: float = Field(0.0, ge=0.0, lt=1.0)
    """Momentum of the exponential moving average of the weights that is validated and saved; 0 turns it off."""

    @model_validator(mode="after")
    def _one_average(self) -> OptimizerConfig:
        if self.name == "schedule-free" and (self.ema or self.schedule != "constant"):
            kind = f"ema {self.ema:g}" if self.ema else f"schedule {self.schedule}"
            raise ValueError(f"name schedule-free averages the weights itself: ema 0, schedule constant; found {kind}")
        return self


class ValidationConfig(Section):
    """When the model is validated, and what counts as better."""

    every: int = Field(1000, ge=1)
    """Updates between validations."""
    minutes: float | None = Field(None, gt=0.0)
    """Validate after every so many minutes of training instead, whatever an update takes."""
    metric: Literal["bleu", "chrf", "accuracy", "macro-f1", "exact", "f1", "rouge-l", "loss"] = "bleu"
    """Of greedy, detokenised text, or the cross-entropy per piece; where it is not given, that of `task`."""
    patience: int = Field(10, ge=1)
    """Stop after this many validations without improvement."""
    sentences: int | None = Field(None, ge=1)
    """On the way, validate on the first sentences only; finished models are compared on all."""


class PretrainConfig(Section):
    """Cross-entropy training on parallel text."""

    start: str | None = None
    """A model folder, or a run: training starts from its weights, with its architecture and its tokenizer; `model` and
    `tokenizer` are left out then. The model as it comes is validated first, and stays if nothing is better."""
    adapt: AdaptConfig = FullConfig()
    """What of the model is trained."""
    keep: KeepConfig = NothingConfig()
    """How what the model knew is kept, besides old text among `corpus.train`."""
    updates: int = Field(100_000, ge=0)
    """0, with `start`: the model as it comes, for fine-tuning."""
    minutes: float | None = Field(None, gt=0.0)
    """Stop after this much training time, in minutes, validation not counted, kept across restarts."""
    batch: BatchConfig = BatchConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    label_smoothing: float = Field(0.1, ge=0.0, lt=1.0)
    guided_alignment: GuidedAlignmentConfig | None = None
    """Teach the attention word alignments: `{weight: 0.1}`."""
    devices: PositiveInt | Literal["all"] = 1
    """GPUs, or whatever JAX computes with, that batches are divided among (data parallel); TensorFlow uses one."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Type of the products with weight matrices; weights, states, attention, norms, softmax and loss stay float32.
    float16 scales the loss; auto is bfloat16 where hardware multiplies in it, else float32."""
    validation: ValidationConfig = ValidationConfig()
    checkpoint_every: int = Field(1000, ge=1)
    """Updates between checkpoints; a killed run resumes from the last one."""
    average: int = Field(1, ge=1)
    """The released model is the average of this many best validated checkpoints, if it validates better."""
    log_every: int = Field(50, ge=1)

    @field_validator("start")
    @classmethod
    def _from_home(cls, value: str | None) -> str | None:
        return str(from_home(value)) if value is not None and value.startswith("~") else value

    @model_validator(mode="after")
    def _there_is_something_to_start_from(self) -> PretrainConfig:
        if self.start is None and not self.updates:
            raise ValueError("updates 0 need a model to start from: give start; or updates from 1")
        if self.start is None and not isinstance(self.adapt, FullConfig):
            raise ValueError(f"adapt {self.adapt.type} needs a model to start from: give start, or leave adapt out")
        if self.start is None and not isinstance(self.keep, NothingConfig):
            raise ValueError(f"keep {self.keep.type} needs a model to start from: give start, or leave keep out")
        return self
