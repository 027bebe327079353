"""Pieces that a hypothesis must not contain, or not contain again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras import ops

from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.decoding.policies import NEVER

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig


class Restrictions:
    """What hypotheses must not contain; repetitions and phrases are of the pieces chosen, and of a forced prefix
    if `prefix` says so.

    Args:
        ngram: no n-gram of so many pieces twice (Paulus et al., 2018, section 2.5); 0: they may be.
        repetition: divisor of the positive logits, and factor of the negative ones, of the pieces a hypothesis holds
            (Keskar et al., 2019, section 4.1); 1: none.
        banned: piece ids of phrases that no hypothesis may contain.
        shortest: fewest pieces of a hypothesis, without EOS but with a forced prefix.
        prefix: what is forced was written by the same policy, as in a fork of its translation, and counts as chosen.
    """

    def __init__(
        self,
        ngram: int = 0,
        repetition: float = 1.0,
        banned: Sequence[Sequence[int]] = (),
        shortest: int = 0,
        prefix: bool = False,
    ) -> None:
        """See the class docstring."""
        self.ngram, self.repetition, self.shortest = ngram, repetition, shortest
        self.banned = [list(phrase) for phrase in banned if phrase]
        self.prefix = prefix and (bool(ngram) or repetition != 1.0 or bool(self.banned))

    @classmethod
    def of(cls, settings: DecodingConfig, banned: Sequence[Sequence[int]] = (), prefix: bool = False) -> Restrictions:
        """What a section of decoding restricts, and banned phrases."""
        return cls(settings.no_repeat_ngram, settings.repetition_penalty, banned, settings.min_length, prefix)

    def rescaled(self, logits: Any, ids: Any, step: Any) -> Any:
        """Logits float32 [rows, vocab] after the repetition penalty.

        Args:
            logits: of the model.
            ids: the pieces chosen so far, int32 [rows, time].
            step: how many they are, int32 [].
        """
        if self.repetition == 1.0:
            return logits
        worse = ops.where(logits > 0, logits / self.repetition, logits * self.repetition)
        return ops.where(completions(ids, step, 1, logits.shape[-1]), worse, logits)

    def blocked(self, scores: Any, ids: Any, step: Any) -> Any:
        """Scores float32 [rows, vocab] with NEVER for what must not follow; `ids` and `step` as above."""
        vocabulary = scores.shape[-1]
        if self.ngram:
            scores = ops.where(completions(ids, step, self.ngram, vocabulary), NEVER, scores)
        for *before, last in self.banned:
            is_last = ops.arange(vocabulary, dtype="int32")[None, :] == last
            scores = ops.where(is_last & ends_with(ids, step, before)[:, None], NEVER, scores)
        return scores

    def unended(self, scores: Any, length: Any, last: Any) -> Any:
        """Scores float32 [rows, vocab] with NEVER for the end of what is too short.

        Args:
            scores: of the pieces that may follow.
            length: pieces so far, a forced prefix included, int32 [rows].
            last: bool [rows]: there is room for the end alone.
        """
        if not self.shortest:
            return scores
        is_end = ops.arange(scores.shape[-1], dtype="int32")[None, :] == EOS
        return ops.where(is_end & ((length < self.shortest) & ~last)[:, None], NEVER, scores)


FREE = Restrictions()
"""None at all."""


def completions(ids: Any, step: Any, n: int, vocabulary: int) -> Any:
    """Pieces that would complete an n-gram which the pieces so far hold already: bool [rows, vocab].

    Args:
        ids: int32 [rows, time]; PAD, and what stands at `step` and behind it, does not count.
        step: int32 [].
        n: at least 1; with 1 these are the pieces themselves.
        vocabulary: number of pieces.
    """
    rows, width = ops.shape(ids)
    padded = ops.pad(ids, ((0, 0), (0, n)))
    places = ops.arange(width, dtype="int32")[None, :]
    same = ops.broadcast_to((places + n - 1 < step) & (step >= n - 1), (rows, width))
    for k in range(n - 1):
        now = ops.take(ids, ops.maximum(step - (n - 1) + k, 0), axis=1)
        same = same & (padded[:, k : k + width] == now[:, None])
    followers = padded[:, n - 1 : n - 1 + width]
    same = same & (followers != PAD)
    row = ops.broadcast_to(ops.arange(rows, dtype="int32")[:, None], (rows, width))
    index = ops.reshape(ops.stack([row, followers], axis=-1), (-1, 2))
    return ops.scatter(index, ops.reshape(ops.cast(same, "float32"), (-1,)), (rows, vocabulary)) > 0


def ends_with(ids: Any, step: Any, phrase: Sequence[int]) -> Any:
    """Whether the first `step` pieces of ids int32 [rows, time] end with `phrase`: bool [rows]."""
    matches = ops.broadcast_to(step >= len(phrase), (ops.shape(ids)[0],))
    for back, piece in enumerate(reversed(phrase), start=1):
        matches = matches & (ops.take(ids, ops.maximum(step - back, 0), axis=1) == piece)
    return matches
