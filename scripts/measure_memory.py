"""Peak memory of `prepare` and `pretrain` with the training corpus repeated: it should not grow.

Usage: python scripts/measure_memory.py PREFIX VALID_PREFIX [--repeat 1 10 50] [--updates 30]

PREFIX and VALID_PREFIX are parallel text without the language suffix (PREFIX.de, PREFIX.en). Duplicates are kept, so
that the repeated corpus really is larger. Prints a table; the peak is the operating system's maximum resident set of
the process.
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


def repeat(prefix: str, times: int, folder: Path) -> Path:
    """Write the corpus so many times, one after the other, into `folder`; the new prefix."""
    for language in ("de", "en"):
        text = Path(f"{prefix}.{language}").read_bytes()
        with (folder / f"train.{language}").open("wb") as file:
            for _ in range(times):
                file.write(text)
    return folder / "train"


def peak(command: list[str]) -> float:
    """Run a command; its peak resident memory in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{errors.decode()[-2000:]}")
    return usage.ru_maxrss / 1024


def main() -> None:
    """Measure each size in processes of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix")
    parser.add_argument("valid")
    parser.add_argument("--repeat", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--updates", type=int, default=30)
    args = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {args.updates} updates\n")
    print("| corpus | pairs | prepare, peak MB | pretrain, peak MB |\n|---|---|---|---|")
    for times in args.repeat:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            corpus = repeat(args.prefix, times, folder)
            sets = [f"corpus.train={corpus}", f"corpus.valid={args.valid}", "corpus.test=null"]
            sets += ["corpus.cleaning.drop_duplicates=false", f"pretrain.updates={args.updates}"]
            sets += [f"pretrain.validation.every={args.updates}", "pretrain.validation.sentences=100"]
            options = [part for pair in sets for part in ("--set", pair)]
            recipe = ["multi30k-de-en-transformer", "--out", str(folder / "run"), *options]
            pairs = sum(1 for _ in (folder / "train.en").open("rb"))
            nmt_rl = [sys.executable, "-m", "nmt_rl"]
            prepared, trained = peak([*nmt_rl, "prepare", *recipe]), peak([*nmt_rl, "pretrain", *recipe])
            print(f"| {times}x | {pairs:,} | {prepared:.0f} | {trained:.0f} |", flush=True)


if __name__ == "__main__":
    main()
