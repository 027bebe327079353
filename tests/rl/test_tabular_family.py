"""The whole family on the toy token-MDP: tables learnt with the real backups, targets and losses, known answers."""

from functools import cache

import numpy as np
import pytest
import toy_mdp
from gradients import compiled_gradient
from keras import ops
from toy_mdp import END, INDEX, PRIOR, STATES, A, B

from nmt_rl.rl import backups, losses, targets

pytestmark = pytest.mark.jax

TAU, ROOT, LOG_PRIOR = 0.1, INDEX[()], np.log(PRIOR)
SOFT_POLICY = [0.887727, 0.112079, 0.000193]
EPISODES = toy_mdp.episode_arrays()
WITHOUT_AB = tuple(x[~((EPISODES[1][:, 0] == A) & (EPISODES[1][:, 1] == B))] for x in EPISODES)
"""Data in which nobody ever says A B."""


@cache
def table_gradient(loss, **settings):
    """Compiled gradient of loss(table[state, action], y, weights) for a flat table of values."""

    def function(table, places, y, weights):
        return loss(ops.take(table, ops.cast(places, "int32")), y, weights=weights, **settings)

    return compiled_gradient(function)


def descend(table, places, y, mask, rate=0.5, loss=losses.td_loss, **settings):
    """One gradient step; an entry's share of the mean loss is its number of visits, which is undone."""
    visits = np.bincount(places[mask], minlength=table.size).reshape(table.shape) / mask.sum()
    gradient = table_gradient(loss, **settings)(table.reshape(-1), places, y, mask.astype(np.float32))
    return table - rate * gradient.reshape(table.shape) / np.maximum(visits, 1e-9)


def learn(backup, lambda_=0.0, n=0, updates=40, period=2, rate=0.6):
    """Q table [states, actions] from all episodes.

    Args:
        backup: V [states] from the target and the online table.
        lambda_: of the lambda-targets.
        n: of n-step targets instead; 0: lambda.
        updates: gradient steps.
        period: updates between two copies of the target table.
        rate: of the gradient steps; 1 goes to the mean target at once.
    """
    states, actions, rewards, discounts, mask = EPISODES
    online = target = np.zeros((len(STATES), 3), np.float32)
    for update in range(updates):
        target = online if update % period == 0 else target
        v = ops.convert_to_numpy(backup(target, online))
        advantage = target[states, actions] - v[states]
        v_t, penalty_t = targets.next_step(v[states]), targets.next_step(advantage)
        if n:
            y = targets.n_step_targets(rewards - advantage, discounts, v_t, n) + advantage
        else:
            y = targets.soft_lambda_targets(rewards, discounts, v_t, penalty_t, lambda_, mask)
        online = descend(online, states * 3 + actions, y, mask, rate)
    return online


def solve(value):
    """Backward induction: Q [states, actions] and V [states] for V(s) = value(s, Q(s, .))."""
    q, v = np.zeros((len(STATES), 3)), np.zeros(len(STATES))
    for state in reversed(STATES):
        for action in (A, B, END):
            reached, r, done = toy_mdp.step(state, action)
            q[INDEX[state], action] = r + (0.0 if done else v[INDEX[reached]])
        v[INDEX[state]] = value(state, q[INDEX[state]])
    return q, v


TARGETS = {"one-step": {}, "lambda": {"lambda_": 0.5}, "monte-carlo": {"lambda_": 1.0}, "two-step": {"n": 2}}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", ["max", "double"])
def test_hard_backups_reach_the_optimum(name, kind):
    """With q - v as the penalty, multi-step targets are right whatever the data do (Harutyunyan et al., 2016)."""
    backup = {"max": lambda target, online: backups.max_value(target), "double": backups.double_value}[name]
    q = learn(backup, **TARGETS[kind])
    np.testing.assert_allclose(q[ROOT], [1.0, 0.707107, 0.0], atol=1e-2)
    np.testing.assert_allclose(q, toy_mdp.solve(0.0)[0], atol=1e-4)


def test_without_the_penalty_multi_step_targets_learn_the_data():
    """What the penalty is for: without it lambda = 1 is the mean return of the data, far below the optimum."""
    states, actions, rewards, discounts, mask = EPISODES
    q = np.zeros((len(STATES), 3), np.float32)
    for _ in range(30):
        v = ops.convert_to_numpy(backups.max_value(q))
        y = targets.soft_lambda_targets(rewards, discounts, targets.next_step(v[states]), 0 * rewards, 1.0)
        q = descend(q, states * 3 + actions, y, mask)
    assert q[ROOT].max() < 0.8


@pytest.mark.parametrize("kind", TARGETS)
def test_soft_backup_reaches_the_soft_optimum(kind):
    q = learn(lambda target, online: backups.soft_value(target, np.float32(LOG_PRIOR), TAU), **TARGETS[kind])
    value = backups.soft_value(q, np.float32(LOG_PRIOR), TAU)[ROOT]
    assert float(value) == pytest.approx(0.694112, abs=1e-4)
    policy = PRIOR * np.exp(q[ROOT] / TAU)
    np.testing.assert_allclose(policy / policy.sum(), SOFT_POLICY, atol=1e-4)
    np.testing.assert_allclose(q, toy_mdp.solve(TAU)[0], atol=1e-4)


def behaviour(data):
    """How often each action is taken [states, actions]."""
    states, actions, _, _, mask = data
    return np.bincount((states * 3 + actions)[mask], minlength=len(STATES) * 3).reshape(-1, 3)


def expectile_of(q, counts, expectile):
    """The v with sum_a n_a |e - 1(q_a < v)| (q_a - v) = 0, by bisection; 0 in a state that is not in the data."""
    if not counts.sum():
        return 0.0
    low, high = q[counts > 0].min(), q[counts > 0].max()
    for _ in range(60):
        v = (low + high) / 2
        low, high = (v, high) if (counts * np.abs(expectile - (q < v)) * (q - v)).sum() > 0 else (low, v)
    return low


def learn_implicit(data, expectile, updates):
    """Implicit Q-learning of tables Q and V: no action outside the data is ever asked about."""
    states, actions, rewards, discounts, mask = data
    q, v = np.zeros((len(STATES), 3), np.float32), np.zeros(len(STATES), np.float32)
    for _ in range(updates):
        y = targets.soft_lambda_targets(rewards, discounts, targets.next_step(v[states]), 0 * rewards, 0.0)
        q = descend(q, states * 3 + actions, y, mask)
        v = descend(v, states, q[states, actions], mask, 0.9, losses.expectile_loss, expectile=expectile)
    return q, v


@pytest.mark.parametrize("expectile", [0.5, 0.7, 0.9999])
def test_implicit_q_learning_is_the_expectile_of_the_data(expectile):
    counts = behaviour(WITHOUT_AB)
    _, v = learn_implicit(WITHOUT_AB, expectile, 100)
    expected = solve(lambda state, q: expectile_of(q, counts[INDEX[state]], expectile))[1]
    np.testing.assert_allclose(v, expected, atol=1e-3)
    if expectile == 0.5:
        mean = solve(lambda state, q: counts[INDEX[state]] @ q / max(counts[INDEX[state]].sum(), 1))[1]
        np.testing.assert_allclose(v, mean, atol=1e-3)
    if expectile > 0.99:
        seen = counts > 0
        best = solve(lambda state, q: q[seen[INDEX[state]]].max(initial=-9) if seen[INDEX[state]].any() else 0.0)[1]
        np.testing.assert_allclose(v, best, atol=1e-2)
        # The best of the data is below what A B would be worth.
        assert v[ROOT] < 0.75 < toy_mdp.solve(0.0)[1][ROOT]


def test_overestimation():
    """All actions are worth 0 and errors have sigma .05: how far is V from 0, on the mean?"""
    rng = np.random.default_rng(14)
    size, rows = 10_000, 200
    tail = 1.0 / np.arange(1, size)
    prior = np.concatenate([[0.65], 0.35 * tail / tail.sum()])
    q = rng.normal(0.0, 0.05, (rows, size)).astype(np.float32)
    log_prior = np.tile(np.log(prior), (rows, 1)).astype(np.float32)

    def bias(value):
        return float(ops.convert_to_numpy(value).mean())

    assert 0.17 < bias(backups.max_value(q)) < 0.21
    assert 0.005 < bias(backups.soft_value(q, log_prior, 0.05)) < 0.02
    # Two networks with independent errors pay nothing.
    assert abs(bias(backups.double_value(q, rng.permuted(q, axis=1)))) < 0.015
