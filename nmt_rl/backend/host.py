"""Functions of NumPy arrays, called from inside compiled ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nmt_rl.backend.loading import is_jax


def call_host(function: Callable[..., Any], width: int, *arrays: Any) -> tuple[Any, Any]:
    """What a function of NumPy arrays gives: float32 and int32 [rows, width], rows as those of the first array.

    Args:
        function: of arrays to two arrays; the same for the same arguments.
        width: of both.
        arrays: tensors.
    """
    if is_jax():
        import jax

        rows = arrays[0].shape[0]
        shapes = tuple(jax.ShapeDtypeStruct((rows, width), dtype) for dtype in (np.float32, np.int32))
        first, second = jax.pure_callback(function, shapes, *arrays)
        return first, second
    import tensorflow as tf

    first, second = tf.numpy_function(function, arrays, (tf.float32, tf.int32), stateful=False)
    return tf.ensure_shape(first, (None, width)), tf.ensure_shape(second, (None, width))
