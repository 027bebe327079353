"""What the lines of a source hold and how translations are written: text, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nmt_rl.corpus.tokenizer import BOS, EOS, PAD
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.corpus.tokenizer import Tokenizer
    from nmt_rl.decoding.alignment import Alignment
    from nmt_rl.decoding.translator import Hypothesis, Translation


class Item(NamedTuple):
    """A line of the source."""

    text: str
    others: dict[str, Any]
    """What else a line of JSON holds; it is given back."""


def plain_items(lines: Iterable[str]) -> Iterator[Item]:
    """Lines that are text."""
    return (Item(line, {}) for line in lines)


def json_items(lines: Iterable[str], name: str) -> Iterator[Item]:
    """Lines that are JSON: a string, or an object whose `text` is one. A blank line is blank text.

    Raises:
        UserError: naming the line of what is none.
    """
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line) if line.strip() else ""
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else "it is too large or nested too deeply"
            raise UserError(f"{name} line {number} is not JSON: {why}") from None
        others = value if isinstance(value, dict) else {"text": value}
        text = others.pop("text", None)
        if not isinstance(text, str):
            raise UserError(f'{name} line {number} should be a string or hold one, {{"text": "..."}}')
        yield Item(text, others)


def read_pieces(line: str, tokenizer: Tokenizer, number: int) -> list[int]:
    """Piece ids, without EOS, of a line that `Format.pieces` wrote.

    Args:
        line: pieces, divided by blanks.
        tokenizer: of the target side.
        number: of the line, for messages.

    Raises:
        UserError: naming what is no piece.
    """
    try:
        ids = tokenizer.ids_of(line.split())
    except ValueError as error:
        raise UserError(f"translation {number} holds {str(error)!r}, which is no piece of the model") from None
    ids = ids[:-1] if ids[-1:] == [EOS] else ids  # score --tokens writes it, too.
    if control := {PAD, BOS, EOS} & set(ids):
        (piece,) = tokenizer.pieces([min(control)])
        raise UserError(f"translation {number} holds {piece}, which cannot stand within a translation")
    return ids


@dataclass(frozen=True)
class Format:
    """How translations are written."""

    nbest: int | None = None
    """So many of the best hypotheses of each line, with their scores, counting lines from 0; None: the best alone."""
    pieces: bool = False
    """Pieces, divided by blanks, as `score_stream` reads them, instead of text."""
    scores: bool = False
    """Also score and confidence of each line, by tabs."""
    alignment: Literal["pharaoh", "matrix"] | None = None
    """Also the alignment of each translation with its source, last."""
    json: bool = False
    """An object for each line, with all of this."""

    def lines(
        self, items: Sequence[Item], found: Sequence[Translation], alignments: Sequence[Alignment], first: int
    ) -> Iterator[str]:
        """What is written.

        Args:
            items: lines of the source.
            found: their translations.
            alignments: of all their hypotheses, in order; none if there is no alignment.
            first: number of the first line, from 0.
        """
        remaining = iter(alignments)
        for number, (item, each) in enumerate(zip(items, found, strict=True), start=first):
            pairs = [(best, next(remaining, None)) for best in each.nbest]
            if self.json:
                yield json.dumps(self._object(item, pairs), ensure_ascii=False)
            elif self.nbest is None:
                yield ("\t" if self.scores else " ||| ").join(self._columns(*pairs[0]))
            else:
                yield from (" ||| ".join([str(number), *self._columns(*pair)]) for pair in pairs)

    def _columns(self, best: Hypothesis, alignment: Alignment | None) -> list[str]:
        columns = [" ".join(best.pieces) if self.pieces else best.text]
        if self.scores or self.nbest is not None:
            columns.append(f"{best.score:.4f}")
        if self.scores:
            columns.append(f"{best.confidence:.4f}")
        return columns if alignment is None or self.alignment is None else [*columns, alignment.text(self.alignment)]

    def _object(self, item: Item, pairs: list[tuple[Hypothesis, Alignment | None]]) -> dict[str, Any]:
        several = [self._facts(*pair) for pair in pairs]
        return {**item.others, **several[0], **({} if self.nbest is None else {"nbest": several})}

    def _facts(self, best: Hypothesis, alignment: Alignment | None) -> dict[str, Any]:
        facts: dict[str, Any] = {"text": best.text, "score": _rounded(best.score)}
        facts["confidence"] = _rounded(best.confidence)
        if self.pieces:
            facts["pieces"] = best.pieces
        if alignment is not None and self.alignment is not None:
            text = alignment.text(self.alignment)
            facts["alignment"] = text if self.alignment == "pharaoh" else json.loads(text)
        return facts


TEXT = Format()
"""Each line's translation."""


def _rounded(number: float) -> float:
    return round(float(number), 6)
