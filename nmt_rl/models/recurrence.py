"""Long short-term memory (Hochreiter and Schmidhuber, 1997): a cell, and a layer of it that reads both ways; and a cell
that remembers nothing."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from nmt_rl.models.linear import Linear, product
from nmt_rl.models.seq2seq import Tensor


class LSTMCell(keras.layers.LSTMCell):
    """Keras' cell with its products in the dtype policy's compute type; gates and states are float32.

    What the input adds to the gates is computed by `project`, which may be for all steps at once.

    Args:
        units: width of the states.
        name: of the layer.
    """

    def __init__(self, units: int, name: str) -> None:
        """See the class docstring."""
        super().__init__(units, dtype="float32", name=name)
        self.product_dtype = keras.config.dtype_policy().compute_dtype

    def multiplied(self) -> list[keras.Variable]:
        """What inputs and states are multiplied by."""
        return [self.kernel, self.recurrent_kernel]

    def project(self, inputs: Tensor) -> Tensor:
        """What `call` is given, float32 [..., 4 * units], of inputs [..., width]."""
        return product(inputs, self.kernel, self.product_dtype) + ops.convert_to_tensor(self.bias)

    def call(self, inputs: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """One step from h and c, float32 [batch, units] each: h, and both."""
        hidden, carry = states
        gates = inputs + product(hidden, self.recurrent_kernel, self.product_dtype)
        enter, forget, new, leave = ops.split(gates, 4, axis=-1)
        carry = ops.sigmoid(forget) * carry + ops.sigmoid(enter) * ops.tanh(new)
        hidden = ops.sigmoid(leave) * ops.tanh(carry)
        return hidden, [hidden, carry]


class FeedForwardCell(keras.layers.Layer):
    """tanh(W x + b) with the interface of LSTMCell: h is what it gave and is not looked at again, c stays as it is.

    Args:
        units: width of the states.
        name: of the layer.
    """

    def __init__(self, units: int, name: str) -> None:
        """See the class docstring."""
        super().__init__(dtype="float32", name=name)
        self.linear = Linear(units, name="linear")

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs [..., width]."""
        self.linear.build(input_shape[-1])
        self.built = True

    def project(self, inputs: Tensor) -> Tensor:
        """What `call` is given, float32 [..., units], of inputs [..., width]."""
        return self.linear(inputs)

    def call(self, inputs: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """One step: h, float32 [batch, units], and both states."""
        hidden = ops.tanh(inputs)
        return hidden, [hidden, states[1]]


class Bidirectional(keras.layers.Layer):
    """One layer that reads from the left and one that reads from the right, their outputs side by side.

    Args:
        units: of each direction.
        name: of the layer.
    """

    def __init__(self, units: int, name: str) -> None:
        """See the class docstring."""
        super().__init__(dtype="float32", name=name)
        # The names are those of Keras' own layers: saved weights are found by them.
        options: dict[str, Any] = {"return_sequences": True, "return_state": True, "dtype": "float32"}
        self.forward_layer = keras.layers.RNN(LSTMCell(units, "lstm_cell"), name="forward_lstm", **options)
        self.backward_layer = keras.layers.RNN(
            LSTMCell(units, "lstm_cell"), name="backward_lstm", go_backwards=True, **options
        )

    def build(self, width: int) -> None:
        """Make the weights for inputs [batch, time, width]."""
        for layer in (self.forward_layer, self.backward_layer):
            layer.build((None, None, width))
        self.built = True

    def read(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs float32 [batch, time, 2 * units] of x [batch, time, width], and the final states [batch, 2 * units].

        Where the bool mask [batch, time] is false the states stay what they are.
        """
        (ahead, left, _), (back, right, _) = (
            layer(layer.cell.project(x), mask=mask) for layer in (self.forward_layer, self.backward_layer)
        )
        return ops.concatenate([ahead, ops.flip(back, axis=1)], axis=-1), ops.concatenate([left, right], axis=-1)
