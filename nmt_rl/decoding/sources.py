"""Sources as a search takes them: their piece ids, cut to what a model reads, in batches of like length."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence

from nmt_rl.corpus.characters import plain
from nmt_rl.corpus.tokenizer import Tokenizer
from nmt_rl.decoding.marks import NOTHING, Marks

log = logging.getLogger("nmt_rl")

LONGEST_PIECE = 64
"""Characters that no piece exceeds (SentencePiece's own have 16 at most)."""


def batches_within(costs: Mapping[int, int], budget: int) -> Iterator[list[int]]:
    """Indices by rising cost, in batches whose size times largest cost stays in the budget; one index at least."""
    batch: list[int] = []
    for index in sorted(costs, key=costs.__getitem__):
        if batch and (len(batch) + 1) * costs[index] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def encode_sources(
    tokenizer: Tokenizer, lines: Sequence[str], limit: int, numbers: Sequence[int] = (), marks: Marks = NOTHING
) -> list[list[int]]:
    """Piece ids of each line without EOS, with marks in it, cut to `limit`, with a warning if it has a number; empty
    for a blank line."""
    most = LONGEST_PIECE * (limit + 1)
    texts = [beginning(line, most) for line in lines]
    sources = tokenizer.encode([marks.written(plain(text)) for text in texts])
    for number, line, text, source in zip(numbers, lines, texts, sources, strict=bool(numbers)):
        if len(source) > limit:
            count = f"{len(source)}" if text is line else f"more than {limit}"
            log.warning("line %d has %s pieces; only the first %d are translated", number, count, limit)
        elif text is not line and len(text) == most:  # such as unknown characters, any number of which are one piece
            log.warning("line %d has %d characters; only the first %d are translated", number, len(line), most)
    return [source[:limit] for source in sources]


def beginning(text: str, most: int) -> str:
    """The text itself, or of one with more characters its first words, so many characters of them.

    A line of a hundred megabytes must not be cut into pieces only to throw them away.
    """
    if len(text) <= most:
        return text
    words, length = [], 0
    for word in re.finditer(r"\S+", text):
        words.append(text[word.start() : min(word.end(), word.start() + most)])
        length += len(words[-1]) + 1
        if length > most:
            break
    return " ".join(words)[:most]
