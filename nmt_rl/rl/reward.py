"""The delta-BLEU reward of a translation: r_t = Phi(s_{t+1}) - Phi(s_t), piece by piece.

Phi(s_t) is the smoothed sentence BLEU of the words that the prefix s_t has completed, so the rewards of a finished
translation add up to its BLEU: potential-based shaping (Ng et al., 1999), which leaves the optimal policy alone. A
word is complete when the next one begins, at EOS, or when the length limit ends the episode. Words are those of
sacreBLEU's 13a tokenisation of the detokenised text, so the reward counts what the metric counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.rl.bleu import Prefix, Reference, SentenceBleu

UNKNOWN_WORD = "⁇"
"""How SentencePiece writes the unknown piece."""
REWARD_BLEU = SentenceBleu(unknown=UNKNOWN_WORD)
"""The reward's BLEU: unsmoothed unigrams with a floor, add-1 from bigrams on, unknown pieces never match."""
LENGTH_SCALE = 50.0
"""Words that count as 1 in the length features."""


class PieceDecoder(Protocol):
    """What the reward needs of `corpus.tokenizer.Tokenizer`."""

    @property
    def size(self) -> int:
        """Number of pieces."""

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each list of ids."""


def words_13a(text: str) -> list[str]:
    """Words of sacreBLEU's 13a tokenisation; a line break counts as a space.

    13a never looks across white space, so each stretch between spaces is tokenised once and remembered.
    """
    return [word for chunk in text.split() for word in _tokenizer_13a()(chunk)]


@functools.cache
def _tokenizer_13a() -> Callable[[str], tuple[str, ...]]:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenize = Tokenizer13a()
    return functools.lru_cache(maxsize=2**17)(lambda chunk: tuple(tokenize(chunk).split()))


def prepare_references(references: Sequence[str], bleu: SentenceBleu = REWARD_BLEU) -> list[Reference]:
    """Tokenised and counted references, to be kept and scored against many times."""
    return [bleu.reference(words_13a(reference)) for reference in references]


def sentence_scores(
    hypotheses: Sequence[str], references: Sequence[Reference], bleu: SentenceBleu = REWARD_BLEU
) -> NDArray[np.float64]:
    """BLEU of whole detokenised sentences, in [0, 1]; float64 [sentences].

    Args:
        hypotheses: detokenised text.
        references: of `prepare_references` with the same `bleu`, one for each hypothesis.

    Raises:
        ValueError: if the numbers differ.
    """
    pairs = zip(hypotheses, references, strict=True)
    return np.array([bleu.score(words_13a(text), reference) for text, reference in pairs], np.float64)


@dataclass(frozen=True)
class Episode:
    """The rewards of one translation, up to its end: EOS, or the last piece where the length limit cut it.

    Attributes:
        rewards: r_t of each piece, float64 [length].
        potentials: Phi(s_t) before each piece and at the end, float64 [length + 1].
        features: privileged features of the state before each piece, float32 [length, BleuReward.features].
    """

    rewards: NDArray[np.float64]
    potentials: NDArray[np.float64]
    features: NDArray[np.float32]

    @property
    def length(self) -> int:
        """Number of pieces, EOS included."""
        return len(self.rewards)

    @property
    def score(self) -> float:
        """BLEU of the finished translation, in [0, 1]."""
        return float(self.potentials[-1])


class BleuReward:
    """Delta-BLEU rewards of translations given as piece ids.

    Args:
        tokenizer: of the target side.
        bleu: the potential.
    """

    def __init__(self, tokenizer: PieceDecoder, bleu: SentenceBleu = REWARD_BLEU) -> None:
        self.bleu = bleu
        self._tokenizer = tokenizer
        self._begins_word = _begins_word(tokenizer)
        self._words = functools.lru_cache(maxsize=2**16)(self._decode_words)

    @property
    def features(self) -> int:
        """Number of privileged features of a state."""
        return self.bleu.max_order + 4

    def episode(self, pieces: Sequence[int] | NDArray[np.integer], reference: Reference) -> Episode:
        """Rewards, potentials and privileged features of one translation.

        Args:
            pieces: piece ids without BOS [time]. The first EOS ends the episode; without one the last piece that is
                not padding does. What stands behind the end changes nothing.
            reference: of `prepare_references` with the same `bleu`.

        Raises:
            IndexError: for an id outside the vocabulary.
        """
        ids = _until_end(pieces, self._tokenizer.size)
        prefix = self.bleu.prefix(reference)
        potentials = np.zeros(len(ids) + 1)
        features = np.zeros((len(ids), self.features), np.float32)
        current = self._state_features(prefix, reference, 0.0)
        begin = 0
        for t, piece in enumerate(ids):
            features[t] = current
            completed = prefix.length
            if self._begins_word[piece]:
                prefix.extend(self._words(tuple(ids[begin:t])))
                begin = t
            if t + 1 == len(ids):
                prefix.extend(self._words(tuple(ids[begin:])))
            potentials[t + 1] = potentials[t]
            if prefix.length > completed:
                potentials[t + 1] = prefix.score()
                current = self._state_features(prefix, reference, potentials[t + 1])
        return Episode(np.diff(potentials), potentials, features)

    def _decode_words(self, ids: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(words_13a(self._tokenizer.decode([ids])[0]))

    def _state_features(self, prefix: Prefix, reference: Reference, potential: float) -> list[float]:
        """What a critic may know in training only (Bahdanau et al., 2017), about [0, 1]; [features].

        Completed words, reference words (both per LENGTH_SCALE), the share of the reference still missing (-1 .. 1),
        the n-gram precisions so far, and Phi.
        """
        missing = (reference.length - prefix.length) / max(reference.length, 1)
        lengths = [prefix.length / LENGTH_SCALE, reference.length / LENGTH_SCALE, max(missing, -1.0)]
        return [*lengths, *prefix.precisions(), potential]


def _until_end(pieces: Sequence[int] | NDArray[np.integer], size: int) -> list[int]:
    """The pieces up to the first EOS, or up to the last one that is not PAD; raises IndexError for a foreign id."""
    ids = [int(piece) for piece in pieces]
    if EOS in ids:
        ids = ids[: ids.index(EOS) + 1]
    while ids and ids[-1] == PAD:
        ids.pop()
    foreign = [piece for piece in ids if not 0 <= piece < size]
    if foreign:
        raise IndexError(f"piece id {foreign[0]} is outside the vocabulary of {size}")
    return ids


def _begins_word(tokenizer: PieceDecoder) -> NDArray[np.bool_]:
    """Whether a piece puts a space before its text; [vocabulary].

    Found by decoding each piece between two copies of one that continues a word. Where no piece does, every piece
    is a word.
    """
    alone = tokenizer.decode([[i] for i in range(tokenizer.size)])
    doubled = tokenizer.decode([[i, i] for i in range(tokenizer.size)])
    for anchor, text in enumerate(alone):
        if text.isalnum() and doubled[anchor] == text + text:
            between = tokenizer.decode([[anchor, i, anchor] for i in range(tokenizer.size)])
            return np.array([line[len(text) : len(text) + 1].isspace() for line in between])
    return np.ones(tokenizer.size, np.bool_)
