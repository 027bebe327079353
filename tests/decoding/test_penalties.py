"""Known values of the penalties."""

import numpy as np
import pytest
from keras import ops

from nmt_rl.decoding.penalties import coverage_penalty, length_penalty


def test_gnmt():
    assert length_penalty(1.0, 0.6, "gnmt") == pytest.approx(1.0)
    assert length_penalty(7.0, 1.0, "gnmt") == pytest.approx(2.0)
    assert length_penalty(19.0, 0.5, "gnmt") == pytest.approx(2.0)


def test_average():
    assert length_penalty(7.0, 1.0, "average") == 7.0
    assert length_penalty(9.0, 0.5, "average") == pytest.approx(3.0)


@pytest.mark.parametrize("kind", ["average", "gnmt"])
def test_an_exponent_of_0_turns_it_off(kind):
    assert length_penalty(30.0, 0.0, kind) == 1.0


def test_coverage_by_hand():
    # log .5 + log 1 (more than 1 counts as 1); the third piece is padding.
    found = coverage_penalty(np.array([[0.5, 1.5, 0.0]], "float32"), np.array([[False, False, True]]))
    np.testing.assert_allclose(ops.convert_to_numpy(found), [np.log(0.5)], rtol=1e-6)
