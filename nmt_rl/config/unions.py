"""Sections that are one of several, told apart by `type`; a bare name stands for `{type: name}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from nmt_rl.config.adaptation import AdaptConfig, KeepConfig
from nmt_rl.config.methods import METHOD, MethodConfig, Q, QConfig
from nmt_rl.config.model import AnyHardConfig, ModelConfig


class Union(NamedTuple):
    """The sections that one key can hold."""

    kinds: Mapping[str, type[BaseModel]]
    """By type."""
    default: str | None
    """Type where none is given."""


def _kinds(union: Any) -> dict[str, type[BaseModel]]:
    return {kind.model_fields["type"].default: kind for kind in get_args(get_args(union)[0])}


UNIONS: Mapping[tuple[str, ...], Union] = {
    ("model",): Union(_kinds(ModelConfig), None),
    ("model", "hard"): Union(_kinds(AnyHardConfig), None),
    ("pretrain", "keep"): Union(_kinds(KeepConfig), None),
    ("pretrain", "adapt"): Union(_kinds(AdaptConfig), None),
    ("finetune", "adapt"): Union(_kinds(AdaptConfig), None),
    ("finetune", "method"): Union(_kinds(MethodConfig), METHOD),
    ("finetune", "method", "q"): Union(_kinds(QConfig), Q),
}
"""By key."""


def without_types(location: Sequence[str]) -> list[str]:
    """The keys of an error's location, in which pydantic names the types, too."""
    keys: list[str] = []
    for part in location:
        union = UNIONS.get(tuple(keys))
        if union is None or part not in union.kinds:
            keys.append(part)
    return keys
