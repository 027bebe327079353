"""What the start of `nmt-rl translate` costs, part by part, in CPU seconds; one thread, five lines.

    OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \\
        python scripts/measure_startup.py MODEL SOURCE [--beam 5] [--engine ctranslate2]
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from pathlib import Path

BEGAN = time.process_time()


def main() -> None:
    """Start, translate twice, and print what each part took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--engine", choices=("keras", "ctranslate2"), default="keras")
    arguments = parser.parse_args()
    clock = Clock()
    if arguments.engine == "keras":
        import nmt_rl.backend  # noqa: F401

        clock.lap("import of Keras and its backend")
    from nmt_rl.decoding.translator import Translator

    clock.lap("import of nmt-rl")
    translator = Translator.from_folders([arguments.model], {"beam": arguments.beam}, engine=arguments.engine)
    clock.lap("model")
    lines = arguments.source.read_text(encoding="utf-8").split("\n")[:5]
    translator.translate(lines)
    clock.lap("first translation: compilation of the loop and five lines")
    translator.translate(lines)
    clock.lap("the five lines again")
    print(f"{datetime.date.today()}, {platform.processor() or platform.machine()}, beam {arguments.beam}")
    print("| part | CPU s |\n|---|---|")
    for name, seconds in clock.laps:
        print(f"| {name} | {seconds:.2f} |")


class Clock:
    """Processor seconds between laps, from the start of the process on."""

    def __init__(self) -> None:
        """The first lap is over."""
        self.laps = [("Python and this script", BEGAN)]
        self.last = time.process_time()

    def lap(self, name: str) -> None:
        """End a lap."""
        now = time.process_time()
        self.laps.append((name, now - self.last))
        self.last = now


if __name__ == "__main__":
    main()
