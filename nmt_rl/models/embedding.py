"""Source and target embeddings and the vocabulary projection, with their weights shared or not."""

from __future__ import annotations

import keras
from keras import ops

from nmt_rl.models.linear import product
from nmt_rl.models.seq2seq import Tensor


class Embeddings(keras.layers.Layer):
    """Embedding tables and softmax weights.

    Rows of the tables have norm 1 at first, which suits the softmax; an embedding is its row times sqrt(width) (Vaswani
    et al., 2017, section 3.4), so that the layer above sees values of size 1: an LSTM, too, learns much faster by it.

    Args:
        source_vocabulary, target_vocabulary: numbers of pieces; equal where `tie` is `all`.
        width: size of an embedding and of the decoder states that are projected.
        tie: `none`: three tables; `target`: target embedding and softmax share one (Press and Wolf, 2017);
            `all`: the source too (Vaswani et al., 2017, section 3.4).
    """

    def __init__(self, source_vocabulary: int, target_vocabulary: int, width: int, tie: str, name: str) -> None:
        """See the class docstring."""
        super().__init__(name=name, dtype="float32")
        self.product_dtype = keras.config.dtype_policy().compute_dtype
        if tie == "all" and source_vocabulary != target_vocabulary:
            raise ValueError(
                f"tie 'all' needs one vocabulary, found two of {source_vocabulary} and {target_vocabulary}"
            )
        self.sizes: tuple[int, int] = (source_vocabulary, target_vocabulary)
        self.width, self.tie = width, tie

    def build(self, input_shape: object = None) -> None:
        """Make the tables."""
        initializer = keras.initializers.RandomNormal(stddev=self.width**-0.5)
        self.target_table = self.add_weight(shape=(self.sizes[1], self.width), initializer=initializer, name="target")
        self.source_table = self.softmax_table = self.target_table
        if self.tie != "all":
            shape = (self.sizes[0], self.width)
            self.source_table = self.add_weight(shape=shape, initializer=initializer, name="source")
        if self.tie == "none":
            shape = (self.sizes[1], self.width)
            self.softmax_table = self.add_weight(shape=shape, initializer=initializer, name="softmax")
        self.built = True

    def multiplied(self) -> list[keras.Variable]:
        """What states are multiplied by."""
        return [self.softmax_table]

    def source(self, ids: Tensor) -> Tensor:
        """Embeddings float32 [..., width] of source ids int32 [...]."""
        return self._scaled(self.source_table, ids)

    def target(self, ids: Tensor) -> Tensor:
        """Embeddings float32 [..., width] of target ids int32 [...]."""
        return self._scaled(self.target_table, ids)

    def _scaled(self, table: Tensor, ids: Tensor) -> Tensor:
        return ops.take(table, ids, axis=0) * self.width**0.5

    def project(self, states: Tensor) -> Tensor:
        """Logits float32 [..., vocab] of states [..., width]."""
        return product(states, self.softmax_table, self.product_dtype, transposed=True)

    def logits_of(self, states: Tensor, pieces: Tensor) -> Tensor:
        """Logits float32 [n, k] of pieces int32 [n, k] for states [n, width], without the rest of the vocabulary."""
        return ops.sum(ops.take(self.softmax_table, pieces, axis=0) * states[:, None, :], axis=-1)

    def mean_logit(self, states: Tensor) -> Tensor:
        """Mean over the vocabulary of the logits, float32 [...]: the logit of the mean row, as logits are linear."""
        return ops.matmul(states, ops.mean(self.softmax_table, axis=0)[:, None])[..., 0]
