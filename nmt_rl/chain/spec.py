"""The recipe of a chain: the experiment of every step."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nmt_rl.bundle.start import load_experiment
from nmt_rl.config import Config
from nmt_rl.config.chain import ChainConfig, ChainSpec, WayConfig
from nmt_rl.config.experiment import explain
from nmt_rl.config.recipes import read_recipe, recipe_path
from nmt_rl.errors import UserError
from nmt_rl.storage.streams import input_name
from nmt_rl.tuning.space import setting

BY_DOMAIN = ("train", "valid", "test")
"""Keys of `corpus` that are each domain's own."""


@dataclass(frozen=True)
class Chain:
    """A recipe with a section `chain`.

    Args:
        path: of the YAML file.
        given: `key=value`, as of --set.
        section: domains and ways.
        start: model folder, or run, that the chain starts from.
    """

    path: Path
    given: tuple[str, ...]
    section: ChainConfig
    start: str

    def experiment(self, way: WayConfig, step: int, start: str | None = None) -> Config:
        """Of learning domain `step`, which is not the first, from a model; None: that of the recipe.

        Raises:
            UserError: naming the recipe and a key of it that is wrong.
        """
        sections = self._sections(way, step, start or self.start)

        def complete(tree: dict[str, Any], written: Container[tuple[str, str]]) -> None:
            tree.pop("chain", None)
            for name, keys in sections.items():
                tree[name] = {**(tree.get(name) or {}), **keys}

        return load_experiment(str(self.path), [*self.given, *(setting(*item) for item in way.set.items())], complete)

    def _sections(self, way: WayConfig, step: int, start: str) -> dict[str, dict[str, Any]]:
        domains = self.section.domains
        new, text = domains[step], [source.model_dump(exclude_unset=True) for source in domains[step].train]
        for earlier in domains[:step] if way.replay is not None else ():
            text += [
                {**source.model_dump(exclude_unset=True), "weight": source.weight * (way.replay or 0.0)}
                for source in earlier.train
            ]
        corpus = {
            "train": text,
            "valid": new.valid.model_dump(exclude_unset=True),
            "test": new.test.model_dump(exclude_unset=True),
        }
        pretrain: dict[str, Any] = {"start": start}
        if way.ewc is not None:
            known = domains[step - 1].train[0].model_dump(exclude_unset=True)
            pretrain["keep"] = {"type": "ewc", "text": known, "weight": way.ewc}
        elif way.distill is not None:
            pretrain["keep"] = {"type": "distill", "weight": way.distill}
        return {"corpus": corpus, "pretrain": pretrain}


def read_chain(path: Path, given: Sequence[str] = ()) -> Chain:
    """The chain that a recipe describes, each of its experiments looked at.

    Raises:
        UserError: naming the file and the key that is missing or wrong.
    """
    if not recipe_path(str(path)).is_file():
        raise UserError(f"a chain reads its recipe for every step; give a file, found {input_name(path)}")
    own, tree = read_recipe(recipe_path(str(path)))
    if "chain" not in tree:
        raise UserError(f"{path} has no section chain, which lists domains; docs/adapting.md has an example")
    try:
        section = ChainSpec.model_validate({"chain": tree["chain"]}).chain
    except ValidationError as error:
        found = error.errors()  # A misspelt key explains the one that is missing, and not the other way round.
        first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
        raise UserError(f"{path}: {explain(first, ChainSpec)}") from None
    corpus = own.get("corpus")
    for key in BY_DOMAIN:
        if isinstance(corpus, dict) and key in corpus:
            raise UserError(f"{path}: corpus.{key} is each domain's own, under chain.domains; leave it out")
    for text in given:
        if text.startswith(("chain.", *(f"corpus.{key}" for key in BY_DOMAIN), "pretrain.keep")):
            raise UserError(f"--set {text}: write it into the section chain of {path}")
    start = _start(path, tree, given)
    chain = Chain(path, tuple(given), section, start)
    for way in section.ways.values():
        for step in range(1, len(section.domains)):
            chain.experiment(way, step)
    return chain


def _start(path: Path, tree: dict[str, Any], given: Sequence[str]) -> str:
    changed = [text.partition("=")[2] for text in given if text.startswith("pretrain.start=")]
    pretrain = tree.get("pretrain")
    start = changed[-1] if changed else pretrain.get("start") if isinstance(pretrain, dict) else None
    if not isinstance(start, str) or not start:
        raise UserError(f"{path}: a chain needs pretrain.start, the model that knows the first domain")
    return start
