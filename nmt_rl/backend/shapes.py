"""Sizes and places in tensors, without the operations that `keras.ops` adds."""

from __future__ import annotations

from typing import Any

import keras

from nmt_rl.backend.loading import is_jax


def dimension(x: Any, axis: int) -> Any:
    """Size of one axis of a tensor: an int where it is known, else an int32 [] tensor.

    `ops.shape` takes all open dimensions apart, and each costs TensorFlow five operations, which have to be traced.
    """
    known = x.shape[axis]
    if known is not None:
        return known
    import tensorflow as tf

    return tf.shape(x)[axis]


def gather_rows(values: Any, index: Any) -> Any:
    """values[index]: [*index, ...] of values [rows, ...] and int32 indices of any shape that are not negative.

    Without `ops.take`'s question whether they are, which costs TensorFlow ten operations to trace and to run.
    """
    if is_jax():
        return keras.ops.take(values, index, axis=0)
    import tensorflow as tf

    return tf.gather(values, index)


def gather(values: Any, index: Any, axis: int = 1) -> Any:
    """values[b, ..., index[b, i], ...], each row of a batch with its own indices, which are not negative.

    Args:
        values: [batch, ...].
        index: int32 [batch, i].
        axis: of `values` that is indexed, at least 1.
    """
    if is_jax():
        import jax

        return jax.vmap(lambda row, places: jax.numpy.take(row, places, axis=axis - 1))(values, index)
    import tensorflow as tf

    return tf.gather(values, index, axis=axis, batch_dims=1)
