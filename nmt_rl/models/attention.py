"""Attention: multi-head for the Transformer, soft attention with coverage for the LSTM."""

from __future__ import annotations

import keras
from keras import ops

from nmt_rl.backend import dimension
from nmt_rl.models.linear import Linear
from nmt_rl.models.seq2seq import Tensor

BLOCKED = -1e9
"""Added to scores that must get no weight; finite, so that fully masked padding rows stay finite."""


def mask_bias(mask: Tensor) -> Tensor:
    """Additive float32 bias, 0 where the bool mask is true and BLOCKED where it is not."""
    return (1.0 - ops.cast(mask, "float32")) * BLOCKED


def causal_bias(length: Tensor) -> Tensor:
    """Additive bias float32 [1, 1, length, length] that blocks the future."""
    position = ops.arange(length)
    return mask_bias(position[None, :] <= position[:, None])[None, None]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[batch, time, heads * size] -> [batch, heads, time, size]."""
    return ops.transpose(ops.reshape(x, (-1, dimension(x, 1), heads, x.shape[2] // heads)), (0, 2, 1, 3))


def merge_heads(x: Tensor, heads: int) -> Tensor:
    """[batch, heads, time, size] -> [batch, time, heads * size]; a graph need not know the number of heads."""
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, dimension(x, 2), heads * x.shape[3]))


def dot_attention(
    query: Tensor, keys: Tensor, values: Tensor, bias: Tensor, dropout: keras.layers.Layer, training: bool
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention (Vaswani et al., 2017, eq. 1).

    Args:
        query: [batch, heads, time, size].
        keys: [batch, heads, source, size], already divided by sqrt(size).
        values: [batch, heads, source, size].
        bias: additive, broadcastable to [batch, heads, time, source].

    Returns:
        Context [batch, heads, time, size] and weights float32 [batch, heads, time, source].
    """
    scores = ops.cast(ops.einsum("bhqd,bhkd->bhqk", query, keys), "float32") + bias
    weights = ops.softmax(scores, axis=-1)
    return ops.matmul(dropout(ops.cast(weights, values.dtype), training=training), values), weights


def parted_attention(
    query: Tensor, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], bias: Tensor
) -> Tensor:
    """`dot_attention` on keys and values in two parts, which are not joined, because that would copy them.

    Args:
        query: [batch, heads, time, size].
        first, second: keys, already divided by sqrt(size), and values, [batch, heads, length, size] each.
        bias: additive, of the first and then the second, broadcastable to [batch, heads, time, sum of the lengths].

    Returns:
        Context [batch, heads, time, size].
    """
    scores = [ops.einsum("bhqd,bhkd->bhqk", query, keys) for keys, _ in (first, second)]
    both = ops.cast(ops.concatenate(scores, axis=-1), "float32") + bias
    weights, length = ops.cast(ops.softmax(both, axis=-1), query.dtype), dimension(first[0], 2)
    return ops.matmul(weights[..., :length], first[1]) + ops.matmul(weights[..., length:], second[1])


def weighted(scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of values [batch, source, units] by the softmax of scores [batch, n, source], and that softmax."""
    weights = ops.softmax(scores, axis=-1)
    return ops.matmul(weights, values), weights


class SoftAttention(keras.layers.Layer):
    """Attention of an LSTM decoder (Luong et al., 2015; Bahdanau et al., 2015), with optional coverage.

    Args:
        kind: score of query s and encoder state h: `additive` W2 tanh(W1 [s; h]), `bilinear` s W h, `dot` s h.
        units: width of the query; for `dot` and `bilinear` the scores are over this width.
        hidden: hidden units of the additive score.
        coverage: feed the sum of past weights into the score (See et al., 2017, eq. 11; for `dot` and `bilinear`
            through one learned weight).
    """

    def __init__(self, kind: str, units: int, hidden: int, coverage: bool, name: str) -> None:
        """See the class docstring."""
        super().__init__(name=name, dtype="float32")
        self.kind, self.units, self.hidden, self.coverage = kind, units, hidden, coverage
        self.key_layer = None
        if kind == "additive":
            self.key_layer = Linear(hidden, use_bias=False, name="keys")
            self.query_layer = Linear(hidden, name="query")
        elif kind == "bilinear":
            self.key_layer = Linear(units, use_bias=False, name="keys")

    def build(self, units: int) -> None:
        """Make the weights; `units` is the width of encoder states and query alike."""
        if self.key_layer is not None:
            self.key_layer.build(units)
        if self.kind == "additive":
            self.query_layer.build(units)
            self.score_weight = self.add_weight(shape=(self.hidden, 1), name="score")
        if self.coverage:
            size = self.hidden if self.kind == "additive" else 1
            self.coverage_weight = self.add_weight(shape=(size,), initializer="zeros", name="coverage")
        self.built = True

    def keys(self, states: Tensor) -> Tensor:
        """What every query is compared with: computed once per source, [batch, source, hidden or units]."""
        return self.key_layer(states) if self.key_layer is not None else states

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, bias: Tensor, covered: Tensor | None) -> Tensor:
        """Context and weights for several queries per source.

        Args:
            query: [batch, beam, units].
            keys: of `keys`, [batch, source, ...].
            values: encoder states [batch, source, units].
            bias: additive [batch, source].
            covered: sum of past weights [batch, beam, source], if the layer has coverage.

        Returns:
            (context [batch, beam, units], weights [batch, beam, source])
        """
        return weighted(self.scores(query, keys, bias, covered), values)

    def scores(self, query: Tensor, keys: Tensor, bias: Tensor, covered: Tensor | None) -> Tensor:
        """Logarithms of the weights but for a constant of each query, [batch, beam, source]; see `attend`."""
        if self.kind == "additive":
            hidden = keys[:, None] + self.query_layer(query)[:, :, None]
            if covered is not None:
                hidden = hidden + covered[..., None] * ops.convert_to_tensor(self.coverage_weight)
            scores = ops.matmul(ops.tanh(hidden), ops.convert_to_tensor(self.score_weight))[..., 0]
        else:
            scores = ops.matmul(query, ops.transpose(keys, (0, 2, 1)))
            if covered is not None:
                scores = scores + covered * ops.convert_to_tensor(self.coverage_weight)
        return scores + bias[:, None]
