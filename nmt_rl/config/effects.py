"""Keys that are given and have no effect beside the others: whoever gives one means something else by it.

Recipes are asked, not model folders: an older one must still be opened.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel

from nmt_rl.config.corpus import BatchConfig, TokenizerConfig
from nmt_rl.config.decoding import DecodingConfig
from nmt_rl.config.finetuning import FinetuneConfig
from nmt_rl.config.methods import DQNConfig, TrajectoryConfig
from nmt_rl.config.model import LSTMConfig
from nmt_rl.config.training import OptimizerConfig


class Need(NamedTuple):
    """What some keys of a section need of another one."""

    keys: tuple[str, ...]
    other: str
    idle: Container[Any]
    """Values of the other with which they have no effect."""
    wanted: str
    """A value with which they have one."""


OTHER_SCHEDULES = ("constant", "inverse-sqrt", "cosine")
NEEDS: dict[type[BaseModel], tuple[Need, ...]] = {
    OptimizerConfig: (
        Need(("weight_decay",), "name", ("adam",), "adamw"),
        Need(("floor",), "schedule", ("constant", "inverse-sqrt"), "cosine, plateau or wsd"),
        Need(("decay",), "schedule", ("constant", "inverse-sqrt", "cosine", "plateau"), "wsd"),
        Need(
            ("plateau_factor", "plateau_patience"), "schedule", ("constant", "inverse-sqrt", "cosine", "wsd"), "plateau"
        ),
    ),
    BatchConfig: (
        Need(("buckets",), "pad", ("longest",), "buckets"),
        Need(("packed_length",), "type", ("tokens", "sentences"), "packed"),
        Need(("sort", "pad", "buckets"), "type", ("packed",), "tokens or sentences"),
    ),
    TokenizerConfig: (Need(("sampling_alpha",), "sampling", (False,), "true"),),
    LSTMConfig: (Need(("attention_units",), "attention", ("bilinear", "dot"), "additive"),),
    DQNConfig: (
        Need(("top_k",), "epsilon", (0.0,), "above 0"),
        Need(("monte_carlo", "trace", "value_learning_rate", "target_rate", "episodic"), "steps", (0,), "above 0"),
    ),
    FinetuneConfig: (Need(("ahead",), "actors", (0,), "above 0"),),
    TrajectoryConfig: (Need(("trace",), "steps", range(1, 1_000_000), "0"),),
    DecodingConfig: (
        Need(("diversity",), "diverse_groups", (1,), "above 1"),
        Need(("temperature", "top_k", "top_p", "seed"), "samples", (0,), "above 0"),
        Need(("length_normalization",), "length_penalty", (0.0,), "above 0"),
    ),
}


def without_effect(section: BaseModel, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where each key stands that was given, is not its default, and has no effect; and what is said of it."""
    for name in section.__class__.model_fields:
        value = getattr(section, name)
        if name in section.model_fields_set and isinstance(value, BaseModel):
            yield from without_effect(value, (*at, name))
    for kind, needs in NEEDS.items():
        if isinstance(section, kind):
            yield from ((at + (key,), text) for need in needs for key, text in _idle(section, need))


def _idle(section: BaseModel, need: Need) -> Iterator[tuple[str, str]]:
    found = getattr(section, need.other)
    if found not in need.idle:
        return
    shown = str(found).lower() if isinstance(found, bool) else found
    for key in need.keys:
        value = getattr(section, key)
        if key in section.model_fields_set and value != section.__class__.model_fields[key].default:
            own = "" if isinstance(value, BaseModel) else f"{value} "
            yield key, f"{own}has no effect with {need.other} {shown}; leave it out, or give {need.other} {need.wanted}"
