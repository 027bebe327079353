"""Nearest-neighbour machine translation (Khandelwal et al., 2021): what the neighbours of a decoder state say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from nmt_rl.backend import dimension, gather

FAR = 1e9
"""Squared distance of a neighbour that there is not."""
REACH = 1.0
"""Mean first distances at which adaptive neighbours say nothing, whatever else is known. With 1.5, a memory of program
messages cost captions half a BLEU, with 1 a tenth (500 validation lines)."""


def squared_distances(queries: Any, keys: Any, exists: Any) -> Any:
    """||q - k||^2, float32 [batch, queries, keys]; FAR where there is no key.

    Args:
        queries: float32 [batch, queries, width].
        keys: float32 [batch, keys, width].
        exists: bool [batch, keys].
    """
    products = ops.matmul(queries, ops.transpose(keys, (0, 2, 1)))
    sizes = ops.sum(queries**2, axis=-1)[:, :, None] + ops.sum(keys**2, axis=-1)[:, None, :]
    return ops.where(exists[:, None, :], ops.maximum(sizes - 2 * products, 0.0), FAR)


def nearest(distances: Any, values: Any, count: int) -> tuple[Any, Any]:
    """The smallest distances, rising, and their values: [batch, queries, count] each.

    Args:
        distances: float32 [batch, queries, keys], at least `count` keys.
        values: int32 [batch, keys].
        count: of neighbours.
    """
    near, places = ops.top_k(-distances, count)
    flat = ops.reshape(ops.cast(places, "int32"), (-1, dimension(places, 1) * count))
    return -near, ops.reshape(gather(values, flat), (-1, dimension(places, 1), count))


def neighbour_weights(distances: Any, temperature: float) -> Any:
    """softmax(-d / temperature) over neighbours [..., count] (Khandelwal et al., 2021, equation 3); 0 without any."""
    exists = ops.cast(distances < FAR / 2, "float32")
    return ops.softmax(-distances / temperature, axis=-1) * exists


def distance_share(distances: Any, reach: float) -> Any:
    """max(0, 1 - d_1 / reach), [...], of rising distances [..., count]: the nearer the first neighbour, the more it
    says (Dai et al., 2023, equation 4)."""
    return ops.maximum(1.0 - distances[..., 0] / reach, 0.0)


def features(distances: Any, values: Any, weights: Any, log_probs: Any, scale: float) -> Any:
    """What the share of neighbours is judged by, float32 [..., 4]: 1; d_1 / scale; how much of the weights the piece of
    the first neighbour has; the largest log-probability of the model.

    Args:
        distances: rising, [..., count].
        values: int32 [..., count].
        weights: of `neighbour_weights`.
        log_probs: of the model, [..., vocab].
        scale: of distances.
    """
    first = ops.minimum(distances[..., 0], 100.0 * scale) / scale
    agreed = ops.sum(weights * ops.cast(values == values[..., :1], "float32"), axis=-1)
    return ops.stack([ops.ones_like(first), first, agreed, ops.max(log_probs, axis=-1)], axis=-1)


def adaptive_share(features: Any, weights: Any) -> Any:
    """sigmoid(weights . features) max(0, 1 - d_1 / (REACH scale)), [...]: learnt, after Zheng et al. (2021), by
    logistic regression in place of a network; nothing where nothing is near, which the memory's own pairs cannot
    teach."""
    near = ops.maximum(1.0 - features[..., 1] / REACH, 0.0)
    return near * ops.sigmoid(ops.sum(features * np.asarray(weights, "float32"), axis=-1))


def mixed(log_probs: Any, values: Any, weights: Any, share: Any) -> Any:
    """log((1 - share) p_model + share p_neighbours), float32 [rows, vocab] (Khandelwal et al., 2021, equation 2).

    Args:
        log_probs: of the model, float32 [rows, vocab].
        values: pieces of the neighbours, int32 [rows, count].
        weights: of the neighbours, float32 [rows, count]; without any the model's stay.
        share: float32 [rows], below 1.
    """
    rows, count = dimension(values, 0), values.shape[-1]
    share = ops.where(ops.sum(weights, axis=-1) > 0, share, 0.0)[:, None]
    row = ops.repeat(ops.arange(rows, dtype="int32"), count)
    index = ops.stack([row, ops.reshape(values, (-1,))], axis=-1)
    said = ops.scatter(index, ops.reshape(share * weights, (-1,)), (rows, log_probs.shape[-1]))
    return ops.log((1.0 - share) * ops.exp(log_probs) + said + math.exp(-87.0))
