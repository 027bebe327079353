"""`--set section.key=value`: overrides of a recipe's keys, whatever order they are given in."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from nmt_rl.config.corpus import TRAINING_KEYS, source_fields
from nmt_rl.config.section import named
from nmt_rl.config.unions import UNIONS, without_types
from nmt_rl.errors import UserError
from nmt_rl.storage.yaml_core import load_yaml

log = logging.getLogger("nmt_rl")

SEVERAL = (("corpus", "train"), ("corpus", "valid"))
"""Keys that have one entry or several; messages count the only one, too: `corpus.train.0`."""


@dataclass(frozen=True)
class Override:
    """One `section.key=value`.

    Attributes:
        text: as it was given.
        keys: the key's parts.
        value: the tree that the value is as YAML.
    """

    text: str
    keys: tuple[str, ...]
    value: Any

    @classmethod
    def parse(cls, text: str) -> Override:
        """Raises UserError if it does not look like one."""
        key, equals, value = text.partition("=")
        keys = tuple(key.strip().split("."))
        if not equals or not all(keys):
            raise UserError(f"--set {text!r} should look like section.key=value")
        try:
            return cls(text, keys, load_yaml(value))
        except (yaml.YAMLError, ValueError, RecursionError):
            return cls(text, keys, value)

    def touches(self, location: Sequence[str]) -> bool:
        """Whether the value at a location, given as keys, is made of this one."""
        ours, theirs = ([key for key in keys if not key.isdigit()] for keys in (self.keys, location))
        return all(a == b for a, b in zip(ours, theirs, strict=False))

    def __str__(self) -> str:
        """As it is typed."""
        return f"--set {shlex.quote(self.text)}"


def apply_overrides(tree: dict[str, Any], overrides: Sequence[Override]) -> None:
    """Override keys of an experiment's tree.

    A whole section or entry goes before the keys in it, whichever is given first; of equal keys the last counts. Keys
    of an entry that is written as a string, such as `train: data/train`, are added to what the string stands for. A
    `type` other than the recipe's, such as `model.type`, leaves out the recipe's keys that only the other type has, and
    a `tokenizer.model` those of training one.

    Raises:
        UserError: for a key below something that has none.
    """
    if any(override.keys == ("tokenizer", "model") and override.value for override in overrides):
        _leave_out_training(tree.get("tokenizer"))
    for override in sorted(overrides, key=lambda each: len(each.keys)):
        node: Any = tree
        for depth in range(len(override.keys) - 1):
            node = _section(node, override, depth)
        if override.keys[-1] == "type" and override.keys[:-1] in UNIONS:
            _change_type(node, override)
        node[override.keys[-1]] = override.value


def _section(node: dict[str, Any], override: Override, depth: int) -> dict[str, Any]:
    """The mapping at the next of an override's keys, made if there is none."""
    part, place = override.keys[depth], ".".join(override.keys[: depth + 1])
    child = node.get(part)
    numbered = override.keys[: depth + 1] in SEVERAL and override.keys[depth + 1].isdigit()
    if numbered and isinstance(child, str | dict):
        child = node[part] = [child]
    if isinstance(child, list):
        return _entry(child, override, depth)
    if isinstance(child, str) and override.keys[0] == "corpus":
        child = node[part] = source_fields(child)
    if isinstance(child, str) and override.keys[: depth + 1] in UNIONS:
        child = node[part] = named(child)
    if child is None:
        child = node[part] = {}
    if not isinstance(child, dict):
        raise UserError(f"{override}: {place} is {child!r} and has no keys")
    return child


def _entry(entries: list[Any], override: Override, depth: int) -> dict[str, Any]:
    """A mapping whose keys are the places in a list; a list of one entry is that entry, too."""
    following = override.keys[depth + 1]
    if not following.isdigit() and len(entries) == 1:
        numbered = _Entries(entries)
        return _section(numbered, Override(override.text, ("corpus", "0", following), None), 1)
    if not following.isdigit() or int(following) >= len(entries):
        place = ".".join(override.keys[: depth + 1])
        raise UserError(f"{override}: {place} has {len(entries)} entries; name one, such as {place}.0")
    return _Entries(entries)


class _Entries(dict[str, Any]):
    """A list as a mapping from places to entries."""

    def __init__(self, entries: list[Any]) -> None:
        super().__init__({str(place): entry for place, entry in enumerate(entries)})
        self.entries = entries

    def __setitem__(self, place: str, entry: Any) -> None:
        super().__setitem__(place, entry)
        self.entries[int(place)] = entry


def _change_type(section: dict[str, Any], override: Override) -> None:
    kinds, default = UNIONS[override.keys[:-1]]
    kind, before = override.value, section.get("type", default)
    if not isinstance(kind, str) or kind not in kinds or before not in kinds or kind == before:
        return
    other = [key for key in section if key not in kinds[kind].model_fields]
    for key in other:
        del section[key]
    if other:
        name, left = ".".join(override.keys), ", ".join(other)
        log.info("%s %s: the recipe's keys of type %s are left out (%s)", name, kind, before, left)


def _leave_out_training(tokenizer: Any) -> None:
    other = [key for key in TRAINING_KEYS if isinstance(tokenizer, dict) and key in tokenizer]
    for key in other:
        del tokenizer[key]
    if other:
        log.info("tokenizer.model is trained already: the recipe's keys for it are left out (%s)", ", ".join(other))


def to_blame(overrides: Sequence[Override], location: Sequence[str]) -> str:
    """The overrides that a wrong value at a location comes from, or empty if it is none of them."""
    keys = without_types(location)
    return ", ".join(str(each) for each in overrides if each.touches(keys))
