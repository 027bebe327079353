"""Matrix products in the compute type, with weights converted once for a whole loop."""

import keras
import numpy as np
import pytest

from nmt_rl.config import TransformerConfig
from nmt_rl.models.build import build_model
from nmt_rl.models.linear import Linear, converted_weights, product


@pytest.mark.jax
@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_worked_out_by_hand(transposed):
    weight = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "float32")
    variable = keras.Variable(weight.T if transposed else weight)
    x = np.array([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [-1.0, 0.5]]], "float32")
    y = np.asarray(product(x, variable, "bfloat16", transposed))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, [[[1, 2, 3], [8, 10, 12]], [[5, 7, 9], [1, 0.5, 0]]])


@pytest.mark.jax
def test_inside_weights_are_those_that_were_converted_at_the_beginning():
    model = build_model(
        TransformerConfig(encoder_layers=1, decoder_layers=1, width=8, heads=2, feed_forward=8),
        20,
        20,
        precision="bfloat16",
    )
    linears = [layer for layer in model._flatten_layers() if isinstance(layer, Linear)]
    states = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")

    def results():
        found = [product(states, layer.kernel, "bfloat16") for layer in linears]
        return [np.asarray(y) for y in [*found, model.embeddings.project(states)]]

    before = results()
    with converted_weights(model):
        weights = [*(layer.kernel for layer in linears), model.embeddings.softmax_table]
        for weight in weights:
            weight.assign(np.zeros(weight.shape))
        for inside, outside in zip(results(), before, strict=True):
            np.testing.assert_array_equal(inside, outside)
    assert all(not y.any() for y in results()) and len(before) >= 6
