"""Models with each attention and each memory on a task with known answers, before and after the deep Q-network.

Usage: python scripts/compare_memories.py SPEC OUT [--only SYSTEM ...]

SPEC is a file such as memories/facts.yaml: a recipe without a model, and models by the names of systems. Each is a run
in OUT/runs, on one thread: pretrained, fine-tuned, and tested as `nmt-rl run` does it. A run that was interrupted goes
on, and one that is finished is not done again. Writes OUT/results.json and OUT/results.md, of the systems that are
finished.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from comparison import read_json, write_json
from measure_adaptation import ONE_THREAD, nmt_rl


def run_folder(out: Path, system: str) -> Path:
    """Of a system."""
    return out / "runs" / re.sub(r"\W+", "-", system)


def seconds_file(run: Path) -> Path:
    """Beside a finished run: the processor seconds that it took, or what was left of it when it went on."""
    return run.parent / f"{run.name}.json"


def play(recipe: dict[str, Any], model: dict[str, Any], run: Path) -> None:
    """Train and test a system, unless that is done."""
    if seconds_file(run).exists():
        return
    run.parent.mkdir(parents=True, exist_ok=True)
    path = run.parent / f"{run.name}.yaml"
    path.write_text(yaml.safe_dump({**recipe, "model": model}, sort_keys=False), encoding="utf-8")
    seconds = nmt_rl("run", path, "--out", run, log=run.parent / f"{run.name}.log")[1]
    write_json(seconds_file(run), {"seconds": seconds})


def row(system: str, run: Path) -> dict[str, Any]:
    """What is told of a finished run: scores of both models, and what they cost."""
    test = read_json(run / "metrics.json")["scores"]["test"]
    before, after = ({name: m["value"] for name, m in each["metrics"].items()} for each in test["scores"])
    return {
        "system": system,
        "weights": read_json(run / "pretrain" / "model" / "card.json")["parameters"],
        "before": before,
        "after": after,
        "p": {name: m["p_value"] for name, m in test["paired"]["systems"][1]["metrics"].items()},
        "cpu_minutes": read_json(seconds_file(run))["seconds"] / 60,
        "dqn_cpu_minutes": read_json(run / "finetune" / "result.json")["processor_seconds"] / 60,
    }


def table(rows: list[dict[str, Any]], metric: str) -> str:
    """The results as Markdown, by one metric."""
    lines = [["system", "weights", "cross-entropy", "and DQN", "p", "CPU minutes", "of which DQN"], ["---"] * 7]
    for each in rows:
        minutes = [f"{each[name]:.1f}" for name in ("cpu_minutes", "dqn_cpu_minutes")]
        scores = [f"{each[when][metric]:.1f}" for when in ("before", "after")]
        lines.append([each["system"], f"{each['weights']:,}", *scores, shown(each["p"][metric]), *minutes])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(p: float) -> str:
    """A p-value; a bootstrap of 1,000 resamples knows none below 0.001."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", metavar="SYSTEM")
    options = parser.parse_args()
    spec = yaml.safe_load(options.spec.read_text(encoding="utf-8"))
    for system, model in spec["systems"].items():
        run = run_folder(options.out, system)
        if not options.only or system in options.only:
            play(spec["recipe"], model, run)
            print(f"{system}: done", file=sys.stderr, flush=True)
    runs = {system: run_folder(options.out, system) for system in spec["systems"]}
    rows = [row(system, run) for system, run in runs.items() if seconds_file(run).exists()]
    metric = next(iter(rows[0]["before"]))
    result = {"task": spec["recipe"]["name"], "metric": metric, "date": datetime.date.today().isoformat()}
    write_json(options.out / "results.json", {**result, "systems": rows})
    (options.out / "results.md").write_text(table(rows, metric), encoding="utf-8")
    print(table(rows, metric), end="")


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
