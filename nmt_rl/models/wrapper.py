"""A model around another one, which it only gives other logits."""

from __future__ import annotations

import numpy as np

from nmt_rl.models.insight import Insight
from nmt_rl.models.seq2seq import Cache, DecoderStates, Encoded, Seq2Seq, Tensor


class Wrapper(Seq2Seq):
    """Reads and writes as its base does; `project`, `logits_of` and `mean_logit` are for those that inherit from it.

    Args:
        base: the model.
        name: of this one.
    """

    def __init__(self, base: Seq2Seq, name: str) -> None:
        """See the class docstring."""
        super().__init__(name=name, dtype="float32")
        self.base, self.max_length, self.embeddings = base, base.max_length, base.embeddings

    @property
    def width(self) -> int:
        """See Seq2Seq.width."""
        return self.base.width

    def encode(self, source: Tensor, training: bool = False, packed: bool = False) -> Encoded:
        """See Seq2Seq.encode."""
        return self.base.encode(source, training, packed)

    def decode_states(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> DecoderStates:
        """See Seq2Seq.decode_states."""
        return self.base.decode_states(target_in, encoded, training)

    def recall(self, source: np.ndarray) -> dict[str, Tensor]:
        """See Seq2Seq.recall."""
        return self.base.recall(source)

    def start(self, encoded: Encoded, room: Tensor, beam: int = 1) -> Cache:
        """See Seq2Seq.start."""
        return self.base.start(encoded, room, beam)

    def resume(
        self, target_in: Tensor, encoded: Encoded, rows: Tensor, times: Tensor, room: Tensor, beam: int = 1
    ) -> tuple[Tensor, Cache]:
        """See Seq2Seq.resume."""
        return self.base.resume(target_in, encoded, rows, times, room, beam)

    def step_states(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Tensor, Cache]:
        """See Seq2Seq.step_states."""
        return self.base.step_states(tokens, cache)

    def inspect(self, source: np.ndarray, target_in: np.ndarray) -> Insight:
        """See Seq2Seq.inspect; with this one's logits."""
        seen = self.base.inspect(source, target_in)
        return seen._replace(logits=self.project(seen.states))
