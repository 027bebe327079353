"""Processor time of several translation programs on the same sentences, by turns: per 1,000 sentences, and to start.

    python scripts/measure_translators.py SOURCE PIECES "NAME=COMMAND" ["NAME=COMMAND" ...] [--lines 1000] [--rounds 3]

Each COMMAND is a shell line that translates {input} (text, from SOURCE) or {pieces} (the same lines as pieces, divided
by blanks, from PIECES) to {output}; as many lines must come out. It runs on so many lines and on twice as many, and the
difference is what the sentences cost; it runs on five lines, and that is what starting costs. Each is asked to use one
thread.
Prints medians over the rounds as a Markdown table; ratios are to the first command. So that one can see whether all do
the same work it tells how many words (pieces, where a program writes them) a sentence of the output has on average.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FEW = 5
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("pieces", type=Path)
    parser.add_argument("commands", nargs="+", metavar="NAME=COMMAND")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    commands = dict(pair.split("=", 1) for pair in arguments.commands)
    if len(commands) < len(arguments.commands) or arguments.lines <= FEW:
        parser.error(f"every NAME needs one COMMAND, and --lines more than {FEW}")
    texts = {"input": _lines(arguments.source), "pieces": _lines(arguments.pieces)}
    sizes = (FEW, arguments.lines, 2 * arguments.lines)
    seconds: dict[str, dict[int, list[float]]] = {}
    written: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                for size in sizes:
                    spent = _run(name, command, texts, size, Path(folder))
                    seconds.setdefault(name, {}).setdefault(size, []).append(spent)
                    print(f"{name}: {size} lines, {spent:.1f} CPU s", file=sys.stderr, flush=True)
                written[name] = statistics.mean(len(line.split()) for line in _lines(Path(folder) / "output"))
    _print_table(seconds, written, arguments.lines, arguments.rounds)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _run(name: str, command: str, texts: dict[str, list[str]], size: int, folder: Path) -> float:
    """User and system seconds of the command and its children."""
    places = {"output": folder / "output"}
    places["output"].unlink(missing_ok=True)
    for kind, lines in texts.items():
        places[kind] = folder / kind
        repeated = (lines * (size // len(lines) + 1))[:size]
        places[kind].write_text("".join(f"{line}\n" for line in repeated), encoding="utf-8")
    for kind, path in places.items():
        command = command.replace(f"{{{kind}}}", str(path))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = len(_lines(places["output"])) if places["output"].exists() else 0
    if done.returncode or found != size:
        sys.exit(f"{name}: exit {done.returncode}, {found} lines of {size}\n{done.stderr[-2000:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _print_table(
    seconds: dict[str, dict[int, list[float]]], written: dict[str, float], lines: int, rounds: int
) -> None:
    print(
        f"{datetime.date.today()}, {platform.processor() or platform.machine()}, {lines:,} sentences, {rounds} rounds"
    )
    heads = ["program", "CPU s per 1,000 sentences", "ratio", "sentences per CPU s", "words each"]
    print("| " + " | ".join([*heads, "CPU s for 5 lines", "ratio"]) + " |")
    print("|---" * (len(heads) + 2) + "|")
    first: tuple[float, float] | None = None
    for name, by_size in seconds.items():
        pairs = zip(by_size[lines], by_size[2 * lines], strict=True)
        each = statistics.median(large - small for small, large in pairs) * 1000 / lines
        few = statistics.median(by_size[FEW])
        first = first or (each, few)
        cells = [f"{each:.1f}", f"{each / first[0]:.2f}", f"{1000 / each:.0f}", f"{written[name]:.1f}"]
        cells += [f"{few:.1f}", f"{few / first[1]:.2f}"]
        print("| " + " | ".join([name, *cells]) + " |")


if __name__ == "__main__":
    main()
