"""What a SentencePiece model says of itself besides its pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
USER_DEFINED = 4


@dataclass(frozen=True)
class Nature:
    """How a model was trained.

    Attributes:
        type: unigram, bpe, word or char.
        user_symbols: strings that are always one piece.
        blanks_behind: whether a piece holds the blank behind its word, not the one before.
    """

    type: str
    user_symbols: tuple[str, ...]
    blanks_behind: bool


def read_nature(model: bytes) -> Nature:
    """Of a serialised model that SentencePiece can load."""
    from sentencepiece import sentencepiece_model_pb2  # Protocol buffers take their time.

    messages: Any = sentencepiece_model_pb2
    proto = messages.ModelProto.FromString(model)
    trainer = proto.trainer_spec
    symbols = tuple(piece.piece for piece in proto.pieces if piece.type == USER_DEFINED)
    return Nature(TYPES[trainer.model_type], symbols, trainer.treat_whitespace_as_suffix)
