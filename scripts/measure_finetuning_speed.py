"""What an update of the forked-rollout Q-network costs beside a cross-entropy update on the same sentences.

Usage: python scripts/measure_finetuning_speed.py RUN [--rounds 20] [--set finetune.key=value ...]

RUN holds a pretrained model. Both kinds of update are made by turns, on the same sentences: cross-entropy on the
references, with dropout, as in pretraining; the Q-network on its own translations of the same sources. Prints processor
and wall seconds per update and per 1,000 target pieces trained on, their ratio, and where the Q-network's time goes.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class Clock:
    """Sums up processor and wall time by name."""

    def __init__(self) -> None:
        """All sums start at 0."""
        self.sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))

    def measured(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted under a name."""

        def call(*args: Any, **kwargs: Any) -> Any:
            start = np.array([time.process_time(), time.perf_counter()])
            result = function(*args, **kwargs)
            self.sums[name] += np.array([time.process_time(), time.perf_counter()]) - start
            return result

        return call


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of a Q-network update beside a cross-entropy update.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()

    from nmt_rl.bundle import load_bundle
    from nmt_rl.config import load_config
    from nmt_rl.corpus.prepare import open_prepared
    from nmt_rl.models.build import build_model
    from nmt_rl.rl.episodes import EpisodeBatches
    from nmt_rl.rl.family import build_family
    from nmt_rl.rl.prior import Prior
    from nmt_rl.rl.reward import make_reward
    from nmt_rl.rl.term import Objective
    from nmt_rl.training.learner import Learner
    from nmt_rl.training.losses import CrossEntropy, with_positions

    config = load_config(str(args.run / "config.yaml"), ["finetune.log_every=1000000", *args.set])
    prepared = open_prepared(config, args.run)
    bundle = load_bundle(args.run / "pretrain" / "model")
    prior, tokenizer = bundle.model, prepared.tokenizers.target
    prior.trainable = False
    reward = make_reward(config.finetune.reward, tokenizer)
    family = build_family(config, prior, prepared, reward)
    batches = EpisodeBatches(
        family.model, Prior(prior, config.finetune), family.terms, reward, prepared.train, tokenizer, config
    )
    learner = Learner(family.model, Objective(family.terms), config.finetune.optimizer)
    sizes = prior.embeddings.sizes
    plain = build_model(config.model, *sizes, config.seed, config.pretrain.precision)
    plain.set_weights(prior.get_weights())
    trainer = Learner(plain, CrossEntropy(config.pretrain.label_smoothing), config.pretrain.optimizer)

    clock, pieces = Clock(), defaultdict(float)
    rollout = family.terms[0]._rollout  # type: ignore[attr-defined]
    rollout._greedy = clock.measured("  greedy translations", rollout._greedy)
    forks = rollout._continue
    forks.continue_from = clock.measured("  forks", forks.continue_from)
    rollout._scores = clock.measured("  reward (in part beside the forks)", rollout._scores)
    term = family.terms[0]
    term._prior_difference = clock.measured("  prior", term._prior_difference)  # type: ignore[attr-defined]
    draw = batches._draw
    rows: list[Any] = []
    batches._draw = lambda: rows.append(draw()) or rows[-1]  # type: ignore[method-assign,func-returns-value]

    def q_update(step: int) -> None:
        batch, numbers = clock.measured("  episodes, all", batches.next)(step)
        clock.measured("  loss and gradient", learner.update)(batch, 1e-6)
        pieces["Q-network"] += numbers["tokens"]

    def cross_entropy_update() -> None:
        trainer.update(with_positions(rows[-1], batches.batch), 1e-6)
        pieces["cross-entropy"] += float((rows[-1].target_out != 0).sum())

    for step in range(1, args.rounds + 6):
        if step == 6:
            clock.sums.clear(), pieces.clear()
        clock.measured("Q-network", q_update)(step)
        clock.measured("cross-entropy", cross_entropy_update)()
    for name, (cpu, wall) in sorted(clock.sums.items(), key=lambda item: item[0].strip() != item[0]):
        each = f"{1000 * cpu / pieces[name]:8.3f} CPU s per 1,000 pieces" if name in pieces else ""
        print(f"{name:36s}{cpu / args.rounds:8.3f} CPU s{wall / args.rounds:8.3f} s per update{each}")
    cost = {name: clock.sums[name] / pieces[name] for name in pieces}
    ratio = cost["Q-network"] / cost["cross-entropy"]
    print(f"per target piece the Q-network costs {ratio[0]:.2f} times the processor time, {ratio[1]:.2f} the wall time")
    sentences = config.finetune.sentences
    print(f"{sentences} sentences, {platform.machine()}, {os.cpu_count()} cores, {datetime.date.today()}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
