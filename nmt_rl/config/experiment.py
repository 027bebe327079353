"""The whole experiment: recipes, overrides, and errors that name the key."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from nmt_rl.config.corpus import CorpusConfig, TokenizerConfig
from nmt_rl.config.decoding import DecodingConfig, EvaluationConfig
from nmt_rl.config.finetuning import FinetuneConfig
from nmt_rl.config.guidance import check_guidance, with_guided_layer
from nmt_rl.config.model import ModelConfig
from nmt_rl.config.section import Section
from nmt_rl.config.task import METRICS, TaskName, with_task_defaults
from nmt_rl.config.training import PretrainConfig
from nmt_rl.config.unions import UNIONS, without_types
from nmt_rl.errors import UserError
from nmt_rl.storage.yaml_core import dump_yaml

FORMAT_KEY = "format"
"""Of the config.yaml of a model folder: the number of its format."""
TRAINING = ("pretrain", "finetune")
"""Sections of how a model is trained."""
SHAPES = {
    "tuple_type": "should be a list, in brackets",
    "dict_type": "should be a mapping such as {bleu: 1.0}",
    "model_type": "should be a mapping of keys",
    "model_attributes_type": "should be a mapping of keys",
    "too_short": "should not be empty",
}
"""What pydantic's words for a wrong shape mean in YAML."""


class ModelDescription(Section):
    """What is known of a model: all of an experiment but how it is trained."""

    name: str = Field(min_length=1)
    seed: int = Field(1, ge=0)
    task: TaskName = "translation"
    """What the model is for: translation, classification (targets are labels), answers, or summaries. It says what
    validation, report and reward go by."""
    corpus: CorpusConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig
    decoding: DecodingConfig = DecodingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _three_way_needs_one_vocabulary(self) -> Self:
        if self.model.tie == "all" and not self.tokenizer.shared:
            raise ValueError(
                "model.tie 'all' needs tokenizer.shared: true; use 'target' or 'none' with two vocabularies"
            )
        return self


class Config(ModelDescription):
    """A whole experiment: a model, and how it is trained."""

    pretrain: PretrainConfig = PretrainConfig()
    finetune: FinetuneConfig = FinetuneConfig()

    @model_validator(mode="after")
    def _packing_is_possible(self) -> Self:
        if self.pretrain.batch.type == "packed":
            if self.model.type != "transformer":
                raise ValueError(f"pretrain.batch.type 'packed' needs model.type transformer, found {self.model.type}")
            if self.tokenizer.sampling:
                raise ValueError("pretrain.batch.type 'packed' needs tokenizer.sampling false: lengths must be known")
        return self

    @model_validator(mode="after")
    def _pairs_can_be_recalled(self) -> Self:
        for stage in ("pretrain", "finetune"):
            if self.model.memory is None and getattr(self, stage).adapt.type == "memory":
                raise ValueError(f"{stage}.adapt.type 'memory' needs model.memory")
        if self.model.memory is not None:
            if self.pretrain.batch.type == "packed":
                raise ValueError("model.memory recalls pairs by single sentences, not of pretrain.batch.type packed")
            if self.tokenizer.sampling:
                raise ValueError("model.memory finds pairs by pieces, which tokenizer.sampling true would change")
            if self.finetune.actors:
                raise ValueError("model.memory needs the corpus, which finetune.actors elsewhere lack; give actors: 0")
        return self

    @model_validator(mode="before")
    @classmethod
    def _metrics_of_the_task(cls, tree: Any) -> Any:
        return with_guided_layer(with_task_defaults(tree)) if isinstance(tree, dict) else tree

    @model_validator(mode="after")
    def _adapters_can_drop_out(self) -> Self:
        for stage, adapt in (("pretrain", self.pretrain.adapt), ("finetune", self.finetune.adapt)):
            if getattr(adapt, "dropout", 0.0) and self.model.type != "transformer":
                raise ValueError(
                    f"{stage}.adapt.dropout is of Transformers, found model.type {self.model.type}; leave it out"
                )
        return self

    @model_validator(mode="after")
    def _alignments_can_be_learnt(self) -> Self:
        check_guidance(self)
        return self

    @property
    def score(self) -> str:
        """The metric by which the better model is released."""
        return METRICS[self.task][0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """All that are told: those of the task, those that stages are validated by, and `evaluation.metrics`."""
        chosen = {self.pretrain.validation.metric, self.finetune.validation.metric} - {"loss"}
        return tuple(dict.fromkeys([*METRICS[self.task], *sorted(chosen), *self.evaluation.metrics]))

    @property
    def finetune_seed(self) -> int:
        """Of fine-tuning: its own, or the experiment's."""
        return self.seed if self.finetune.seed is None else self.finetune.seed


_Kind = TypeVar("_Kind", bound=ModelDescription)


def parse_config(tree: dict[str, Any], where: str) -> Config:
    """Validate a mapping; `where` names its origin in the one-sentence UserError."""
    return _parse(Config, tree, where)


def parse_description(tree: dict[str, Any], where: str) -> ModelDescription:
    """What the tree of a model folder says of the model, see `parse_config`; how it was trained is not looked at."""
    skipped = (FORMAT_KEY, *TRAINING)
    return _parse(ModelDescription, {key: value for key, value in tree.items() if key not in skipped}, where)


def _parse(kind: type[_Kind], tree: dict[str, Any], where: str) -> _Kind:
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where}: {explain(first)}") from None


def explain(error: Any, root: type[BaseModel] | None = None) -> str:
    """One of pydantic's errors in a sentence that begins with the key; `root` is the section that was validated."""
    root = root or Config
    location = [str(part) for part in error["loc"]]
    keys = without_types(location)
    key = ".".join(keys)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(location[-1], _known_keys(location[:-1], root), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(_known_keys(location[:-1], root))}"
        union = UNIONS.get(tuple(keys[:-1]))
        kind = f" with {keys[-2]}.type {location[-2]}" if union else ""
        return f"unknown key {key}{kind}{hint}"
    if error["type"] == "missing":
        return f"key {key} is missing"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        *most, last = UNIONS[tuple(keys)].kinds
        return f"{key}.type: should be {', '.join(most)} or {last}, found {_shown(error['input'].get('type'))}"
    message = SHAPES.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    # A rule of a whole section says what it found itself.
    whole = error["type"] == "value_error" and isinstance(error["input"], dict | Section)
    found = "" if whole else f", found {_shown(error['input'])}"
    return f"{key or 'the experiment'}: {message[0].lower() + message[1:]}{found}"


def _shown(value: Any) -> str:
    """As YAML has it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _known_keys(location: Sequence[str], root: type[BaseModel]) -> list[str]:
    """Field names of the section at a location."""
    sections: list[type[BaseModel]] = [root]
    for place, part in enumerate(location):
        union = UNIONS.get(tuple(without_types(location[:place])))
        if union and part in union.kinds:
            sections = [union.kinds[part]]
        elif not part.isdigit():
            below = [s for section in sections if part in section.model_fields for s in sections_in(section, part)]
            sections = below or sections  # A name that a mapping of sections has.
    return sorted({name for section in sections for name in section.model_fields})


def sections_in(section: type[BaseModel], field: str) -> Iterator[type[BaseModel]]:
    """The sections that a field holds; several of a union, none of a field that is no section."""
    pending: list[Any] = [section.model_fields[field].annotation] if field in section.model_fields else []
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        pending.extend(getattr(annotation, "__args__", ()))


def dump_config(config: ModelDescription) -> str:
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
