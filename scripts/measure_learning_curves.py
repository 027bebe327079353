"""BLEU against updates, with more and less training text.

Usage: python scripts/measure_learning_curves.py RECIPE OUT --train PREFIX --pairs N ... [--set KEY=VALUE ...]

RECIPE is pretrained on the first N pairs of PREFIX for each N, in OUT/N, in one thread; what is finished is not done
again. Validation is the recipe's, or what --set says, and as often: with `pretrain.validation.every`. Writes
OUT/curves.json and OUT/curves.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from pathlib import Path
from typing import Any

from comparison import write_json
from measure_adaptation import ONE_THREAD, train


def curve(run: Path) -> dict[str, float]:
    """Validation scores of a run's pretraining, by update."""
    events = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return {
        str(event["step"]): event["bleu"]
        for event in events
        if (event["stage"], event["event"]) == ("pretrain", "valid") and event["step"]
    }


def table(result: dict[str, Any]) -> str:
    """The curves as Markdown, a column for each number of pairs."""
    sizes = list(result["curves"])
    updates = sorted({int(step) for curve in result["curves"].values() for step in curve})
    lines = [["updates", *(f"{int(size):,} pairs" for size in sizes)], ["---"] * (1 + len(sizes))]
    for step in updates:
        found = [result["curves"][size].get(str(step)) for size in sizes]
        lines.append([f"{step:,}", *("" if bleu is None else f"{bleu:.2f}" for bleu in found)])
    lines.append(["CPU minutes", *(f"{result['cpu_minutes'][size]:.0f}" for size in sizes)])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", required=True, metavar="PREFIX")
    parser.add_argument("--pairs", type=int, nargs="+", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)
    options.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"recipe": options.recipe, "date": datetime.date.today().isoformat()}
    result |= {"set": options.set, "cpu_minutes": {}, "curves": {}}
    for pairs in options.pairs:
        run = options.out / str(pairs)
        text = f"corpus.train=[{{prefix: {options.train}, limit: {pairs}}}]"
        seconds = train(options.recipe, run, [text, *options.set])
        result["cpu_minutes"][str(pairs)] = round(seconds / 60, 1)
        result["curves"][str(pairs)] = curve(run)
        write_json(options.out / "curves.json", result)
        (options.out / "curves.md").write_text(table(result), encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
