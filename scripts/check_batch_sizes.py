"""Whether translations depend on the batch: the same sentences in batches of several sizes, in order and shuffled.

    python scripts/check_batch_sizes.py MODEL SOURCE [--lines 1000] [--sizes 1 7 64] [--beams 1 5]
                                        [--precision bfloat16]

Prints for each beam and size how many translations differ from those of the first size; exit code 1 if any does.
"""

from __future__ import annotations

import argparse
import datetime
import random
import sys
from pathlib import Path

from nmt_rl.corpus.lines import read_lines
from nmt_rl.decoding.request import Request
from nmt_rl.decoding.translator import Translator


def main() -> None:
    """Translate, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 7, 64])
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    arguments = parser.parse_args()
    sources = list(read_lines(arguments.source))[: arguments.lines]
    shuffled = random.Random(1).sample(range(len(sources)), len(sources))
    print(f"{datetime.date.today()}, {len(sources):,} sentences\n| beam | batch | order | differ |\n|---|---|---|---|")
    differences = 0
    for beam in arguments.beams:
        # The batches are made here: no budget may divide them.
        settings = {"beam": beam, "samples": 0, "batch_tokens": 10**9}
        translator = Translator.from_folders(
            [arguments.model], Request(settings, engine="keras", precision=arguments.precision)
        )
        expected: list[str] = []
        runs = [(size, range(len(sources)), "file") for size in arguments.sizes]
        for size, order, name in [*runs, (arguments.sizes[-1], shuffled, "shuffled")]:
            found = dict(zip(order, _translate(translator, [sources[i] for i in order], size), strict=True))
            texts = [found[i] for i in range(len(sources))]
            expected = expected or texts
            differ = sum(a != b for a, b in zip(texts, expected, strict=True))
            differences += differ
            print(f"| {beam} | {size} | {name} | {differ} |", flush=True)
    sys.exit(min(differences, 1))


def _translate(translator: Translator, sources: list[str], size: int) -> list[str]:
    batches = [sources[i : i + size] for i in range(0, len(sources), size)]
    return [translation.text for batch in batches for translation in translator.translate(batch)]


if __name__ == "__main__":
    main()
