"""The toy token-MDP: {A, B, EOS}, at most three pieces, reference "A B", 2-gram BLEU with add-1 on every order."""

from __future__ import annotations

import itertools

import numpy as np

from nmt_rl.rl.bleu import SentenceBleu

A, B, END = 0, 1, 2
T_MAX = 3


class AddOneToEveryOrder(SentenceBleu):
    """Unigrams are smoothed too, so that every word counts."""

    def _add_k(self, matches, length):
        product = (matches[0] + 1) / (length + 1)
        for order in range(1, self.max_order):
            product *= (matches[order] + 1) / (max(length - order, 0) + 1)
        return float(product ** (1.0 / self.max_order))


BLEU = AddOneToEveryOrder(max_order=2)
REFERENCE = BLEU.reference([A, B])
PRIOR = np.array([0.5, 0.3, 0.2])

STATES = [state for n in range(T_MAX) for state in itertools.product((A, B), repeat=n)]
"""Non-terminal prefixes; a state is the tuple of its actions."""
INDEX = {state: i for i, state in enumerate(STATES)}


def phi(words):
    return BLEU.score([w for w in words if w != END], REFERENCE)


def step(state, action):
    """(next state, reward, done)."""
    reached = (*state, action)
    return reached, phi(reached) - phi(state), action == END or len(reached) == T_MAX


def trajectories():
    """Every episode as a tuple of actions."""
    for n in range(1, T_MAX + 1):
        for actions in itertools.product((A, B, END), repeat=n):
            if END not in actions[:-1] and (n == T_MAX or actions[-1] == END):
                yield actions


def episode_arrays():
    """All episodes, padded to [episodes, T_MAX]: state index, action, reward, discount, mask."""
    episodes = list(trajectories())
    shape = (len(episodes), T_MAX)
    states, actions = np.zeros(shape, int), np.zeros(shape, int)
    rewards, discounts, mask = np.zeros(shape), np.zeros(shape), np.zeros(shape, bool)
    for i, episode in enumerate(episodes):
        for t, action in enumerate(episode):
            _, reward, done = step(episode[:t], action)
            states[i, t], actions[i, t], mask[i, t] = INDEX[episode[:t]], action, True
            rewards[i, t], discounts[i, t] = reward, not done
    return states, actions, rewards, discounts, mask


def soft_value(q, log_prior, tau):
    """tau log sum_a pi_0(a|s) exp(Q(s, a) / tau) in float64, and its limit at tau = 0."""
    q, log_prior = np.broadcast_arrays(np.asarray(q, float), np.asarray(log_prior, float))
    best = np.max(np.where(log_prior > -np.inf, q, -np.inf), axis=-1, keepdims=True)
    if tau == 0.0:
        return best[..., 0]
    return best[..., 0] + tau * np.log(np.sum(np.exp(log_prior + np.minimum((q - best) / tau, 0.0)), axis=-1))


def solve(tau, prior=PRIOR, shaped=True):
    """Backward induction: soft-optimal Q [states, actions] and V [states]; tau = 0 is the hard optimum."""
    q = np.zeros((len(STATES), 3))
    v = np.zeros(len(STATES))
    for state in reversed(STATES):
        for action in (A, B, END):
            reached, reward, done = step(state, action)
            if not shaped:
                reward = phi(reached) if done else 0.0
            q[INDEX[state], action] = reward + (0.0 if done else v[INDEX[reached]])
        v[INDEX[state]] = soft_value(q[INDEX[state]], np.log(prior), tau)
    return q, v


def greedy_return(state, policy):
    """BLEU of the finished episode that follows the deterministic policy from here."""
    done = False
    while not done:
        state, _, done = step(state, policy(state))
    return phi(state)
