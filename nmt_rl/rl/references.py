"""Cross-entropy on the references: the anchor of the Q-network, or pretraining continued as a baseline."""

from __future__ import annotations

import numpy as np

from nmt_rl.config import BatchConfig
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.term import Arrays, Drawn, Numbers, Term
from nmt_rl.training.losses import CrossEntropy, with_positions


class ReferenceTerm(Term):
    """Smoothed cross-entropy on the references of the batch, with dropout, as in pretraining.

    Args:
        label_smoothing: of pretraining.
        weight: of the term.
    """

    name = "reference"

    def __init__(self, label_smoothing: float, weight: float) -> None:
        """See the class docstring."""
        self.weight = weight
        self._cross_entropy = CrossEntropy(label_smoothing)

    def batch(self, drawn: Drawn) -> tuple[Arrays, Numbers]:
        """See Term.batch."""
        arrays = with_positions(drawn.rows, BatchConfig())
        return arrays, {"tokens": float(np.sum(drawn.rows.target_out != PAD))}

    def size(self, arrays: Arrays) -> float:
        """See Term.size: pieces."""
        return float(np.count_nonzero(arrays["labels"] != PAD))

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """See Term.loss."""
        found = self._cross_entropy(model, batch, training)
        return {"loss": found["loss"], "cross_entropy": found["nll"]}
