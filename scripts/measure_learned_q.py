"""How much of a fork's value the whole network learns, from references or from samples of the pretrained model.

Usage: python scripts/measure_learned_q.py RUN OUT.json [--sentences 8000] [--samples 16] [--epochs 4] [--rate 1e-4]

RUN holds a pretrained model and its corpus. Training sentences are translated greedily and forked once, by the
pretrained model; each fork is valued against the reference, and by the mean against samples of the model itself, the
expected utility that minimum Bayes risk decoding maximises. Q(s, a) - Q(s, a') = tau [kappa(s, a) - kappa(s, a')] of
a copy of the model, tau 0.1, is then fitted to either by least squares, and compared after each epoch with the true
differences of forks of validation sentences, as fine-tuning does. Writes and prints what a QDiagnosis has.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from nmt_rl.bundle import load_bundle
from nmt_rl.config import load_config
from nmt_rl.corpus.prepared import open_prepared
from nmt_rl.decoding.generator import Generation, Generator
from nmt_rl.rl.agent import Agent, by_length
from nmt_rl.rl.episode import Episode
from nmt_rl.rl.family import Family, build_family
from nmt_rl.rl.finetune import make_agent
from nmt_rl.rl.fork_actor import ForkActor
from nmt_rl.rl.replay import Sampled
from nmt_rl.rl.reward import make_reward
from nmt_rl.rl.validation_forks import ValidationForks

SETTINGS = ("method=dqn", "method.tau=0.1", "method.huber=0", "method.epsilon=0", "sentences=64", "updates=1000")
BATCH, PARTS, WARMUP = 64, 3, 50


def build(run: Path) -> Family:
    """The pretrained model, and a copy that is Q."""
    return loaded(run, [f"finetune.{each}" for each in SETTINGS])


def loaded(run: Path, changes: Sequence[str]) -> Family:
    """The pretrained model of a run and what fine-tuning needs, with some settings."""
    config = load_config(str(run / "config.yaml"), list(changes))
    prepared = open_prepared(config, run)
    frozen = load_bundle(run / "pretrain" / "model", config.finetune.precision).model
    frozen.trainable = False
    reward = make_reward(config.finetune.reward, prepared.tokenizers.target, config.corpus.target_language)
    return build_family(config, frozen, prepared, reward)


class JudgedActor(ForkActor):
    """Values forks by samples, too."""

    samples: int
    sampler: Generator
    judged: np.ndarray
    """Of each fork, by samples: [n, 2]."""

    def _values(self, source: Any, path: Generation, limits: Any, forks: Any, *rest: Any) -> Any:
        row, time, pieces = forks
        played = self._continue.continue_from(source, path.ids, row, time, pieces, limits[row])
        each = np.repeat(np.arange(len(source)), self.samples)
        drawn = self.sampler(source[each], limits[each], temperature=1.0, seed=int(limits.sum()))
        judges = self.reward.references(self.tokenizer.decode(drawn.ids))
        worth = [self._worth(judges, ids, rows) for ids, rows in ((path.ids, range(len(source))), (played.ids, row))]
        self.judged = np.stack([worth[0][row], worth[1]], axis=1).astype(np.float32)
        return super()._values(source, path, limits, forks, *rest)

    def _worth(self, judges: Sequence[Any], ids: Any, rows: Any) -> np.ndarray:
        texts = [text for text in self.tokenizer.decode(ids) for _ in range(self.samples)]
        against = [judges[i * self.samples + k] for i in rows for k in range(self.samples)]
        return self.reward.scores(texts, against).reshape(-1, self.samples).mean(axis=1)


def play(family: Family, agent: Agent, count: int, samples: int) -> tuple[list[Episode], list[Episode]]:
    """Forked translations of training sentences, valued by references and by samples."""
    actor = family.actor
    assert isinstance(actor, ForkActor)
    judged = JudgedActor(
        family.model, family.prior, actor.tokenizer, actor.reward, actor.decoding, actor.per_source, actor.probability
    )
    judged.samples, judged.sampler = samples, Generator(family.model)
    rng = np.random.default_rng(1)
    both: tuple[list[Episode], list[Episode]] = ([], [])
    while len(both[0]) < count:
        episodes, _ = judged.play(agent.sentences.next(), 0, rng)
        ends = np.cumsum([len(episode.forks) for episode in episodes])
        for episode, values in zip(episodes, np.split(judged.judged, ends[:-1]), strict=True):
            both[0].append(episode)
            both[1].append(replace(episode, forks=replace(episode.forks, values=values)))
    return both


def fit(family: Family, episodes: Sequence[Episode], epochs: int, rate: float) -> list[dict[str, Any]]:
    """The diagnosis after each epoch, from the pretrained weights."""
    family.model.set_weights(family.prior.get_weights())
    (term,), agent, rng = family.terms, make_agent(family), np.random.default_rng(2)
    assert family.q is not None
    forks, told, done, steps = ValidationForks(family, family.q), [], 0, epochs * (len(episodes) // BATCH)
    for _ in range(epochs):
        order = rng.permutation(len(episodes))
        for ids in np.split(order[: len(order) // BATCH * BATCH], len(order) // BATCH):
            batch = Sampled([episodes[i] for i in ids], ids, np.ones(BATCH))
            parts = [{term.name: term.batch(part, 1)[0]} for part in by_length(batch, PARTS)]
            done += 1
            agent.learner.update(
                agent._joined(parts), rate * min(1, done / WARMUP) * (1 + math.cos(math.pi * done / steps)) / 2
            )
        told.append({key: value for key, value in asdict(forks.diagnosis()).items() if key != "calibration"})
        print(json.dumps(told[-1]), flush=True)
    return told


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sentences", type=int, default=8000)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-4)
    options = parser.parse_args()
    family = build(options.run)
    by_reference, by_samples = play(family, make_agent(family), options.sentences, options.samples)
    result = {
        "date": datetime.date.today().isoformat(),
        "sentences": len(by_reference),
        "forks": sum(len(episode.forks) for episode in by_reference),
        "samples": options.samples,
        "rate": options.rate,
        "references": fit(family, by_reference, options.epochs, options.rate),
        "by_samples": fit(family, by_samples, options.epochs, options.rate),
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
