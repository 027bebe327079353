"""The whole experiment: recipes, overrides, and errors that name the key."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from nmt_rl.config.corpus import CorpusConfig, TokenizerConfig
from nmt_rl.config.decoding import DecodingConfig, EvaluationConfig
from nmt_rl.config.effects import without_effect
from nmt_rl.config.finetuning import FinetuneConfig
from nmt_rl.config.model import ModelConfig
from nmt_rl.config.overrides import MODELS, Override, apply_overrides, to_blame
from nmt_rl.config.section import Section
from nmt_rl.config.training import PretrainConfig
from nmt_rl.errors import UserError
from nmt_rl.storage.reading import read_yaml, read_yaml_pipe
from nmt_rl.storage.streams import STANDARD, input_name
from nmt_rl.storage.yaml_core import dump_yaml

SHAPES = {
    "tuple_type": "should be a list such as [0.7, 1.0]",
    "dict_type": "should be a mapping such as {bleu: 1.0}",
    "model_type": "should be a mapping of keys",
    "model_attributes_type": "should be a mapping of keys",
    "too_short": "should not be empty",
}
"""What pydantic's words for a wrong shape mean in YAML."""


class Config(Section):
    """A whole experiment."""

    name: str = Field(min_length=1)
    seed: int = Field(1, ge=0)
    corpus: CorpusConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig
    pretrain: PretrainConfig = PretrainConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    decoding: DecodingConfig = DecodingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @property
    def finetune_seed(self) -> int:
        """Of fine-tuning: its own, or the experiment's."""
        return self.seed if self.finetune.seed is None else self.finetune.seed

    @model_validator(mode="after")
    def _three_way_needs_one_vocabulary(self) -> Config:
        if self.model.tie == "all" and not self.tokenizer.shared:
            raise ValueError(
                "model.tie 'all' needs tokenizer.shared: true; use 'target' or 'none' with two vocabularies"
            )
        return self


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


def load_config(recipe: str, overrides: Sequence[str] = ()) -> Config:
    """The validated experiment of a shipped recipe's name or a YAML path.

    Args:
        recipe: shipped name or path; `-` is standard input.
        overrides: `section.key=value` strings; values are YAML.

    Raises:
        UserError: for a missing file, bad YAML, an unknown key (with the nearest known one), a bad value or one that
            has no effect; it names the file or the override that is wrong.
    """
    path = recipe_path(recipe)
    tree = read_yaml_pipe(path) if _is_pipe(path) else read_yaml(path)
    plain, changes = copy.deepcopy(tree), [Override.parse(text) for text in overrides]
    apply_overrides(tree, changes)
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        where = input_name(path) if error.errors()[0] in _mistakes(plain) else _origin(error, changes)
        raise UserError(f"{where or input_name(path)}: {_explain(error.errors()[0])}") from None
    for at, text in without_effect(config):
        where = to_blame(changes, at) or (input_name(path) if at in _idle(plain) else "")
        if where:  # Else an override has made it idle in the recipe.
            raise UserError(f"{where}: {'.'.join(at)} {text}")
    return config


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


def parse_config(tree: dict[str, Any], where: str) -> Config:
    """Validate a mapping; `where` names its origin in the one-sentence UserError."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where}: {_explain(first)}") from None


def _explain(error: Any) -> str:
    location = [str(part) for part in error["loc"]]
    key = ".".join(part for part in location if part not in MODELS)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(location[-1], _known_keys(location[:-1]), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(_known_keys(location[:-1]))}"
        return f"unknown key {key}{hint}"
    if error["type"] == "missing":
        return f"key {key} is missing"
    message = SHAPES.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    # A rule of a whole section says what it found itself.
    whole = error["type"] == "value_error" and isinstance(error["input"], dict | Section)
    found = "" if whole else f", found {_shown(error['input'])}"
    return f"{key or 'the experiment'}: {message[0].lower() + message[1:]}{found}"


def _shown(value: Any) -> str:
    """As YAML has it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _known_keys(location: Sequence[str]) -> list[str]:
    """Field names of the section at a location."""
    sections: list[type[BaseModel]] = [Config]
    for part in location:
        if part in MODELS:
            sections = [MODELS[part]]
        elif not part.isdigit():
            sections = [s for section in sections if part in section.model_fields for s in _sections_in(section, part)]
    return sorted({name for section in sections for name in section.model_fields})


def _sections_in(section: type[BaseModel], field: str) -> Iterator[type[BaseModel]]:
    pending: list[Any] = [section.model_fields[field].annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        pending.extend(getattr(annotation, "__args__", ()))


def dump_config(config: Config) -> str:
    """The whole resolved experiment as YAML, defaults included; `parse_config` reads it back."""
    return dump_yaml(config.model_dump(mode="json"))


def first_difference(old: Any, new: Any, key: str = "") -> str | None:
    """`key was OLD, now NEW` for the first difference between two JSON trees, or None."""
    if old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        below = (first_difference(old.get(k), new.get(k), f"{key}.{k}" if key else k) for k in keys)
        return next(filter(None, below), None)
    return f"{key} was {json.dumps(old, ensure_ascii=False)}, now {json.dumps(new, ensure_ascii=False)}"
