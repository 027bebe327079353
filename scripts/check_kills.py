"""Whether a run that is killed again and again ends with the same weights as one that is not.

Usage: python scripts/check_kills.py RECIPE OUT [--kills 20] [--longest 30] [--seed 1] [--set KEY=VALUE ...]

`nmt-rl run RECIPE` is run once to its end in OUT/whole. In OUT/killed the same command is begun again and again, and
its process group is killed (SIGKILL) after 1 to LONGEST seconds, drawn at random; after so many kills it may end.
Prints in which stage each kill came, and fails unless both stages' weights are the same, bit for bit.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py

STAGES = ("corpus", "pretrain", "finetune")


def command(recipe: str, run: Path, settings: list[str]) -> list[str]:
    """Of the whole run."""
    return [
        sys.executable,
        "-m",
        "nmt_rl",
        "run",
        recipe,
        "--out",
        str(run),
        *(w for s in settings for w in ("--set", s)),
    ]


def stage_of(run: Path) -> str:
    """In which stage a run is."""
    finished = {"corpus": run / "corpus" / "prepared.json"}
    finished |= {stage: run / stage / "result.json" for stage in STAGES[1:]}
    return next((stage for stage in STAGES if not finished[stage].exists()), "report")


def killed_after(words: list[str], seconds: float) -> bool:
    """Begin a command and kill it; whether it was still running then."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    began = time.monotonic()
    while time.monotonic() - began < seconds and process.poll() is None:
        time.sleep(0.05)
    running = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def weights(model: Path) -> dict[str, bytes]:
    """Every array of a model folder."""
    found: dict[str, bytes] = {}
    with h5py.File(model / "model.weights.h5") as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    return found


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    whole, killed, draw = options.out / "whole", options.out / "killed", random.Random(options.seed)
    subprocess.run(command(options.recipe, whole, options.set), check=True, stdout=subprocess.DEVNULL)
    places: collections.Counter[str] = collections.Counter()
    while places.total() < options.kills and stage_of(killed) != "report":
        if killed_after(command(options.recipe, killed, options.set), draw.uniform(1.0, options.longest)):
            places[stage_of(killed)] += 1
    subprocess.run(command(options.recipe, killed, options.set), check=True, stdout=subprocess.DEVNULL)
    print(f"{places.total()} kills: " + ", ".join(f"{count} in {stage}" for stage, count in places.items()))
    for stage in STAGES[1:]:
        if weights(whole / stage / "model") != weights(killed / stage / "model"):
            sys.exit(f"the weights of {stage} differ")
    print("the weights of both stages are the same")


if __name__ == "__main__":
    main()
