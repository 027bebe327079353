"""A loop over time whose outputs need not look like its states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from nmt_rl.backend.loading import is_jax


def scan(step: Callable[[Any, Any], tuple[Any, Any]], states: Any, inputs: Any) -> tuple[Any, Any]:
    """The last states, and all outputs one after the other, [time, ...] each.

    Keras' own, on TensorFlow, can only give back what has the shapes of the states.

    Args:
        step: from states and one time's inputs to new states, of the same shapes, and outputs.
        states: pytree of arrays, the first ones.
        inputs: pytree of arrays [time, ...], of one time at least.
    """
    if is_jax():
        import jax

        last, outputs = jax.lax.scan(step, states, inputs)
        return last, outputs
    import tensorflow as tf

    flat = [tf.convert_to_tensor(x) for x in keras.tree.flatten(inputs)]
    times = tf.shape(flat[0])[0]
    # Not slices: the gradient of each would be as large as all of them.
    arrays = [tf.TensorArray(x.dtype, size=times, element_shape=x.shape[1:]).unstack(x) for x in flat]

    def inputs_at(time: Any) -> Any:
        return keras.tree.pack_sequence_as(inputs, [array.read(time) for array in arrays])

    states = keras.tree.map_structure(tf.convert_to_tensor, states)
    # Traced once for the shapes of the outputs; TensorFlow leaves out what nothing comes of.
    like = step(states, keras.tree.pack_sequence_as(inputs, [x[0] for x in flat]))[1]
    outputs = [tf.TensorArray(y.dtype, size=times, element_shape=y.shape) for y in keras.tree.flatten(like)]

    def body(time: Any, states: Any, outputs: list[Any]) -> tuple[Any, Any, list[Any]]:
        states, now = step(states, inputs_at(time))
        written = [array.write(time, y) for array, y in zip(outputs, keras.tree.flatten(now), strict=True)]
        return time + 1, states, written

    _, states, outputs = tf.while_loop(lambda time, *_: time < times, body, (0, states, outputs))
    return states, keras.tree.pack_sequence_as(like, [array.stack() for array in outputs])
