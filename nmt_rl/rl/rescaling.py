"""The value rescaling of R2D2: h of returns, which Q is regressed on, and its inverse, by keras.ops."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any
"""A tensor of the backend or anything `keras.ops` accepts as one."""

SLOPE = 1e-3
"""epsilon of h, without which the inverse would not be Lipschitz (Pohlen et al., 2018)."""


def rescaled(x: Tensor) -> Tensor:
    """h(x) = sign(x) (sqrt(|x| + 1) - 1) + epsilon x (Kapturowski et al., 2019, section 2.3); any shape."""
    return ops.sign(x) * (ops.sqrt(ops.abs(x) + 1.0) - 1.0) + SLOPE * x


def unscaled(y: Tensor) -> Tensor:
    """x of y = h(x); any shape.

    Pohlen et al. (2018), proposition A.2, without its difference of nearly equal numbers: of epsilon 1e-3 a float32
    would keep three digits.
    """
    size = ops.abs(y) + 1.0 + SLOPE
    root = 2.0 * size / (ops.sqrt(1.0 + 4.0 * SLOPE * size) + 1.0)
    return ops.sign(y) * (root * root - 1.0)
