"""Pieces that a hypothesis must not contain, or not contain again, and the end that comes later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.decoding.policies import NEVER
from nmt_rl.models.word_reward import rewarded

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig
    from nmt_rl.models.seq2seq import Seq2Seq


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
        byte_values: of each piece the byte that it is, or -1: bytes that make no characters must not follow each other;
            None: they may.
        word_reward: what the logit of the end loses, see `WordReward`; 0: nothing.
    """

    def __init__(
        self,
        ngram: int = 0,
        repetition: float = 1.0,
        banned: Sequence[Sequence[int]] = (),
        shortest: int = 0,
        prefix: bool = False,
        byte_values: np.ndarray | None = None,
        word_reward: float = 0.0,
    ) -> None:
        """See the class docstring."""
        self.byte_values, self.word_reward = byte_values, word_reward
        self.ngram, self.repetition, self.shortest = ngram, repetition, shortest
        self.banned = [list(phrase) for phrase in banned if phrase]
        self.prefix = prefix and (bool(ngram) or repetition != 1.0 or bool(self.banned))

    @classmethod
    def of(
        cls,
        settings: DecodingConfig,
        banned: Sequence[Sequence[int]] = (),
        prefix: bool = False,
        byte_values: np.ndarray | None = None,
    ) -> Restrictions:
        """What a section of decoding restricts, banned phrases, and bytes."""
        ngram, repetition, shortest = settings.no_repeat_ngram, settings.repetition_penalty, settings.min_length
        return cls(ngram, repetition, banned, shortest, prefix, byte_values, settings.word_reward)

    def rewarded(self, model: Seq2Seq) -> Seq2Seq:
        """The model whose logits these restrictions are of."""
        return rewarded(model, self.word_reward)

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
        if self.byte_values is not None:
            scores = ops.where(breaks_characters(self.byte_values, ids, step), NEVER, scores)
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


def breaks_characters(values: np.ndarray, ids: Any, step: Any) -> Any:
    """Pieces that are bytes which cannot follow, or that follow bytes which are no character yet: bool [rows, vocab].

    UTF-8 (RFC 3629, section 4); C0 and C1 control characters are none that a text may hold, and neither are blanks.

    Args:
        values: byte of each piece, or -1, int [vocab].
        ids: int32 [rows, time]; what stands at `step` and behind it does not count.
        step: int32 [].
    """
    table = ops.convert_to_tensor(np.asarray(values, "int32"))

    def back(n: int) -> Any:
        found = ops.take(table, ops.take(ids, ops.maximum(step - n, 0), axis=1))
        return ops.where(step >= n, found, -1)

    last, second, third = (back(n) for n in (1, 2, 3))
    size = [_character_size(byte) for byte in (last, second, third)]
    follows, both = _continues(last), _continues(last) & _continues(second)
    missing = ops.maximum(size[0] - 1, 0)
    missing = ops.where(follows, ops.maximum(size[1] - 2, 0), missing)
    missing = ops.where(both, ops.maximum(size[2] - 3, 0), missing)
    least, most = ops.full_like(last, 0x80), ops.full_like(last, 0xBF)
    for byte, bound in {0xC2: 0xA1, 0xE0: 0xA0, 0xF0: 0x90}.items():
        least = ops.where(last == byte, bound, least)
    for byte, bound in {0xED: 0x9F, 0xF4: 0x8F}.items():
        most = ops.where(last == byte, bound, most)
    piece = table[None, :]
    goes_on = (piece >= least[:, None]) & (piece <= most[:, None])
    begins = (piece == -1) | ((piece > 0x20) & (piece < 0x7F)) | ((piece >= 0xC2) & (piece <= 0xF4))
    return ~ops.where((missing > 0)[:, None], goes_on, begins)


def _character_size(byte: Any) -> Any:
    """Bytes of the character of UTF-8 that each byte begins, 0 for what begins none: int32 as the bytes."""
    several = ops.where(byte >= 0xF0, 4, ops.where(byte >= 0xE0, 3, 2))
    return ops.where((byte >= 0xC2) & (byte <= 0xF4), several, ops.where((byte >= 0) & (byte < 0x80), 1, 0))


def _continues(byte: Any) -> Any:
    return (byte >= 0x80) & (byte <= 0xBF)
