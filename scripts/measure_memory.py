"""Peak memory and time of `prepare`, and peak memory of `pretrain`, with ever more training text.

Usage: python scripts/measure_memory.py PREFIX VALID_PREFIX [--pairs N ...] [--processes 2] [--updates 30]

PREFIX and VALID_PREFIX are parallel text without the language suffix (PREFIX.de, PREFIX.en). It is repeated up to so
many pairs, and every copy has its number written behind its lines, so that no pair is there twice. Prints a table. The
peak is the operating system's maximum resident set, of the largest process where there are several.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = "multi30k-de-en-transformer"


def repeat(prefix: str, pairs: int, folder: Path) -> Path:
    """Write so many pairs of numbered copies into `folder`; the new prefix."""
    for language in ("de", "en"):
        lines = Path(f"{prefix}.{language}").read_bytes().splitlines()
        with (folder / f"train.{language}").open("wb") as file:
            for first in range(0, pairs, len(lines)):
                number = b" %d\n" % (first // len(lines))
                file.writelines(line + number for line in lines[: pairs - first])
    return folder / "train"


def measured(command: list[str]) -> tuple[float, float]:
    """Run a command; its peak resident memory in MB, and its seconds."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{errors.decode()[-2000:]}")
    return usage.ru_maxrss / 1024, time.monotonic() - began


def row(prefix: str, valid: str, pairs: int, processes: int, updates: int) -> str:
    """Measure one size in processes of their own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = [f"corpus.train={repeat(prefix, pairs, folder)}", f"corpus.valid={valid}", "corpus.test=null"]
        sets += [f"pretrain.updates={updates}", f"pretrain.validation.every={updates}"]
        sets += ["pretrain.validation.sentences=100"]
        options = [RECIPE, "--out", str(folder / "run"), *(part for pair in sets for part in ("--set", pair))]
        nmt_rl = [sys.executable, "-m", "nmt_rl"]
        peak, seconds = measured([*nmt_rl, "prepare", *options, "--processes", str(processes)])
        trained, _ = measured([*nmt_rl, "pretrain", *options])
        return f"| {pairs:,} | {processes} | {seconds:.0f} | {peak:.0f} | {trained:.0f} |"


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix")
    parser.add_argument("valid")
    parser.add_argument("--pairs", type=int, nargs="+", default=[200_000, 2_000_000, 10_000_000])
    parser.add_argument("--processes", type=int, nargs="+", default=[2])
    parser.add_argument("--updates", type=int, default=30)
    args = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {args.updates} updates\n")
    print("| pairs | processes | prepare, s | prepare, peak MB | pretrain, peak MB |\n|---|---|---|---|---|")
    for pairs in args.pairs:
        for processes in args.processes:
            print(row(args.prefix, args.valid, pairs, processes, args.updates), flush=True)


if __name__ == "__main__":
    main()
