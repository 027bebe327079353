"""TD, expectile and CQL losses: values by hand, gradients by finite differences, nothing behind the mask."""

import numpy as np
import pytest
from gradients import finite_difference, value_and_gradient

from nmt_rl.rl import losses

pytestmark = pytest.mark.jax


def as_float32(*arrays):
    return [np.asarray(a, np.float32) for a in arrays]


def picked(q, actions):
    return np.take_along_axis(q, actions[..., None], -1)[..., 0]


def test_td_by_hand():
    """Errors .2, -.4 (beyond the cut .3), and one that weighs nothing: (.02 + 2 (.3 .4 - .045)) / 3."""
    q, y = as_float32([[0.3, 0.9, 0.0]], [[0.5, 0.5, 9.0]])
    weights = np.array([[1.0, 2.0, 0.0]], np.float32)
    value, gradient = value_and_gradient(lambda x: losses.td_loss(x, y, 0.3, weights), q)
    assert value == pytest.approx((0.02 + 2 * 0.075) / 3, rel=1e-5)
    np.testing.assert_allclose(gradient, [[-0.2 / 3, 2 * 0.3 / 3, 0.0]], atol=1e-7)
    value, gradient = value_and_gradient(lambda x: losses.td_loss(x, y), q)
    assert value == pytest.approx((0.02 + 0.08 + 40.5) / 3, rel=1e-5)
    np.testing.assert_allclose(gradient, [[-0.2 / 3, 0.4 / 3, -3.0]], atol=1e-6)


def test_expectile_by_hand():
    """u = .5 (V too low) counts .7, u = -1 (too high) .3."""
    value, gradient = value_and_gradient(
        lambda v: losses.expectile_loss(v, as_float32([0.5, 0.0])[0], 0.7), np.array([0.0, 1.0])
    )
    assert value == pytest.approx((0.7 * 0.25 + 0.3 * 1.0) / 2)
    np.testing.assert_allclose(gradient, [-0.7 * 0.5, 0.3 * 1.0], atol=1e-7)


def test_half_an_expectile_is_half_a_squared_error():
    v, y = as_float32(*np.random.default_rng(0).normal(size=(2, 3, 4)))
    half, mean = (
        value_and_gradient(lambda x, f=f: f(x), v)
        for f in (lambda x: losses.expectile_loss(x, y, 0.5), lambda x: losses.value_loss(x, y))
    )
    assert half[0] == pytest.approx(mean[0] / 2, rel=1e-5)
    np.testing.assert_allclose(half[1], mean[1] / 2, atol=1e-6)


def test_cql_by_hand():
    """log (1 + 2 + 3) - log 2; at T = .1 a tenth of that for a tenth of the values; softmax minus onehot."""
    q, actions = np.log(np.array([[1.0, 2.0, 3.0]], np.float32)), np.array([1])
    value, gradient = value_and_gradient(lambda x: losses.cql_loss(x, actions), q)
    assert value == pytest.approx(1.098612, abs=1e-5)
    np.testing.assert_allclose(gradient, [[1 / 6, -2 / 3, 1 / 2]], atol=1e-6)
    value, gradient = value_and_gradient(lambda x: losses.cql_loss(x, actions, temperature=0.1), q / 10)
    assert value == pytest.approx(0.1098612, abs=1e-5)
    np.testing.assert_allclose(gradient, [[1 / 6, -2 / 3, 1 / 2]], atol=1e-5)


def test_cql_at_small_temperature_is_the_gap_to_the_best():
    q = as_float32([[0.5, 0.9, 0.2]])[0]
    value, _ = value_and_gradient(lambda x: losses.cql_loss(x, np.array([2]), temperature=1e-3), q)
    assert value == pytest.approx(0.7, abs=1e-5)


def cases():
    """Name, the loss on tensors, the same in NumPy, whether its argument has actions."""
    rng = np.random.default_rng(3)
    y, actions = rng.normal(size=(2, 3)), rng.integers(0, 4, (2, 3))
    w = np.array([[1.0, 0.5, 0.0], [2.0, 1.0, 1.0]])
    y32, w32 = as_float32(y, w)

    def mean(x):
        return (w * x).sum() / w.sum()

    def huber(d, c=0.7):
        return np.where(np.abs(d) <= c, 0.5 * d**2, c * np.abs(d) - 0.5 * c**2)

    return {
        "td": (lambda x: losses.td_loss(x, y32, 0.7, w32), lambda x: mean(huber(y - x)), (2, 3)),
        "expectile": (
            lambda x: losses.expectile_loss(x, y32, 0.8, w32),
            lambda x: mean(np.abs(0.8 - (y < x)) * (y - x) ** 2),
            (2, 3),
        ),
        "cql": (
            lambda x: losses.cql_loss(x, actions, w32, 0.5),
            lambda x: mean(0.5 * np.log(np.exp(x / 0.5).sum(-1)) - picked(x, actions)),
            (2, 3, 4),
        ),
    }


@pytest.mark.parametrize("name", ["td", "expectile", "cql"])
def test_gradient_is_the_finite_difference(name):
    loss, plain, shape = cases()[name]
    x = np.random.default_rng(4).normal(size=shape)
    value, gradient = value_and_gradient(loss, x)
    assert value == pytest.approx(plain(x), rel=1e-4)
    np.testing.assert_allclose(gradient, finite_difference(plain, x), atol=1e-5)
    assert np.abs(gradient).max() > 0.05


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("junk", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["td", "expectile", "cql"])
def test_nothing_behind_the_mask_changes_anything(name, junk):
    rng = np.random.default_rng(5)
    weights = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
    x, y = as_float32(rng.normal(size=(2, 3) if name in ("td", "expectile") else (2, 3, 4)), rng.normal(size=(2, 3)))
    actions = rng.integers(0, 4, (2, 3))

    def loss(x, y, actions):
        if name == "td":
            return losses.td_loss(x, y, 0.5, weights)
        if name == "expectile":
            return losses.expectile_loss(x, y, 0.7, weights)
        return losses.cql_loss(x, actions, weights, 0.1)

    clean = value_and_gradient(lambda x: loss(x, y, actions), x)
    x, y, actions = x.copy(), y.copy(), actions.copy()
    x[weights == 0], y[weights == 0], actions[weights == 0] = junk, junk, -7
    dirty = value_and_gradient(lambda x: loss(x, y, actions), x)
    assert dirty[0] == clean[0] != 0.0
    np.testing.assert_array_equal(dirty[1], clean[1])
    assert (clean[1][weights == 0] == 0).all() and np.abs(clean[1]).max() > 0


@pytest.mark.parametrize("name", ["td", "expectile", "cql"])
def test_no_weight_at_all_is_no_loss(name):
    nothing, actions = np.zeros(2, np.float32), np.array([0, 1])
    loss, shape = {
        "td": (lambda x: losses.td_loss(x, nothing, 0.0, nothing), 2),
        "expectile": (lambda x: losses.expectile_loss(x, nothing, 0.7, nothing), 2),
        "cql": (lambda x: losses.cql_loss(x, actions, nothing), (2, 3)),
    }[name]
    value, gradient = value_and_gradient(loss, np.ones(shape))
    assert value == 0.0
    assert not gradient.any()
