"""The reward of a translation, piece by piece: r_t = Phi(s_{t+1}) - Phi(s_t).

Phi(s_t) is the worth of the words that the prefix s_t has completed: a weighted sum of sentence metrics, by default
smoothed sentence BLEU. Phi of the empty prefix is 0, so the rewards of a finished translation add up to its worth:
potential-based shaping (Ng et al., 1999), which leaves the optimal policy alone. A word is complete when the next one
begins, at EOS, or when the length limit ends the episode. BLEU's words are those of the tokenizer by which sacreBLEU
scores the target language, of the detokenised text, composed (NFC), so the reward counts what the metric counts.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import RewardConfig
from nmt_rl.corpus.characters import composed
from nmt_rl.corpus.languages import bleu_tokenizer
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.corpus.words import Splitter, word_splitter
from nmt_rl.rl.bleu import Reference, SentenceBleu
from nmt_rl.rl.memory import Memory
from nmt_rl.rl.sentence_metrics import Metric, load_metric
from nmt_rl.rl.walk import Walk, make_walk, state_of

UNKNOWN_WORD = "⁇"
"""How SentencePiece writes the unknown piece."""
REWARD_BLEU = SentenceBleu(unknown=UNKNOWN_WORD)
"""The reward's BLEU: unsmoothed unigrams with a floor, add-1 from bigrams on, unknown pieces never match."""
UNFINISHED = "\ufffd"
"""What stands for the bytes of a character of which not all are there yet."""
REMEMBERED_WORDS = 2**16
"""Most stretches of pieces whose words a reward remembers."""
CONSTANT = 0.5
"""Worth of every translation by the metric `constant`."""


class PieceDecoder(Protocol):
    """What the reward needs of `corpus.tokenizer.Tokenizer`."""

    @property
    def size(self) -> int:
        """Number of pieces."""

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each list of ids."""


@dataclass(frozen=True)
class Episode:
    """The rewards of one translation, up to its end: EOS, or the last piece where the length limit cut it.

    Attributes:
        rewards: r_t of each piece, float64 [length].
        potentials: Phi(s_t) before each piece and at the end, float64 [length + 1]; 0 before the end if the reward is
            terminal.
        features: privileged features of the state before each piece, float32 [length, Reward.features].
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
        """Worth of the finished translation, the sum of its rewards."""
        return float(self.potentials[-1])


class RewardReference:
    """A reference translation, made ready to be scored against many times by `Reward.references`.

    Attributes:
        text: detokenised.
        words: BLEU's.
    """

    def __init__(self, text: str, words: list[str], bleu: SentenceBleu) -> None:
        self.text, self.words, self._bleu = text, words, bleu

    @functools.cached_property
    def ngrams(self) -> Reference:
        """Counted n-grams; only episodes need them."""
        return self._bleu.reference(self.words)


class Reward:
    """Worth of translations, and rewards piece by piece. Made from an experiment's configuration by `make_reward`.

    `constant` is paid at the last piece whatever the shape. So the return from every state is the same whichever
    piece follows: all advantages are 0, forks have no difference to learn from, and the expected policy gradient is 0;
    what a policy gradient without baseline still does is to raise every sample it draws, the peakiness that this
    control is there to show (Choshen et al., 2020). Paid with the first word it would stop doing so behind that word;
    as Phi of the empty prefix it would cancel, and nothing would be left to control for.

    Args:
        tokenizer: of the target side.
        bleu: the BLEU of worth and features.
        bleu_weight: its weight.
        metrics: weights and further metrics, which see the text of completed words, or where the target language puts
            no blanks between words, the text so far.
        constant: added to every finished translation.
        shape: delta pays the gain of each completed word; terminal everything at the last piece (Phi is 0 till then).
        words: sacreBLEU's tokenizer for the target language.

    Raises:
        UserError: if the tokenizer is not installed.
    """

    def __init__(
        self,
        tokenizer: PieceDecoder,
        bleu: SentenceBleu = REWARD_BLEU,
        *,
        bleu_weight: float = 1.0,
        metrics: Sequence[tuple[float, Metric]] = (),
        constant: float = 0.0,
        shape: Literal["delta", "terminal"] = "delta",
        words: str = "13a",
    ) -> None:
        self.bleu, self.shape = bleu, shape
        self._split: Splitter = word_splitter(words)
        self._spaced = words == "13a"
        self._bleu_weight, self._metrics, self._constant = bleu_weight, metrics, constant
        self._tokenizer = tokenizer
        self._begins_word = _begins_word(tokenizer).tolist()
        self._words = Memory(self._decode_words, REMEMBERED_WORDS)

    @property
    def features(self) -> int:
        """Number of privileged features of a state."""
        return self.bleu.max_order + 4

    def references(self, texts: Sequence[str]) -> list[RewardReference]:
        """References ready to be scored against many times."""
        return [RewardReference(composed(text), self._split(text), self.bleu) for text in texts]

    def scores(self, hypotheses: Sequence[str], references: Sequence[RewardReference]) -> NDArray[np.float64]:
        """Worth of whole detokenised sentences; float64 [sentences].

        Args:
            hypotheses: detokenised text.
            references: of `references`, one for each hypothesis.

        Raises:
            ValueError: if the numbers differ.
            UserError: if a user's metric does not return one number for each.
        """
        if len(hypotheses) != len(references):
            raise ValueError(f"{len(hypotheses)} hypotheses but {len(references)} references")
        bleu = np.zeros(len(hypotheses))
        if self._bleu_weight:
            bleu = self.bleu.scores([self._split(text) for text in hypotheses], [r.words for r in references])
        return self._worth(bleu, list(map(composed, hypotheses)), [r.text for r in references]) + self._constant

    def episode(self, pieces: Sequence[int] | NDArray[np.integer], reference: RewardReference) -> Episode:
        """Rewards, potentials and privileged features of one translation; see `episodes`."""
        return self.episodes([pieces], [reference])[0]

    def episodes(
        self, pieces: Sequence[Sequence[int] | NDArray[np.integer]], references: Sequence[RewardReference]
    ) -> list[Episode]:
        """Rewards, potentials and privileged features of translations; each metric but BLEU is called once.

        Args:
            pieces: piece ids of each translation, without BOS. The first EOS ends the episode; without one the last
                piece that is not padding does. What stands behind the end changes nothing. Without any piece there
                is nothing to pay, and the score is 0.
            references: of `references`, one for each.

        Raises:
            IndexError: for an id outside the vocabulary.
            UserError: if a user's metric does not return one number for each text.
        """
        if len(pieces) != len(references):
            raise ValueError(f"{len(pieces)} translations but {len(references)} references")
        rows = [_until_end(row, self._tokenizer.size) for row in pieces]
        walks = self._walks_by_stretch(rows, references) if self._spaced else self._walks_by_piece(rows, references)
        worth = self._worth_of_states(rows, walks, references)
        return [self._pay(walk, states) for walk, states in zip(walks, worth, strict=True)]

    def _walks_by_stretch(self, rows: list[list[int]], references: Sequence[RewardReference]) -> list[Walk]:
        """Walks where words never cross a blank, so that each stretch of pieces between blanks is cut alone."""
        cuts = [self._cut(ids) for ids in rows]
        stretches = [[tuple(ids[a:b]) for a, b in itertools.pairwise(c)] for ids, c in zip(rows, cuts, strict=True)]
        words = iter(self._words(list(itertools.chain.from_iterable(stretches))))
        walks = []
        for own, reference in zip(cuts, references, strict=True):
            states, prefix = [], self.bleu.prefix(reference.ngrams)
            for stretch in ((), *itertools.islice(words, len(own) - 1)):
                prefix.extend(stretch)
                states.append(state_of(prefix))
            # The piece that begins a word completes the one before it; the end completes the last.
            begins = [0, *(cut + 1 for cut in own[1:-1]), *own[-1:]][: len(own)]
            walks.append(make_walk(own, begins, states, reference.ngrams.length))
        return walks

    def _walks_by_piece(self, rows: list[list[int]], references: Sequence[RewardReference]) -> list[Walk]:
        """Walks where only the whole text says what its words are: after each piece all is cut anew."""
        texts = iter(self._tokenizer.decode([ids[:cut] for ids in rows for cut in range(1, len(ids) + 1)]))
        walks = []
        for ids, reference in zip(rows, references, strict=True):
            done: list[str] = []
            prefix = self.bleu.prefix(reference.ngrams)
            cuts, states = list(range(len(ids) + 1)), [state_of(prefix)]
            for cut in cuts[1:]:
                text = next(texts)
                words = self._split(text) if cut == len(ids) else self._finished(text)
                if words[: len(done)] != done:  # cut otherwise than before
                    done, prefix = [], self.bleu.prefix(reference.ngrams)
                prefix.extend(words[len(done) :])
                done = words
                states.append(state_of(prefix))
            walks.append(make_walk(cuts, cuts, states, reference.ngrams.length))
        return walks

    def _finished(self, text: str) -> list[str]:
        """Words of a text that goes on; the last one may go on too and does not count."""
        return self._split(text.rstrip(UNFINISHED))[:-1]

    def _cut(self, ids: list[int]) -> list[int]:
        """Where stretches of pieces begin: at the first piece and at those that begin a word; and the end."""
        return [0, *(t for t, piece in enumerate(ids) if t and self._begins_word[piece]), len(ids)] if ids else [0]

    def _worth_of_states(
        self, rows: list[list[int]], walks: list[Walk], references: Sequence[RewardReference]
    ) -> list[NDArray[np.float64]]:
        """Phi of each state of each walk; of terminal rewards only the last state is judged."""
        if not self._metrics:
            return [self._bleu_weight * walk.bleu for walk in walks]
        skipped = [1 if self.shape == "delta" else max(len(walk.bleu) - 1, 1) for walk in walks]
        ends = [walk.cuts[n:] for walk, n in zip(walks, skipped, strict=True)]
        cut = [ids[:end] for ids, row in zip(rows, ends, strict=True) for end in row]
        texts = list(map(composed, self._tokenizer.decode(cut)))
        against = [r.text for r, row in zip(references, ends, strict=True) for _ in row]
        bleu = [value for walk, n in zip(walks, skipped, strict=True) for value in walk.bleu[n:]]
        worth = iter(self._worth(np.array(bleu), texts, against))
        return [
            np.array([0.0] * n + list(itertools.islice(worth, len(row)))) for n, row in zip(skipped, ends, strict=True)
        ]

    def _worth(self, bleu: NDArray[np.float64], hypotheses: list[str], references: list[str]) -> NDArray[np.float64]:
        """Weighted sum of the metrics without the constant; float64 [texts]."""
        worth = self._bleu_weight * bleu
        for weight, metric in self._metrics:
            worth = worth + weight * metric(hypotheses, references)
        return worth

    def _pay(self, walk: Walk, worth: NDArray[np.float64]) -> Episode:
        """Spread the worth of the states over the pieces."""
        if self.shape == "terminal":
            worth[:-1] = 0.0
        if walk.cuts[-1]:
            worth[-1] += self._constant
        stays = np.diff([*walk.begins, walk.cuts[-1] + 1])
        potentials = np.repeat(worth, stays)
        states = np.column_stack([walk.facts, worth]).astype(np.float32)
        return Episode(np.diff(potentials), potentials, np.repeat(states, stays, axis=0)[:-1])

    def _decode_words(self, stretches: list[tuple[int, ...]]) -> list[tuple[str, ...]]:
        return [tuple(self._split(text)) for text in self._tokenizer.decode(stretches)]


def make_reward(config: RewardConfig, tokenizer: PieceDecoder, language: str = "") -> Reward:
    """The reward that a configuration describes; a user's `module:function` is imported here and nowhere else.

    Args:
        config: its section.
        tokenizer: of the target side.
        language: code of the target language, which says what its words are; without it, what blanks part.

    Raises:
        UserError: naming the key, for a function that cannot be loaded; for a tokenizer that is not installed.
    """
    weights = dict(config.metrics)
    bleu = SentenceBleu(smoothing=config.smoothing, unknown=UNKNOWN_WORD, brevity=config.brevity)
    return Reward(
        tokenizer,
        bleu,
        bleu_weight=weights.pop("bleu", 0.0),
        constant=CONSTANT * weights.pop("constant", 0.0),
        metrics=[(weight, load_metric(name, language)) for name, weight in weights.items()],
        shape=config.shape,
        words=bleu_tokenizer(language),
    )


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
