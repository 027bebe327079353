"""What fine-tuning gives in every domain: BLEU of a run's pretrained and fine-tuned model on several test sets.

Usage: python scripts/measure_domains.py RUN OUT --set NAME=PREFIX ... [-l en-de] [--beam 1 5]

PREFIX.en and PREFIX.de are a set. Both models translate with their own tuned lengths; p is of `nmt-rl compare`, a
paired bootstrap. What training took is told by the run. Writes OUT/domains.json and OUT/domains.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from pathlib import Path
from typing import Any

from comparison import read_json, write_json
from measure_adaptation import ONE_THREAD, nmt_rl

STAGES = ("pretrain", "finetune")


def measured(run: Path, prefix: str, languages: str, beam: int, log: Path) -> dict[str, Any]:
    """BLEU of the models of both stages on a set: scores, p, lines, signature."""
    source, target = (Path(f"{prefix}.{language}") for language in languages.split("-"))
    models = [run / stage / "model" for stage in STAGES]
    told, _ = nmt_rl(
        "compare", *models, "--source", source, "--reference", target, "--metrics", "bleu", "--beam", beam, "--json",
        log=log,
    )  # fmt: skip
    found = json.loads(told)
    scores = [system["metrics"]["bleu"] for system in found["systems"]]
    return {
        "lines": found["lines"],
        "bleu": [score["score"] for score in scores],
        "p": scores[1]["p_value"],
        "signature": found["signatures"]["bleu"],
    }


def table(result: dict[str, Any]) -> str:
    """The scores as Markdown, and what each stage took."""
    lines = [["set", "lines", "beam", "pretrained", "fine-tuned", "difference", "p"]]
    lines.append(["---"] * len(lines[0]))
    for row in result["sets"]:
        before, after = row["bleu"]
        scores = [f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}"]
        lines.append([row["name"], f"{row['lines']:,}", str(row["beam"]), *scores, f"{row['p']:.3f}"])
    rows = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    took = (
        f"{name}: {stage['updates']:,} updates, {stage['minutes']:.0f} minutes"
        + (f", {stage['processor_minutes']:.0f} of processors" if "processor_minutes" in stage else "")
        for name, stage in result["stages"].items()
    )
    return rows + "\n" + "; ".join(took) + ".\n"


def stages(run: Path) -> dict[str, dict[str, float]]:
    """Updates, minutes, and processor minutes of training alone, without validation, of each stage."""
    found = {stage: read_json(run / stage / "result.json") for stage in STAGES}
    seconds = {"minutes": "seconds", "processor_minutes": "processor_seconds"}  # Of older runs only the first.
    return {
        stage: {"updates": result["updates"]}
        | {name: result[kept] / 60 for name, kept in seconds.items() if kept in result}
        for stage, result in found.items()
    }


def named_set(text: str) -> tuple[str, str]:
    """NAME=PREFIX in two."""
    name, mark, prefix = text.partition("=")
    if not mark:
        raise argparse.ArgumentTypeError(f"found {text}, which should be NAME=PREFIX")
    return name, prefix


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", action="append", required=True, type=named_set, metavar="NAME=PREFIX")
    parser.add_argument("-l", "--languages", default="en-de")
    parser.add_argument("--beam", type=int, nargs="+", default=[1, 5])
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)
    options.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"date": datetime.date.today().isoformat(), "stages": stages(options.run), "sets": []}
    for name, prefix in options.set:
        for beam in options.beam:
            row = measured(options.run, prefix, options.languages, beam, options.out / "log")
            result["sets"].append({"name": name, "beam": beam} | row)
            write_json(options.out / "domains.json", result)
            (options.out / "domains.md").write_text(table(result), encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
