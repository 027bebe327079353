"""What training, fine-tuning and beam search reach on this machine's devices: tokens per second, share of peak, memory.

Usage: KERAS_BACKEND=jax python scripts/measure_devices.py OUT.json [--models base big] [--updates 30] [--peak TFLOPS]
                                                           [--set KEY=VALUE ...]

Models of the recipes wmt14-en-de-transformer-base, -big and -12-2 with drawn weights, on text of drawn pieces whose
lengths are those of news (a log-normal of mean 28); nothing is downloaded. For each model, with the recipe's batches:

    pretrain   target tokens per second of updates, and the share of PEAK that their arithmetic is: 6 FLOP for each
               weight that a token meets, and those of attention
    finetune   sentences per second of a dqn update, rollouts included
    beam       sentences and pieces per second of beam search, with the length that the drawn weights give

PEAK is that of the devices together, in 10^12 FLOP/s: 989 for an H100 or H200 (bfloat16, dense). Writes OUT.json and
prints a table. `--small` takes tiny models, so that all of it runs on a CPU in a minute.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nmt_rl.backend import device_count, use_devices
from nmt_rl.backend.devices import describe_devices, device_memory
from nmt_rl.config import Config, TransformerConfig, load_config
from nmt_rl.corpus.prepare import prepare
from nmt_rl.corpus.prepared import Prepared
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.decoding.search import Searcher
from nmt_rl.models.build import build_model
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.rl.family import build_family
from nmt_rl.rl.finetune import make_agent
from nmt_rl.rl.reward import make_reward
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import CrossEntropy
from nmt_rl.training.pretrain import CorpusTrainer

PEAK = 989.0
SMALL = (
    *(f"model.{key}" for key in ("encoder_layers=1", "decoder_layers=1", "width=16", "heads=2", "feed_forward=32")),
    *(f"pretrain.batch.{key}" for key in ("size=512", "packed_length=128", "max_length=128", "pool=500")),
    *(f"finetune.{key}" for key in ("sentences=4", "method.replay.batches=2")),
    "model.max_positions=128",
    "tokenizer.vocabulary=300",
)
PAIRS, SMALL_PAIRS, MEAN, SPREAD, WARM = 60_000, 400, 28.0, 0.55, 3


def write_text(folder: Path, pairs: int, words: int) -> None:
    """Pairs of drawn words, as long as news is."""
    rng = np.random.default_rng(1)
    vocabulary = np.array([f"w{number}" for number in range(words)])
    lengths = np.exp(rng.normal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, pairs)).clip(2, 60).astype(int)
    for split, rows in (("train", lengths), ("valid", lengths[:64])):
        for language in ("en", "de"):
            lines = (" ".join(vocabulary[rng.integers(0, words, n)]) for n in rows)
            (folder / f"{split}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def flop_per_token(model: TransformerConfig, vocabulary: int, length: float) -> float:
    """Of an update, per target token, source and target of the same length: 3 times 2 FLOP per weight and score."""
    d, ff = model.width, model.feed_forward
    encoder = model.encoder_layers * (4 * d * d + 2 * d * ff + 2 * length * d)
    decoder = model.decoder_layers * (8 * d * d + 2 * d * ff + 4 * length * d)
    return 6.0 * (encoder + decoder + d * vocabulary)


def timed(step: Callable[[int], Any], updates: int) -> float:
    """Seconds of one of so many steps, after a few that compile; the last one is waited for."""
    for number in range(1, WARM + 1):
        finished(step(number))
    began = time.perf_counter()
    for number in range(WARM + 1, WARM + updates + 1):
        last = step(number)
    finished(last)
    return (time.perf_counter() - began) / updates


def finished(numbers: Any) -> None:
    """Wait for an update's numbers."""
    float(numbers["loss"])


def measure_pretraining(model: Seq2Seq, config: Config, prepared: Prepared, updates: int) -> dict[str, float]:
    """Target tokens per second, and the share of padding in both sides."""
    settings = config.pretrain
    objective = CrossEntropy(settings.label_smoothing, packed=settings.batch.type == "packed")
    learner = Learner(model, objective, settings.optimizer, settings.precision)
    trainer = CorpusTrainer(learner, prepared.train, config, prepared.tokenizers, model.max_length)
    tokens = []

    def step(number: int) -> Any:
        numbers = trainer.update(number, 1e-4)
        tokens.append(numbers["tokens"])
        return numbers

    try:
        seconds = timed(step, updates)
    finally:
        trainer.close()
    return {"seconds_per_update": seconds, "tokens_per_second": float(np.mean(tokens[WARM:])) / seconds}


def measure_finetuning(model: Seq2Seq, config: Config, prepared: Prepared, updates: int) -> dict[str, float]:
    """Sentences per second of dqn updates, rollouts included."""
    model.trainable = False
    reward = make_reward(config.finetune.reward, prepared.tokenizers.target, config.corpus.target_language)
    agent = make_agent(build_family(config, model, prepared, reward))
    cycle = config.finetune.method.replay.batches  # type: ignore[union-attr]
    seconds = timed(lambda number: agent.update(number, 1e-5), -(-updates // cycle) * cycle)
    return {"seconds_per_update": seconds, "sentences_per_second": config.finetune.sentences / seconds}


def measure_beam(model: Seq2Seq, config: Config, prepared: Prepared) -> dict[str, float]:
    """Sentences and pieces per second of beam search over a batch."""
    search = Searcher(model, config.decoding)
    rows = [[*prepared.train.source(i).tolist(), EOS] for i in range(min(256, len(prepared.train)))]
    width = max(map(len, rows))
    source = np.array([row + [PAD] * (width - len(row)) for row in rows], np.int32)
    limits = np.full(len(source), min(32, model.max_length), np.int32)
    search(source, limits)
    began = time.perf_counter()
    found = search(source, limits)
    seconds = time.perf_counter() - began
    return {
        "sentences_per_second": len(source) / seconds,
        "pieces_per_second": float(found.lengths[:, 0].sum()) / seconds,
    }


def measure(name: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All numbers of one model."""
    text = [f"corpus.train={folder / 'train'}", f"corpus.valid={folder / 'valid'}", "corpus.test=null"]
    more = SMALL if options.small else ()
    settings = [*text, "tokenizer.vocabulary_is_bound=true", *more, *options.set]
    config = load_config(f"wmt14-en-de-transformer-{name}", settings)
    use_devices(config.pretrain.devices)
    prepared = prepare(config, folder / name)
    sizes = (prepared.tokenizers.source.size, prepared.tokenizers.target.size)
    model = build_model(config.model, *sizes, config.seed, config.pretrain.precision)
    found: dict[str, Any] = {"model": name, "parameters": model.count_params(), "devices": device_count()}
    found["pretrain"] = measure_pretraining(model, config, prepared, options.updates)
    assert isinstance(config.model, TransformerConfig)
    flop = flop_per_token(config.model, sizes[1], MEAN) * found["pretrain"]["tokens_per_second"]
    found["pretrain"] |= {"tflops": flop / 1e12, "share_of_peak": flop / (options.peak * 1e12)}
    found["finetune"] = measure_finetuning(model, config, prepared, options.updates)
    found["beam"] = measure_beam(model, config, prepared)
    return {**found, "memory_gib": device_memory()}


def table(rows: list[dict[str, Any]]) -> str:
    """For a document."""
    heads = (
        "model",
        "parameters",
        "devices",
        "target tokens/s",
        "share of peak",
        "dqn sentences/s",
        "beam sentences/s",
        "memory, GiB",
    )
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        memory = "" if row["memory_gib"] is None else f"{row['memory_gib']:.1f}"
        cells = (
            row["model"], f"{row['parameters']:,}", str(row["devices"]), f"{row['pretrain']['tokens_per_second']:,.0f}",
            f"{row['pretrain']['share_of_peak']:.1%}", f"{row['finetune']['sentences_per_second']:.1f}",
            f"{row['beam']['sentences_per_second']:.1f}", memory,
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", nargs="+", default=["base", "big"], choices=("base", "big", "12-2"))
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--peak", type=float, default=PEAK)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_text(Path(folder), SMALL_PAIRS if options.small else PAIRS, 200 if options.small else 40_000)
        for name in options.models:
            rows.append(measure(name, options, Path(folder)))
            facts = {
                "date": datetime.date.today().isoformat(),
                "devices": describe_devices(),
                "rows": rows,
            }
            options.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"{datetime.date.today()}, {describe_devices()}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
