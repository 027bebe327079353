"""Which source words a translation's words look at: the attention of the model's alignment, word by word."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nmt_rl.corpus.byte_pieces import parts_words, spelled
from nmt_rl.corpus.tokenizer import SPACE
from nmt_rl.corpus.word_pieces import word_starts

if TYPE_CHECKING:
    from nmt_rl.corpus.tokenizer import Tokenizers


@dataclass(frozen=True)
class Alignment:
    """Soft alignment of one pair of sentences; words are what stands between blanks."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: np.ndarray
    """float32 [target words, source words]: attention, the mean over a target word's pieces and the sum over a source
    word's; a row sums to 1 less what looks at the end of the source."""

    def pharaoh(self) -> str:
        """`i-j` for each target word j and the source word i it looks at most, from 0."""
        best = self.weights.argmax(axis=1) if self.source else ()
        return " ".join(f"{i}-{j}" for j, i in enumerate(best))

    def without_first(self) -> Alignment:
        """Of the source's other words: the first one is a tag."""
        return Alignment(self.source[1:], self.target, self.weights[:, 1:])

    def text(self, kind: Literal["pharaoh", "matrix"]) -> str:
        """One or the other."""
        return self.pharaoh() if kind == "pharaoh" else self.matrix()

    def matrix(self) -> str:
        """Words and weights as JSON, on one line."""
        weights = [[round(float(value), 4) for value in row] for row in self.weights]
        return json.dumps({"source": self.source, "target": self.target, "weights": weights}, ensure_ascii=False)


NOTHING = Alignment((), (), np.zeros((0, 0), "float32"))
"""Of a blank line."""
Attend = Callable[[list[list[int]], list[list[int]]], Sequence[np.ndarray]]
"""Attention float32 [target pieces or more, source pieces or more] of each pair of a sentence and a translation of it,
piece ids without EOS."""


def align_pairs(
    attend: Attend, tokenizers: Tokenizers, source: list[list[int]], target: list[list[int]]
) -> Iterator[Alignment]:
    """The alignment of each pair, piece ids without EOS, of one batch."""
    for row, column, weights in zip(source, target, attend(source, target), strict=True):
        yield align_words(tokenizers.source.pieces(row), tokenizers.target.pieces(column), weights)


def align_words(source: Sequence[str], target: Sequence[str], attention: np.ndarray) -> Alignment:
    """The alignment of words, from that of their pieces.

    Args:
        source, target: pieces, without the end symbol.
        attention: float [pieces of the target or more, pieces of the source or more].
    """
    source, target = (
        [SPACE if p else piece for p, piece in zip(parts_words(x), x, strict=True)] for x in (source, target)
    )
    rows, columns = word_starts(target), word_starts(source)
    weights = np.asarray(attention, "float32")[: len(target), : len(source)]
    if rows and columns:
        sizes = np.diff([*rows, len(target)])[:, None]
        weights = np.add.reduceat(np.add.reduceat(weights, columns, axis=1), rows, axis=0) / sizes
    words = [np.array(_words(side, starts), object) for side, starts in ((target, rows), (source, columns))]
    there = [np.flatnonzero(each != "") for each in words]  # What is a blank alone is no word.
    weights = weights.reshape(len(rows), len(columns))[np.ix_(*there)]
    return Alignment(tuple(words[1][there[1]]), tuple(words[0][there[0]]), weights)


def _words(pieces: Sequence[str], starts: list[int]) -> tuple[str, ...]:
    bounds = itertools.pairwise([*starts, len(pieces)])
    return tuple(spelled(pieces[i:j]).replace(SPACE, "") for i, j in bounds)
