"""Backups: the value of a state from the values of its actions, in keras.ops, for the compiled pass of the target net.

q is [..., actions], a value is [...]; values are in BLEU of [0, 1], tau in BLEU per nat and above 0. The limit at
tau = 0 is `max_value`; the functions here divide by tau.

Multi-step targets are off-policy right for each of these backups with the penalty q(s, a) - v(s) in
`targets.soft_lambda_targets`: y_t = r_t + d_t [ v_t + lambda (y_{t+1} - q_t(a_t)) ], which is Q(lambda) with
off-policy corrections (Harutyunyan et al., 2016) and, where the backup is soft, path consistency.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any
"""A tensor of the backend or anything `keras.ops` accepts as one."""


def action_value(q: Tensor, actions: Tensor) -> Tensor:
    """q(s, a) of one action in each state, [...], for q [..., actions] and actions int [...]."""
    return ops.take_along_axis(q, ops.cast(actions, "int32")[..., None], axis=-1)[..., 0]


def max_value(q: Tensor) -> Tensor:
    """V(s) = max_a Q(s, a) (Watkins, 1989); biased upward by noise, and more so the more actions there are."""
    return ops.max(q, axis=-1)


def double_value(q_target: Tensor, q_online: Tensor) -> Tensor:
    """V(s) = Qbar(s, argmax_a Q(s, a)): double Q-learning (van Hasselt et al., 2016).

    Args:
        q_target: of the target network, which values the action [..., actions].
        q_online: of the online network, which chooses it [..., actions].
    """
    return action_value(q_target, ops.argmax(q_online, axis=-1))


def soft_value(q: Tensor, log_prior: Tensor, tau: Tensor) -> Tensor:
    """V(s) = tau log sum_a pi_0(a|s) exp(Q(s, a) / tau): G-learning (Fox et al., 2016).

    The best sum of expected Q and tau times the negative KL to the prior; its policy is
    softmax(q / tau + log pi_0).

    Args:
        q: [..., actions].
        log_prior: log pi_0(a|s) [..., actions]; -inf forbids an action.
        tau: above 0.
    """
    return tau * ops.logsumexp(log_prior + q / tau, axis=-1)
