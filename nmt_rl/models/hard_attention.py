"""Hard attention: a word y is predicted from one position z of the source, p(y) = sum_z p(z) p(y|z); pure functions.

p(z) is what soft attention calls its weights, and y depends on z by the context alone: the encoder's state there. z is
not observed, so one of these is made large:

    score       E_p(z) [log p(y|z)]                             draws z from p; its gradient by the score function
    marginal    log sum_z p(z) p(y|z)                           exact, at the cost of p(y|z) for each z
    variational E_q(z) [log p(y|z)] - KL(q || p)                draws z from q(z|y), which knows y and so guesses better

By Jensen's inequality the first and the third are at most the second; the third reaches it where q is p(z|y). Soft
attention, log p(y | E_p(z) [context]), is none of these, and equals all of them where p is one-hot.

A decoder with input feeding remembers what it looked at. As Deng et al. (2018) and Shankar et al. (2018), what is fed
back is the state with the expected context, whatever is drawn: so the positions of a sentence are independent given its
words, the sum over all their sequences is a product of sums, and nothing random happens in the loop over time.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from nmt_rl.backend import dimension, gather

Tensor = Any
BLOCKED = -1e9
"""Log-weight of places that do not exist."""


def drawn(log_weights: Tensor, uniforms: Tensor) -> Tensor:
    """Positions from a distribution: the first at which the sum of probabilities exceeds a uniform number.

    Random numbers are handed in, because a generator cannot be advanced inside JAX's loops.

    Args:
        log_weights: log p(z), float32 [..., source].
        uniforms: from [0, 1), [..., n].

    Returns:
        int32 [..., n]
    """
    reached = ops.cumsum(ops.exp(log_weights), axis=-1)
    # The last sum is 1 but for rounding.
    below = reached[..., None, :] <= uniforms[..., None] * reached[..., -1:, None]
    return ops.minimum(ops.sum(ops.cast(below, "int32"), axis=-1), dimension(log_weights, -1) - 1)


def best_positions(log_weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The positions with the most weight, and their log-weights renormalised (k-max, Deng et al., 2018, section 4).

    Args:
        log_weights: log p(z), float32 [..., source].
        count: k; of a source that has fewer the others have no weight.

    Returns:
        int32 and float32 [..., count], the best first.
    """
    missing = ops.full_like(log_weights[..., :1], BLOCKED)
    filled = ops.concatenate([log_weights, ops.repeat(missing, count, axis=-1)], axis=-1)
    places = ops.top_k(ops.stop_gradient(filled), count)[1]
    kept = ops.log_softmax(ops.take_along_axis(filled, places, axis=-1), axis=-1)
    return ops.minimum(ops.cast(places, "int32"), dimension(log_weights, -1) - 1), kept


def contexts(values: Tensor, places: Tensor) -> Tensor:
    """values[b, places[b, t, i]], of values [batch, source, width] and int32 [batch, time, n]."""
    n = places.shape[-1]
    found = gather(values, ops.reshape(places, (dimension(places, 0), -1)))
    return ops.reshape(found, (-1, dimension(places, 1), n, values.shape[-1]))


def weights_on_source(places: Tensor, weights: Tensor, length: Tensor) -> Tensor:
    """Weights [..., n] of positions int32 [..., n] as attention on the source, [..., length]."""
    at = ops.cast(ops.equal(places[..., None], ops.arange(length, dtype="int32")), weights.dtype)
    return ops.sum(weights[..., None] * at, axis=-2)


def marginal_log_likelihood(log_weights: Tensor, log_likelihoods: Tensor) -> Tensor:
    """log sum_z p(z) p(y|z) (Wu et al., 2018, equation 2), [...] of log p(z) and log p(y|z), [..., n] each."""
    return ops.logsumexp(log_weights + log_likelihoods, axis=-1)


def expected_log_likelihood(log_weights: Tensor, log_likelihoods: Tensor) -> Tensor:
    """E_z [log p(y|z)] = sum_z p(z) log p(y|z), [...] of log p(z) and log p(y|z), [..., n] each."""
    return ops.sum(ops.exp(log_weights) * log_likelihoods, axis=-1)


def sampled_log_likelihood(log_weights: Tensor, log_likelihoods: Tensor, baseline: Tensor) -> Tensor:
    """Mean of log p(y|z) over n drawn z; its gradient's expectation is that of E_z [log p(y|z)].

        d/dw E_z [f(z)] = E_z [df(z)/dw + (f(z) - b) dlog p(z)/dw]        (Xu et al., 2015, equation 11)

    b does not depend on z, so that it changes the variance alone (Williams, 1992).

    Args:
        log_weights: log p(z) of the z that were drawn from p, [..., n].
        log_likelihoods: f(z) = log p(y|z), [..., n].
        baseline: b, [...].
    """
    advantage = ops.stop_gradient(log_likelihoods - baseline[..., None])
    # Of value 0, and of the gradient of its left part.
    score = advantage * (log_weights - ops.stop_gradient(log_weights))
    return ops.mean(log_likelihoods + score, axis=-1)


def entropy(log_weights: Tensor) -> Tensor:
    """-sum_z p(z) log p(z), nats, [...] of log p(z) [..., source]."""
    return -ops.sum(ops.exp(log_weights) * log_weights, axis=-1)


def divergence(log_q: Tensor, log_p: Tensor) -> Tensor:
    """KL(q || p) = sum_z q(z) (log q(z) - log p(z)), nats, [...] of [..., source] each."""
    return ops.sum(ops.exp(log_q) * (log_q - log_p), axis=-1)


def baseline_error(baseline: Tensor, log_likelihoods: Tensor) -> Tensor:
    """1/2 (b - mean f)^2 of a learned baseline [...], and f [..., n], which it does not change."""
    return 0.5 * ops.square(baseline - ops.stop_gradient(ops.mean(log_likelihoods, axis=-1)))
