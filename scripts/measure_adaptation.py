"""What ways to adapt a model give: BLEU on new and on old text, what is trained, what it costs.

Usage: python scripts/measure_adaptation.py SPEC OUT --start RUN --new DIR --old DIR [--only SYSTEM ...]

SPEC is a file such as adaptations/captions.yaml, in which START, NEW and OLD stand for the options: a recipe that
starts from RUN, test sets, and systems, each of them settings of the recipe. Every system is a run in OUT, on one
thread; what is finished is not done again. At the end all translate the test sets with a beam of 5 and their tuned
lengths. Writes OUT/results.json and OUT/results.md. Settings are to be chosen by validation before.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from comparison import read_json, write_json

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def read_spec(path: Path, places: dict[str, Path]) -> dict[str, Any]:
    """The file, in which names stand for folders."""
    text = path.read_text(encoding="utf-8")
    for name, folder in places.items():
        text = re.sub(rf"\b{name}\b", str(folder.resolve()), text)
    return dict(yaml.safe_load(text))


def nmt_rl(*arguments: Any, log: Path) -> tuple[str, float]:
    """What a command of nmt-rl printed, and the processor seconds it took; ends with its log if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("a") as told:
        done = subprocess.run(
            [sys.executable, "-m", "nmt_rl", *map(str, arguments)], stdout=subprocess.PIPE, stderr=told, text=True
        )
    if done.returncode:
        sys.exit(f"nmt-rl {arguments[0]} failed, see {log}:\n{log.read_text(encoding='utf-8')[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def train(recipe: Path, run: Path, settings: list[str]) -> float:
    """Train a system unless that is done; processor seconds."""
    kept = run / "seconds.json"
    if not kept.exists():
        changes = [word for setting in settings for word in ("--set", setting)]
        run.parent.mkdir(parents=True, exist_ok=True)
        seconds = nmt_rl("pretrain", recipe, "--out", run, *changes, log=run.parent / f"{run.name}.log")[1]
        write_json(kept, {"seconds": seconds})
    return float(read_json(kept)["seconds"])


def trained_weights(run: Path) -> tuple[int, int]:
    """How many weights of how many were trained."""
    card = read_json(run / "pretrain" / "model" / "card.json")
    adapter = run / "pretrain" / "adapter" / "adapter.npz"
    if not adapter.exists():
        return card["parameters"], card["parameters"]
    import numpy as np

    with np.load(adapter) as arrays:
        return sum(arrays[name].size for name in arrays.files), card["parameters"]


def file_scores(output: Path, reference: Path, languages: str, metrics: str, log: Path) -> dict[str, Any]:
    """The scores of a file of translations, by metric, with their signatures."""
    told, _ = nmt_rl(
        "evaluate", "--hypothesis", output, "--reference", reference, "--metrics", metrics, "-l", languages,
        "--format", "json", log=log,
    )  # fmt: skip
    (row,) = json.loads(told)
    return dict(row["metrics"])


def scores(models: dict[str, Path], tests: dict[str, str], languages: tuple[str, str], log: Path) -> dict[str, Any]:
    """BLEU of every model on every test set, and the signature."""
    found: dict[str, Any] = {}
    for test, prefix in tests.items():
        files = [f"{prefix}.{language}" for language in languages]
        for name, model in models.items():
            out, _ = nmt_rl(
                "evaluate", model, "--source", files[0], "--reference", files[1], "--metrics", "bleu", "--beam", 5,
                "--format", "json", log=log,
            )  # fmt: skip
            (row,) = json.loads(out)
            found.setdefault(name, {})[test] = row
    return found


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("out", type=Path)
    for name in ("start", "new", "old"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--only", nargs="+", metavar="SYSTEM")
    options = parser.parse_args()
    spec = read_spec(options.spec, {"START": options.start, "NEW": options.new, "OLD": options.old})
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = options.out / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(spec["recipe"], sort_keys=False), encoding="utf-8")
    corpus = spec["recipe"]["corpus"]
    rows, models = [], {"start": options.start}
    for name, settings in spec["systems"].items():
        if options.only and name not in options.only:
            continue
        run = options.out / "runs" / re.sub(r"\W+", "-", name)
        seconds = train(recipe, run, settings)
        trained, all_of_them = trained_weights(run)
        valid = read_json(run / "pretrain" / "result.json")["valid"]
        rows.append(
            {"system": name, "cpu_minutes": seconds / 60, "trained": trained, "weights": all_of_them} | {"valid": valid}
        )
        models[name] = run / "pretrain" / "model"
        print(name, f"{seconds / 60:.1f} CPU minutes", valid, file=sys.stderr, flush=True)
    found = scores(
        models, spec["tests"], (corpus["source_language"], corpus["target_language"]), options.out / "evaluate.log"
    )
    result = {"name": spec["name"], "date": datetime.date.today().isoformat(), "systems": rows, "scores": found}
    write_json(options.out / "results.json", result)
    (options.out / "results.md").write_text(table(result), encoding="utf-8")
    print(table(result))


def table(result: dict[str, Any]) -> str:
    """The results as Markdown."""
    tests = list(next(iter(result["scores"].values())))
    lines = [["system", "weights trained", "CPU minutes", *(f"{test}: BLEU" for test in tests)]]
    by_name = {row["system"]: row for row in result["systems"]}
    for name, found in result["scores"].items():
        row = by_name.get(name)
        cost = ["", ""] if row is None else [f"{row['trained'] / row['weights']:.1%}", f"{row['cpu_minutes']:.1f}"]
        lines.append([name, *cost, *(f"{bleu(found[test]):.2f}" for test in tests)])
    marked = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in marked)


def bleu(row: dict[str, Any]) -> float:
    """Of one system on one set, as `evaluate` tells it."""
    return float(row["metrics"]["bleu"]["value"])


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
