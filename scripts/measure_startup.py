"""What the start of `nmt-rl translate` costs, part by part, in CPU seconds; one thread, five lines.

    OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \\
        python scripts/measure_startup.py MODEL SOURCE [--beam 5] [--engine ctranslate2]
"""

from __future__ import annotations

import argparse
import datetime
import os
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
    import nmt_rl.cli.main
    import nmt_rl.cli.translate

    clock.lap("import of the command line")
    if arguments.engine == "keras":
        import nmt_rl.backend  # noqa: F401

        clock.lap("import of Keras and its backend")
    from nmt_rl.decoding.request import Request
    from nmt_rl.decoding.translator import Translator

    settings = {"beam": arguments.beam, "samples": 0}
    translator = Translator.from_folders([arguments.model], Request(settings, engine=arguments.engine))
    clock.lap("the rest of the imports, tokenizer, model and weights")
    lines = arguments.source.read_text(encoding="utf-8").split("\n")[:5]
    translator.translate(lines)
    clock.lap("first translation: compilation of the loop and five lines")
    translator.translate(lines)
    clock.lap("the five lines again")
    engine = (
        f"Keras on {os.environ.get('KERAS_BACKEND', 'tensorflow')}" if arguments.engine == "keras" else "CTranslate2"
    )
    machine = platform.processor() or platform.machine()
    print(f"{datetime.date.today()}, {machine}, {engine}, beam {arguments.beam}; on JAX a second start finds a cache")
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
