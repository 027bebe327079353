"""What a trained memory of pairs (`model.memory`) can tell a model that it has no other way to know.

    python scripts/measure_pair_memory.py --updates 100 600

Two made tasks, each learnt by a small Transformer with the memory and without:

exact    sources and targets are drawn apart; a source recalls its own pair
terms    half of the words have one translation; that of each other is drawn for every sentence, which recalls pairs of
         one word each, in any order, that tell them

Prints, in Markdown, the share of right words in 200 new sentences after so many updates, and the processor's seconds.
With --text FILE it prints instead what it costs to look lines of a text up in it, words as pieces, 64 at a time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn
from nmt_rl.config import OptimizerConfig, PairMemoryConfig, TransformerConfig
from nmt_rl.corpus.batches import Batch, collate, pad_source
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus, ragged
from nmt_rl.models.build import build_model
from nmt_rl.models.pair_memory import recalling
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.retrieval.pairs import SimilarPairs
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import CrossEntropy

WORDS, LENGTH, ROWS, WARMUP = 10, 5, 64, 30
VOCABULARY = 4 + 2 * WORDS


class Task:
    """Draws sentences, and keeps the pair that each recalls."""

    def __init__(self, name: str) -> None:
        """See the head of this file."""
        self.name, self.held = name, dict[bytes, list[tuple[Any, Any]]]()

    def draw(self, count: int, seed: int) -> Batch:
        """Pairs as a batch."""
        rng = np.random.default_rng(seed)
        source, table = (rng.random((count, WORDS)).argsort(axis=1) for _ in range(2))
        if self.name == "terms":
            fixed = np.broadcast_to(np.arange(WORDS // 2), (count, WORDS // 2))
            others = table[table >= WORDS // 2].reshape(count, -1)
            table = np.concatenate([fixed, others], axis=1)
        source = source[:, :LENGTH]
        target = np.take_along_axis(table, source, axis=1)
        source, target = (4 + source).astype("int32"), (4 + WORDS + target).astype("int32")
        for own, said in zip(source, target, strict=True):
            order = rng.permutation(LENGTH)
            words = [(own[[place]], said[[place]]) for place in order]
            self.held[own.tobytes()] = words if self.name == "terms" else [(own, said)]
        return collate(ragged(source.tolist()), ragged(target.tolist()), np.arange(count))

    def recall(self, source: NDArray[np.int32]) -> list[list[tuple[Any, Any]]]:
        """See models.pair_memory.Lookup."""
        return [self.held[row[:LENGTH].tobytes()] for row in source]


def build(task: Task, seed: int, with_memory: bool) -> Seq2Seq:
    """A fresh model."""
    config = TransformerConfig(
        encoder_layers=1,
        decoder_layers=1,
        width=32,
        heads=4,
        feed_forward=64,
        dropout=0.0,
        max_positions=64,
        memory=PairMemoryConfig(room=24, feed_forward=64, dropout=0.0) if with_memory else None,
    )
    with recalling(task.recall):
        return build_model(config, VOCABULARY, VOCABULARY, seed)


def learn(task: Task, model: Seq2Seq, updates: int, rate: float) -> float:
    """Train a model; the share of right words in new sentences."""
    learner = Learner(model, CrossEntropy(0.0), OptimizerConfig())
    for update in range(updates):
        rows = task.draw(ROWS, update + 1)
        places = np.arange(rows.target_out.size, dtype="int32")
        batch = {"source": rows.source, "target_in": rows.target_in, "positions": places}
        learner.update([{**batch, "labels": rows.target_out.reshape(-1)}], rate * min(1.0, (update + 1) / WARMUP))
    rows = task.draw(200, 0)
    decode = compile_fn(lambda source, target: model.decode(target, model.encode(source)).logits, model)
    best = np.asarray(decode(rows.source, rows.target_in)).argmax(axis=-1)
    return float((best == rows.target_out)[:, :LENGTH].mean())


def look_up(path: Path) -> None:
    """Print what the index of a text costs, and a source that is looked up in it."""
    numbers: dict[str, int] = {}
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [[numbers.setdefault(word, len(numbers) + 4) for word in line] for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        with CorpusWriter(Path(folder) / "pairs", len(numbers) + 4, len(numbers) + 4) as writer:
            writer.append(rows, rows)
        started = time.process_time()
        lookup = SimilarPairs(EncodedCorpus.open(Path(folder) / "pairs"), count=4, without_itself=True)
        indexed = time.process_time()
        chosen = np.random.default_rng(1).permutation(len(rows))[:640]
        for part in np.array_split(chosen, 10):
            lookup(pad_source([rows[i] for i in part]))
        each = 1000 * (time.process_time() - indexed) / len(chosen)
    print(f"{len(rows):,} pairs: index {indexed - started:.1f} CPU seconds, {each:.2f} CPU milliseconds a source")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, nargs=2, default=(100, 600), help="of exact and of terms")
    parser.add_argument("--rate", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--text", type=Path, help="look its lines up, and train nothing")
    arguments = parser.parse_args()
    if arguments.text is not None:
        look_up(arguments.text)
        return
    print("| task | updates | without | with memory | CPU seconds |\n|---|---|---|---|---|", flush=True)
    for name, updates in zip(("exact", "terms"), arguments.updates, strict=True):
        started, shares = time.process_time(), []
        for with_memory in (False, True):
            task = Task(name)
            model = build(task, arguments.seed, with_memory)
            shares.append(f"{100 * learn(task, model, updates, arguments.rate):.0f} %")
        print(f"| {name} | {updates} | {' | '.join(shares)} | {time.process_time() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main()
