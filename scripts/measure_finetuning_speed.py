"""What an update of a Q-network costs beside a cross-entropy update on the same sentences.

Usage: python scripts/measure_finetuning_speed.py RUN [--rounds 20] [--set finetune.key=value ...]

RUN holds a pretrained model; with `--set finetune.method=dqn` or `fork`. Both kinds of update are made
by turns, on the same sentences: cross-entropy on the references, with dropout, as in pretraining; the Q-network on its
own translations of the same sources. Prints processor and wall seconds per update and per 1,000 target pieces trained
on (of forks: those of the greedy translations), their ratio, and where the Q-network's time goes.
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


class Bench:
    """Both kinds of update on the model of a run, with clocks in the parts of the Q-network's.

    Args:
        run: holds a pretrained model.
        overrides: settings of the experiment.
    """

    def __init__(self, run: Path, overrides: list[str]) -> None:
        """See the class docstring."""
        from nmt_rl.bundle import load_bundle
        from nmt_rl.config import load_config
        from nmt_rl.corpus.prepared import open_prepared
        from nmt_rl.rl.family import build_family
        from nmt_rl.rl.finetune import make_agent
        from nmt_rl.rl.reward import make_reward

        self.config = load_config(str(run / "config.yaml"), ["finetune.log_every=1000000", *overrides])
        prepared = open_prepared(self.config, run)
        frozen = load_bundle(run / "pretrain" / "model", self.config.finetune.precision).model
        frozen.trainable = False
        reward = make_reward(
            self.config.finetune.reward, prepared.tokenizers.target, self.config.corpus.target_language
        )
        family = build_family(self.config, frozen, prepared, reward)
        self.agent = make_agent(family)
        self.trainer = self._trainer(frozen)
        self.clock, self.pieces, self.rows = Clock(), defaultdict(float), []  # type: ignore[var-annotated]
        self._put_clocks()
        draw = self.agent.sentences.next
        self.agent.sentences.next = lambda: self.rows.append(draw()) or self.rows[-1]  # type: ignore[method-assign,func-returns-value]

    def _trainer(self, frozen: Any) -> Any:
        """Cross-entropy on a copy of the model, as in pretraining."""
        from nmt_rl.models.build import build_model
        from nmt_rl.training.learner import Learner
        from nmt_rl.training.losses import CrossEntropy

        settings = self.config.pretrain
        source, target = frozen.embeddings.sizes
        plain = build_model(self.config.model, source, target, self.config.seed, settings.precision)
        plain.set_weights(frozen.get_weights())
        return Learner(plain, CrossEntropy(settings.label_smoothing), settings.optimizer)

    def _put_clocks(self) -> None:
        measured, agent = self.clock.measured, self.agent
        actor: Any = agent.actor
        actor.play = measured("  episodes, all", actor.play)
        if hasattr(actor, "_path"):
            actor._path = measured("    greedy translations", actor._path)
            actor._continue.continue_from = measured("    forks", actor._continue.continue_from)
            actor._prior_difference = measured("    prior", actor._prior_difference)
        for term in agent.terms:
            term.batch = measured(f"  batch of {term.name}", term.batch)  # type: ignore[method-assign]
        agent.learner.update = measured("  loss and gradient", agent.learner.update)  # type: ignore[method-assign]

    def q_update(self, step: int) -> None:
        """On the policy's own translations of the next sources."""
        self.pieces["Q-network"] += self.agent.update(step, 1e-6)["tokens"]

    def cross_entropy_update(self) -> None:
        """On the references of the same sources."""
        from nmt_rl.training.losses import with_positions

        rows = self.rows[-1].rows
        self.trainer.update([with_positions(rows, self.agent.sentences.batch)], 1e-6)
        self.pieces["cross-entropy"] += float((rows.target_out != 0).sum())

    def measure(self, rounds: int) -> None:
        """By turns; the first five rounds do not count."""
        for step in range(1, rounds + 6):
            if step == 6:
                self.clock.sums.clear()
                self.pieces.clear()
            self.clock.measured("Q-network", self.q_update)(step)
            self.clock.measured("cross-entropy", self.cross_entropy_update)()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of a Q-network update beside a cross-entropy update.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    bench = Bench(args.run, args.set)
    bench.measure(args.rounds)
    sums, pieces = bench.clock.sums, bench.pieces
    for name, (cpu, wall) in sorted(sums.items(), key=lambda item: item[0].strip() != item[0]):
        each = f"{1000 * cpu / pieces[name]:8.3f} CPU s per 1,000 pieces" if name in pieces else ""
        print(f"{name:36s}{cpu / args.rounds:8.3f} CPU s{wall / args.rounds:8.3f} s per update{each}")
    cost = {name: sums[name] / pieces[name] for name in pieces}
    ratio = cost["Q-network"] / cost["cross-entropy"]
    print(f"per target piece the Q-network costs {ratio[0]:.2f} times the processor time, {ratio[1]:.2f} the wall time")
    sentences = bench.config.finetune.sentences
    print(f"{sentences} sentences, {platform.machine()}, {os.cpu_count()} cores, {datetime.date.today()}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
