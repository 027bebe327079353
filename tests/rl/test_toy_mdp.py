"""Targets and losses together on the toy token-MDP, whose optimum is known."""

import numpy as np
import pytest
import toy_mdp
from gradients import compiled_gradient, log_softmax, value_and_gradient
from keras import ops
from toy_mdp import END, INDEX, PRIOR, STATES, A, B

from nmt_rl.rl import losses, targets

pytestmark = pytest.mark.jax

ARRAYS = toy_mdp.episode_arrays()


def path_targets(v, kappa, tau, lambda_):
    """Soft lambda-targets of every step of every episode, from tables V [states] and kappa [states, actions]."""
    states, actions, rewards, discounts, mask = ARRAYS
    penalty_t = targets.next_step(tau * kappa[states, actions])
    return targets.soft_lambda_targets(rewards, discounts, targets.next_step(v[states]), penalty_t, lambda_, mask)


def optimal_tables(tau):
    """Soft-optimal V [states] and log-ratio [states, actions]."""
    q, v = toy_mdp.solve(tau)
    return v, (q - v[:, None]) / tau


def test_hard_optimum():
    q, v = toy_mdp.solve(0.0)
    np.testing.assert_allclose(q[INDEX[()]], [1.0, 0.707107, 0.0], atol=5e-7)
    assert v[INDEX[()]] == 1.0


def test_soft_optimum():
    q, v = toy_mdp.solve(0.1)
    assert v[INDEX[()]] == pytest.approx(0.694112, abs=5e-7)
    pi = PRIOR * np.exp((q[INDEX[()]] - v[INDEX[()]]) / 0.1)
    np.testing.assert_allclose(pi, [0.887727, 0.112079, 0.000193], atol=6e-7)


def test_shaping_keeps_the_policy():
    shaped, terminal = toy_mdp.solve(0.1), toy_mdp.solve(0.1, shaped=False)
    phi = np.array([toy_mdp.phi(state) for state in STATES])
    np.testing.assert_allclose(terminal[0] - shaped[0], np.repeat(phi[:, None], 3, 1), atol=1e-15)
    np.testing.assert_allclose(shaped[0] - shaped[1][:, None], terminal[0] - terminal[1][:, None], atol=1e-15)


@pytest.mark.parametrize("lambda_", [0.0, 0.3, 0.5, 0.95, 1.0])
def test_path_consistency_of_the_optimum(lambda_):
    states, actions, _, _, mask = ARRAYS
    v, kappa = optimal_tables(0.1)
    q = targets.q_values(v[:, None], kappa, 0.1)
    residual = np.where(mask, path_targets(v, kappa, 0.1, lambda_) - q[states, actions], 0.0)
    assert np.abs(residual).max() < 1e-12
    for index in np.ndindex(kappa.shape):
        perturbed = kappa.copy()
        perturbed[index] += 1e-3
        q = targets.q_values(v[:, None], perturbed, 0.1)
        residual = np.where(mask, path_targets(v, perturbed, 0.1, lambda_) - q[states, actions], 0.0)
        assert np.abs(residual).max() > 5e-5


@pytest.mark.parametrize("n", [1, 2, 3])
def test_n_step_path_consistency_of_the_optimum(n):
    """The n-step target of the KL-penalised reward is V."""
    states, actions, rewards, discounts, mask = ARRAYS
    v, kappa = optimal_tables(0.1)
    penalised = rewards - 0.1 * kappa[states, actions]
    y = targets.n_step_targets(penalised, discounts, targets.next_step(v[states]), n)
    assert np.abs(np.where(mask, y - v[states], 0.0)).max() < 1e-12


def test_no_gradient_at_the_optimum():
    states, actions, _, _, mask = ARRAYS
    v, kappa = optimal_tables(0.1)
    log_prior = np.log(PRIOR)[actions].astype(np.float32)
    y, value = path_targets(v, kappa, 0.1, 0.5).astype(np.float32), v[states].astype(np.float32)

    def loss(logits):
        log_pi = ops.reshape(ops.take(ops.reshape(ops.log_softmax(logits), [-1]), states * 3 + actions), mask.shape)
        return losses.trajectory_loss(log_pi, log_prior, value, y, 0.1, 0.0, mask.astype(np.float32))

    assert np.abs(value_and_gradient(loss, kappa + np.log(PRIOR))[1]).max() < 1e-7
    perturbed = kappa + np.log(PRIOR)
    perturbed[0, 0] += 0.1
    assert np.abs(value_and_gradient(loss, perturbed)[1]).max() > 1e-5


def tabular_gradient(tau):
    """Gradient of both trajectory losses on all episodes for tables [states, 3 logits and V]."""
    states, actions, _, _, mask = ARRAYS
    chosen = np.eye(len(STATES) * 3, dtype=np.float32)[states * 3 + actions]
    visited = np.eye(len(STATES), dtype=np.float32)[states]
    weights, log_prior = mask.astype(np.float32), np.log(PRIOR)[actions].astype(np.float32)

    def loss(tables, y, y_value):
        log_pi = ops.matmul(chosen, ops.reshape(ops.log_softmax(tables[:, :3]), [-1, 1]))[..., 0]
        value = ops.matmul(visited, tables[:, 3:])[..., 0]
        policy = losses.trajectory_loss(log_pi, log_prior, value, y, tau, 0.0, weights)
        return policy + losses.value_loss(value, y_value, weights)

    return compiled_gradient(loss)


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 1.0])
def test_tabular_q_reaches_the_optimum(lambda_):
    """Targets, losses and gradient steps from the prior on, V from 0; tau is small, so Q* is the hard one."""
    tau = 0.002
    states, actions, _, _, mask = ARRAYS
    # A table entry's share of the mean loss is its number of visits; undo it, so that all learn at one speed.
    visits = np.bincount(states[mask], minlength=len(STATES))[:, None] / mask.sum()
    rates = np.array([1 / tau, 1 / tau, 1 / tau, 0.5]) / visits
    tables = np.concatenate([np.tile(np.log(PRIOR), (len(STATES), 1)), np.zeros((len(STATES), 1))], 1)
    gradient = tabular_gradient(tau)
    for _ in range(200):
        kappa, v = targets.log_ratio(log_softmax(tables[:, :3]), np.log(PRIOR)), tables[:, 3]
        y = path_targets(v, kappa, tau, lambda_)
        tables = tables - rates * gradient(tables, y, targets.value_targets(y, tau * kappa[states, actions]))
    q = targets.q_values(v[:, None], kappa, tau)
    np.testing.assert_allclose(q[INDEX[()]], [1.0, 0.707107, 0.0], atol=1e-2)
    np.testing.assert_allclose(q, toy_mdp.solve(0.0)[0], atol=1e-2)
    np.testing.assert_allclose(q, toy_mdp.solve(tau)[0], atol=1e-5)
    assert greedy_episode(tables) == (A, B, END)


def greedy_episode(tables):
    state, done = (), False
    while not done:
        state, _, done = toy_mdp.step(state, int(np.argmax(tables[INDEX[state], :3])))
    return state


def exhaustive_q(policy):
    """Q_mu [states, actions] from the rewards alone, by recursion."""
    q = np.zeros((len(STATES), 3))
    for state in reversed(STATES):
        for action in (A, B, END):
            reached, reward, done = toy_mdp.step(state, action)
            q[INDEX[state], action] = reward + (0.0 if done else q[INDEX[reached], policy(reached)])
    return q


def fork_values(policy):
    """BLEU of the continuation by mu after each forced action [states, actions]."""
    values = np.zeros((len(STATES), 3))
    for state in STATES:
        for action in (A, B, END):
            reached, _, done = toy_mdp.step(state, action)
            values[INDEX[state], action] = toy_mdp.phi(reached) if done else toy_mdp.greedy_return(reached, policy)
    return values


def test_fork_target_is_exhaustive_q():
    """mu is greedy in the prior: always A. BLEU(AAA) = sqrt(1/2 * 1/3), BLEU(BAA) = sqrt(3/4 * 1/3)."""
    values = fork_values(lambda state: A)
    np.testing.assert_allclose(values[INDEX[()]], [np.sqrt(1 / 6), 0.5, 0.0], atol=1e-12)
    phi = np.array([toy_mdp.phi(state) for state in STATES])
    np.testing.assert_allclose(values - phi[:, None], exhaustive_q(lambda state: A), atol=1e-12)


def test_fork_regression_is_policy_iteration():
    """Forks at every state and pair of actions: one tau-regularised improvement after the other finds A B EOS."""
    tau, logits = 0.02, np.tile(np.log(PRIOR), (len(STATES), 1))
    left, right = np.array([0, 0, 1]), np.array([1, 2, 2])
    prior_difference = np.tile(np.log(PRIOR)[left] - np.log(PRIOR)[right], (len(STATES), 1)).astype(np.float32)

    def loss(z, value_difference):
        difference = ops.take(z, left, axis=1) - ops.take(z, right, axis=1)
        return losses.fork_loss(difference, prior_difference, value_difference, tau, 0.0)

    gradient = compiled_gradient(loss)
    assert greedy_episode(logits) == (A, A, A)
    for _ in range(60):
        best = np.argmax(logits, axis=1)
        values = fork_values(lambda state, best=best: int(best[INDEX[state]]))
        logits = logits - 200.0 * gradient(logits, values[:, left] - values[:, right])
    assert greedy_episode(logits) == (A, B, END)
    # the fixed point: log-ratios are Q_mu / tau up to a constant in each state
    kappa = logits - np.log(PRIOR)
    np.testing.assert_allclose(kappa[:, left] - kappa[:, right], (values[:, left] - values[:, right]) / tau, atol=0.05)
