"""Which pieces make up a word: one stands between blanks."""

from __future__ import annotations

from collections.abc import Sequence

from nmt_rl.corpus.tokenizer import SPACE


def word_starts(pieces: Sequence[str]) -> list[int]:
    """Where words begin: at the first piece and at pieces with SentencePiece's sign of a blank.

    A blank that is a piece of its own belongs to the word behind it.
    """
    alone = [i > 0 and pieces[i - 1] == SPACE for i in range(len(pieces))]
    return [i for i, piece in enumerate(pieces) if i == 0 or (piece.startswith(SPACE) and not alone[i])]
