import numpy as np
import pytest
from gradients import finite_difference, log_softmax, value_and_gradient
from keras import ops

from nmt_rl.rl import losses

TAUS = [0.0, 0.005, 0.02, 0.3]


def huber(delta, cut):
    """The textbook Huber loss in float64."""
    small = np.abs(delta) <= cut if cut else np.ones(np.shape(delta), bool)
    return np.where(small, 0.5 * delta**2, cut * np.abs(delta) - 0.5 * cut**2)


def as_float32(*arrays):
    return [np.asarray(a, np.float32) for a in arrays]


@pytest.mark.jax
def test_fork_td_error_by_hand():
    delta = losses.fork_td_error(*as_float32([2.0, -1.0], [0.5, -1.0], [0.3, -0.2]), 0.1)
    np.testing.assert_allclose(ops.convert_to_numpy(delta), [0.15, -0.2], atol=1e-7)


@pytest.mark.jax
@pytest.mark.parametrize("cut", [0.0, 0.1])
@pytest.mark.parametrize("tau", TAUS)
def test_fork_gradient_identity(tau, cut):
    """The gradient is -mean clip(delta) grad(z1 - z2): for tau > 0, that of Huber(delta) / tau."""
    rng = np.random.default_rng(0)
    z, prior, gain = rng.normal(size=(4, 2)), rng.normal(size=4), rng.uniform(-0.5, 0.5, 4)
    prior32, gain32 = as_float32(prior, gain)
    value, gradient = value_and_gradient(lambda x: losses.fork_loss(x[:, 0] - x[:, 1], prior32, gain32, tau, cut), z)
    delta = gain - tau * (z[:, 0] - z[:, 1] - prior)
    clipped = np.clip(delta, -cut, cut) if cut else delta
    np.testing.assert_allclose(gradient, np.stack([-clipped, clipped], 1) / 4, atol=1e-6)
    assert value == pytest.approx(huber(delta, cut).mean(), rel=1e-5)
    if tau:
        plain = finite_difference(lambda x: (huber(gain - tau * (x[:, 0] - x[:, 1] - prior), cut) / tau).mean(), z)
        np.testing.assert_allclose(gradient, plain, atol=1e-4)


@pytest.mark.jax
@pytest.mark.parametrize("tau", TAUS)
def test_trajectory_gradient_identity(tau):
    """The gradient with respect to the logits, through log-softmax, is -mean clip(delta) grad log pi."""
    rng = np.random.default_rng(1)
    z, weights = rng.normal(size=(2, 3, 5)), np.array([[1.0, 1.0, 0.0], [0.5, 1.0, 1.0]])
    prior, value, target = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    actions, cut = np.eye(5)[rng.integers(0, 5, (2, 3))], 0.7
    arrays = as_float32(prior, value, target)
    hot, w = as_float32(actions, weights)

    def loss(x):
        return losses.trajectory_loss(ops.sum(ops.log_softmax(x) * hot, -1), *arrays, tau, cut, w)

    reported, gradient = value_and_gradient(loss, z)
    log_pi = log_softmax(z)
    delta = target - value - tau * ((log_pi * actions).sum(-1) - prior)
    score = actions - np.exp(log_pi)
    by_hand = -(weights * np.clip(delta, -cut, cut))[..., None] * score / weights.sum()
    np.testing.assert_allclose(gradient, by_hand, atol=1e-6)
    assert reported == pytest.approx((weights * huber(delta, cut)).sum() / weights.sum(), rel=1e-5)
    if tau:

        def plain(x):
            q = value + tau * ((log_softmax(x) * actions).sum(-1) - prior)
            return (weights * huber(target - q, cut) / tau).sum() / weights.sum()

        np.testing.assert_allclose(gradient, finite_difference(plain, z), atol=1e-4)


@pytest.mark.jax
def test_constant_reward_gives_exactly_no_gradient():
    """At the start the policy is the prior; a reward that is the same for all translations must not move it."""
    z = np.random.default_rng(2).normal(size=(6, 2)).astype(np.float32)
    prior, constant = z[:, 0] - z[:, 1], np.full(6, 0.7, np.float32)
    value, gradient = value_and_gradient(
        lambda x: losses.fork_loss(x[:, 0] - x[:, 1], prior, constant - constant, 0.005, 0.5), z
    )
    assert value == 0.0
    assert not gradient.any()


@pytest.mark.jax
def test_trajectory_gradient_is_rloo_at_the_start():
    """lambda = 1, leave-one-out group mean as V, log-ratio 0: -mean (R_i - mean of the others) grad log pi."""
    rng = np.random.default_rng(4)
    z, returns, phi = rng.normal(size=(4, 3, 5)), rng.uniform(size=4), rng.uniform(size=(4, 3))
    actions = np.eye(5)[rng.integers(0, 5, (4, 3))]
    log_pi = (log_softmax(z) * actions).sum(-1)
    baseline = (returns.sum() - returns) / 3
    hot, log_prior, target, value = as_float32(actions, log_pi, returns[:, None] - phi, baseline[:, None] - phi)
    _, gradient = value_and_gradient(
        lambda x: losses.trajectory_loss(ops.sum(ops.log_softmax(x) * hot, -1), log_prior, value, target, 0.02), z
    )
    rloo = -(returns - baseline)[:, None, None] * (actions - np.exp(log_softmax(z))) / 12
    np.testing.assert_allclose(gradient, rloo, atol=1e-6)


@pytest.mark.jax
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", ["fork", "trajectory", "value"])
def test_padding_changes_nothing(name):
    """Weight 0 hides a step: neither its target nor an infinity in it reaches loss or gradient."""
    rng = np.random.default_rng(5)
    x, prior, value, target = as_float32(*rng.normal(size=(4, 2, 3)))
    weights = np.array([[1, 1, 0], [1, 0, 0]], np.float32)

    def loss(x, prior, value, target):
        if name == "fork":
            return losses.fork_loss(x, prior, target, 0.1, 0.5, weights)
        if name == "value":
            return losses.value_loss(x, target, weights)
        return losses.trajectory_loss(x, prior, value, target, 0.1, 0.5, weights)

    clean = value_and_gradient(lambda x: loss(x, prior, value, target), x)
    for array in (x, prior, value, target):
        array[weights == 0] = np.inf
    dirty = value_and_gradient(lambda x: loss(x, prior, value, target), x)
    assert dirty[0] == clean[0] != 0.0
    np.testing.assert_array_equal(dirty[1], clean[1])
    assert (clean[1][weights == 0] == 0).all() and (clean[1][weights == 1] != 0).all()


@pytest.mark.jax
def test_no_fork_at_all_is_no_loss():
    x = np.ones(3, np.float32)
    value, gradient = value_and_gradient(lambda z: losses.fork_loss(z, x, x, 0.1, 0.0, np.zeros(3, np.float32)), x)
    assert value == 0.0
    assert not gradient.any()


@pytest.mark.jax
def test_value_loss_by_hand():
    value, gradient = value_and_gradient(
        lambda v: losses.value_loss(v, *as_float32([[0.5, 1.0]], [[1.0, 3.0]])), [[0.0, 2.0]]
    )
    assert value == pytest.approx((0.25 + 3.0) / 4)
    np.testing.assert_allclose(gradient, [[-0.25, 1.5]], atol=1e-6)
