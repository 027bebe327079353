"""What a memory gives a model on text that it was not trained on, without training: BLEU, chrF and speed.

Usage: python scripts/measure_retrieval.py MODEL OUT --memory PREFIX --test PREFIX -l en-de [--tag TAG] [--lines N]
       [--ways like-adaptive like-distance like-constant all-adaptive]

PREFIX.en and PREFIX.de are remembered, and translated. All translate in Keras, one thread, with the model's own beam;
CTranslate2, which has no memory, is beside them for its speed. Seconds are of a second, warm translation less those of
its first line, so that loading and compiling do not count. Writes OUT/results.json and OUT/results.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from pathlib import Path
from typing import Any

from comparison import write_json
from measure_adaptation import ONE_THREAD, file_scores, nmt_rl
from measure_zero_shot import first_lines

WAYS = ("like-adaptive", "like-distance", "like-constant", "all-adaptive")


def translated(options: Any, extra: list[Any], output: Path, text: Path) -> float:
    """Translate a file; seconds."""
    tag, began = ["--tag", options.tag] if options.tag else [], time.monotonic()
    nmt_rl("translate", options.model, "-i", text, "-o", output, *tag, *extra, log=options.out / "log")
    return time.monotonic() - began


def measure(options: Any, name: str, extra: list[Any]) -> dict[str, Any]:
    """Scores and lines per second of one way."""
    source, target = options.languages.split("-")
    text, output = options.out / f"test.{source}", options.out / name
    one = first_lines(text, 1, options.out / "one")
    seconds = translated(options, extra, output, text) - translated(options, extra, options.out / "first", one)
    reference = options.out / f"test.{target}"
    metrics = file_scores(output, reference, options.languages, "bleu,chrf", options.out / "log")
    lines = len(reference.read_text(encoding="utf-8").splitlines())
    found = {"metrics": metrics, "lines_per_second": round(lines / max(seconds, 0.1), 2)}
    values = {metric: round(score["value"], 2) for metric, score in metrics.items()}
    print(name, values, found["lines_per_second"], "lines/s", flush=True)
    return found


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--memory", required=True, metavar="PREFIX")
    parser.add_argument("--test", required=True, metavar="PREFIX")
    parser.add_argument("-l", "--languages", default="en-de")
    parser.add_argument("--tag")
    parser.add_argument("--lines", type=int)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sides = options.languages.split("-")
    for language in sides:
        first_lines(Path(f"{options.test}.{language}"), options.lines, options.out / f"test.{language}")
    texts = [f"{options.memory}.{language}" for language in sides]
    found = {"Keras": measure(options, "keras", ["--engine", "keras"])}
    found["CTranslate2"] = measure(options, "ctranslate2", ["--engine", "ctranslate2"])
    made = {}
    for way in options.ways:
        scope, mixing = way.split("-")
        folder = options.out / f"memory-{way}"
        if not folder.exists():
            tag, began = ["--tag", options.tag] if options.tag else [], time.monotonic()
            nmt_rl(
                "remember", options.model, "--source", texts[0], "--target", texts[1], "-o", folder, "--look-up", scope,
                "--mixing", mixing, *tag, log=options.out / "log",
            )  # fmt: skip
            print(way, "remembered in", round(time.monotonic() - began), "s", flush=True)
        record = json.loads((folder / "memory.json").read_text())
        made[way] = {key: record[key] for key in ("mixing", "likelihood")}
        found[way] = measure(options, way, ["--memory", folder])
    result = {"date": datetime.date.today().isoformat(), "lines": options.lines, "memories": made, "ways": found}
    write_json(options.out / "results.json", result)
    rows = ["| way | BLEU | chrF | lines per second |", "|---|---|---|---|"]
    for way, each in found.items():
        scores = (each["metrics"][metric]["value"] for metric in ("bleu", "chrf"))
        rows.append(f"| {way} | {' | '.join(f'{score:.2f}' for score in scores)} | {each['lines_per_second']:g} |")
    (options.out / "results.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
