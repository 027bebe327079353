"""Gradients and log-probabilities by other means than the package's, on whichever backend runs."""

import keras
import numpy as np


def taken_log_probs(logits, tokens):
    """log softmax(z)_a of the pieces taken, by Keras."""
    return -keras.ops.sparse_categorical_crossentropy(tokens, logits, from_logits=True)


def value_and_gradient(function, x):
    """function(x) and d function / d x at a float32 array."""
    x = np.asarray(x, np.float32)
    if keras.backend.backend() == "jax":
        import jax

        value, gradient = jax.value_and_grad(function)(x)
        return float(value), np.asarray(gradient)
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return float(value), tape.gradient(value, x, unconnected_gradients="zero").numpy()


def compiled_gradient(function):
    """Compiled d function / d first argument; takes and returns NumPy arrays."""
    if keras.backend.backend() == "jax":
        import jax

        gradient = jax.jit(jax.grad(function))
    else:
        import tensorflow as tf

        @tf.function(autograph=False)
        def gradient(x, *rest):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = function(x, *rest)
            return tape.gradient(value, x)

    def call(*arrays):
        return keras.ops.convert_to_numpy(gradient(*[keras.ops.convert_to_tensor(a, "float32") for a in arrays]))

    return call


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def finite_difference(function, x, step=1e-5):
    """d function / d x in float64."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[index] += step
        low[index] -= step
        gradient[index] = (function(high) - function(low)) / (2 * step)
    return gradient


def weight_gradients(objective, model, batch):
    """Loss and its gradient with respect to every trainable weight of a model, as NumPy arrays."""
    variables = model.trainable_variables
    if keras.backend.backend() == "jax":
        import jax

        def loss_of(values):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return objective(model, batch, True)["loss"]

        loss, gradients = jax.jit(jax.value_and_grad(loss_of))([v.value for v in variables])
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = objective(model, batch, True)["loss"]
        gradients = tape.gradient(loss, [v.value for v in variables], unconnected_gradients="zero")
    return float(loss), [keras.ops.convert_to_numpy(g) for g in gradients]
