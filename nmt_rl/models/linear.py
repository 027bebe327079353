"""Matrix products in the compute type, everything around them in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import keras
from keras import ops

from nmt_rl.backend import dimension
from nmt_rl.models.seq2seq import Tensor

_results: ContextVar[str] = ContextVar("results", default="float32")
"""Type of what layers give that are made now."""


def result_type() -> str:
    """Type of what products and residuals give, in layers that are made now: float32, unless inside `results_in`."""
    return _results.get()


@contextmanager
def results_in(dtype: str) -> Iterator[None]:
    """Layers made inside give their results in this type, which an accelerator moves in half the time.

    Statistics of norms, softmax, logits and loss stay float32.
    """
    token = _results.set(dtype)
    try:
        yield
    finally:
        _results.reset(token)


_drops_out: ContextVar[bool] = ContextVar("drops_out", default=False)


@contextmanager
def training_products(training: bool) -> Iterator[None]:
    """Whether products inside drop out of the input of low-rank matrices.

    Not around a loop: a random generator cannot be advanced inside of those of JAX.
    """
    token = _drops_out.set(training)
    try:
        yield
    finally:
        _drops_out.reset(token)


class LowRank(NamedTuple):
    """What is added to a matrix as a product: scale * down @ up. It is the attribute `low_rank` of a variable."""

    down: keras.Variable
    """[rows, rank]"""
    up: keras.Variable
    """[rank, columns]"""
    scale: float
    dropout: float = 0.0
    """Of what `down` is multiplied by, in `training_products` alone."""
    seeds: keras.random.SeedGenerator | None = None

    def product(self, x: Tensor, dtype: str) -> Tensor:
        """What is added to x W, [n, columns], of x [n, rows] in `dtype`."""
        if self.dropout and _drops_out.get():
            x = keras.random.dropout(x, self.dropout, seed=self.seeds)
        return self.scale * ops.matmul(ops.matmul(x, _in_type(self.down, dtype)), _in_type(self.up, dtype))


class Linear(keras.layers.Layer):
    """x W + b with the product in the dtype policy's compute type and the result in float32, or in `result_type`.

    On a CPU only the products run in bfloat16 or float16: they are the only part that gains from it, and norms, softmax
    and residuals keep their precision.

    Args:
        units: width of the output.
        use_bias: add b.
        name: of the layer.
    """

    def __init__(self, units: int, use_bias: bool = True, name: str | None = None) -> None:
        """See the class docstring."""
        super().__init__(name=name, dtype="float32")
        self.product_dtype, self.result_dtype = keras.config.dtype_policy().compute_dtype, result_type()
        self.units, self.use_bias = units, use_bias

    def build(self, width: int) -> None:
        """Make the weights for inputs [..., width]."""
        self.kernel = self.add_weight(shape=(width, self.units), name="kernel")
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.built = True

    def multiplied(self) -> list[keras.Variable]:
        """What inputs are multiplied by."""
        return [self.kernel]

    def call(self, x: Tensor) -> Tensor:
        """[..., units] of x [..., width]."""
        y = product(x, self.kernel, self.product_dtype, result=self.result_dtype)
        return y + ops.cast(self.bias, self.result_dtype) if self.use_bias else y


_converted: ContextVar[dict[int, Tensor] | None] = ContextVar("converted", default=None)
"""Weights in the compute type, by the identity of their variables."""


@contextmanager
def converted_weights(model: keras.Model) -> Iterator[None]:
    """Convert the weights of products now, for all products inside; around a loop: TensorFlow moves nothing out of one.

    Args:
        model: whose layers with `multiplied` weights are converted, if their products are not in float32.
    """
    found: dict[int, Tensor] = {}
    for layer in model._flatten_layers():
        if hasattr(layer, "multiplied") and layer.product_dtype != "float32":
            weights = layer.multiplied()
            weights += [part for weight in weights for part in getattr(weight, "low_rank", ())[:2]]
            found |= {id(weight): ops.cast(weight, layer.product_dtype) for weight in weights}
    token = _converted.set(found)
    try:
        yield
    finally:
        _converted.reset(token)


def product(x: Tensor, weight: keras.Variable, dtype: str, transposed: bool = False, result: str = "float32") -> Tensor:
    """x @ weight, [..., columns], computed in `dtype`.

    Args:
        x: [n, ..., rows].
        weight: [rows, columns], or [columns, rows] if `transposed`.
        dtype: of the product.
        transposed: multiply by the transpose.
        result: type of what is returned.
    """
    matrix = _in_type(weight, dtype)
    matrix = ops.transpose(matrix) if transposed else matrix
    rows, columns = matrix.shape
    # As one product of two matrices: of three dimensions, two of them open, TensorFlow's takes 22 operations.
    flat = ops.cast(ops.reshape(x, (-1, rows)), dtype)
    y = ops.matmul(flat, matrix)
    if (low_rank := getattr(weight, "low_rank", None)) is not None:
        y = y + low_rank.product(flat, dtype)
    shape = (-1, *(dimension(x, axis) for axis in range(1, len(x.shape) - 1)), columns)
    return ops.cast(ops.reshape(y, shape), result)


def _in_type(weight: keras.Variable, dtype: str) -> Tensor:
    found = (_converted.get() or {}).get(id(weight))
    return ops.cast(weight, dtype) if found is None else found
