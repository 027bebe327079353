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

from nmt_rl.decoding.policies import NEVER

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
    `boltzmann(q + tau * log_prior, tau)`.

    Args:
        q: [..., actions].
        log_prior: log pi_0(a|s) [..., actions]; -inf forbids an action.
        tau: above 0.
    """
    return tau * ops.logsumexp(log_prior + q / tau, axis=-1)


def psi_value(psi: Tensor, tau: Tensor) -> Tensor:
    """V(s) = tau log sum_a exp(Psi(s, a) / tau): Psi-learning (Rawlik et al., 2012; Jaques et al., 2017).

    The reward has to be r + tau log pi_0(a|s). Then Psi = G + tau log pi_0, with the V of `soft_value`, and the
    policy is `boltzmann(psi, tau)`: the prior is in the values, not in the backup.

    Args:
        psi: [..., actions].
        tau: above 0.
    """
    return tau * ops.logsumexp(psi / tau, axis=-1)


def munchausen_value(q: Tensor, tau: Tensor) -> Tensor:
    """V(s) = sum_a pi(a|s) [ Q(s, a) - tau log pi(a|s) ] with pi = softmax(Q / tau) (Vieillard et al., 2020).

    This is tau log sum_a exp(Q / tau), so the same number as `psi_value`; here it goes with `munchausen_bonus`.

    Args:
        q: [..., actions].
        tau: above 0.
    """
    return psi_value(q, tau)


def munchausen_bonus(log_pi: Tensor, tau: Tensor, alpha: float, floor: float) -> Tensor:
    """alpha clip(tau log pi(a|s), floor, 0), added to the reward of a in s (Vieillard et al., 2020).

    Without the floor the policy learnt is that of entropy-regularised learning with the temperature (1 - alpha) tau.

    Args:
        log_pi: of the actions taken, from `boltzmann` of the target network [...].
        tau: above 0.
        alpha: in [0, 1].
        floor: lowest tau log pi, below 0; the paper has -1.
    """
    return alpha * ops.clip(tau * log_pi, floor, 0.0)


def boltzmann(q: Tensor, tau: Tensor) -> Tensor:
    """log pi(a|s) = Q(s, a) / tau - log sum_b exp(Q(s, b) / tau), in nats [..., actions]; tau above 0."""
    return ops.log_softmax(q / tau, axis=-1)


def among_candidates(q: Tensor, log_prior: Tensor, k: int) -> Tensor:
    """q with NEVER in place of all but the prior's k most probable actions, so that no backup sees the others.

    Pieces as probable as the k-th stay, too. The prior is not normalised anew: `soft_value` is then exact for policies
    that keep to the candidates and pay for the KL to the whole prior.

    Args:
        q: [..., actions]; for `double_value` the online network's.
        log_prior: log pi_0(a|s) or the prior's logits [..., actions].
        k: number of candidates; 0: all.
    """
    if k == 0 or k >= q.shape[-1]:
        return q
    least = ops.top_k(log_prior, k)[0][..., -1:]
    return ops.where(log_prior >= least, q, NEVER)
