"""What of a model a stage trains, and how it keeps what the model knew."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from nmt_rl.config.corpus import SourceSpec
from nmt_rl.config.section import Section, named


class FullConfig(Section):
    """All weights."""

    type: Literal["full"] = "full"


class LoRAConfig(Section):
    """Low-rank adaptation (Hu et al., 2022): W + (alpha / rank) A B, of which only A and B are trained."""

    type: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1, le=4096)
    """Columns of A and rows of B."""
    alpha: float = Field(32.0, gt=0.0)
    products: Literal["all", "attention", "feed-forward"] = "all"
    """Which matrices have one: those of attention, all others but the embeddings, or both."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Of a Transformer, where its own dropout is on, too: of what A is multiplied by; W sees all of it."""


class BiasConfig(Section):
    """The biases, of normalisations too (BitFit: Ben Zaken et al., 2022)."""

    type: Literal["bias"] = "bias"


class EmbeddingsConfig(Section):
    """The embeddings and, where they are not the same, the projection to the vocabulary."""

    type: Literal["embeddings"] = "embeddings"


class OnlyMemoryConfig(Section):
    """The memory of pairs (`model.memory`); what the model is without it stays."""

    type: Literal["memory"] = "memory"


AdaptConfig = Annotated[
    FullConfig | LoRAConfig | BiasConfig | EmbeddingsConfig | OnlyMemoryConfig,
    Field(discriminator="type"),
    BeforeValidator(named),
]


class NothingConfig(Section):
    """Nothing but the new text."""

    type: Literal["none"] = "none"


class EWCConfig(Section):
    """Elastic weight consolidation (Kirkpatrick et al., 2017): weights that old text needs are held where they are."""

    type: Literal["ewc"] = "ewc"
    weight: float = Field(1.0, gt=0.0)
    """Of the penalty; 1: about as if a token of the old text were learnt with every token of the new."""
    text: SourceSpec
    """Old text, of which the Fisher information is estimated."""
    sentences: int = Field(1000, ge=1)
    """Of it, the first ones, that this is done with."""


class DistillConfig(Section):
    """Learning without forgetting (Li and Hoiem, 2016): on the new text, the old model's distributions are targets,
    too."""

    type: Literal["distill"] = "distill"
    weight: float = Field(1.0, gt=0.0)
    """Of the divergence from them, nats per token."""


KeepConfig = Annotated[NothingConfig | EWCConfig | DistillConfig, Field(discriminator="type"), BeforeValidator(named)]
