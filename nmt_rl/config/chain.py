"""The section `chain` of a recipe: domains that are learnt one after the other, and ways to keep what was known."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, model_validator

from nmt_rl.config.corpus import SourceSpec
from nmt_rl.config.section import Section


class DomainConfig(Section):
    """Text of a domain, or of a language."""

    name: str = Field(min_length=1)
    train: tuple[SourceSpec, ...] = Field(min_length=1)
    valid: SourceSpec
    """By which the model of its step is chosen."""
    test: SourceSpec
    """What all models of the chain are scored on."""

    @model_validator(mode="before")
    @classmethod
    def _one_as_several(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("train"), str | dict | Section):
            return {**value, "train": (value["train"],)}
        return value


class WayConfig(Section):
    """How a step keeps what was known; without any key it does not."""

    replay: float | None = Field(None, gt=0.0, le=10**6)
    """Weight of every earlier domain's text beside the new."""
    ewc: float | None = Field(None, gt=0.0)
    """Weight of `pretrain.keep: ewc`, on the text of the domain before; of several sources the first."""
    distill: float | None = Field(None, gt=0.0)
    """Weight of `pretrain.keep: distill`."""
    set: dict[str, Any] = Field({})
    """Other keys of the recipe and their values, such as `pretrain.adapt: lora`."""

    @model_validator(mode="after")
    def _one_penalty(self) -> WayConfig:
        if self.ewc is not None and self.distill is not None:
            raise ValueError("ewc and distill exclude each other; leave out one of them")
        return self


class ChainConfig(Section):
    """The domains in their order, and the ways."""

    domains: tuple[DomainConfig, ...] = Field(min_length=1)
    """The first is what the model of `pretrain.start` knows; the others are learnt."""
    ways: dict[str, WayConfig] = Field({"nothing": WayConfig()}, min_length=1)
    """By their names; the whole chain is gone through by each."""

    @model_validator(mode="after")
    def _names_are_folders(self) -> ChainConfig:
        if len(self.domains) < 2:
            raise ValueError(f"domains: a chain needs two or more, found {len(self.domains)}")
        for what, names in (("domains", [domain.name for domain in self.domains]), ("ways", list(self.ways))):
            folders = [folder_name(name) for name in names]
            if not all(folders) or len(set(folders)) < len(folders):
                raise ValueError(f"{what} need different names of letters and digits, found {', '.join(names)}")
        return self


def folder_name(name: str) -> str:
    """A name as that of a folder: what is no letter and no digit becomes a hyphen."""
    return re.sub(r"\W+", "-", name).strip("-").lower()


class ChainSpec(Section):
    """What of a recipe is read as a chain."""

    chain: ChainConfig
