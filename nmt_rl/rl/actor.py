"""Who plays: sentences of the corpus in, episodes of the current policy out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn
from nmt_rl.config import BatchConfig, DecodingConfig
from nmt_rl.corpus.batch_stream import BatchStream, Position
from nmt_rl.corpus.batches import Batch
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import PAD, Tokenizer
from nmt_rl.decoding.generator import Generation, Generator
from nmt_rl.decoding.restrictions import Restrictions
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.rl.episode import Episode, Origin
from nmt_rl.rl.padding import padded_to, shift_right, source_limits
from nmt_rl.rl.policy_gradient import mixer_moves, mixer_split
from nmt_rl.rl.reward import Reward, RewardReference
from nmt_rl.training.losses import log_probs, real_positions

Numbers = dict[str, float]


@dataclass(frozen=True)
class Sentences:
    """Pairs that are played next."""

    rows: Batch
    """Sources and references as pieces; no padding rows."""
    references: Sequence[RewardReference]
    """As the reward wants them."""

    def sorted(self, most: int) -> list[Sentences]:
        """The same in parts of `most` at most, each of sources of similar lengths; as they are if they are no more."""
        source = self.rows.source
        if len(source) <= most:
            return [self]
        order = np.argsort((source != PAD).sum(axis=1), kind="stable")
        return [self._of(rows) for rows in np.array_split(order, -(-len(order) // most))]

    def _of(self, rows: NDArray[np.int64]) -> Sentences:
        source = self.rows.source[rows]
        source = source[:, : int((source != PAD).sum(axis=1).max())]
        own = Batch(source, self.rows.target_in[rows], self.rows.target_out[rows], self.rows.indices[rows])
        return Sentences(own, [self.references[i] for i in rows])

    @classmethod
    def joined(cls, parts: Sequence[Sentences]) -> Sentences:
        """Of several batches one."""
        if len(parts) == 1:
            return parts[0]
        rows = [part.rows for part in parts]
        sides = ([r.source for r in rows], [r.target_in for r in rows], [r.target_out for r in rows])
        source, target_in, target_out = map(_below_each_other, sides)
        batch = Batch(source, target_in, target_out, np.concatenate([each.indices for each in rows]))
        return cls(batch, [reference for part in parts for reference in part.references])


class SentenceStream:
    """Draws sentences of the corpus in a seeded order, at random and not by length: a batch of short sentences moves
    the length of all translations its way.

    Args:
        corpus: encoded training pairs.
        tokenizer: of the target side.
        reward: makes the references.
        size: sentences at a time.
        longest: pieces of a side, EOS included.
        seed: of the order.
    """

    def __init__(
        self, corpus: EncodedCorpus, tokenizer: Tokenizer, reward: Reward, size: int, longest: int, seed: int
    ) -> None:
        """See the class docstring."""
        self.corpus, self.tokenizer, self.reward, self.seed = corpus, tokenizer, reward, seed
        self.batch = BatchConfig(type="sentences", size=size, max_length=longest, sort=False)
        self.position = Position()
        self._stream: Any = None

    def next(self) -> Sentences:
        """The next ones."""
        if self._stream is None:
            self._stream = iter(BatchStream(self.corpus, self.batch, self.seed + 1, self.position))
        rows, self.position = next(self._stream)
        rows = real_rows(rows)
        texts = self.tokenizer.decode([self.corpus.target(int(i)) for i in rows.indices])
        return Sentences(rows, self.reward.references(texts))

    def rng(self, *key: int) -> np.random.Generator:
        """Chance for what is done with the sentences drawn last, told apart by a key."""
        return np.random.default_rng([self.seed, *self.position, *key])

    def go_to(self, position: Position) -> None:
        """Go on from a place in the order."""
        self.position, self._stream = position, None


def _below_each_other(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])


def real_rows(rows: Batch) -> Batch:
    """A batch without the rows that are only padding."""
    real = rows.indices >= 0
    return Batch(rows.source[real], rows.target_in[real], rows.target_out[real], rows.indices[real])


class Actor(ABC):
    """Plays translations by the current weights of a policy."""

    def __init__(self) -> None:
        self._played = 0

    @abstractmethod
    def play(self, sentences: Sentences, version: int, rng: np.random.Generator) -> tuple[list[Episode], Numbers]:
        """Episodes of sentences by the policy as it is after `version` updates, and numbers to report.

        `return` is the mean score of greedy translations, or `sample_return` that of samples; `length_ratio` the pieces
        of what was played per piece of the references.
        """

    def close(self) -> None:
        """Nothing is played any more."""
        return

    def next_id(self) -> int:
        """Of an episode; this actor gives it once."""
        self._played += 1
        return self._played

    def state(self) -> dict[str, NDArray[Any]]:
        """For an exact resume."""
        return {"played": np.array(self._played, np.int64)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` gave."""
        self._played = int(arrays["played"])


class SampleActor(Actor):
    """Samples translations, each source several times, and adds what learners compare the samples with.

    Args:
        model: the policy.
        reward: what a translation is worth.
        decoding: limits of the length, and what translations must not repeat.
        samples: of each source.
        temperatures: each sample has one of them; the ladder is shared out at random.
        epsilons: the same of epsilon-greedy translations, in place of temperatures.
        top_k: sample among this many pieces only; 0: all.
        prior: whose log-probabilities the episodes carry; None: zeros.
        greedy: play the greedy translation of each source, too.
        references: give the reference of each source as an episode, too.
    """

    def __init__(
        self,
        model: Seq2Seq,
        reward: Reward,
        decoding: DecodingConfig,
        samples: int,
        temperatures: Sequence[float] = (1.0,),
        top_k: int = 0,
        prior: Seq2Seq | None = None,
        greedy: bool = False,
        references: bool = False,
        epsilons: Sequence[float] = (),
    ) -> None:
        """See the class docstring."""
        super().__init__()
        self.reward, self.decoding, self.samples, self.references = reward, decoding, samples, references
        self._chance = "epsilon" if epsilons else "temperature"
        self.ladder = np.asarray(epsilons or temperatures, np.float32)
        self._longest = model.max_length
        restrictions = Restrictions.of(decoding, prefix=True)
        self._sample = Generator(model, top_k=top_k, restrictions=restrictions)
        self._greedy = Generator(model, restrictions=restrictions) if greedy else None
        self._prior = compile_fn(partial(log_probs, prior), prior) if prior is not None else None

    def play(self, sentences: Sentences, version: int, rng: np.random.Generator) -> tuple[list[Episode], Numbers]:
        """See Actor.play; the samples come first, those of a source one after the other."""
        rows, played = self._drawn(sentences, version, rng)
        episodes = self._episodes(sentences, rows, played.ids, played.log_probs, Origin.SAMPLE, version)
        numbers = played_numbers(sentences, episodes, rows, "sample_return")
        source = sentences.rows.source
        each = np.arange(len(source))
        if self._greedy is not None:
            best = self._greedy(source, source_limits(source, self.decoding, self._longest))
            episodes += self._episodes(sentences, each, best.ids, best.log_probs, Origin.GREEDY, version)
        if self.references:
            ids = sentences.rows.target_out
            episodes += self._episodes(sentences, each, ids, np.zeros(ids.shape), Origin.REFERENCE, version)
        return episodes, numbers

    def _drawn(
        self, sentences: Sentences, version: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], Generation]:
        """Samples, and which of the sentences each translates, [samples]."""
        source = sentences.rows.source
        rows = np.repeat(np.arange(len(source)), self.samples)
        limits = source_limits(source, self.decoding, self._longest)
        # A ladder as it comes would give the same sources the same rungs whenever the counts divide.
        chance = {self._chance: rng.permutation(np.resize(self.ladder, len(rows)))}
        begun, seed = self._beginnings(sentences, rows, version), int(rng.integers(2**31))
        return rows, self._sample(source[rows], limits[rows], **begun, **chance, seed=seed)

    def _beginnings(self, sentences: Sentences, rows: NDArray[np.int64], version: int) -> dict[str, Any]:
        """Pieces that translations of the rows begin with, as the generator takes them; nothing here."""
        return {}

    def _episodes(
        self,
        sentences: Sentences,
        rows: NDArray[np.int64],
        ids: NDArray[np.int32],
        log_probs: NDArray[Any],
        origin: Origin,
        version: int,
    ) -> list[Episode]:
        """Translations int32 [n, time] of some rows, with rewards and the prior's log-probabilities."""
        prior = np.zeros(ids.shape)
        if self._prior is not None:
            padded = padded_to(ids, self._longest)
            places = real_positions(padded, BatchConfig())
            prior = np.asarray(self._prior(sentences.rows.source[rows], shift_right(padded), padded, places))
        lengths = (ids != PAD).sum(axis=1)
        translations = [row[:length] for row, length in zip(ids, lengths, strict=True)]
        paid = self.reward.episodes(translations, [sentences.references[row] for row in rows])
        return [
            Episode(
                id=self.next_id(),
                source_id=int(sentences.rows.indices[row]),
                policy_version=version,
                origin=origin,
                tokens=pieces,
                rewards=episode.rewards.astype(np.float32),
                log_probs=log_probs[i, : len(pieces)].astype(np.float32),
                prior_log_probs=prior[i, : len(pieces)].astype(np.float32),
                features=episode.features,
            )
            for i, (row, pieces, episode) in enumerate(zip(rows, translations, paid, strict=True))
        ]


class MixerActor(SampleActor):
    """Samples what follows a beginning of the reference that becomes shorter and shorter (Ranzato et al., 2016).

    Args:
        pieces, every: of `mixer_split` and `mixer_moves`; others: see SampleActor.
    """

    def __init__(self, *arguments: Any, pieces: int, every: int, **options: Any) -> None:
        """See the class docstring."""
        super().__init__(*arguments, **options)
        self.pieces, self.every = pieces, every

    def _beginnings(self, sentences: Sentences, rows: NDArray[np.int64], version: int) -> dict[str, Any]:
        references = sentences.rows.target_out
        moves = mixer_moves(version + 1, self.every)
        forced = mixer_split((references != PAD).sum(axis=1), moves, self.pieces)
        return {"prefix": references[rows], "prefix_lengths": forced[rows]}


class ReferenceActor(Actor):
    """Plays nothing: the references as they are, for whoever learns from nothing else."""

    def play(self, sentences: Sentences, version: int, rng: np.random.Generator) -> tuple[list[Episode], Numbers]:
        """See Actor.play; rewards are 0, as nobody asks for them."""
        episodes = []
        for index, ids in zip(sentences.rows.indices, sentences.rows.target_out, strict=True):
            pieces = ids[ids != PAD]
            nothing = np.zeros(len(pieces), np.float32)
            episodes.append(
                Episode(
                    id=self.next_id(),
                    source_id=int(index),
                    policy_version=version,
                    origin=Origin.REFERENCE,
                    tokens=pieces,
                    rewards=nothing,
                    log_probs=nothing,
                    prior_log_probs=nothing,
                    features=nothing[:, None],
                )
            )
        return episodes, {}


def played_numbers(sentences: Sentences, episodes: Sequence[Episode], rows: NDArray[Any], name: str) -> Numbers:
    """Mean return under `name`, and `length_ratio`, of episodes of some rows."""
    references = (sentences.rows.target_out != PAD).sum(axis=1)[rows]
    pieces = sum(len(episode.tokens) for episode in episodes)
    return {
        name: float(np.mean([episode.score for episode in episodes])),
        "length_ratio": float(pieces / references.sum()),
    }
