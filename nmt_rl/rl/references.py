"""Cross-entropy on the references: the anchor of the Q-network, or pretraining continued as a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from nmt_rl.config import BatchConfig
from nmt_rl.corpus.batches import Batch
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.episode import Episode
from nmt_rl.rl.padding import corpus_pairs
from nmt_rl.rl.replay import Sampled
from nmt_rl.rl.term import Arrays, Numbers, Term
from nmt_rl.training.losses import CrossEntropy, with_positions


class ReferenceTerm(Term):
    """Smoothed cross-entropy on the references of the batch's sources, with dropout, as in pretraining.

    Args:
        model: the policy.
        corpus: encoded training pairs.
        label_smoothing: of pretraining.
        weight: of the term.
    """

    name = "reference"
    reported: ClassVar[str] = "cross_entropy"
    """Name of the negative log-likelihood among the numbers."""

    def __init__(self, model: Seq2Seq, corpus: EncodedCorpus, label_smoothing: float, weight: float) -> None:
        """See the class docstring."""
        self.corpus, self.weight, self._longest = corpus, weight, model.max_length
        self._cross_entropy = CrossEntropy(label_smoothing)

    def batch(self, sampled: Sampled, step: int) -> tuple[Arrays, Numbers]:
        """See Term.batch."""
        rows = self._pairs(sampled.episodes)
        return with_positions(rows, BatchConfig()), {"tokens": float(np.sum(rows.target_out != PAD))}

    def _pairs(self, episodes: Sequence[Episode]) -> Batch:
        """What is learnt from episodes."""
        sources = list(dict.fromkeys(episode.source_id for episode in episodes))
        return corpus_pairs(self.corpus, np.array(sources), self._longest)

    def size(self, arrays: Arrays) -> float:
        """See Term.size: pieces."""
        return float(np.count_nonzero(arrays["labels"] != PAD))

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """See Term.loss."""
        whole = {name: array for name, array in batch.items() if name != "share"}  # `Objective` takes it.
        found = self._cross_entropy(model, whole, training)
        return {"loss": found["loss"], self.reported: found["nll"]}
