"""Words before a source that tell a model what is wanted: a language, a domain."""

from __future__ import annotations

from pathlib import Path

from nmt_rl.corpus.tokenizer import SPACE, Tokenizers
from nmt_rl.errors import UserError


def must_know(folder: Path, tag: str) -> None:
    """Raise a UserError if a tag is no piece of a model's source side: it would be read as any other word."""
    tokenizer = Tokenizers.load(folder).source
    if tag not in (spelled := tokenizer.pieces(tokenizer.encode([tag])[0])):
        pieces = " ".join(piece for piece in spelled if piece != SPACE) or "nothing"
        raise UserError(
            f"--tag {tag!r} is no tag of {folder}, which would read {pieces}; give one that its corpus.train has as tag"
        )
