"""Value rescaling against numbers worked out by hand."""

import numpy as np
import pytest
from keras import ops

from nmt_rl.rl.rescaling import rescaled, unscaled

pytestmark = pytest.mark.jax


def test_by_hand():
    """sqrt(4) - 1 + 0.003, and the same with the other sign."""
    found = ops.convert_to_numpy(rescaled(np.array([3.0, -3.0, 0.0, 1.0], np.float32)))
    np.testing.assert_allclose(found, [1.003, -1.003, 0.0, np.sqrt(2) - 1 + 0.001], atol=1e-6)


def test_the_inverse_keeps_the_digits_of_values_that_are_as_small_as_those_of_a_piece():
    x = np.concatenate([np.linspace(-1, 1, 201), [1e-4, 1e-3, 50.0, -400.0]]).astype(np.float32)
    found = ops.convert_to_numpy(unscaled(rescaled(x)))
    np.testing.assert_allclose(found, x, rtol=2e-5, atol=5e-7)
