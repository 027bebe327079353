"""How far external memories learn what rules make: whole lines and symbols right, at sizes seen in training and beyond.

Usage: python scripts/measure_algorithms.py OUT [--recipes copy-ntm ...] [--seeds 1 ...] [--lines 100]

Trains each recipe with each seed as a run in OUT/runs, on one thread, and translates greedily pairs of a seed of their
own, of each size in SIZES; what is finished is not done again. Beyond the training sizes a memory has ROOM slots where
there is more to keep then: no weight depends on their number. KERAS_BACKEND chooses the backend. Writes
OUT/results.json and OUT/results.md.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comparison import read_json, write_json
from measure_adaptation import ONE_THREAD, train

from nmt_rl.config import MadeConfig, NTMConfig, SourceSpec, load_config
from nmt_rl.config.model import ExternalMemoryConfig
from nmt_rl.corpus.algorithms import made_pairs

if TYPE_CHECKING:
    from nmt_rl.bundle import Bundle
    from nmt_rl.models.seq2seq import Seq2Seq

RECIPES = ("copy-ntm", "copy-dnc", "copy-lstm", "recall-ntm", "recall-dnc")
SIZES = {"copy": (20, 40, 120), "recall": (6, 12), "registers": (12, 24, 48)}
"""Those of training first, and beyond."""
BOUNDED = ("registers",)
"""Algorithms that have no more to keep when they are larger."""
ROOM, NONE = 128, 2
"""Slots of a memory that is asked for more than in training; and of one that stands for none, which stays so."""
TEST_SEED = 1000


def right(outputs: Sequence[str], references: Sequence[str]) -> tuple[float, float]:
    """Shares of whole lines, and of the references' symbols that stand in their places; both in [0, 1]."""
    pairs = [(out.split(), reference.split()) for out, reference in zip(outputs, references, strict=True)]
    lines = sum(out == reference for out, reference in pairs)
    symbols = sum(a == b for out, reference in pairs for a, b in zip(out, reference, strict=False))
    return lines / len(pairs), symbols / sum(len(reference) for _, reference in pairs)


def slots_for(model: ExternalMemoryConfig, size: int, trained: int) -> int:
    """Of the memory when it is asked for so large a problem."""
    return model.slots if size <= trained or model.slots <= NONE else max(model.slots, ROOM)


def with_slots(bundle: Bundle, slots: int) -> Seq2Seq:
    """The bundle's model with a memory of so many slots."""
    from nmt_rl.models.build import build_model

    config = bundle.config.model
    assert isinstance(config, ExternalMemoryConfig)
    if slots == config.slots:
        return bundle.model
    source, target = bundle.tokenizers.source.size, bundle.tokenizers.target.size
    model = build_model(config.model_copy(update={"slots": slots}), source, target)
    model.set_weights(bundle.model.get_weights())
    return model


def scored(folder: Path, train_sources: Sequence[SourceSpec], lines: int) -> tuple[int, list[dict[str, Any]]]:
    """Weights of a model, and what it gets right of each size of its task."""
    from nmt_rl.bundle import load_bundle
    from nmt_rl.decoding.translator import Translator

    bundle, made = load_bundle(folder), [spec.made for spec in train_sources if spec.made]
    trained, algorithm = max(config.sizes[1] for config in made), made[0].algorithm
    assert isinstance(bundle.config.model, ExternalMemoryConfig)
    translators: dict[int, Translator] = {}
    found = []
    for size in SIZES[algorithm]:
        slots = slots_for(bundle.config.model, trained if algorithm in BOUNDED else size, trained)
        if slots not in translators:
            model = with_slots(bundle, slots)
            translators[slots] = Translator.of_model(model, bundle.tokenizers, bundle.config.decoding)
        wanted = MadeConfig(algorithm=algorithm, sizes=(size, size), pairs=lines, seed=TEST_SEED)
        sources, references = zip(*made_pairs(wanted), strict=True)
        outputs = [translation.text for translation in translators[slots].translate(sources)]
        whole, symbols = right(outputs, references)
        found.append({"size": size, "slots": slots, "lines": lines, "whole": whole, "symbols": symbols})
    return bundle.model.count_params(), found


def table(systems: Sequence[dict[str, Any]]) -> str:
    """Every recipe and seed as a line of Markdown: at each size whole lines right (symbols right), in percent."""
    columns = ("recipe", "model", "weights", "seed", "backend", "CPU minutes", "size: whole lines (symbols) right")
    text = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n"
    for row in systems:
        sizes = ", ".join(f"{at['size']}: {at['whole']:.0%} ({at['symbols']:.1%})" for at in row["sizes"])
        text += (
            f"| `{row['recipe']}` | {row['model']} | {row['weights']:,} | {row['seed']} | "
            f"{row['backend']} | {row['cpu_minutes']:.1f} | {sizes} |\n"
        )
    return text


def kind(model: ExternalMemoryConfig) -> str:
    """A model in a few words."""
    if model.slots <= NONE:
        return f"{model.controller}, {model.units}"
    return f"{'NTM' if isinstance(model, NTMConfig) else 'DNC'}, {model.controller}, {model.units}"


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipes", nargs="+", default=RECIPES, metavar="RECIPE")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--lines", type=int, default=100)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of all recipes")
    options = parser.parse_args()
    kept = options.out / "results.json"
    systems = read_json(kept)["systems"] if kept.exists() else []
    for recipe in options.recipes:
        for seed in options.seeds:
            if any((row["recipe"], row["seed"]) == (recipe, seed) for row in systems):
                continue
            settings = [f"seed={seed}", *options.set]
            config = load_config(recipe, settings)
            assert isinstance(config.model, ExternalMemoryConfig)
            run = options.out / "runs" / (recipe if seed == 1 else f"{recipe}-{seed}")
            seconds = train(Path(recipe), run, settings)
            weights, sizes = scored(run / "pretrain" / "model", config.corpus.train, options.lines)
            systems.append(
                {"recipe": recipe, "model": kind(config.model), "weights": weights, "seed": seed}
                | {"updates": config.pretrain.updates, "cpu_minutes": seconds / 60, "sizes": sizes}
                | {"date": datetime.date.today().isoformat(), "backend": os.environ["KERAS_BACKEND"]}
            )
            print(table(systems[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
            write_json(kept, {"systems": systems})
    (options.out / "results.md").write_text(table(systems), encoding="utf-8")
    print(table(systems))


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    main()
