r"""Losses of the token-level Q-network, in keras.ops, for the compiled training step.

Both policy losses regress Q(s, a) = V(s) + tau kappa(s, a), kappa = log pi(a|s) - log pi_0(a|s), and differ from
the plain Huber loss of the TD error delta by the factor 1 / tau:

    L = Huber_c(delta) / tau,    d L / d theta = clip(delta, -c, c) / tau * (-tau grad kappa)
                                              = -clip(delta, -c, c) grad kappa.

tau cancels, so the gradient is well defined down to tau = 0, where it is the advantage policy gradient without a
pull to the prior, although L itself is not. Each loss here therefore has exactly that gradient, and as its *value*
Huber_c(delta), in BLEU squared: what is reported can be compared between different tau.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from nmt_rl.rl.backups import action_value

Tensor = Any
"""A tensor of the backend or anything `keras.ops` accepts as one."""


def fork_td_error(logit_difference: Tensor, prior_difference: Tensor, value_difference: Tensor, tau: Tensor) -> Tensor:
    """delta = [ Q_mu(s, a) - Q_mu(s, a') ] - tau [ kappa(s, a) - kappa(s, a') ]; [forks].

    V, the potential and both softmax normalisers cancel, so two logits of each network are all it needs; and a
    constant added to the reward cancels too.

    Args:
        logit_difference: z(a) - z(a') of the trained policy [forks].
        prior_difference: z_0(a) - z_0(a') of the prior's logits, or of its log-probabilities [forks].
        value_difference: BLEU(y) - BLEU(y') of the two continuations [forks], in [-1, 1].
        tau: BLEU per nat, scalar.
    """
    return value_difference - tau * (logit_difference - prior_difference)


def fork_loss(
    logit_difference: Tensor,
    prior_difference: Tensor,
    value_difference: Tensor,
    tau: Tensor,
    huber: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Weighted mean of Huber(delta) over forks; its gradient is -mean clip(delta) grad(z(a) - z(a')).

    Squared regression of a difference of returns on a difference of log-ratios, as in REBEL (Gao et al., 2024).

    Args:
        logit_difference: z(a) - z(a') of the trained policy [forks]; the only argument that gets a gradient.
        prior_difference: the same of the prior [forks].
        value_difference: BLEU(y) - BLEU(y') [forks].
        tau: BLEU per nat, scalar, may be 0.
        huber: cut of the Huber loss in BLEU; 0: squared.
        weights: [forks], 0 at padding; None: all 1.

    Returns:
        Scalar, in BLEU squared.
    """
    delta = fork_td_error(logit_difference, prior_difference, value_difference, tau)
    return _regression(delta, logit_difference, huber, weights)


def trajectory_td_error(log_pi: Tensor, log_prior: Tensor, value: Tensor, target: Tensor, tau: Tensor) -> Tensor:
    """delta = y_t - Q(s_t, a_t) = y_t - V(s_t) - tau [ log pi(a_t|s_t) - log pi_0(a_t|s_t) ]; [batch, time]."""
    return target - value - tau * (log_pi - log_prior)


def trajectory_loss(
    log_pi: Tensor,
    log_prior: Tensor,
    value: Tensor,
    target: Tensor,
    tau: Tensor,
    huber: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Weighted mean of Huber(delta) over steps; its gradient is -mean clip(delta) grad log pi(a_t|s_t).

    Path consistency (Nachum et al., 2017) on targets that were computed beforehand.

    Args:
        log_pi: log-probabilities of the actions taken [batch, time]; the only argument that gets a gradient.
        log_prior: the same under the prior [batch, time].
        value: V(s_t) [batch, time]; trained by `value_loss`, not here.
        target: y_t of `targets.soft_lambda_targets` [batch, time].
        tau: BLEU per nat, scalar, may be 0.
        huber: cut of the Huber loss in BLEU; 0: squared.
        weights: [batch, time], 0 behind the end; None: all 1.

    Returns:
        Scalar, in BLEU squared.
    """
    delta = trajectory_td_error(log_pi, log_prior, value, target, tau)
    return _regression(delta, log_pi, huber, weights)


def clipped_loss(
    log_pi: Tensor, behaviour: Tensor, advantages: Tensor, clip: float, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """-mean min(rho_t A_t, clip(rho_t, 1 - clip, 1 + clip) A_t), rho_t = pi(a_t|s_t) / b(a_t|s_t).

    The clipped surrogate of proximal policy optimisation (Schulman et al., 2017, equation 7).

    Args:
        log_pi: log-probabilities of the actions taken [batch, time]; the only argument that gets a gradient.
        behaviour: log b, the same under the policy that took them, [batch, time].
        advantages: [batch, time].
        clip: half the width of the interval.
        weights: of the mean [batch, time], 0 behind the end.

    Returns:
        The loss, and the share of the mean that the clip keeps from a gradient.
    """
    log_pi = ops.convert_to_tensor(log_pi)
    weights = ops.cast(weights, log_pi.dtype)
    ratio = ops.exp(_keep(log_pi - behaviour, weights))
    free, clipped = ratio * advantages, ops.clip(ratio, 1.0 - clip, 1.0 + clip) * advantages
    share = _mean(ops.cast(clipped < free, log_pi.dtype), weights)
    return -_mean(ops.minimum(free, clipped), weights), share


def kl_estimate(log_pi: Tensor, log_prior: Tensor, weights: Tensor) -> Tensor:
    """Mean of p / pi - log(p / pi) - 1: KL(pi || p) from pieces that pi drew (Shao et al., 2024, equation 4).

    Args:
        log_pi: log-probabilities of the actions taken [batch, time].
        log_prior: the same under the prior p [batch, time].
        weights: of the mean [batch, time], 0 behind the end.

    Returns:
        Scalar in nats per piece, never below 0.
    """
    log_pi = ops.convert_to_tensor(log_pi)
    weights = ops.cast(weights, log_pi.dtype)
    difference = _keep(log_prior - log_pi, weights)
    return _mean(ops.exp(difference) - difference - 1.0, weights)


def value_loss(value: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted mean of (V(s_t) - y)^2, y a constant; in BLEU squared.

    Args:
        value: V(s_t) [batch, time].
        target: `targets.value_targets` [batch, time].
        weights: [batch, time], 0 behind the end; None: all 1.
    """
    weights = None if weights is None else ops.cast(weights, value.dtype)
    error = _keep(value, weights) - ops.stop_gradient(_keep(target, weights))
    return _mean(ops.square(error), weights)


def td_loss(q_taken: Tensor, target: Tensor, huber: float = 0.0, weights: Tensor | None = None) -> Tensor:
    """Weighted mean of Huber(y - Q(s, a)), y a constant, for Q heads (Mnih et al., 2015); 1/2 squared within the cut.

    Args:
        q_taken: Q(s_t, a_t) of the actions taken [batch, time].
        target: y_t [batch, time].
        huber: cut of the Huber loss in BLEU; 0: squared.
        weights: [batch, time], 0 behind the end; None: all 1.

    Returns:
        Scalar, in BLEU squared.
    """
    return _regression(target - q_taken, q_taken, huber, weights)


def expectile_loss(value: Tensor, target: Tensor, expectile: float, weights: Tensor | None = None) -> Tensor:
    """Weighted mean of |e - 1(u < 0)| u^2, u = Q(s, a) - V(s), Q a constant (Kostrikov et al., 2022, equation 5).

    V becomes the e-expectile of Q under the actions of the data: at 0.5 their mean, towards 1 their maximum, without
    ever asking Q about an action that is not in the data. ILQL (Snell et al., 2023) takes it over to text.

    Args:
        value: V(s_t) [batch, time].
        target: Q(s_t, a_t) of the target network's heads [batch, time].
        expectile: e, in (0, 1).
        weights: [batch, time], 0 behind the end; None: all 1.

    Returns:
        Scalar, in BLEU squared.
    """
    weights = None if weights is None else ops.cast(weights, value.dtype)
    error = ops.stop_gradient(_keep(target, weights)) - _keep(value, weights)
    return _mean(ops.where(error < 0, 1.0 - expectile, expectile) * ops.square(error), weights)


def cql_loss(q: Tensor, actions: Tensor, weights: Tensor | None = None, temperature: float = 1.0) -> Tensor:
    """Weighted mean of T log sum_a exp(Q(s, a) / T) - Q(s, a_data): conservative Q (Kumar et al., 2020, eq. 4).

    Pushes down the values of actions the data do not have. Its gradient is softmax(Q / T) - onehot(a_data).

    Args:
        q: Q(s_t, .) [batch, time, actions].
        actions: those of the data, int [batch, time].
        weights: [batch, time], 0 behind the end; None: all 1.
        temperature: T, in BLEU; at 1 values in [0, 1] are nearly alike; the softmax is the policy at tau
            for Q = tau z, and for other Q near an argmax there.

    Returns:
        Scalar, in BLEU.
    """
    q, actions, weights = _keep_rows(q, actions, weights)
    return _mean(temperature * ops.logsumexp(q / temperature, axis=-1) - action_value(q, actions), weights)


def _regression(delta: Tensor, score: Tensor, huber: float, weights: Tensor | None) -> Tensor:
    """The mean of Huber(delta), with gradient -mean clip(delta) grad score (see the module's head)."""
    weights = None if weights is None else ops.cast(weights, score.dtype)
    delta = ops.stop_gradient(_keep(delta, weights))
    clipped = ops.clip(delta, -huber, huber) if huber > 0.0 else delta
    value = clipped * (delta - 0.5 * clipped)
    # score - stop(score) is exactly 0 and carries the gradient.
    score = _keep(score, weights)
    return _mean(value - clipped * (score - ops.stop_gradient(score)), weights)


def _keep(x: Tensor, weights: Tensor | None) -> Tensor:
    """x with 0 where the weight is 0, so that not even an infinity there reaches value or gradient."""
    return x if weights is None else ops.where(weights > 0, x, ops.zeros_like(x))


def _keep_rows(q: Tensor, actions: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """q [..., actions], actions and weights [...] with zeros in place of what weighs nothing."""
    actions = ops.cast(actions, "int32")
    if weights is None:
        return q, actions, None
    weights = ops.cast(weights, q.dtype)
    return _keep(q, weights[..., None]), _keep(actions, weights), weights


def _mean(x: Tensor, weights: Tensor | None) -> Tensor:
    """Weighted mean; 0 if all weights are."""
    if weights is None:
        return ops.mean(x)
    total = ops.sum(weights)
    return ops.sum(x * weights) / ops.where(total > 0, total, ops.ones_like(total))
