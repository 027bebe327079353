"""How much of a batch is text, and how many shapes there are, by the kind of batch.

Usage: python scripts/measure_padding.py RUN [OUT.json]

RUN holds a prepared corpus (nmt-rl prepare). One epoch is planned for each kind of batch, of about 25,000 tokens of
either side; every shape is one compilation on JAX. Prints a table for docs/wmt14.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

import numpy as np

from nmt_rl.config import BatchConfig
from nmt_rl.corpus.batch_stream import START, BatchStream
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import PAD

SIZE = 24_576
COARSE = (8, 16, 24, 32, 48, 64, 96, 128)
KINDS = {
    "tokens, padded to the longest": BatchConfig(size=SIZE, pad="longest"),
    "tokens, 8 buckets": BatchConfig(size=SIZE, pad="buckets", buckets=COARSE),
    "tokens, 14 buckets (the default on JAX)": BatchConfig(size=SIZE, pad="buckets"),
    "packed, rows of 128": BatchConfig(type="packed", size=SIZE, packed_length=128),
    "packed, rows of 256": BatchConfig(type="packed", size=SIZE, packed_length=256),
}


def measure(corpus: EncodedCorpus, config: BatchConfig) -> dict[str, float]:
    """Of one epoch: shares of source and target places that hold a token, shapes, batches."""
    real, places, shapes, batches = np.zeros(2), np.zeros(2), set(), 0
    for batch, after in BatchStream(corpus, config, 1, START):
        sides = (batch.source, batch.target_out)
        real += [np.count_nonzero(side != PAD) for side in sides]
        places += [side.size for side in sides]
        shapes.add((batch.source.shape, batch.target_out.shape))
        batches += 1
        if after.epoch:
            break
    source, target = (real / places).tolist()
    return {"source": source, "target": target, "shapes": len(shapes), "batches": batches}


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    options = parser.parse_args()
    corpus = EncodedCorpus.open(options.run / "corpus" / "train")
    rows = {name: measure(corpus, config) for name, config in KINDS.items()}
    print(f"{len(corpus):,} pairs, {datetime.date.today()}\n")
    print("| batches | source | target | shapes |\n|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['source']:.1%} | {row['target']:.1%} | {row['shapes']:,} |")
    if options.out:
        result = {"date": datetime.date.today().isoformat(), "pairs": len(corpus), "rows": rows}
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
