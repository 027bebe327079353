"""Cross-entropy with label smoothing."""

from __future__ import annotations

import numpy as np
from keras import ops

from nmt_rl.config import BatchConfig
from nmt_rl.corpus.batches import Batch, pad_mode
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.models.seq2seq import Seq2Seq, Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood -log softmax(z)_y in nats.

    Args:
        logits: float32 [tokens, vocab].
        labels: int32 [tokens].

    Returns:
        float32 [tokens].
    """
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def smoothed_cross_entropy(nll: Tensor, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with the mixture (1 - e) onehot(y) + e / V (Szegedy et al., 2016, section 7).

    (1 - e) nll + e (lse(z) - mean(z)) with lse(z) = nll + z_y gives nll + e (z_y - mean(z)): the softmax is only
    computed once.

    Args:
        nll: float32 [tokens], of `cross_entropy`.
        logits: float32 [tokens, vocab].
        labels: int32 [tokens].
        smoothing: e.

    Returns:
        float32 [tokens].
    """
    chosen = ops.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]
    return nll + smoothing * (chosen - ops.mean(logits, axis=-1))


def with_positions(batch: Batch, config: BatchConfig) -> dict[str, np.ndarray]:
    """What `CrossEntropy` reads: `source`, `target_in`, the flat `positions` of real target tokens and
    their `labels`, both int32 [tokens].

    The vocabulary projection, half of the work of a small model, then sees no padding. Where shapes must be few
    (buckets), all positions are kept and PAD labels weigh nothing.
    """
    labels = batch.target_out.reshape(-1)
    if pad_mode(config) == "buckets":
        positions = np.arange(len(labels), dtype="int32")
    else:
        positions = np.flatnonzero(labels != PAD).astype("int32")
    return {
        "source": batch.source,
        "target_in": batch.target_in,
        "positions": positions,
        "labels": labels[positions],
    }


class CrossEntropy:
    """The pretraining objective: mean smoothed cross-entropy per target token.

    Args:
        smoothing: label smoothing e.
    """

    def __init__(self, smoothing: float) -> None:
        """See the class docstring."""
        self.smoothing = smoothing

    def __call__(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """`loss` (smoothed), `nll`, both in nats per token, and `tokens`, for a batch of `with_positions`."""
        states = model.decode_states(batch["target_in"], model.encode(batch["source"], training), training).states
        states = ops.take(ops.reshape(states, (-1, states.shape[-1])), batch["positions"], axis=0)
        logits, labels = model.project(states), batch["labels"]
        weights = ops.cast(ops.not_equal(labels, PAD), "float32")
        tokens = ops.maximum(ops.sum(weights), 1.0)
        nll = cross_entropy(logits, labels)
        loss = smoothed_cross_entropy(nll, logits, labels, self.smoothing) if training and self.smoothing else nll
        return {"loss": ops.sum(loss * weights) / tokens, "nll": ops.sum(nll * weights) / tokens, "tokens": tokens}
