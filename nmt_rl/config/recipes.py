"""Recipes: where they are, what they extend, and how an experiment is made of one and of `--set` overrides."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from nmt_rl.config.corpus import SourceSpec
from nmt_rl.config.effects import without_effect
from nmt_rl.config.experiment import FORMAT_KEY, Config, explain, parse_config, sections_in
from nmt_rl.config.overrides import Override, apply_overrides, to_blame
from nmt_rl.config.section import named
from nmt_rl.config.unions import UNIONS
from nmt_rl.errors import UserError
from nmt_rl.storage.reading import read_yaml, read_yaml_pipe
from nmt_rl.storage.streams import STANDARD, from_home, input_name


def recipe_path(name: str) -> Path:
    """The file of a shipped recipe's name, of a YAML path or a pipe; raises UserError with the nearest names."""
    folder = Path(__file__).parent.parent / "recipes"
    path = Path(name)
    if _is_pipe(path):
        return path
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UserError(f"recipe file {name} does not exist")
        return path
    shipped = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped recipes: {', '.join(shipped)}; or give a .yaml path"
        raise UserError(f"there is no recipe {name!r}; {hint}")
    return folder / f"{name}.yaml"


def _is_pipe(path: Path) -> bool:
    return path == STANDARD or path.is_fifo()


Completion = Callable[[dict[str, Any], Container[tuple[str, str]]], None]
"""Adds to an experiment's tree; it is told the keys (section, key) that the recipe itself or an override gives."""


def load_config(recipe: str, overrides: Sequence[str] = (), complete: Completion | None = None) -> Config:
    """The validated experiment of a shipped recipe's name or a YAML path.

    Args:
        recipe: shipped name or path; `-` is standard input.
        overrides: `section.key=value` strings; values are YAML.
        complete: what the experiment has from elsewhere.

    Raises:
        UserError: for a missing file, bad YAML, an unknown key (with the nearest known one), a bad value or one that
            has no effect; it names the file or the override that is wrong.
    """
    path = recipe_path(recipe)
    own, tree = read_recipe(path)
    plain, changes = copy.deepcopy(tree), [Override.parse(text) for text in overrides]
    apply_overrides(tree, changes)
    if complete is not None:
        given = {(name, key) for name, section in own.items() if isinstance(section, Mapping) for key in section}
        complete(tree, given | {(change.keys[0], change.keys[1]) for change in changes if len(change.keys) > 1})
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        where = input_name(path) if error.errors()[0] in _mistakes(plain) else _origin(error, changes)
        raise UserError(f"{where or input_name(path)}: {explain(error.errors()[0])}") from None
    for at, text in without_effect(config):
        where = to_blame(changes, at) or (input_name(path) if _holds(own, at) and at in _idle(plain) else "")
        if where:  # Else an override has made it idle in the recipe, or the recipe in its base.
            raise UserError(f"{where}: {'.'.join(at)} {text}")
    return config


def read_recipe(path: Path, below: tuple[Path, ...] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tree of a recipe, and the same put upon its `base`: a shipped name, or a YAML path from the recipe's folder.

    Args:
        path: of the YAML file, or a pipe.
        below: recipes that extend this one.

    Raises:
        UserError: for a recipe that extends itself, or a base that is missing or not a whole recipe.
    """
    tree = read_yaml_pipe(path) if _is_pipe(path) else read_yaml(path)
    tree.pop(FORMAT_KEY, None)  # Of a model folder's config.yaml, which may be trained again.
    name = tree.pop("base", None)
    if name is None:
        return tree, copy.deepcopy(tree)
    where = input_name(path)
    if not isinstance(name, str):
        raise UserError(f"{where}: base should be the name or the path of a recipe, found {name!r}")
    try:
        base = recipe_path(str(path.parent / from_home(name)) if name.endswith((".yaml", ".yml")) else name)
    except UserError as error:
        raise UserError(f"{where}: base: {error}") from None
    if base.resolve() in (*(p.resolve() for p in below), path.resolve()):
        raise UserError(f"{where}: base {name} extends this recipe itself")
    whole = read_recipe(base, (*below, path))[1]
    parse_config(whole, str(base))
    return tree, put_upon(copy.deepcopy(tree), whole, [Config])


def put_upon(
    tree: Mapping[str, Any], base: Mapping[str, Any], sections: Sequence[type[BaseModel]], at: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A base recipe's tree with another's keys in it, section by section; everything else is replaced as a whole.

    So is a section of another `type`, whose keys the base's may not know.

    Args:
        tree: what is put upon it.
        base: the tree of a whole recipe.
        sections: of which these are the keys; of a union all.
        at: where they stand.
    """
    result = dict(base)
    for key, value in tree.items():
        below = [kind for section in sections for kind in sections_in(section, key) if kind is not SourceSpec]
        place, old = (*at, key), base.get(key)
        if place in UNIONS:
            value, old = named(value), named(old, UNIONS[place].default)
        if (
            not below
            or not isinstance(value, Mapping)
            or not isinstance(old, Mapping)
            or value.get("type", old.get("type")) != old.get("type")
        ):
            result[key] = value
        else:
            result[key] = put_upon(value, old, below, place)
    return result


def _holds(tree: Any, at: Sequence[str]) -> bool:
    for key in at:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True


def _idle(tree: dict[str, Any]) -> list[tuple[str, ...]]:
    """Keys without an effect of a recipe as it stands, if it is whole."""
    try:
        return [at for at, _ in without_effect(Config.model_validate(tree))]
    except ValidationError:
        return []


def _mistakes(tree: dict[str, Any]) -> list[Any]:
    try:
        Config.model_validate(tree)
    except ValidationError as error:
        return list(error.errors())
    return []


def _origin(error: ValidationError, changes: Sequence[Override]) -> str:
    return to_blame(changes, [str(part) for part in error.errors()[0]["loc"]])
