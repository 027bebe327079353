"""Attentions and memories of one recipe, each trained on the same budget and fine-tuned once: BLEU, size, CPU hours.

Usage: python scripts/compare_attentions.py SPEC OUT [--data DIR] [--start MODEL] [--only NAME ...]

SPEC is a file such as attentions/multi30k-de-en.yaml, in which DATA stands for DIR, and START for MODEL, a model folder
that training starts from: a recipe (a name, or its sections), `set`, settings that all systems have and that hold the
budget (pretrain.updates or pretrain.minutes), and systems, each with settings of its own. Text is prepared once; then
each system is pretrained and fine-tuned in OUT/NAME, on one thread. Writes OUT/results.json and OUT/results.md after
each; what is finished is not done again, and a run that was killed goes on.

Columns: validation scores, greedy, of the pretrained model and the fine-tuned one, each with the length that is tuned
for it; parameters, inference network included; processor hours of all that nmt-rl did, validation and restarts as well.
"""

from __future__ import annotations

import argparse
import os
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from compare_methods import ONE_THREAD, SHARED, link, nmt_rl, say
from comparison import read_json, write_json

KEYS = {"name", "recipe", "set", "systems"}
STAGES = ("pretrain", "finetune")


def read_spec(path: Path, data: str, start: str = "START") -> dict[str, Any]:
    """The comparison of a file, with the folders of DATA and START; raises ValueError for what is wrong with it."""
    spec = yaml.safe_load(path.read_text(encoding="utf-8").replace("DATA", data).replace("START", start))
    if not isinstance(spec, dict) or set(spec) != KEYS:
        raise ValueError(f"should have the keys {', '.join(sorted(KEYS))}")
    return spec


def check(recipe: str, spec: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse a wrong setting before anything is trained; raises UserError."""
    from nmt_rl.bundle.start import load_experiment

    for name in names:
        load_experiment(recipe, [*spec["set"], *spec["systems"][name]])


def train(out: Path, name: str, recipe: str, settings: Sequence[str]) -> None:
    """Bring a system to its end, and add up what each stage costs in OUT/NAME/seconds.json."""
    run = out / name
    run.mkdir(exist_ok=True)
    link(out / "prepared", run, SHARED)
    for stage in STAGES:
        if (run / stage / "result.json").exists():
            continue
        say(name, stage)
        began = _children()
        try:
            nmt_rl(stage, recipe, "--out", run, *_changes(settings), log=run / "log")
        finally:
            seconds = _seconds(run)
            write_json(run / "seconds.json", seconds | {stage: round(seconds[stage] + _children() - began, 1)})


def _children() -> float:
    """Processor seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _seconds(run: Path) -> dict[str, float]:
    path = run / "seconds.json"
    return dict.fromkeys(STAGES, 0.0) | (read_json(path) if path.exists() else {})


def system_row(run: Path) -> dict[str, Any]:
    """What a finished run tells."""
    card, seconds = read_json(run / "pretrain" / "model" / "card.json"), _seconds(run)
    results = {stage: read_json(run / stage / "result.json") for stage in STAGES}
    return {
        "parameters": card["parameters"],
        "updates": results["pretrain"]["updates"],
        "pretrained": results["pretrain"]["valid"],
        "finetuned": results["finetune"]["valid"],
        "cpu_hours": {stage: round(seconds[stage] / 3600, 3) for stage in STAGES},
    }


def table(rows: Mapping[str, Mapping[str, Any]], metric: str) -> str:
    """The rows in Markdown, of a metric."""
    lines = [
        f"| system | parameters | updates | {metric}, pretrained | fine-tuned | CPU hours: pretraining | fine-tuning |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        before, after = row["pretrained"][metric], row["finetuned"][metric]
        hours = " | ".join(f"{row['cpu_hours'][stage]:.2f}" for stage in STAGES)
        scores = f"{before:.2f} | {after:.2f} ({after - before:+.2f})"
        lines.append(f"| {name} | {row['parameters']:,} | {row['updates']:,} | {scores} | {hours} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", default="DATA", help="folder that DATA in SPEC stands for")
    parser.add_argument("--start", default="START", metavar="MODEL", help="model folder that START in SPEC stands for")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="systems to train; the tables are of all finished")
    options = parser.parse_args()
    from nmt_rl.bundle.start import load_experiment
    from nmt_rl.errors import UserError

    try:
        spec, out = read_spec(options.spec, options.data, options.start), options.out
        names = options.only or list(spec["systems"])
        if unknown := [name for name in names if name not in spec["systems"]]:
            raise ValueError(f"there is no system {unknown[0]}; known: {', '.join(spec['systems'])}")
        out.mkdir(parents=True, exist_ok=True)
        recipe = spec["recipe"]
        if isinstance(recipe, dict):
            recipe = str(out / "recipe.yaml")
            Path(recipe).write_text(yaml.safe_dump(spec["recipe"], sort_keys=False), encoding="utf-8")
        check(recipe, spec, names)
    except (OSError, ValueError, yaml.YAMLError, UserError) as error:
        parser.error(f"{options.spec}: {error}")
    (out / "prepared").mkdir(exist_ok=True)
    nmt_rl("prepare", recipe, "--out", out / "prepared", *_changes(spec["set"]), log=out / "log")
    metric = load_experiment(recipe, spec["set"]).score
    for name in names:
        train(out, name, recipe, [*spec["set"], *spec["systems"][name]])
        done = [each for each in spec["systems"] if (out / each / "finetune" / "result.json").exists()]
        rows = {each: system_row(out / each) for each in done}
        told = {"name": spec["name"], "metric": metric, "settings": spec["set"], "systems": rows}
        write_json(out / "results.json", told)
        (out / "results.md").write_text(table(rows, metric), encoding="utf-8")
    print(table(rows, metric), end="")


def _changes(settings: Sequence[str]) -> list[str]:
    return [word for each in settings for word in ("--set", each)]


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
