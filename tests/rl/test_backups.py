"""Backups against numbers worked out by hand."""

import numpy as np
import pytest
from keras import ops
from toy_mdp import soft_value

from nmt_rl.backend import compile_fn
from nmt_rl.rl import backups

pytestmark = pytest.mark.jax
LN = np.log
Q = np.array([[0.1, 0.3, 0.2], [-0.5, -0.9, -0.7]], np.float32)


def close(found, expected, tolerance=1e-6):
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=tolerance)


def as_float32(*arrays):
    return [np.asarray(a, np.float32) for a in arrays]


def test_action_value():
    close(backups.action_value(Q, np.array([2, 0])), [0.2, -0.5])


def test_max():
    close(backups.max_value(Q), [0.3, -0.5])


def test_double_values_the_online_choice_by_the_target():
    online = np.array([[1.0, 5.0, 2.0], [0.0, 1.0, 3.0]], np.float32)
    target = np.array([[10.0, 20.0, 30.0], [7.0, 9.0, 8.0]], np.float32)
    close(backups.double_value(target, online), [20.0, 8.0])
    close(backups.max_value(target), [30.0, 9.0])
    close(backups.double_value(target, target), [30.0, 9.0])


def test_soft_by_hand():
    """1/2 2 + 1/4 4 + 1/4 1 = 9/4; at tau = 1/2 the same for half the values."""
    q, log_prior = as_float32([LN(2), LN(4), 0.0], LN([0.5, 0.25, 0.25]))
    close(backups.soft_value(q, log_prior, 1.0), LN(9 / 4))
    close(backups.soft_value(q / 2, log_prior, 0.5), 0.405465)


def test_equals_the_value_on_the_host():
    rng = np.random.default_rng(1)
    q, log_prior = as_float32(rng.uniform(size=(5, 7)), LN(rng.dirichlet(np.ones(7), 5)))
    for tau in (0.002, 0.1, 3.0):
        close(backups.soft_value(q, log_prior, tau), soft_value(q, log_prior, tau))


@pytest.mark.parametrize("tau", [1e-6, 1e-3, 1.0, 1e3])
def test_extremes_stay_finite(tau):
    """Forbidden actions, a prior that is nearly certain, and temperatures far from the values' scale."""
    q, log_prior = as_float32([[-1e9, 0.25, 0.5], [-1e9, -1e9, 1.0]], [[0.0, -30.0, -1e9], [-np.inf, -1e9, 0.0]])
    assert np.isfinite(ops.convert_to_numpy(backups.soft_value(q, log_prior, tau))).all()
    close(backups.soft_value(q, log_prior, tau)[1], 1.0)
    if tau < 1e-2:
        close(backups.soft_value(q, log_prior, tau)[0], 0.25 - 30 * tau)


def test_small_tau_is_the_maximum_and_large_tau_the_prior_mean():
    log_prior = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    close(backups.soft_value(Q, log_prior, 1e-5), Q.max(-1), 2e-5)
    close(backups.soft_value(Q, log_prior, 50.0), Q @ np.array([0.5, 0.3, 0.2]), 1e-3)


def test_compiled_with_open_shapes():
    def everything(q, other, log_prior):
        return backups.max_value(q), backups.double_value(other, q), backups.soft_value(q, log_prior, 0.1)

    rng = np.random.default_rng(2)
    inputs = as_float32(*rng.normal(size=(3, 2, 3, 4)))
    for compiled, plain in zip(compile_fn(everything)(*inputs), everything(*inputs), strict=True):
        close(compiled, ops.convert_to_numpy(plain))
