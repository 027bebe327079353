"""The configured targets of a batch, on the toy token-MDP whose optimum is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import toy_mdp

from nmt_rl.config import TrajectoryConfig
from nmt_rl.rl.q_network import Evaluated
from nmt_rl.rl.trajectories import td_targets

pytestmark = pytest.mark.jax

TAU = 0.1
STATES, ACTIONS, REWARDS, DISCOUNTS, MASK = toy_mdp.episode_arrays()
BATCH = SimpleNamespace(rewards=REWARDS, discount=DISCOUNTS, mask=MASK)


def evaluated(tau, shift=0.0):
    """The optimal network's view of every episode, its value moved by `shift`."""
    q, v = toy_mdp.solve(tau)
    taken = q[STATES, ACTIONS] * MASK
    penalty = (q - v[:, None])[STATES, ACTIONS] * MASK if tau else np.zeros(MASK.shape)
    return Evaluated(taken, (v[STATES] + shift) * MASK, penalty, np.zeros(MASK.shape), {})


@pytest.mark.parametrize("settings", [{"steps": 1}, {"steps": 2}, {"steps": 9}, {"trace": 0.0}, {"trace": 0.6}])
def test_every_target_is_q_at_the_soft_optimum(settings):
    """Path consistency: whoever chose the later actions, and however many steps are taken."""
    found = evaluated(TAU)
    y = td_targets(BATCH, found, TrajectoryConfig(monte_carlo_updates=0, **settings), 1)
    np.testing.assert_allclose(y * MASK, found.q, atol=1e-12)


@pytest.mark.parametrize(("settings", "seen"), [({"steps": 9}, 0.0), ({"trace": 1.0}, 0.0), ({"steps": 1}, 1.0)])
def test_monte_carlo_looks_at_no_value_and_one_step_at_one(settings, seen):
    settings = TrajectoryConfig(monte_carlo_updates=0, **settings)
    moved = td_targets(BATCH, evaluated(TAU, 0.5), settings, 1) - td_targets(BATCH, evaluated(TAU), settings, 1)
    goes_on = MASK & (DISCOUNTS > 0)
    np.testing.assert_allclose(moved[goes_on], 0.5 * seen, atol=1e-12)
    np.testing.assert_allclose(moved[MASK & ~goes_on], 0.0, atol=1e-12)


def test_lambda_is_1_at_first():
    settings = TrajectoryConfig(monte_carlo_updates=3, trace=0.0)
    early, late = (td_targets(BATCH, evaluated(TAU, 0.5), settings, step) for step in (3, 4))
    whole = td_targets(BATCH, evaluated(TAU), TrajectoryConfig(monte_carlo_updates=0, trace=1.0), 1)
    np.testing.assert_allclose(early, whole, atol=1e-12)
    assert np.abs(late - early).max() == pytest.approx(0.5)


def test_monte_carlo_targets_of_estimated_values_are_plain_returns():
    """For heads and hard backups nothing is charged; where the penalty is a log-probability it still is."""
    returns = np.flip(np.cumsum(np.flip(REWARDS * MASK, 1), 1), 1)
    charged = td_targets(BATCH, evaluated(TAU), TrajectoryConfig(monte_carlo_updates=0, trace=1.0), 1)
    assert np.abs((charged - returns)[MASK]).max() > 0.05
    for part in (
        {"q": "dueling"},
        {"q": "ilql"},
        {"q": "dueling", "backup": "max"},
        {"q": "logits", "backup": "double"},
    ):
        for when in ({"trace": 1.0, "monte_carlo_updates": 0}, {"trace": 0.5, "monte_carlo_updates": 9}):
            y = td_targets(BATCH, evaluated(TAU, 0.5), TrajectoryConfig(**part, **when), 1)
            np.testing.assert_allclose(y[MASK], returns[MASK], atol=1e-12)
    for backup in ("psi", "munchausen"):
        settings = TrajectoryConfig(q="logits", backup=backup, monte_carlo_updates=0, trace=1.0)
        np.testing.assert_allclose(td_targets(BATCH, evaluated(TAU), settings, 1), charged, atol=1e-12)


def test_a_bonus_is_part_of_the_reward():
    """Two steps: both bonuses count in a two-step target, the later one not in a one-step target."""
    found = evaluated(0.0)
    with_bonus = found._replace(bonus=0.25 * MASK)
    for steps, extra in ((1, [0.25, 0.25]), (2, [0.5, 0.25])):
        settings = TrajectoryConfig(monte_carlo_updates=0, steps=steps)
        gain = td_targets(BATCH, with_bonus, settings, 1) - td_targets(BATCH, found, settings, 1)
        two = MASK.sum(axis=1) == 2
        np.testing.assert_allclose(gain[two][:, :2], np.tile(extra, (two.sum(), 1)), atol=1e-12)
