"""What every section of the experiment file has in common."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """Base of every section: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, tree: Any) -> Any:
        """Python takes true for 1; as a word it is refused with its key."""
        if not isinstance(tree, dict):
            return tree
        numbers = {name for name, field in cls.model_fields.items() if _is_number(field.annotation)}
        return {key: _truth_as_word(value) if key in numbers else value for key, value in tree.items()}


def named(tree: Any, default: str | None = None) -> Any:
    """The tree of a section that is one of several by `type`: a bare name is its type, and `default` where none is."""
    if isinstance(tree, str):
        return {"type": tree}
    return {"type": default, **tree} if isinstance(tree, dict) and default is not None else tree


def allowed_numbers(section: type[BaseModel], key: str) -> str:
    """The range of a number in words, such as `above 0 and at most 1,000`; empty if it has none."""
    words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    bounds = {name: getattr(b, name) for b in section.model_fields[key].metadata for name in words if hasattr(b, name)}
    if "ge" not in bounds:
        words["le"] = "at most"
    written = {name: f"{words[name]} {value:,}".removesuffix(".0") for name, value in bounds.items()}
    return (" " if {"ge", "le"} == bounds.keys() else " and ").join(written.values())


def _is_number(annotation: Any) -> bool:
    """Whether a field takes a number, or several."""
    kinds = [annotation, *get_args(annotation)]
    return (bool not in kinds and bool({int, float} & set(kinds))) or any(map(_is_number, kinds[1:]))


def _truth_as_word(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_truth_as_word(each) for each in value]
    if isinstance(value, dict):
        return {key: _truth_as_word(each) for key, each in value.items()}
    return str(value).lower() if isinstance(value, bool) else value
