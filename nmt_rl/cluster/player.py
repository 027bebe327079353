"""An actor in a process of its own: it is told weights and sentences, and gives back episodes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmt_rl.corpus.batches import Batch

if TYPE_CHECKING:
    from nmt_rl.rl.family import Family


@dataclass(frozen=True)
class Orders:
    """All that a player needs once, as plain data."""

    config: str
    """The experiment, JSON."""
    tokenizers: tuple[bytes, ...]
    """SentencePiece models: of both sides, or of source and target."""
    prior: list[np.ndarray]
    """Weights of the pretrained model."""
    threads: int
    """Of the processor, for each player."""


@dataclass(frozen=True)
class Unit:
    """Work for one player. The same unit gives the same episodes, whoever plays it and how often."""

    id: int
    rows: Batch
    version: int
    """Updates that the policy has seen."""
    orders: list[Any]
    """Where the Orders are: a list with one reference, which Ray leaves as it is."""
    weights: list[Any]
    """Where the weights of that version are, in the same way."""
    rng: np.random.Generator


class Player:
    """Plays units by the weights that they name. It is built by what the first one orders, so that one that was started
    anew needs nothing but the next unit."""

    def __init__(self) -> None:
        """See the class docstring."""
        self.family: Family | None = None
        self._version: int | None = None

    def begin(self, orders: list[Any]) -> int:
        """Build everything, unless that is done; the number of the process."""
        import ray

        if self.family is None:
            self.family = build(ray.get(orders[0]))
        return os.getpid()

    def play(self, unit: Unit) -> tuple[list[Any], dict[str, float]]:
        """Episodes of a unit's sentences, and numbers to report; ids are those of this player alone."""
        import ray

        from nmt_rl.corpus.tokenizer import EOS, PAD
        from nmt_rl.rl.actor import Sentences

        self.begin(unit.orders)
        assert self.family is not None
        if unit.version != self._version:
            for variable, value in zip(self.family.acting(), ray.get(unit.weights[0]), strict=True):
                variable.assign(value)
            self._version = unit.version
        targets = [row[(row != PAD) & (row != EOS)] for row in unit.rows.target_out]
        references = self.family.reward.references(self.family.prepared.tokenizers.target.decode(targets))
        return self.family.actor.play(Sentences(unit.rows, references), unit.version, unit.rng)


def build(orders: Orders) -> Family:
    """What the learner has but for corpus and learning."""
    from nmt_rl.backend import is_jax, limit_threads
    from nmt_rl.config import parse_config
    from nmt_rl.corpus.cleaning import CleaningReport
    from nmt_rl.corpus.prepared import Prepared
    from nmt_rl.corpus.tokenizer import Tokenizer, Tokenizers
    from nmt_rl.models.build import build_model
    from nmt_rl.rl.family import build_family
    from nmt_rl.rl.reward import make_reward

    if not is_jax():
        limit_threads(orders.threads)
    config = parse_config(json.loads(orders.config), "the learner's settings")
    both = [Tokenizer(model) for model in orders.tokenizers]
    tokenizers = Tokenizers(both[0], both[-1])
    sizes = (tokenizers.source.size, tokenizers.target.size)
    prior = build_model(config.model, *sizes, config.seed, config.finetune.precision)
    prior.set_weights(orders.prior)
    prior.trainable = False
    reward = make_reward(config.finetune.reward, tokenizers.target, config.corpus.target_language)
    # The corpus stays with the learner, whose terms alone read it.
    nothing: Any = None
    prepared = Prepared(tokenizers, nothing, [], {}, [], CleaningReport(), {})
    return build_family(config, prior, prepared, reward)


def parted(rows: Batch, parts: int) -> Sequence[Batch]:
    """A batch's rows in parts of about the same size, none of them empty."""
    cuts = np.array_split(np.arange(len(rows.source)), min(parts, len(rows.source)))
    return [Batch(rows.source[c], rows.target_in[c], rows.target_out[c], rows.indices[c]) for c in cuts]
