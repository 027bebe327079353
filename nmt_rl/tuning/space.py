"""The file that says which keys of an experiment are searched, and between what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nmt_rl.errors import UserError
from nmt_rl.storage.reading import read_yaml

if TYPE_CHECKING:
    from optuna.trial import Trial

Stage = Literal["decoding", "finetune", "pretrain"]
SECTIONS = ("decoding", "finetune", "pretrain", "model", "tokenizer", "corpus")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, whole ones if both are."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def suggest(self, trial: Trial, key: str) -> Any:
        """A value for a trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(key, self.low, self.high, log=self.log, step=int(self.step or 1))
        return trial.suggest_float(key, self.low, self.high, log=self.log, step=self.step)

    def ends(self) -> tuple[Any, ...]:
        """Values that must be possible."""
        return self.low, self.high

    def value(self, parameter: Any) -> Any:
        """What Optuna's parameter stands for."""
        return parameter

    def parameter(self, value: Any) -> Any:
        """What stands for a value."""
        return value

    def holds(self, value: Any) -> bool:
        """Whether a value is one of them."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choices:
    """Some values, in no order."""

    values: tuple[Any, ...]

    def suggest(self, trial: Trial, key: str) -> Any:
        """A value for a trial."""
        return self.value(trial.suggest_categorical(key, list(range(len(self.values)))))

    def value(self, parameter: Any) -> Any:
        """What Optuna's parameter stands for: places, for it takes no lists."""
        return self.values[int(parameter)]

    def parameter(self, value: Any) -> Any:
        """What stands for a value."""
        return self.values.index(value)

    def ends(self) -> tuple[Any, ...]:
        """Values that must be possible."""
        return self.values

    def holds(self, value: Any) -> bool:
        """Whether a value is one of them."""
        return value in self.values


Space = Mapping[str, Range | Choices]
"""By key, such as `finetune.optimizer.learning_rate`."""


def read_space(path: Path) -> Space:
    """The space in a YAML file: of each key a list of values, or a mapping of low, high, log, step.

    Raises:
        UserError: naming file and key.
    """
    tree = read_yaml(path)
    if not tree:
        raise UserError(f"{path} names no key to search; write one, such as decoding.beam: [1, 4, 8]")
    return {key: _domain(f"{path}: {key}", key, value) for key, value in tree.items()}


def _domain(where: str, key: Any, value: Any) -> Range | Choices:
    if not isinstance(key, str) or key.split(".")[0] not in SECTIONS or "." not in key:
        raise UserError(f"{where} is no key of {', '.join(SECTIONS)}, such as decoding.length_penalty")
    if isinstance(value, list):
        if len(value) < 2:
            raise UserError(f"{where}: a list needs two values or more, found {len(value)}")
        return Choices(tuple(value))
    if not isinstance(value, dict) or not {"low", "high"} <= value.keys() <= {"low", "high", "log", "step"}:
        wanted = "a list of values, or {low: ..., high: ...} with log or step"
        raise UserError(f"{where} should be {wanted}; found {value!r}")
    found = Range(**value)
    numbers = (found.low, found.high, *([] if found.step is None else [found.step]))
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers) or found.low >= found.high:
        raise UserError(f"{where}: low should be a number below high, found {value!r}")
    if found.log and (found.step is not None or found.low <= 0):
        raise UserError(f"{where}: log needs a low above 0, and no step; found {value!r}")
    return found


def stage_of(space: Space) -> Stage:
    """What has to be done for a trial: translate validation, fine-tune, or pretrain.

    Raises:
        UserError: for keys of two stages of training.
    """
    sections = {key.split(".")[0] for key in space}
    if sections == {"decoding"}:
        return "decoding"
    if "finetune" in sections and sections - {"finetune", "decoding"}:
        other = min(sections - {"finetune", "decoding"})
        raise UserError(f"keys of finetune and of {other} are searched one after the other: leave out those of one")
    return "finetune" if "finetune" in sections else "pretrain"


def setting(key: str, value: Any) -> str:
    """`key=value`, as --set takes it."""
    return f"{key}={json.dumps(value, ensure_ascii=False)}"
