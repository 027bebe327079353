"""Forks of validation sentences, on which Q is measured: what it predicts beside what is true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn
from nmt_rl.config import BatchConfig
from nmt_rl.corpus.batches import ordered_batches
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.rl.actor import Sentences, real_rows
from nmt_rl.rl.diagnostics import QDiagnosis, diagnose, explained_variance
from nmt_rl.rl.episode import Episode, EpisodeBatch, collate
from nmt_rl.rl.family import Family, QDifference
from nmt_rl.rl.fork_actor import ForkActor
from nmt_rl.rl.forks import fork_arrays
from nmt_rl.rl.padding import padded_length, shift_right
from nmt_rl.rl.reward import Reward
from nmt_rl.rl.targets import monte_carlo_returns
from nmt_rl.rl.term import Arrays
from nmt_rl.training.validation import SENTENCES, Pair

MOST = 500
"""Validation sentences, the first ones, that are played."""
PER_SOURCE = 5
"""Most forks of each."""
PROBABILITY = 0.05
"""Fork only where the runner-up's probability exceeds this."""


@dataclass(frozen=True)
class _Played:
    """A batch of greedy translations and their forks."""

    arrays: Arrays
    """As Q takes them; forks have a weight, room has none."""
    batch: EpisodeBatch
    known: NDArray[np.float64]
    """Of each fork, [n, features]."""


class ValidationForks:
    """Greedy translations of validation sentences and their forks, played to the end by the pretrained policy, once.

    So the true differences are those of the pretrained policy's Q, and every validation measures against the same.

    Args:
        family: the method.
        q: what is measured, by the current weights of the family's model.
    """

    def __init__(self, family: Family, q: QDifference) -> None:
        """See the class docstring."""
        config, prior, prepared = family.config, family.prior, family.prepared
        self._critic, self._longest = family.critic, prior.max_length
        self._q = compile_fn(partial(q, family.model), family.model)
        tokenizer = prepared.tokenizers.target
        actor = ForkActor(prior, prior, tokenizer, family.reward, config.decoding, PER_SOURCE, PROBABILITY)
        pairs = prepared.valid[: config.finetune.validation.sentences][:MOST]
        longest, rng = (
            min(self._longest, config.decoding.max_source_length),
            np.random.default_rng(config.finetune_seed),
        )
        self._played = [
            self._arranged(sentences, actor.play(sentences, 0, rng)[0])
            for sentences in validation_sentences(pairs, prepared.tokenizers, family.reward, longest)
        ]
        self._forked = [each.arrays["weights"] > 0 for each in self._played]

    def diagnosis(self) -> QDiagnosis:
        """Of Q as it is now. Known without it: both log-probabilities, whose difference is the gap of the logits, the
        position, and its share of the translation's length."""
        predicted = [np.asarray(self._q(each.arrays)) for each in self._played]
        sentence = [np.repeat(each.batch.source_id, PER_SOURCE) for each in self._played]
        true = [each.arrays["value_difference"] for each in self._played]
        known = np.concatenate([np.zeros((0, 4)), *(each.known for each in self._played)])
        return diagnose(self._of_forks(predicted), self._of_forks(true), known, self._of_forks(sentence))

    def numbers(self) -> dict[str, float]:
        """Those of the diagnosis; and `v_explained`, the explained variance of the rest of the returns along the greedy
        translations by V, if there is one."""
        numbers = self.diagnosis().numbers()
        if self._critic is None or not self._played:
            return numbers
        value, returns = [], []
        for batch, source in ((each.batch, each.arrays["source"]) for each in self._played):
            value.append(self._critic.value(source, batch.tokens, batch.features)[batch.mask])
            returns.append(monte_carlo_returns(batch.rewards, batch.discount)[batch.mask])
        return numbers | {"v_explained": explained_variance(np.concatenate(value), np.concatenate(returns))}

    def _arranged(self, sentences: Sentences, episodes: list[Episode]) -> _Played:
        batch = collate(episodes, padded_length(max(len(e.tokens) for e in episodes), self._longest))
        forks = fork_arrays(episodes, np.ones(len(episodes)), PER_SOURCE, batch.tokens.shape[1])
        arrays = {"source": sentences.rows.source, "target_in": shift_right(batch.tokens), **forks}
        return _Played(arrays, batch, np.concatenate([known(episode) for episode in episodes]))

    def _of_forks(self, arrays: Sequence[np.ndarray]) -> NDArray[np.float64]:
        """All forks of all batches, [n], of arrays with room."""
        real = (array[forked] for array, forked in zip(arrays, self._forked, strict=True))
        return np.concatenate([np.zeros(0), *real])


def validation_sentences(
    pairs: Sequence[Pair], tokenizers: Tokenizers, reward: Reward, longest: int
) -> Iterator[Sentences]:
    """Pairs in batches, the shortest first; none with an empty side.

    Args:
        pairs: text.
        tokenizers: of both sides.
        reward: makes the references.
        longest: most pieces of a side, EOS included; what is longer is cut.
    """
    pairs = [pair for pair in pairs if pair[0].strip() and pair[1].strip()]
    if not pairs:
        return
    sides = zip((tokenizers.source, tokenizers.target), zip(*pairs, strict=True), strict=True)
    source, target = ([ids[: longest - 1] for ids in tokenizer.encode(texts)] for tokenizer, texts in sides)
    for rows in map(real_rows, ordered_batches(source, target, BatchConfig(type="sentences", size=SENTENCES))):
        yield Sentences(rows, reward.references([pairs[i][1] for i in rows.indices]))


def known(episode: Episode) -> NDArray[np.float64]:
    """What is known of each fork of a translation without Q, [forks, 4]; see `ValidationForks.diagnosis`.

    Args:
        episode: played by the pretrained policy, so that its log-probabilities are the pretrained model's.
    """
    forks = episode.forks
    greedy = episode.log_probs[forks.times].astype(np.float64)
    places = forks.times.astype(np.float64)
    return np.column_stack([greedy, greedy - forks.prior_difference, places, places / len(episode.tokens)])
