"""Functions and updates, compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras

from nmt_rl.backend.devices import device_count, device_names, to_device
from nmt_rl.backend.loading import is_jax


def compile_fn(function: Callable[..., Any], *models: keras.Model) -> Callable[..., Any]:
    """Compile a function of arrays that reads the variables of `models` but changes none.

    Args:
        function: takes and returns pytrees of tensors; reads the models through closure.
        models: every model or layer whose variables the function reads; their current values are used at each call.

    Returns:
        A function of NumPy arrays or tensors that returns tensors. One trace serves all shapes on TensorFlow; JAX
        compiles once per shape.
    """
    if is_jax():
        return _compile_jax(function, models)
    return _compile_tensorflow(function)


def compile_update(learner: keras.Model) -> Callable[[Any], dict[str, Any]]:
    """One update: a function of a batch (pytree of arrays) that returns what the learner does.

    And `skipped`, 1 if gradient or loss were not finite: weights and optimizer are as before, then. (Of float16, whose
    loss scaling skips updates by itself, it is 0.)

    Keras' own trainer traces for the first shapes it sees and again for others, on TensorFlow. A resumed run sees other
    shapes first than an uninterrupted one, and graphs for other shapes round otherwise; so one trace serves all shapes.

    On JAX it is a step over the state as a tree, whose memory is used again for the new one; it returns before it is
    computed, and nothing is waited for but what the caller looks at.

    Args:
        learner: a compiled model whose outputs are scalars, of which `loss` is minimised; its optimizer is built.
    """
    return _update_jax(learner) if is_jax() else _update_tensorflow(learner)


def _update_tensorflow(learner: keras.Model) -> Callable[[Any], dict[str, Any]]:
    def update(batch: Any) -> dict[str, Any]:
        outputs, gradients = _outputs_and_gradients(learner, batch)
        return outputs | {"skipped": _apply_finite(learner, gradients, outputs["loss"])}

    return update if learner.run_eagerly else _compile_tensorflow(update)


def _outputs_and_gradients(learner: keras.Model, batch: Any) -> tuple[Any, list[Any]]:
    """Of a batch, on TensorFlow; gradients of the scaled loss."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        outputs = learner(batch, training=True)
        loss = learner.optimizer.scale_loss(outputs["loss"])
    weights = [v.value for v in learner.trainable_variables]
    return outputs, tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _apply_finite(learner: keras.Model, gradients: Sequence[Any], loss: Any) -> Any:
    """Have the optimizer apply gradients on TensorFlow if they and the loss are finite; whether not, float32 []."""
    import tensorflow as tf

    def apply() -> Any:
        learner.optimizer.apply(gradients, learner.trainable_variables)
        return tf.constant(0.0)

    if _skips_itself(learner):
        return apply()
    parts = (g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients)
    squares = tf.add_n([tf.nn.l2_loss(part) for part in parts])
    finite = tf.math.is_finite(squares) & tf.math.is_finite(loss)
    return tf.cond(finite, apply, lambda: tf.constant(1.0))


def _skips_itself(learner: keras.Model) -> bool:
    return isinstance(learner.optimizer, keras.optimizers.LossScaleOptimizer)


def _update_jax(learner: keras.Model) -> Callable[[Any], dict[str, Any]]:
    import jax

    gradient, applied = jax.grad(_scaled_loss(learner), has_aux=True), _applied_finite(learner)

    def step(weights: Any, others: Any, state: Any, batch: Any) -> tuple[Any, Any, Any, Any]:
        found, (outputs, others) = gradient(weights, others, state, batch)
        weights, state, skipped = applied(state, found, weights, outputs["loss"])
        return weights, others, state, outputs | {"skipped": skipped}

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    parts = (learner.trainable_variables, learner.non_trainable_variables, learner.optimizer.variables)

    def update(batch: Any) -> dict[str, Any]:
        *new, outputs = compiled(*(_values(part) for part in parts), to_device(batch))
        for variables, values in zip(parts, new, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable._direct_assign(value)  # Of its own shape and type; `assign` would look, hundreds of times.
        return outputs

    return update


def _applied_finite(learner: keras.Model) -> Callable[..., tuple[Any, Any, Any]]:
    """A function of the optimizer's state, gradients, weights and the loss: new weights and state, those that were if
    gradients or loss are not finite; and whether they are not, float32 []."""
    import jax
    from jax import numpy as jnp

    def applied(state: Any, gradients: Any, weights: Any, loss: Any) -> tuple[Any, Any, Any]:
        new = learner.optimizer.stateless_apply(state, gradients, weights)
        if _skips_itself(learner):
            return *new, jnp.zeros(())
        finite = jnp.isfinite(sum(jnp.sum(jnp.square(gradient)) for gradient in gradients)) & jnp.isfinite(loss)
        kept = jax.tree.map(lambda after, before: jnp.where(finite, after, before), new, (weights, state))
        return *kept, 1.0 - finite

    return applied


def _scaled_loss(learner: keras.Model) -> Callable[..., tuple[Any, Any]]:
    """A function of weights, other variables, the optimizer's and a batch: its loss, outputs and other variables."""
    optimizer = learner.optimizer

    def scaled(weights: Any, others: Any, state: Any, batch: Any) -> tuple[Any, Any]:
        outputs, others = learner.stateless_call(weights, others, batch, training=True)
        with keras.StatelessScope(state_mapping=zip(optimizer.variables, state, strict=True)):
            return optimizer.scale_loss(outputs["loss"]), (outputs, others)

    return scaled


def _values(variables: Any) -> list[Any]:
    return [v.value for v in variables]


def in_chunks(function: Callable[..., Any], chunk: int, *arrays: Any) -> Any:
    """function(*arrays), row by row on its own, in chunks of rows whose intermediate results are computed once more for
    the gradient, so that memory holds those of one chunk.

    On TensorFlow, which leaves the number of rows open, all rows are one chunk.

    Args:
        function: from arrays [rows, ...] to a pytree of arrays [rows, ...].
        chunk: rows of a chunk.
        arrays: [rows, ...] each; those of the last chunk are filled up with zeros.
    """
    if not is_jax() or arrays[0].shape[0] <= chunk:
        return function(*arrays)
    import jax
    from jax import numpy as jnp

    rows = arrays[0].shape[0]
    chunks = -(-rows // chunk)

    def divided(x: Any) -> Any:
        # A chunk takes every so-manieth row, so that it is divided among devices as the rows are.
        filled = jnp.pad(x, [(0, chunks * chunk - rows)] + [(0, 0)] * (x.ndim - 1))
        return filled.reshape(chunk, chunks, *x.shape[1:]).swapaxes(0, 1)

    found = jax.lax.map(lambda parts: jax.checkpoint(function)(*parts), tuple(map(divided, arrays)))
    return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(chunks * chunk, *x.shape[2:])[:rows], found)


def recomputed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose intermediate results are not kept for the gradient but computed once more.

    Args:
        function: of arrays that the gradient goes through; variables may be read through closure.
    """
    if is_jax():
        import jax

        return jax.checkpoint(function)
    import tensorflow as tf

    return tf.recompute_grad(function)


Gradients = Callable[[Sequence[Any]], tuple[list[Any], list[Any]]]
"""A function of the batches of an update: what the learner says of each, and the sum of their gradients."""


def compile_accumulation(learner: keras.Model) -> tuple[Gradients, Callable[[Any, Any], Any]]:
    """The two halves of an update, for one that is made of several batches.

    Args:
        learner: a compiled model whose outputs are scalars, of which `loss` is minimised; its optimizer is built.

    Returns:
        A function of batches that returns the learner's outputs for each and the gradients of their scaled losses'
        sum; and one that has the optimizer apply such gradients, given the sum of the losses, and returns `skipped` as
        an update does. On TensorFlow with several devices each computes its own of the batches.
    """
    return _accumulation_jax(learner) if is_jax() else _accumulation_tensorflow(learner)


def _accumulation_tensorflow(learner: keras.Model) -> tuple[Gradients, Callable[[Any, Any], Any]]:
    import tensorflow as tf

    def at_once(*batches: Any) -> tuple[list[Any], list[Any]]:
        found = []
        for device, batch in zip(device_names(), batches, strict=False):
            with tf.device(device):
                outputs, gradients = _outputs_and_gradients(learner, batch)
                found.append((outputs, [tf.convert_to_tensor(gradient) for gradient in gradients]))
        return [outputs for outputs, _ in found], _added(gradients for _, gradients in found)

    def apply(gradients: Any, loss: Any) -> Any:
        return _apply_finite(learner, gradients, loss)

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        return function if learner.run_eagerly else _compile_tensorflow(function)

    by_number: dict[int, Callable[..., Any]] = {}

    def gradients(batches: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        each: list[Any] = []

        def found() -> Iterator[list[Any]]:
            for first in range(0, len(batches), device_count()):
                several = batches[first : first + device_count()]
                outputs, own = by_number.setdefault(len(several), compiled(at_once))(*several)
                each.extend(outputs)
                yield own

        return each, _added(found())

    return gradients, apply if learner.run_eagerly else tf.function(apply, autograph=False)


def _added(gradients: Iterable[list[Any]]) -> list[Any]:
    """The sums of several batches' gradients, of which no more than one is kept beside them."""
    return functools.reduce(lambda sums, more: [x + y for x, y in zip(sums, more, strict=True)], gradients)


def _accumulation_jax(learner: keras.Model) -> tuple[Gradients, Callable[[Any, Any], Any]]:
    import jax

    optimizer = learner.optimizer
    compiled = jax.jit(jax.grad(_scaled_loss(learner), has_aux=True))
    applied = jax.jit(_applied_finite(learner))

    def assign(variables: Any, new: Any) -> None:
        for variable, value in zip(variables, new, strict=True):
            variable.assign(value)

    def gradients(batches: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        others = learner.non_trainable_variables
        each: list[Any] = []

        def found() -> Iterator[list[Any]]:
            for batch in batches:
                state = (_values(learner.trainable_variables), _values(others), _values(optimizer.variables))
                own, (outputs, after) = compiled(*state, to_device(batch))
                assign(others, after)  # Such as the seeds of dropout.
                each.append(outputs)
                yield own

        return each, _added(found())

    def apply(gradients: Any, loss: Any) -> Any:
        weights = learner.trainable_variables
        new, state, skipped = applied(_values(optimizer.variables), gradients, _values(weights), loss)
        assign([*weights, *optimizer.variables], [*new, *state])
        return skipped

    return gradients, apply


def _compile_tensorflow(function: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    compiled: Any = None

    def call(*args: Any) -> Any:
        nonlocal compiled
        tensors = keras.tree.map_structure(tf.convert_to_tensor, args)
        if compiled is None:
            # All dimensions but widths are left open, so that one trace serves all shapes.
            specs = keras.tree.map_structure(_open_spec, tensors)
            compiled = tf.function(function, input_signature=specs, autograph=False)
        return compiled(*tensors)

    return call


def _open_spec(tensor: Any) -> Any:
    """Widths stay known: the last dimension of three or more, unless it holds ids."""
    import tensorflow as tf

    rank = tensor.shape.rank
    if rank < 3 or not tensor.dtype.is_floating:
        return tf.TensorSpec([None] * rank, tensor.dtype)
    return tf.TensorSpec([None] * (rank - 1) + [tensor.shape[-1]], tensor.dtype)


def _compile_jax(function: Callable[..., Any], models: tuple[keras.Model, ...]) -> Callable[..., Any]:
    import jax

    variables = [v for model in models for v in model.variables]

    @jax.jit
    def pure(values: list[Any], args: tuple[Any, ...]) -> Any:
        with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
            return function(*args)

    def call(*args: Any) -> Any:
        return pure(
            [v.value for v in variables], keras.tree.map_structure(jax.numpy.asarray, to_device(args, read=True))
        )

    return call
