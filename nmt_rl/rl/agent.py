"""The loop of fine-tuning: act, add, sample, learn, sync."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import FinetuneConfig
from nmt_rl.corpus.batch_stream import Position
from nmt_rl.rl.actor import Actor, Sentences, SentenceStream
from nmt_rl.rl.priorities import PRIORITY_MIX, sequence_priorities
from nmt_rl.rl.replay import Memory, Sampled
from nmt_rl.rl.term import ERRORS, Term, below
from nmt_rl.training.learner import Learner, joined

Numbers = dict[str, float]
Cut = Callable[[Sampled], list[Sampled]]
"""Of a batch into those that make up its update."""


def whole(sampled: Sampled) -> list[Sampled]:
    """A batch as it is."""
    return [sampled]


class Agent:
    """Plays sentences, remembers what was played, and learns from it.

    Args:
        actor: plays by the weights that the learner trains.
        replay: what is learnt from next.
        learner: minimises the objective of the terms.
        terms: of the loss.
        sentences: where sentences come from.
        settings: of the stage.
        ratio: updates for each batch that is played.
        together: batches that are played at once.
        cut: how an update's batch is cut into those that it is made of.
    """

    def __init__(
        self,
        actor: Actor,
        replay: Memory,
        learner: Learner,
        terms: Sequence[Term],
        sentences: SentenceStream,
        settings: FinetuneConfig,
        ratio: int = 1,
        together: int = 1,
        cut: Cut = whole,
    ) -> None:
        """See the class docstring."""
        self.actor, self.replay, self.learner, self.terms = actor, replay, learner, list(terms)
        self.sentences, self.settings = sentences, settings
        self.ratio, self.together, self.cut = ratio, together, cut

    def update(self, step: int, learning_rate: float) -> Numbers:
        """Update `step`, from 1; numbers to report."""
        played: Numbers = {}
        drawn, batches, told = [], [], []
        for part in range(self.settings.optimizer.accumulate):
            if (step - 1) % (self.ratio * self.together) == 0:
                episodes, played = self.actor.play(self._sentences(step), step - 1, self.sentences.rng())
                self.replay.add(episodes)
            sampled = self.replay.sample(self.settings.sentences, step, self.sentences.rng(step, part))
            for piece in self.cut(sampled):
                batch, numbers = self._batch(piece, step)
                drawn.append(piece)
                batches.append(batch)
                told.append(played | numbers)
        found = self.learner.update(self._joined(batches), learning_rate)
        for sampled, batch, details in zip(drawn, batches, self.learner.details, strict=True):
            self._prioritise(sampled, batch, details)
        for term in self.terms:
            term.after_update(step)
        return _together(told) | found

    def _sentences(self, step: int) -> Sentences:
        """What is played at once, but no more than what the rest of the stage learns from."""
        left = -(-(self.settings.updates - step + 1) // self.ratio)
        return Sentences.joined([self.sentences.next() for _ in range(max(1, min(self.together, left)))])

    def _batch(self, sampled: Sampled, step: int) -> tuple[dict[str, Any], Numbers]:
        batch: dict[str, Any] = {}
        numbers: Numbers = {"replay": float(len(self.replay))}
        for term in self.terms:
            batch[term.name], more = term.batch(sampled, step)
            tokens = numbers.get("tokens", 0.0) + more["tokens"]
            numbers = {**more, **numbers, "tokens": tokens}
        return batch, numbers

    def _joined(self, batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With each term's share in the update, where that is made of several batches."""
        for term in self.terms if len(batches) > 1 else ():
            parts = [batch[term.name] for batch in batches]
            shares = joined(parts, [term.size(part) for part in parts])
            batches = [{**batch, term.name: part} for batch, part in zip(batches, shares, strict=True)]
        return batches

    def _prioritise(self, sampled: Sampled, batch: dict[str, Any], details: Mapping[str, np.ndarray]) -> None:
        """By the TD errors that the update has found.

        If some are not finite the update changed nothing. Of single episodes, that is their own: they are not drawn by
        priority again. Of all, it says nothing of any.
        """
        for term in self.terms:
            found = details.get(f"{term.name}/{ERRORS}")
            if found is None:
                continue
            errors = found.reshape(len(sampled.episodes), -1)
            finite = np.isfinite(errors).all(axis=-1)
            if finite.all():
                real = batch[term.name]["weights"].reshape(errors.shape) > 0
                self.replay.prioritise(sampled.places, sequence_priorities(errors, real, PRIORITY_MIX))
            elif finite.any():
                self.replay.prioritise(np.asarray(sampled.places)[~finite], np.zeros((~finite).sum()))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON values and arrays from which `restore` goes on with the very next update."""
        arrays = {f"replay/{name}": value for name, value in self.replay.state().items()}
        arrays |= {f"actor/{name}": value for name, value in self.actor.state().items()}
        for term in self.terms:
            arrays |= {f"{term.name}/{name}": value for name, value in term.state().items()}
        return self.sentences.position._asdict(), arrays

    def restore(self, meta: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was taken."""
        self.sentences.go_to(Position(**meta))
        self.replay.restore(below(arrays, "replay/"))
        self.actor.restore(below(arrays, "actor/"))
        for term in self.terms:
            term.restore(below(arrays, f"{term.name}/"))

    def close(self) -> None:
        """Stop the actor's processes, if it has some."""
        self.actor.close()


def by_length(sampled: Sampled, parts: int) -> list[Sampled]:
    """A batch in parts of translations of similar lengths, so that little of it is padding; for terms that look at each
    episode alone."""
    order = np.argsort([len(episode.tokens) for episode in sampled.episodes], kind="stable")
    return [_picked(sampled, own) for own in np.array_split(order, min(parts, len(order)))]


def by_source(sampled: Sampled, parts: int) -> list[Sampled]:
    """A batch in parts that have all translations of a source together, as terms that compare them want."""
    sources = np.array([episode.source_id for episode in sampled.episodes])
    each = np.array_split(np.unique(sources), parts)
    return [_picked(sampled, np.flatnonzero(np.isin(sources, own))) for own in each if len(own)]


def _picked(sampled: Sampled, rows: NDArray[np.int64]) -> Sampled:
    return Sampled([sampled.episodes[i] for i in rows], sampled.places[rows], sampled.weights[rows])


def _together(told: Sequence[Numbers]) -> Numbers:
    """Means over the batches of an update, but for the number of tokens."""
    numbers = {name: float(np.mean([each[name] for each in told if name in each])) for name in told[0]}
    return numbers | {"tokens": numbers["tokens"] * len(told)}
