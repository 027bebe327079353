"""Known values of the penalties."""

import pytest

from nmt_rl.decoding.penalties import length_penalty


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
