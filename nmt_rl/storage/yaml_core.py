"""YAML 1.2: `no`, `off` and `1:30` are text, 010 is ten, 1e-3 is a number; and no key stands twice."""

from __future__ import annotations

import re
from typing import Any

import yaml

_RESOLVERS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "merge": (r"<<", ["<"]),
}
"""The core schema (YAML 1.2.2, section 10.3.2), and the merge key of 1.1."""


DEPTH = 100
"""Levels of lists and mappings in each other."""
VALUES = 10_000
"""Values in a document, those of an alias counted wherever it stands."""


class TooMuch(yaml.YAMLError):
    """More levels or values than any settings have."""


class CoreLoader(yaml.SafeLoader):
    """Builds what YAML's safe loader does, and no other objects.

    It counts while it composes: what a short text with aliases stands for can be larger than any memory.
    """

    def __init__(self, stream: str) -> None:
        """See the class docstring."""
        super().__init__(stream)
        self._depth, self._begun = 0, 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node, as PyYAML composes it; raises TooMuch."""
        alias = self.check_event(yaml.AliasEvent)
        self._depth += 1
        self._begun += 1
        if self._depth > DEPTH:
            raise TooMuch("is nested too deeply")
        if self._begun > VALUES:
            raise TooMuch(f"holds more than {VALUES:,} values")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if not alias:
            children = node.value if isinstance(node, yaml.CollectionNode) else []
            flat = [n for child in children for n in (child if isinstance(child, tuple) else (child,))]
            self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in flat)
        elif id(node) not in self._sizes:
            raise TooMuch("holds a value that contains itself")
        if self._sizes[id(node)] > VALUES:
            raise TooMuch(f"holds more than {VALUES:,} values")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are words that stand there once (PyYAML keeps the last of two)."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True) if key_node.tag != "tag:yaml.org,2002:merge" else None
            if isinstance(key, list | dict):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key_node.start_mark)
            if key is not None and key in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key!r} stands there twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes what either version would take for something else than text."""


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _construct_float(loader: Any, node: Any) -> float:
    return float(re.sub(r"\.(inf|nan)", r"\1", loader.construct_scalar(node).lower()))


CoreLoader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _RESOLVERS.items():
    for _class in (CoreLoader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), _first)
CoreLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)
CoreLoader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def load_yaml(text: str) -> Any:
    """The tree in a YAML document; raises yaml.YAMLError, for a key that stands twice, too."""
    return yaml.load(text, CoreLoader)


def dump_yaml(tree: Any) -> str:
    """A tree of JSON values as YAML that `load_yaml`, and any reader of 1.1, reads back."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
