"""Peak memory and processor time of `nmt-rl translate` on files of growing length: memory should not grow.

    python scripts/measure_translation_memory.py MODEL SOURCE [--lines 10000 100000 1000000] [--words 3] [OPTION ...]

The files are SOURCE's lines again and again, each cut to its first so many words (0: not cut) so that a million of
them is a matter of minutes. OPTIONs go to `nmt-rl translate`, such as --engine ctranslate2. Prints a table.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

from measure_memory import measured


def main() -> None:
    """Measure each size in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("source", type=Path)
    parser.add_argument("--lines", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--words", type=int, default=3)
    args, options = parser.parse_known_args()
    texts = [line.split() for line in args.source.read_text(encoding="utf-8").split("\n")[:-1]]
    texts = [words[: args.words or None] for words in texts]
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores; {' '.join(options)}\n")
    print("| lines in | lines out | peak MB | CPU s |\n|---|---|---|---|")
    for lines in args.lines:
        with tempfile.TemporaryDirectory() as name:
            source, output = Path(name) / "source", Path(name) / "output"
            with source.open("w", encoding="utf-8") as file:
                file.writelines(" ".join(words) + "\n" for words in itertools.islice(itertools.cycle(texts), lines))
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "nmt_rl", "translate", args.model, "-i", str(source), "-o", str(output)]
            megabytes = measured([*command, *options])[0]
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            with output.open("rb") as file:
                found = sum(1 for _ in file)
            print(f"| {lines:,} | {found:,} | {megabytes:.0f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
