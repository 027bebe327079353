"""A direction that a model of several languages was never trained on, beside translating through a third language.

Usage: python scripts/measure_zero_shot.py MODEL OUT --text PREFIX --source de --target fr [--through en] [--lines N]

MODEL was trained with tags such as <2fr>, as adaptations/many.yaml has it. PREFIX.de is translated with the tag of the
target, and with that of the third language first. Writes OUT/results.json with sacreBLEU's and chrF's scores of both
and the share of lines that are in the target language.
"""

from __future__ import annotations

import argparse
import datetime
import os
from itertools import islice
from pathlib import Path

from comparison import write_json
from measure_adaptation import ONE_THREAD, file_scores, nmt_rl


def first_lines(path: Path, count: int | None, out: Path) -> Path:
    """The beginning of a file, as a file."""
    with path.open(encoding="utf-8") as lines, out.open("w", encoding="utf-8") as kept:
        kept.writelines(islice(lines, count))
    return out


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", required=True, metavar="PREFIX")
    for name in ("source", "target"):
        parser.add_argument(f"--{name}", required=True, metavar="LANGUAGE")
    parser.add_argument("--through", default="en", metavar="LANGUAGE")
    parser.add_argument("--lines", type=int)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "log"
    source, reference = (
        first_lines(Path(f"{options.text}.{language}"), options.lines, options.out / f"text.{language}")
        for language in (options.source, options.target)
    )
    ways = {"direct": [], f"through {options.through}": ["--through", options.through]}
    found, direction = {}, f"{options.source}-{options.target}"
    for name, way in ways.items():
        output = options.out / name.partition(" ")[0]
        nmt_rl("translate", options.model, "-i", source, "-o", output, "--to", options.target, *way, log=log)
        found[name] = file_scores(output, reference, direction, "bleu,chrf,language", log)
        shown = "  ".join(f"{metric} {score['value']:.2f}" for metric, score in found[name].items())
        print(f"{direction} {name}: {shown}", flush=True)
    result = {"date": datetime.date.today().isoformat(), "direction": direction, "lines": options.lines}
    write_json(options.out / "results.json", {**result, "scores": found})


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
