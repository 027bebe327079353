"""Attention that is taught word alignments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from nmt_rl.config.section import Section

if TYPE_CHECKING:
    from nmt_rl.config.experiment import Config


class GuidedAlignmentConfig(Section):
    """The attention is taught word alignments while the model learns to translate (Chen et al., 2016), so that its own
    alignments can be relied on: of an LSTM its attention, of a Transformer the first head of a decoder layer."""

    weight: float = Field(0.1, gt=0.0, le=1000.0)
    """Of the cross-entropy between alignment and attention, nats per target token."""
    layer: int | None = Field(None, ge=1)
    """Decoder layer of the Transformer, from 1; the last if absent."""


def with_guided_layer(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree of an experiment in which a Transformer whose attention is guided has its `alignment_layer`."""
    pretrain, model = tree.get("pretrain"), tree.get("model")
    guided = pretrain.get("guided_alignment") if isinstance(pretrain, dict) else None
    if not isinstance(guided, dict) or not isinstance(model, dict) or model.get("type") != "transformer":
        return tree
    layer = guided.get("layer") or model.get("alignment_layer") or model.get("decoder_layers", 6)
    return {**tree, "model": {**model, "alignment_layer": layer}}


def check_guidance(config: Config) -> None:
    """Raise ValueError for an experiment whose alignments could not be learnt, or are not asked for."""
    guided, model = config.pretrain.guided_alignment, config.model
    given = [file for spec in config.corpus.train for file in spec.alignment]
    if guided is None:
        if given:
            raise ValueError(
                f"corpus.train.alignment {given[0]} has no effect without pretrain.guided_alignment: give that, such "
                "as {weight: 0.1}, or leave it out"
            )
        return
    if model.type in ("ntm", "dnc") and not model.attention:
        raise ValueError("pretrain.guided_alignment needs attention to guide: give model.attention true")
    if model.type != "transformer" and guided.layer is not None:
        raise ValueError(f"pretrain.guided_alignment.layer is of Transformers, found model.type {model.type}")
    if config.tokenizer.sampling:
        raise ValueError(
            "pretrain.guided_alignment needs tokenizer.sampling false: it aligns the pieces as they were prepared"
        )
