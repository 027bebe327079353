"""Writes the embedded quickstart corpus, English to German, from a controlled-language grammar.

Output: data/quickstart/{train,valid,test}.{en,de}, UTF-8, one sentence per line: 10,000, 500 and 500 pairs, no sentence
twice on either side. All sentences come from the grammar in scripts/quickstart_grammar; none is taken from a corpus.

    python scripts/make_quickstart_corpus.py                 # seed 20210303, rewrites the files byte for byte
    python scripts/make_quickstart_corpus.py --out FOLDER --seed N
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from quickstart_grammar.dice import Dice  # noqa: E402
from quickstart_grammar.sentences import Sentences  # noqa: E402

SEED = 20210303
SIZES = {"train": 10_000, "valid": 500, "test": 500}
MIN_WORDS, MAX_WORDS = 4, 25


def make_pairs(seed: int, count: int) -> list[tuple[str, str]]:
    """Return `count` pairs (English, German), no sentence twice on either side."""
    sentences = Sentences(Dice(seed))
    pairs: list[tuple[str, str]] = []
    seen: set[str] = set()
    while len(pairs) < count:
        pair = sentences.draw()
        lengths = [len(side.split()) for side in pair]
        if min(lengths) < MIN_WORDS or max(lengths) > MAX_WORDS or any(side in seen for side in pair):
            continue
        seen.update(pair)
        pairs.append(pair)
    return pairs


def write_corpus(folder: Path, seed: int) -> None:
    """Write the six files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = Dice(seed + 1).shuffled(make_pairs(seed, sum(SIZES.values())))
    start = 0
    for split, size in SIZES.items():
        for side, language in enumerate(("en", "de")):
            lines = "".join(pair[side] + "\n" for pair in pairs[start : start + size])
            (folder / f"{split}.{language}").write_bytes(lines.encode("utf-8"))
        start += size


def main() -> None:
    """Write the six files that `data/quickstart` holds."""
    parser = argparse.ArgumentParser(description="Write the quickstart corpus.")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "quickstart", help="folder of the six files")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    write_corpus(arguments.out, arguments.seed)


if __name__ == "__main__":
    main()
