"""Whether a dictionary of states predicts what a translation still gains better than a network does.

Usage: python scripts/measure_episodic.py RUN OUT.json [--episodes 250 1000 4000] [--set KEY=VALUE ...]

RUN holds a pretrained model and its corpus. The pretrained model translates training sentences greedily, once; from the
same episodes, in the same order, V of `dqn` learns as in fine-tuning, and dictionaries are written. After so many
episodes both are asked about the greedy translations of validation sentences, which neither has seen: explained
variance of the rest of the return, of all states. Writes and prints a table.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure_learned_q import loaded

from nmt_rl.config import EpisodicConfig
from nmt_rl.rl.critic import Critic
from nmt_rl.rl.diagnostics import explained_variance
from nmt_rl.rl.episode import Episode, EpisodeBatch, collate
from nmt_rl.rl.episodic import EpisodicMemory, mixed_value, state_keys, state_names
from nmt_rl.rl.family import Family
from nmt_rl.rl.finetune import make_agent
from nmt_rl.rl.padding import corpus_sources, padded_length, shift_right
from nmt_rl.rl.targets import monte_carlo_returns
from nmt_rl.rl.validation_forks import validation_sentences

SETTINGS = ("method=dqn", "method.steps=4", "method.probability=0.999", "updates=1000000")
"""Hardly any fork is played: this is about greedy translations."""
BATCH = 64
DICTIONARIES: dict[str, tuple[dict[str, Any], bool]] = {
    "1 neighbour": ({"neighbours": 1}, True),
    "10 neighbours": ({"neighbours": 10}, True),
    "50 neighbours": ({"neighbours": 50}, True),
    "50 neighbours, states alone": ({"neighbours": 50}, False),
}
"""Settings, and whether keys hold what V knows of the reference."""
MIXED = "50 neighbours"
"""That V is mixed with."""


class Predictors:
    """V and dictionaries, which learn from the same batches.

    Args:
        critic: V.
        width: of the decoder's states.
        features: of the reference.
        capacity: of the dictionaries.
    """

    def __init__(self, critic: Critic, width: int, features: int, capacity: int) -> None:
        """See the class docstring."""
        self.critic = critic
        self.dictionaries = {
            name: EpisodicMemory(EpisodicConfig(capacity=capacity, **settings), width + features * privileged)
            for name, (settings, privileged) in DICTIONARIES.items()
        }

    def learn(self, batch: EpisodeBatch, source: np.ndarray) -> None:
        """From a batch of episodes, which is new."""
        states = self._states(batch, source)
        names, returns = state_names(batch.source_id, batch.tokens)[batch.mask], returns_of(batch)
        for name, dictionary in self.dictionaries.items():
            dictionary.write(names, keys_of(name, states, batch), returns)
        self.critic.learn(batch, source, shift_right(batch.tokens), np.ones(len(batch.tokens)), 1)
        self.critic.move_target()

    def predicted(self, batch: EpisodeBatch, source: np.ndarray) -> dict[str, np.ndarray]:
        """Of every predictor, of the real states of a batch, [states]."""
        inputs = (source, shift_right(batch.tokens), batch.features)
        value = np.asarray(self.critic._online(*inputs)[0])[batch.mask]
        slow, states = (np.asarray(x) for x in self.critic._bootstrap(*inputs))
        told = {
            name: dictionary.value(keys_of(name, states, batch), np.zeros(len(value)))
            for name, dictionary in self.dictionaries.items()
        }
        mixed = mixed_value(value, told[MIXED], 0.5)
        return {"V": value, "V of the target network": slow[batch.mask], **told, f"V and {MIXED}, half each": mixed}

    def _states(self, batch: EpisodeBatch, source: np.ndarray) -> np.ndarray:
        return np.asarray(self.critic._bootstrap(source, shift_right(batch.tokens), batch.features)[1])


def keys_of(name: str, states: np.ndarray, batch: EpisodeBatch) -> np.ndarray:
    """Of the real states of a batch, as a dictionary has them."""
    features = batch.features if DICTIONARIES[name][1] else batch.features[..., :0]
    return np.asarray(state_keys(states, features))[batch.mask]


def returns_of(batch: EpisodeBatch) -> np.ndarray:
    """What is still gained from the real states of a batch, [states]."""
    return monte_carlo_returns(batch.rewards, batch.discount)[batch.mask]


def collated(family: Family, episodes: Sequence[Episode]) -> EpisodeBatch:
    """Episodes as arrays."""
    return collate(episodes, padded_length(max(len(e.tokens) for e in episodes), family.prior.max_length))


def held_out(family: Family, sentences: int) -> list[tuple[EpisodeBatch, np.ndarray]]:
    """Greedy translations of validation sentences, and their sources."""
    longest, rng = family.prior.max_length, np.random.default_rng(0)
    pairs = family.prepared.valid[:sentences]
    parts = validation_sentences(pairs, family.prepared.tokenizers, family.reward, longest)
    return [(collated(family, family.actor.play(part, 0, rng)[0]), part.rows.source) for part in parts]


def measure(family: Family, counts: Sequence[int], sentences: int) -> dict[str, Any]:
    """Explained variance of every predictor after so many episodes."""
    critic, agent = family.critic, make_agent(family)
    assert critic is not None
    valid, rng = held_out(family, sentences), np.random.default_rng(1)
    truth = np.concatenate([returns_of(batch) for batch, _ in valid])
    states = max(counts) * (max(batch.tokens.shape[1] for batch, _ in valid) + 8)
    predictors = Predictors(critic, family.model.embeddings.width, family.reward.features, states)
    seen, rows = 0, []
    for count in sorted(counts):
        while seen < count:
            episodes, _ = family.actor.play(agent.sentences.next(), 0, rng)
            batch = collated(family, episodes)
            predictors.learn(batch, corpus_sources(family.prepared.train, batch.source_id, family.prior.max_length))
            seen += len(episodes)
        told = [predictors.predicted(*each) for each in valid]
        explained = {name: explained_variance(np.concatenate([t[name] for t in told]), truth) for name in told[0]}
        stored = len(predictors.dictionaries[MIXED])
        rows.append({"episodes": seen, "states": stored, "explained": explained})
        print(json.dumps(rows[-1]), flush=True)
    return {"date": datetime.date.today().isoformat(), "held_out_states": len(truth), "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The results as Markdown."""
    rows = result["rows"]
    lines = [["explained variance after", *(f"{row['episodes']:,} episodes" for row in rows)]]
    lines.append(["---"] * len(lines[0]))
    for name in rows[0]["explained"]:
        lines.append([name, *(f"{row['explained'][name]:.1%}" for row in rows)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--episodes", type=int, nargs="+", default=[250, 1000, 4000])
    parser.add_argument("--sentences", type=int, default=300, help="of validation")
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE")
    options = parser.parse_args()
    changes = [*(f"finetune.{each}" for each in (*SETTINGS, f"sentences={BATCH}")), *options.changes]
    family = loaded(options.run, changes)
    result = {"run": family.config.name, **measure(family, options.episodes, options.sentences)}
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
