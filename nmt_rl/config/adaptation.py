"""What of a model a stage trains: all of it, an adapter beside its matrices, or some of its weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

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


class BiasConfig(Section):
    """The biases, of normalisations too (BitFit: Ben Zaken et al., 2022)."""

    type: Literal["bias"] = "bias"


class EmbeddingsConfig(Section):
    """The embeddings and, where they are not the same, the projection to the vocabulary."""

    type: Literal["embeddings"] = "embeddings"


AdaptConfig = Annotated[
    FullConfig | LoRAConfig | BiasConfig | EmbeddingsConfig, Field(discriminator="type"), BeforeValidator(named)
]
