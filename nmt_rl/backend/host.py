"""Functions of NumPy arrays, called from inside compiled ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nmt_rl.backend.loading import is_jax


def call_host(function: Callable[..., Any], results: Sequence[tuple[str, int | None]], *arrays: Any) -> list[Any]:
    """What a function of NumPy arrays gives: arrays [rows, width], rows as those of the first array.

    Args:
        function: of arrays to a tuple of arrays; the same for the same arguments.
        results: type and width of each; None, on TensorFlow only: of any width.
        arrays: tensors.
    """
    if is_jax():
        import jax

        rows = arrays[0].shape[0]
        shapes = tuple(jax.ShapeDtypeStruct((rows, width), dtype) for dtype, width in results)
        return list(jax.pure_callback(function, shapes, *arrays))
    import tensorflow as tf

    found = tf.numpy_function(function, arrays, [tf.as_dtype(dtype) for dtype, _ in results], stateful=False)
    return [tf.ensure_shape(x, (None, width)) for x, (_, width) in zip(found, results, strict=True)]
