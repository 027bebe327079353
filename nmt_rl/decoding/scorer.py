"""How probable a model finds given translations."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmt_rl.corpus.batches import pad_source
from nmt_rl.corpus.characters import plain
from nmt_rl.decoding.alignment import NOTHING, Alignment, align_pairs
from nmt_rl.decoding.attention import Attention
from nmt_rl.decoding.formats import read_pieces
from nmt_rl.decoding.marks import NOTHING as NO_MARKS
from nmt_rl.decoding.marks import Marks
from nmt_rl.decoding.penalties import length_penalty
from nmt_rl.decoding.sources import batches_within, encode_sources
from nmt_rl.decoding.task import Beginning, make_task
from nmt_rl.models.word_reward import rewarded

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig
    from nmt_rl.corpus.tokenizer import Tokenizers
    from nmt_rl.models.seq2seq import Seq2Seq

log = logging.getLogger("nmt_rl")


@dataclass(frozen=True)
class Score:
    """What a model says of one translation."""

    score: float
    """`log_prob` divided by the length penalty: what an n-best list shows."""
    log_prob: float
    """log p(translation | source) in nats, EOS included."""
    pieces: tuple[str, ...]
    """The translation in pieces, EOS last."""
    log_probs: tuple[float, ...]
    """Of each piece; they sum to `log_prob`."""
    alignment: Alignment | None = None
    """Of its words with the source's, if it was asked for."""


BLANK = Score(0.0, 0.0, (), (), NOTHING)
"""Of a blank line for a blank line, as a search scores it."""


class Scorer:
    """Scores translations by one teacher-forced pass.

    A text is scored in the pieces that the tokenizer cuts it into; a search may have found it in others, which can be
    given instead.

    Args:
        model: its current weights are used at each call.
        tokenizers: of the source and the target side.
        config: word reward, length penalty, limits, batch size.
        marks: what is written into sources.
    """

    def __init__(self, model: Seq2Seq, tokenizers: Tokenizers, config: DecodingConfig, marks: Marks = NO_MARKS) -> None:
        """See the class docstring."""
        self.tokenizers, self.config, self.max_length, self.marks = tokenizers, config, model.max_length, marks
        self._begin = Beginning(rewarded(model, config.word_reward))
        self._attend = Attention(model)

    def score(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        first_line: int = 1,
        align: bool = False,
        in_pieces: bool = False,
    ) -> list[Score]:
        """One score per pair, in order; what is too long is cut, as in translating, with a warning.

        Args:
            sources: sentences.
            targets: a translation of each.
            first_line: number of the first line, for warnings.
            align: give the alignments, too.
            in_pieces: the translations are pieces, divided by blanks.

        Raises:
            UserError: naming the line of what is no piece.
        """
        limit = min(self.config.max_source_length, self.max_length - 1)
        numbers = range(first_line, first_line + len(sources))
        rows = encode_sources(self.tokenizers.source, sources, limit, numbers, self.marks)
        columns = self._encode_targets(targets, first_line, in_pieces)
        found = [BLANK] * len(rows)
        for batch in self._batches(rows, columns):
            scores = self._score_batch([rows[i] for i in batch], [columns[i] for i in batch], align)
            for index, score in zip(batch, scores, strict=True):
                found[index] = score
        return found

    def _encode_targets(self, targets: Sequence[str], first_line: int, in_pieces: bool) -> list[list[int]]:
        """Piece ids of each line, without EOS."""
        limit, tokenizer = self.max_length - 1, self.tokenizers.target
        encoded = [] if in_pieces else tokenizer.encode([plain(target) for target in targets])
        for number, target in enumerate(targets if in_pieces else (), start=first_line):
            encoded.append(read_pieces(target, tokenizer, number))
        for number, ids in enumerate(encoded, start=first_line):
            if len(ids) > limit:
                log.warning("translation %d has %d pieces; only the first %d are scored", number, len(ids), limit)
        return [ids[:limit] for ids in encoded]

    def _batches(self, rows: list[list[int]], columns: list[list[int]]) -> Iterator[list[int]]:
        """Indices by length; padded pieces of the longer side stay in `batch_tokens`; not of pairs of blank lines."""
        pairs = enumerate(zip(rows, columns, strict=True))
        sizes = {i: max(len(row), len(column)) + 1 for i, (row, column) in pairs if row or column}
        return batches_within(sizes, self.config.batch_tokens)

    def _score_batch(self, rows: list[list[int]], columns: list[list[int]], align: bool) -> Iterator[Score]:
        given, config = pad_source(columns), self.config
        lengths = np.array([len(column) + 1 for column in columns])
        log_probs = self._begin.scored(make_task(pad_source(rows), 1, given, lengths))[1]
        alignments = self._align_batch(rows, columns) if align else itertools.repeat(None, len(rows))
        for ids, length, values, alignment in zip(given, lengths, log_probs, alignments, strict=True):
            each = tuple(float(value) for value in values[:length])
            total = float(np.sum(values[:length], dtype="float64"))
            divisor = length_penalty(float(length), config.length_penalty, config.length_normalization)
            pieces = tuple(self.tokenizers.target.pieces(ids[:length]))
            yield Score(total / divisor, total, pieces, each, alignment)

    def _align_batch(self, rows: list[list[int]], columns: list[list[int]]) -> Iterator[Alignment]:
        found = align_pairs(self._attend, self.tokenizers, rows, columns)
        return (each.without_first() for each in found) if self.marks.tag else found
