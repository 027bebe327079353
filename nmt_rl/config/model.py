"""Sections of the models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from nmt_rl.config.section import Section, named

WIDEST, DEEPEST = 2**16, 1000
"""Units of a layer and layers of a stack that no model has; a config.yaml of somebody else may ask for any."""
NORM_EPSILON = 1e-6
"""Of the layer normalisation of Transformers."""


class QHeadsConfig(Section):
    """Q heads on the decoder's states; fine-tuning with method.q dueling or ilql adds them to the model."""

    kind: Literal["dueling", "ilql"]
    units: int = Field(256, ge=1, le=WIDEST)


class PairMemoryConfig(Section):
    """Pairs with sources like the one that is translated, found by BM25: keys and values that the decoder reads."""

    pairs: int = Field(4, ge=1, le=64)
    """Looked up for a source."""
    room: int = Field(256, ge=8, le=2**12)
    """Pieces of them all, both sides and their ends; a pair that does not fit in whole is left out."""
    layers: int = Field(1, ge=1, le=DEEPEST)
    """Of the encoder that makes the keys, each over one pair."""
    heads: int = Field(4, ge=1)
    feed_forward: int = Field(512, ge=4, le=WIDEST)
    dropout: float = Field(0.1, ge=0.0, lt=1.0)


def _must_fit(memory: PairMemoryConfig | None, name: str, width: int) -> None:
    if memory is not None and (width % memory.heads or width % 2):
        raise ValueError(f"{name} {width} is not an even multiple of memory.heads {memory.heads}")


class TransformerConfig(Section):
    """Transformer (Vaswani et al., 2017). The defaults are its base model, pre-norm."""

    type: Literal["transformer"] = "transformer"
    encoder_layers: int = Field(6, ge=1, le=DEEPEST)
    decoder_layers: int = Field(6, ge=1, le=DEEPEST)
    width: int = Field(512, ge=4, le=WIDEST)
    """Model dimension d; a multiple of `heads`."""
    heads: int = Field(8, ge=1)
    feed_forward: int = Field(2048, ge=4, le=WIDEST)
    norm: Literal["pre", "post"] = "pre"
    """Layer normalisation before each sub-layer (with final norms; Xiong et al., 2020) or after the residual."""
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    max_positions: int = Field(1024, ge=8, le=2**16)
    """Length of the position table: longer training pairs are left out, longer sentences to translate are cut."""
    activation: Literal["relu", "gelu", "swiglu"] = "relu"
    tie: Literal["none", "target", "all"] = "all"
    """Share the target embedding with the softmax (target), and with the source embedding too (all)."""
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    """After embeddings and sub-layers."""
    attention_dropout: float = Field(0.0, ge=0.0, lt=1.0)
    activation_dropout: float = Field(0.0, ge=0.0, lt=1.0)
    alignment_layer: int | None = Field(None, ge=1)
    """Decoder layer, from 1, whose first attention head is the model's alignment of pieces, as
    `pretrain.guided_alignment` sets it; without: the mean of the last layer's heads."""
    q_heads: QHeadsConfig | None = None
    memory: PairMemoryConfig | None = None

    @model_validator(mode="after")
    def _heads_divide_width(self) -> TransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.positions == "sinusoidal" and self.width % 2:
            raise ValueError(f"sinusoidal positions need an even width, found {self.width}")
        if (self.alignment_layer or 0) > self.decoder_layers:
            layers = f"{self.decoder_layers} decoder layer{'s' * (self.decoder_layers > 1)}"
            raise ValueError(f"alignment_layer {self.alignment_layer} is not among the {layers}")
        _must_fit(self.memory, "width", self.width)
        return self


class HardConfig(Section):
    """What hard attention has in common: a word is predicted from one position of the source, which is not observed."""

    positions: int = Field(1, ge=1, le=256)
    """Of the source that are considered when translating, those with the most weight, renormalised (k-max: Deng et al.,
    2018); 1: the arg max. The softmax is computed for each."""


class HardScoreConfig(HardConfig):
    """E log p(word | position) by drawn positions and the score function (Xu et al., 2015)."""

    type: Literal["score"] = "score"
    samples: int = Field(1, ge=1, le=64)
    """Positions drawn for each word."""
    baseline: Literal["soft", "learned"] = "soft"
    """What is subtracted from log p(word | position): that of the expected position, or a prediction by the state."""
    entropy: float = Field(0.01, ge=0.0)
    """Weight of the entropy of attention, in nats, which keeps it from being certain too early."""


class HardMarginalConfig(HardConfig):
    """log of the sum over positions of p(position) p(word | position) (Wu et al., 2018), of `positions` of them."""

    type: Literal["marginal"] = "marginal"
    positions: int = Field(4, ge=1, le=256)


class HardVariationalConfig(HardConfig):
    """A lower bound of that log, with positions from an inference network that sees the word (Deng et al., 2018)."""

    type: Literal["variational"] = "variational"
    samples: int = Field(1, ge=0, le=64)
    """Positions drawn for each word; 0: none, but as many as `positions` are enumerated, the most likely ones."""
    baseline: Literal["soft", "learned"] = "soft"
    """As of `score`; nothing where nothing is drawn."""


AnyHardConfig = Annotated[
    HardScoreConfig | HardMarginalConfig | HardVariationalConfig, Field(discriminator="type"), BeforeValidator(named)
]


class LSTMConfig(Section):
    """Bidirectional LSTM encoder, stacked LSTM decoder with attention and input feeding (Luong et al., 2015)."""

    type: Literal["lstm"] = "lstm"
    encoder_layers: int = Field(1, ge=1, le=DEEPEST)
    decoder_layers: int = Field(1, ge=1, le=DEEPEST)
    embedding: int = Field(256, ge=2, le=WIDEST)
    units: int = Field(512, ge=2, le=WIDEST)
    """LSTM units; even, half of them for each direction of the encoder."""
    attention: Literal["additive", "bilinear", "dot"] = "additive"
    """Score of state s and encoder state h: W2 tanh(W1 [s; h]) | s W h | s h."""
    attention_units: int = Field(256, ge=2, le=WIDEST)
    """Hidden units of the additive score."""
    coverage: bool = False
    """Feed the sum of past attention into the score (See et al., 2017)."""
    hard: AnyHardConfig | None = None
    """Hard attention, and how it is trained: score, marginal or variational; null: soft attention."""
    tie: Literal["none", "target", "all"] = "target"
    dropout: float = Field(0.3, ge=0.0, lt=1.0)
    """On embeddings, between layers and before the softmax."""
    q_heads: QHeadsConfig | None = None
    memory: PairMemoryConfig | None = None

    @model_validator(mode="after")
    def _even(self) -> LSTMConfig:
        if self.units % 2:
            raise ValueError(f"units must be even, found {self.units}")
        _must_fit(self.memory, "embedding", self.embedding)
        if self.memory is not None and self.hard is not None:
            raise ValueError(
                "memory is read into one state for each word, of which hard attention has several; leave out one"
            )
        return self


class ExternalMemoryConfig(Section):
    """What models with an external memory have in common: one controller reads the source and then writes."""

    embedding: int = Field(128, ge=2, le=WIDEST)
    controller: Literal["lstm", "feed-forward"] = "lstm"
    """feed-forward: one layer without states of its own, which knows only what it reads (Graves et al., 2014, 3.4)."""
    units: int = Field(256, ge=2, le=WIDEST)
    """Of the controller."""
    slots: int = Field(64, ge=2, le=2**16)
    """Of the memory: rows."""
    slot_width: int = Field(32, ge=1, le=WIDEST)
    read_heads: int = Field(1, ge=1, le=64)
    attention: bool = False
    """Look at the source as well (additive soft attention on the controller's outputs there)."""
    tie: Literal["none", "target", "all"] = "target"
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """On embeddings and before the softmax."""
    q_heads: QHeadsConfig | None = None
    memory: PairMemoryConfig | None = None

    @model_validator(mode="after")
    def _fitting(self) -> ExternalMemoryConfig:
        _must_fit(self.memory, "embedding", self.embedding)
        return self


class NTMConfig(ExternalMemoryConfig):
    """Neural Turing machine (Graves et al., 2014): slots addressed by content and by steps to the next one."""

    type: Literal["ntm"] = "ntm"
    write_heads: int = Field(1, ge=1, le=64)


class DNCConfig(ExternalMemoryConfig):
    """Differentiable neural computer (Graves et al., 2016): slots are allocated, freed, and linked in time."""

    type: Literal["dnc"] = "dnc"
    sharp_links: bool = False
    """Raise what the links say to a power that the controller chooses (Csordás and Schmidhuber, 2019): they blur."""


AnyModelConfig = TransformerConfig | LSTMConfig | NTMConfig | DNCConfig
ModelConfig = Annotated[AnyModelConfig, Field(discriminator="type"), BeforeValidator(named)]
