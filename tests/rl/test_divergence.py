import numpy as np
import pytest
from keras import ops

from nmt_rl.rl.divergence import entropy, kl_divergence


@pytest.mark.jax
def test_kl_and_entropy_of_small_distributions():
    """KL((3/4, 1/4) || (1/2, 1/2)) = ln 2 - H, H(3/4, 1/4) = 2 ln 2 - 3/4 ln 3 = 0.562335."""
    pi, even = np.log(np.array([[0.75, 0.25], [0.5, 0.5]], "float32")), np.log(np.full((2, 2), 0.5, "float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(entropy(pi)), [0.562335, 0.693147], atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(kl_divergence(pi, even)), [0.130812, 0.0], atol=1e-6)
    # ln(1/2 / 3/4) + ... the other way round: 1/2 ln(2/3) + 1/2 ln 2
    np.testing.assert_allclose(ops.convert_to_numpy(kl_divergence(even, pi))[0], 0.143841, atol=1e-6)
