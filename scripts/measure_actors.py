"""How many updates of fine-tuning a second actors of Ray give, and where the learner becomes the limit.

Usage: python scripts/measure_actors.py RUN OUT.json [--actors 0 1 2] [--updates 20] [--set KEY=VALUE ...]

RUN holds a pretrained model and its corpus; its recipe's method is measured, or what --set says. Measured for each
number of actors, in lock step and ahead: updates per second and the learner's share of the time. And once, in this
process: seconds to play a batch and a quarter of it, to learn from one, and to hand weights over through Ray. From
these follow updates per second for as many actors as nobody here has (`projected`):

    play(n)    = rest + sentences / n * each          what a player needs for its part of a batch
    lock step  = 1 / (learn + weights + play(n))
    ahead      = 1 / max(learn + weights, play(n))

so that more than `enough` actors leave the learner the limit. Players share this machine's processors: measure no more
than it has, less one.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nmt_rl.bundle import load_bundle
from nmt_rl.cluster.cluster_actor import ClusterActor
from nmt_rl.cluster.session import ray_session
from nmt_rl.config import Config, load_config
from nmt_rl.corpus.prepared import Prepared, open_prepared
from nmt_rl.evaluation.tables import align_columns
from nmt_rl.rl.actor import Actor, Sentences
from nmt_rl.rl.family import Family, build_family
from nmt_rl.rl.finetune import make_agent
from nmt_rl.rl.reward import make_reward

MANY = (1, 2, 4, 16, 64, 256)
WARM = 4
"""Updates before anything is timed: they compile."""


def build(config: Config, run: Path, prepared: Prepared) -> Family:
    """The method's parts, from the pretrained weights."""
    frozen = load_bundle(run / "pretrain" / "model", config.finetune.precision).model
    frozen.trainable = False
    reward = make_reward(config.finetune.reward, prepared.tokenizers.target, config.corpus.target_language)
    return build_family(config, frozen, prepared, reward)


def measure(ray: Any, config: Config, run: Path, prepared: Prepared, updates: int) -> dict[str, Any]:
    """Updates per second with the configured actors, and the share of the time in which the learner learnt."""
    settings, family = config.finetune, build(config, run, prepared)
    if settings.actors:
        family.actor = ClusterActor(family, config, ray, settings.actors, settings.ahead)
    agent, playing = make_agent(family), Stopwatch()
    agent.actor.play = playing.timed(agent.actor.play)  # type: ignore[method-assign]
    cycle = family.ratio * family.together
    first, steps = max(WARM, cycle), -(-updates // cycle) * cycle
    for step in range(1, first + 1):
        agent.update(step, settings.optimizer.learning_rate)
    playing.seconds, began = 0.0, time.perf_counter()
    for step in range(first + 1, first + steps + 1):
        agent.update(step, settings.optimizer.learning_rate)
    seconds = time.perf_counter() - began
    agent.close()
    return {
        "actors": settings.actors,
        "ahead": settings.ahead,
        "updates_per_second": round(steps / seconds, 4),
        "learning": round(1.0 - playing.seconds / seconds, 4),
    }


class Stopwatch:
    """Adds up the seconds of calls."""

    def __init__(self) -> None:
        """See the class docstring."""
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose seconds count."""

        def call(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.perf_counter() - began

        return call


def measure_parts(ray: Any, config: Config, run: Path, prepared: Prepared, rounds: int) -> dict[str, float]:
    """Seconds to play a batch and a quarter of it, to learn from one, and to hand weights over."""
    family = build(config, run, prepared)
    agent = make_agent(family)
    size = config.finetune.sentences
    batches = [agent.sentences.next() for _ in range(rounds + 1)]
    whole = median(lambda i: play(family.actor, batches[i]), rounds)
    part = median(lambda i: play(family.actor, batches[i].sorted(size // 4)[1]), rounds)
    told: list[float] = []
    playing = Stopwatch()
    agent.actor.play = playing.timed(agent.actor.play)  # type: ignore[method-assign]
    for step in range(1, rounds * family.ratio * family.together + WARM):
        playing.seconds, began = 0.0, time.perf_counter()
        agent.update(step, config.finetune.optimizer.learning_rate)
        told.append(time.perf_counter() - began - playing.seconds)
    weights = median(lambda _: handed(ray, family), rounds)
    return {"play": whole, "play_a_quarter": part, "learn": float(np.median(told[WARM:])), "weights": weights}


def play(actor: Actor, sentences: Sentences) -> None:
    """Play a batch."""
    actor.play(sentences, 0, np.random.default_rng(1))


def handed(ray: Any, family: Family) -> None:
    """Weights into Ray's store and out of it."""
    ray.get(ray.put([np.asarray(variable.value) for variable in family.acting()]))


def median(function: Callable[[int], Any], rounds: int) -> float:
    """Seconds of a call, the first one aside."""
    seconds = []
    for i in range(rounds + 1):
        began = time.perf_counter()
        function(i)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:]))


def projected(parts: dict[str, float], many: Sequence[int] = MANY) -> dict[str, Any]:
    """Updates per second by the equations above, and how many actors are enough for the learner."""
    each = max(parts["play"] - parts["play_a_quarter"], 0.0) / 0.75
    rest = max(parts["play"] - each, 0.0)
    learner = parts["learn"] + parts["weights"]
    rows = [
        {
            "actors": n,
            "lock_step": round(1.0 / (learner + rest + each / n), 3),
            "ahead": round(1.0 / max(learner, rest + each / n), 3),
        }
        for n in many
    ]
    enough = math.ceil(round(each / (learner - rest), 6)) if learner > rest else None
    return {"rows": rows, "enough": enough}


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--actors", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()

    def configured(actors: int = 0, ahead: bool = False) -> Config:
        more = [f"finetune.actors={actors}", f"finetune.ahead={str(ahead).lower()}", "finetune.updates=100000"]
        return load_config(str(options.run / "config.yaml"), [*options.set, *more])

    prepared = open_prepared(configured(), options.run)
    with ray_session(max([*options.actors, 1])) as ray:
        parts = measure_parts(ray, configured(), options.run, prepared, max(3, options.updates // 4))
        rows = [
            measure(ray, configured(actors, ahead), options.run, prepared, options.updates)
            for actors in options.actors
            for ahead in ((False, True) if actors else (False,))
        ]
    found = {
        "date": datetime.date.today().isoformat(),
        "method": configured().finetune.method.type,
        "sentences": configured().finetune.sentences,
        "seconds": {name: round(value, 4) for name, value in parts.items()},
        "measured": rows,
        "projected": projected(parts),
    }
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    cells = [
        [str(r["actors"]), str(r["ahead"]), f"{r['updates_per_second']:.2f}", f"{r['learning']:.0%}"] for r in rows
    ]
    print(align_columns([["actors", "ahead", "updates/s", "learner busy"], *cells]))
    print(json.dumps(found["seconds"]), json.dumps(found["projected"]))


if __name__ == "__main__":
    main()
