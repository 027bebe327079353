"""What a comparison of methods of fine-tuning is, and where its parts lie; of compare_methods.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

DECODINGS = {"greedy": 1, "beam 5": 5}
"""Names and beams."""
SIDES = ("source", "target")
VALIDATIONS = 5
"""Of each run of fine-tuning, at even distances; the last three are averaged."""
TRIAL_LINES = 200
"""Of validation, on the way of trials that have a budget of their own; all lines choose one."""
WARM, TIMED = 4, 6
"""Updates of a calibration, at least: in the first ones most is compiled; the others are every later one's measure."""
FREE = ("optimizer.learning_rate=", "reward.brevity=", "method.tau=", "validation.sentences=")
"""Beginnings of settings that an update costs the same with."""


@dataclass(frozen=True)
class Spec:
    """A comparison as its file says it."""

    name: str
    """Of the system, for the tables."""
    recipe: str
    budget: float
    """Processor minutes of each seed's fine-tuning, what is compiled in them counted, validation not."""
    tests: list[Any]
    """Test sets, each written as `corpus.test` is."""
    methods: dict[str, list[list[str]]]
    """Trials of each method: settings of the section `finetune`. In the file: the name of one with the trials."""
    set: list[str] = field(default_factory=list)
    """Settings of the experiment beside the recipe's."""
    trial_budget: float | None = None
    """Processor minutes of each trial; None: as many as of a seed, and the trial is the first seed's run."""
    most_trials: int | None = None
    """Of a method, the first ones; None: all."""
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    metrics: list[str] = field(default_factory=lambda: ["bleu", "chrf"])
    against: list[str] = field(default_factory=list)
    """Methods that the others are compared with, as all are with the pretrained model."""

    def test_names(self) -> list[str]:
        """Of the test sets."""
        from nmt_rl.config import SourceSpec

        return [SourceSpec.model_validate(each).label for each in self.tests]


def read_spec(path: Path, data: str) -> Spec:
    """The comparison of a file, in which DATA stands for a folder; raises ValueError for what is wrong with it.

    Its `instead` replaces settings of the trials by others, such as `optimizer.learning_rate=3e-5: ...=1e-4`; its
    `chosen` says which trial of a method stands for all, from 1, where another system has chosen it.
    """
    tree = yaml.safe_load(path.read_text(encoding="utf-8").replace("DATA", data))
    shared, instead = yaml.safe_load((path.parent / tree["methods"]).read_text()), tree.pop("instead", {})
    most, chosen = tree.get("most_trials"), tree.pop("chosen", {})
    tree["methods"] = {
        name: trials(shared["all"], method, instead)[:most] for name, method in shared["methods"].items()
    }
    for name, place in chosen.items():
        tree["methods"][name] = [tree["methods"][name][place - 1]]
    known = list(Spec.__dataclass_fields__)
    if unknown := sorted(set(tree) - set(known)):
        raise ValueError(f"unknown key {unknown[0]}; known: {', '.join([*known, 'instead', 'chosen'])}")
    return Spec(**tree)


def trials(shared: Sequence[str], method: Mapping[str, Any], instead: Mapping[str, str]) -> list[list[str]]:
    """Settings of each trial: those of all methods, of the method, and its own; some give way to a system's."""
    made = [[*shared, *method["all"], *own] for own in method["trials"]]
    return [[instead.get(setting, setting) for setting in trial] for trial in made]


@dataclass(frozen=True)
class Cost:
    """What updates cost, in processor seconds."""

    warm: int
    """So many first updates, in which most is compiled..."""
    seconds: float
    """...cost so much together."""
    each: float
    """Every later one, on average."""

    def updates(self, budget: float) -> int:
        """That a budget of processor seconds suffices for: a multiple of VALIDATIONS, one each at least."""
        count = self.warm + (budget - self.seconds) / self.each
        return max(1, int(count) // VALIDATIONS) * VALIDATIONS


def cost_key(settings: Sequence[str]) -> str:
    """One for all trials whose updates cost the same."""
    return " ".join(setting for setting in settings if not setting.startswith(FREE))


def best_trial(scores: Sequence[float]) -> int:
    """Place of the largest validation BLEU, of equal ones the first."""
    return max(range(len(scores)), key=lambda place: (scores[place], -place))


class Folder:
    """What a comparison has made in its folder.

    Args:
        spec: the comparison.
        path: of the folder.
        methods: names of those that are worked on.
        jobs: runs at a time.
    """

    def __init__(self, spec: Spec, path: Path, methods: Sequence[str], jobs: int = 1) -> None:
        """See the class docstring."""
        self.spec, self.path, self.methods = spec, path, {name: spec.methods[name] for name in methods}
        self.jobs = jobs
        self.recipe, self.pretrained = path / "recipe.yaml", path / "pretrained"

    def costs(self) -> dict[str, dict[str, Any]]:
        """Each a Cost, by `cost_key`."""
        path = self.path / "calibration.json"
        return read_json(path) if path.exists() else {}

    def updates(self, settings: Sequence[str], minutes: float) -> int:
        """Updates of a trial that processor minutes suffice for."""
        known = self.costs().get(cost_key(settings))
        if known is None:
            sys.exit(f"{' '.join(settings)} is not calibrated; run that stage first")
        return Cost(**known).updates(60 * minutes)

    def trial(self, method: str, place: int) -> Path:
        """Folder of one trial; they are counted from 1 in names. The only trial of a method is its first seed's run."""
        if self.spec.trial_budget is None or len(self.methods[method]) == 1:
            return self.run(method, place, self.spec.seeds[0])
        return self.path / "trials" / f"{method}-{place + 1}"

    def run(self, method: str, place: int, seed: int) -> Path:
        """Folder of one seed's run."""
        return self.path / "runs" / f"{method}-{place + 1}-seed{seed}"

    def chosen(self, method: str) -> int:
        """Place of the trial that validates best."""
        places = range(len(self.methods[method]))
        if len(places) == 1:
            return 0
        return best_trial([result_of(self.trial(method, place))["valid"]["bleu"] for place in places])

    def systems(self) -> dict[str, list[Path]]:
        """Of each system the folders of its seeds' stages, the pretrained model first."""
        runs = {name: [self.run(name, self.chosen(name), seed) for seed in self.spec.seeds] for name in self.methods}
        stages = {name: [run / "finetune" for run in own] for name, own in runs.items()}
        return {"pretrained": [self.pretrained / "pretrain"], **stages}

    def text(self, test: str, side: str) -> Path:
        """Source or target of a test set."""
        return self.path / "translations" / f"{test}.{side}".replace("/", "-")

    def translation(self, stage: Path, test: str, how: str) -> Path:
        """A model's translations of a test set."""
        return self.path / "translations" / f"{stage.parent.name}.{test}.{how}".replace("/", "-").replace(" ", "")


def result_of(run: Path) -> dict[str, Any]:
    """What a finished run of fine-tuning says of itself."""
    path = run / "finetune" / "result.json"
    return read_json(path) if path.exists() else sys.exit(f"{path} is missing; its stage has to run first")


def read_json(path: Path) -> Any:
    """A tree."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, tree: Any, indent: int | None = 1) -> None:
    """Write a tree; a reader never sees half of it."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(json.dumps(tree, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(path)
