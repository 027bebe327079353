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


def test_psi_by_hand():
    """1 + 2 + 3 = 6."""
    psi = np.log(np.array([1.0, 2.0, 3.0], np.float32))
    close(backups.psi_value(psi, 1.0), 1.791759)
    close(backups.psi_value(psi / 2, 0.5), 0.895880)


def test_munchausen_by_hand():
    """pi = (1/6, 2/6, 3/6): the mean of log (1, 2, 3) plus the entropy of pi."""
    q = np.log(np.array([1.0, 2.0, 3.0], np.float32))
    mean = LN(2) / 3 + LN(3) / 2
    entropy = LN(6) / 6 + LN(3) / 3 + LN(2) / 2
    close(backups.munchausen_value(q, 1.0), mean + entropy)
    close(backups.munchausen_value(q / 10, 0.1), 0.1791759)


def test_munchausen_bonus_by_hand():
    """tau log pi = -.1, -2 (below the floor), 0."""
    close(backups.munchausen_bonus(as_float32([-1.0, -20.0, 0.0])[0], 0.1, 0.9, -1.0), [-0.09, -0.9, 0.0])


def test_boltzmann_by_hand():
    q = np.log(np.array([1.0, 2.0, 3.0], np.float32))
    close(backups.boltzmann(q / 5, 0.2), LN([1 / 6, 2 / 6, 3 / 6]))


def test_candidates_by_hand():
    q, log_prior = as_float32([[0.9, 0.1, 0.5, 0.3]] * 2, LN([[0.1, 0.5, 0.1, 0.3], [0.3, 0.2, 0.4, 0.1]]))
    close(backups.max_value(backups.among_candidates(q, log_prior, 2)), [0.3, 0.9])
    close(backups.max_value(backups.among_candidates(q, log_prior, 1)), [0.1, 0.5])
    close(backups.double_value(q, backups.among_candidates(q, log_prior, 2)), [0.3, 0.9])
    close(backups.psi_value(backups.among_candidates(q, log_prior, 1), 0.1), [0.1, 0.5])
    # What is left of the prior, .5 and .3, is not normalised anew.
    soft = 0.1 * LN(0.5 * np.exp(1.0) + 0.3 * np.exp(3.0))
    close(backups.soft_value(backups.among_candidates(q, log_prior, 2), log_prior, 0.1)[0], soft)
    close(ops.exp(backups.boltzmann(backups.among_candidates(q, log_prior, 1), 0.1)), [[0, 1, 0, 0], [0, 0, 1, 0]])


@pytest.mark.parametrize("k", [0, 3, 4])
def test_all_are_candidates(k):
    close(backups.among_candidates(Q, np.zeros_like(Q), k), Q, 0)


def test_candidates_tied_with_the_last_stay():
    log_prior = np.log(np.array([0.4, 0.2, 0.2, 0.2], np.float32))
    close(backups.max_value(backups.among_candidates(as_float32([0.1, 0.2, 0.3, 0.4])[0], log_prior, 2)), 0.4)


def test_psi_is_g_plus_tau_log_prior():
    """One policy, one V; the values differ by tau log pi_0."""
    rng = np.random.default_rng(0)
    tau, g, log_prior = 0.05, *as_float32(rng.uniform(size=(4, 6)), LN(rng.dirichlet(np.ones(6), 4)))
    psi = g + tau * log_prior
    value = backups.soft_value(g, log_prior, tau)
    close(backups.psi_value(psi, tau), value)
    policy = ops.convert_to_numpy(backups.boltzmann(psi, tau))
    close(policy, log_prior + (g - ops.convert_to_numpy(value)[:, None]) / tau, 1e-4)
    close(np.exp(policy).sum(-1), 1.0)
    assert np.abs(ops.convert_to_numpy(backups.psi_value(g, tau) - value)).min() > 0.01


def test_equals_the_value_on_the_host():
    rng = np.random.default_rng(1)
    q, log_prior = as_float32(rng.uniform(size=(5, 7)), LN(rng.dirichlet(np.ones(7), 5)))
    for tau in (0.002, 0.1, 3.0):
        close(backups.soft_value(q, log_prior, tau), soft_value(q, log_prior, tau))


@pytest.mark.parametrize("tau", [1e-6, 1e-3, 1.0, 1e3])
def test_extremes_stay_finite(tau):
    """Forbidden actions, a prior that is nearly certain, and temperatures far from the values' scale."""
    q, log_prior = as_float32([[-1e9, 0.25, 0.5], [-1e9, -1e9, 1.0]], [[0.0, -30.0, -1e9], [-np.inf, -1e9, 0.0]])
    for found in (
        backups.soft_value(q, log_prior, tau),
        backups.psi_value(q, tau),
        backups.munchausen_value(q, tau),
        backups.munchausen_bonus(backups.boltzmann(q, tau), tau, 0.9, -1.0),
    ):
        assert np.isfinite(ops.convert_to_numpy(found)).all()
    close(backups.soft_value(q, log_prior, tau)[1], 1.0)
    if tau < 1e-2:
        close(backups.psi_value(q, tau), [0.5, 1.0])
        close(backups.soft_value(q, log_prior, tau)[0], 0.25 - 30 * tau)


def test_small_tau_is_the_maximum_and_large_tau_the_prior_mean():
    log_prior = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    close(backups.soft_value(Q, log_prior, 1e-5), Q.max(-1), 2e-5)
    close(backups.soft_value(Q, log_prior, 50.0), Q @ np.array([0.5, 0.3, 0.2]), 1e-3)


def test_compiled_with_open_shapes():
    def everything(q, other, log_prior):
        few = backups.among_candidates(q, log_prior, 2)
        return (
            backups.max_value(few),
            backups.double_value(other, few),
            backups.soft_value(few, log_prior, 0.1),
            backups.munchausen_bonus(backups.action_value(backups.boltzmann(few, 0.1), np.zeros((2, 3))), 0.1, 1, -1),
        )

    rng = np.random.default_rng(2)
    inputs = as_float32(*rng.normal(size=(3, 2, 3, 4)))
    for compiled, plain in zip(compile_fn(everything)(*inputs), everything(*inputs), strict=True):
        close(compiled, ops.convert_to_numpy(plain))
