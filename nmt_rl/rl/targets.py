"""Regression targets of the Q-network: one equation per function, on the host, in float64.

Arrays are NumPy, time is the last axis: [..., time]. Names are time-indexed: the transition from step t-1 to t
takes action a_tm1 and gives r_t, discount_t (0 when the episode ends there) and v_t, the value of the state it
reaches; all three share an index. The log-ratio to the prior is kappa = log pi(a|s) - log pi_0(a|s); tau is in
units of BLEU in [0, 1] per nat.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def log_ratio(log_pi: ArrayLike, log_prior: ArrayLike) -> Array:
    """kappa = log pi(a|s) - log pi_0(a|s), in nats; any shape."""
    return _float(log_pi) - _float(log_prior)


def q_values(v: ArrayLike, kappa: ArrayLike, tau: float) -> Array:
    """Q(s, a) = V(s) + tau kappa(s, a); any shapes that broadcast.

    A dueling network (Wang et al., 2016) whose advantage is the log-ratio to the prior, as in G-learning
    (Fox et al., 2016) and its logit form for language models (Clavier et al., 2025).
    """
    return _float(v) + tau * _float(kappa)


def next_step(x: ArrayLike, last: float = 0.0) -> Array:
    """x at the state a transition reaches: x_tm1 shifted left by one step, `last` after the end; [..., time]."""
    x = _float(x)
    return np.concatenate([x[..., 1:], np.full((*x.shape[:-1], 1), last)], axis=-1)


def n_step_targets(r_t: ArrayLike, discount_t: ArrayLike, v_t: ArrayLike, n: int) -> Array:
    """y_t = r_t + d_t r_{t+1} + ... + (d_t ... d_{t+n-1}) v_{t+n-1} (Sutton, 1988).

    Bootstraps from the last value where fewer than n steps are left.

    Args:
        r_t: rewards [..., time].
        discount_t: discounts [..., time], 0 at terminal steps.
        v_t: values of the states reached [..., time].
        n: number of rewards before bootstrapping, at least 1.

    Raises:
        ValueError: if shapes differ or n < 1.
    """
    r_t, discount_t, v_t = _same_shape(r_t, discount_t, v_t)
    if n < 1:
        raise ValueError(f"n must be at least 1, found {n}")
    time = r_t.shape[-1]
    targets = np.empty_like(r_t)
    for start in range(time):
        last = min(start + n, time) - 1
        target = v_t[..., last]
        for t in range(last, start - 1, -1):
            target = r_t[..., t] + _discounted(discount_t[..., t], target)
        targets[..., start] = target
    return targets


def monte_carlo_returns(r_t: ArrayLike, discount_t: ArrayLike) -> Array:
    """y_t = r_t + d_t y_{t+1}, with 0 after the last step; [..., time]."""
    nothing = np.zeros(np.shape(r_t))
    return soft_lambda_targets(r_t, discount_t, nothing, nothing, 1.0)


def soft_lambda_targets(
    r_t: ArrayLike,
    discount_t: ArrayLike,
    v_t: ArrayLike,
    penalty_t: ArrayLike,
    lambda_: float,
    mask: ArrayLike | None = None,
) -> Array:
    """Soft path-consistency lambda-targets of Q(s_tm1, a_tm1).

        y_t = r_t + d_t [ (1 - lambda) v_t + lambda (y_{t+1} - penalty_t) ]

    The lambda-return of path consistency learning (Nachum et al., 2017) with a KL to a prior in place of
    the entropy. Every trajectory, whoever chose its actions, fulfils it at the optimum, so no importance weights
    are needed. Where no further step is known the target bootstraps from v_t alone.

    Args:
        r_t: rewards [..., time].
        discount_t: discounts [..., time], 0 at terminal steps.
        v_t: target network's values of the states reached [..., time].
        penalty_t: tau kappa(s_t, a_t) of the state reached and the action taken there [..., time];
            `next_step(tau * kappa)`.
        lambda_: 0 gives one-step soft TD, 1 Monte Carlo path consistency.
        mask: true at real steps [..., time], a prefix of each row; None: all. Masked targets are 0, and nothing
            behind the mask or a terminal step is looked at, not even NaN.

    Raises:
        ValueError: if shapes differ.
    """
    r_t, discount_t, v_t, penalty_t = _same_shape(r_t, discount_t, v_t, penalty_t)
    real = np.ones(r_t.shape, bool) if mask is None else np.asarray(mask, bool)
    _same_shape(r_t, real)
    targets = np.zeros_like(r_t)
    for t in reversed(range(r_t.shape[-1])):
        onward = v_t[..., t]
        if t + 1 < r_t.shape[-1]:
            mixed = (1.0 - lambda_) * onward + lambda_ * (targets[..., t + 1] - penalty_t[..., t])
            onward = np.where(real[..., t + 1], mixed, onward)
        target = r_t[..., t] + _discounted(discount_t[..., t], onward)
        targets[..., t] = np.where(real[..., t], target, 0.0)
    return targets


def value_targets(y_t: ArrayLike, penalty_tm1: ArrayLike) -> Array:
    """Target of V(s_tm1): y_t - tau kappa(s_tm1, a_tm1), from Q = V + tau kappa; [..., time].

    Args:
        y_t: targets of Q(s_tm1, a_tm1).
        penalty_tm1: tau kappa(s_tm1, a_tm1).
    """
    return _float(y_t) - _float(penalty_tm1)


def _float(x: ArrayLike) -> Array:
    return np.asarray(x, np.float64)


def _discounted(discount: Array, value: Array) -> Array:
    """discount * value that does not look at values behind a terminal step."""
    return np.where(discount == 0.0, 0.0, discount * np.where(discount == 0.0, 0.0, value))


def _same_shape(*arrays: ArrayLike) -> list[Array]:
    converted = [_float(a) for a in arrays]
    if len({a.shape for a in converted}) != 1:
        raise ValueError(f"arrays should have one shape, found {[a.shape for a in converted]}")
    return converted
