r"""Policy gradients and minimum risk: one equation per function.

Scores become advantages on the host, in NumPy float64; the losses are keras.ops, for the compiled training step.
Scores are BLEU of [0, 1] (or whatever the reward is); lengths count the end symbol.

With n samples y_1 ... y_n of one source and alpha -> 0, minimum risk is leave-one-out reinforcement on a smaller
scale: Q_alpha -> 1/n, and R_i minus the mean of all is (n - 1) / n of R_i minus the mean of the others, so

    grad risk = -alpha sum_i Q_i (R_i - sum_j Q_j R_j) grad log p(y_i)
             -> -alpha (n - 1) / n^2 sum_i A_i grad log p(y_i),      A_i of `rloo_advantages`.
"""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

from nmt_rl.rl.losses import Tensor, trajectory_loss
from nmt_rl.rl.targets import Array

NEVER = -1e9
"""Stands for minus infinity where a row does not belong to a source: finite, so that gradients stay free of NaN."""


def scst_advantages(sample_scores: ArrayLike, greedy_scores: ArrayLike) -> Array:
    """A_i = R(y_i) - R(greedy), self-critical sequence training (Rennie et al., 2017).

    Args:
        sample_scores: R of the sampled translations [sources, samples].
        greedy_scores: R of the greedy translation [sources].

    Returns:
        float64 [sources, samples].

    Raises:
        ValueError: if the shapes do not fit.
    """
    scores, greedy = np.asarray(sample_scores, np.float64), np.asarray(greedy_scores, np.float64)
    if scores.ndim != 2 or greedy.shape != scores.shape[:1]:
        raise ValueError(f"scores should be [sources, samples] and [sources], found {scores.shape}, {greedy.shape}")
    return scores - greedy[:, None]


def rloo_advantages(scores: ArrayLike) -> Array:
    """A_i = R(y_i) - 1 / (n - 1) sum_{j != i} R(y_j) (Kool et al., 2019; Ahmadian et al., 2024).

    Args:
        scores: R of the sampled translations [sources, samples].

    Returns:
        float64 [sources, samples].

    Raises:
        ValueError: with fewer than two samples.
    """
    given = np.asarray(scores, np.float64)
    if given.ndim != 2 or given.shape[1] < 2:
        raise ValueError(f"scores should be [sources, samples] with two samples or more, found {given.shape}")
    # Counted from the first score: an advantage does not change, and equal scores give 0 without rounding.
    gain = given - given[:, :1]
    others = np.sum(gain, axis=1, keepdims=True) - gain
    return gain - others / (gain.shape[1] - 1)


def group_advantages(scores: ArrayLike, epsilon: float = 1e-4) -> Array:
    """A_i = (R(y_i) - mean R) / (std R + epsilon) over the samples of a source (Shao et al., 2024, section 4.1.2).

    Args:
        scores: R of the sampled translations [sources, samples].
        epsilon: keeps the least differences of scores from becoming whole advantages; the paper has none.

    Returns:
        float64 [sources, samples]; the deviation is the population's.
    """
    given = np.asarray(scores, np.float64)
    # Counted from the first score, like `rloo_advantages`: equal scores give 0 without rounding.
    gain = given - given[:, :1]
    return (gain - gain.mean(axis=1, keepdims=True)) / (gain.std(axis=1, keepdims=True) + epsilon)


def reinforce_advantages(returns: ArrayLike, baseline: ArrayLike, mask: ArrayLike) -> Array:
    """A_t = G_t - b(s_t), REINFORCE with a baseline (Williams, 1992).

    Args:
        returns: G_t, `targets.monte_carlo_returns` of the rewards [batch, time].
        baseline: b(s_t) [batch, time]; 0 for none.
        mask: true at real steps [batch, time]; nothing elsewhere is looked at, not even NaN.

    Returns:
        float64 [batch, time], 0 where masked.
    """
    real = np.asarray(mask, bool)
    return np.subtract(returns, baseline, out=np.zeros(real.shape), where=real)


def mixer_moves(step: int, every: int) -> int:
    """How often the border between cross-entropy and reinforcement has moved: 1 + floor((step - 1) / every).

    The stage with cross-entropy alone (Ranzato et al., 2016, algorithm 1, s = T) is pretraining, so the first move
    is made before the first update.

    Args:
        step: the update, from 1.
        every: updates between two moves.
    """
    return 1 + (step - 1) // every


def mixer_split(lengths: ArrayLike, moves: int, pieces: int) -> NDArray[np.int32]:
    """L - k, at least 0, with k = moves * pieces: how many pieces of each reference are forced, int32 [batch].

    MIXER (Ranzato et al., 2016, algorithm 1): the first L - k pieces of the reference are trained with
    cross-entropy, what the policy samples after them with REINFORCE; from k = L on it is REINFORCE alone. The paper
    has one L, the longest, for all sentences; here each has its own.

    These are the `prefix_lengths` of `Generator`, whose `prefix` are the references; with k = 0 the end symbol is
    forced too.

    Args:
        lengths: L, pieces of the references with the end symbol, int [batch].
        moves: of `mixer_moves`.
        pieces: how many the border moves at a time.
    """
    return np.maximum(np.asarray(lengths) - moves * pieces, 0).astype(np.int32)


def mixer_masks(
    prefix_lengths: ArrayLike, lengths: ArrayLike, time: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pieces of a translation were forced and which sampled; both bool [batch, time], false behind its end.

    Cross-entropy is the policy gradient of advantage 1, so that MIXER's loss of both parts together is
    `policy_gradient_loss(log_pi, where(forced, 1, advantages), forced | sampled)`.

    Args:
        prefix_lengths: of `mixer_split`, int [batch].
        lengths: pieces of the translations, forced ones and the end symbol counted, int [batch].
        time: width of the masks.
    """
    at = np.arange(time)
    real = at < np.asarray(lengths)[:, None]
    forced = at < np.asarray(prefix_lengths)[:, None]
    return real & forced, real & ~forced


def dedupe(ids: ArrayLike, lengths: ArrayLike, source_index: ArrayLike) -> NDArray[np.bool_]:
    """Whether a row is the first with its translation of its source, bool [rows]: the set S(x) of minimum risk.

    Args:
        ids: translations, int [rows, time]; what lies behind their lengths is not looked at.
        lengths: their pieces, int [rows].
        source_index: which source each row translates, int [rows].
    """
    table = np.asarray(ids)
    pieces = np.where(np.arange(table.shape[1]) < np.asarray(lengths)[:, None], table, -1)
    _, first = np.unique(np.column_stack([np.asarray(source_index), pieces]), axis=0, return_index=True)
    kept = np.zeros(len(table), bool)
    kept[first] = True
    return kept


def policy_gradient_loss(log_pi: Tensor, advantages: Tensor, weights: Tensor | None = None) -> Tensor:
    """Policy gradient -mean A_t grad log pi(a_t|s_t) (Williams, 1992); its value is mean A_t^2 / 2.

    It is the trajectory loss without a pull to the prior, tau = 0, whose TD error is the advantage. The usual
    surrogate -mean A log pi has the same gradient, but as a number it says nothing; half the mean squared
    advantage, in BLEU squared, is how much is left to learn from, and can be compared between updates and with the
    trajectory loss.

    Args:
        log_pi: log-probabilities of the actions taken [batch, time]; the only argument that gets a gradient.
        advantages: of each step [batch, time], or of each translation [batch].
        weights: [batch, time], 0 behind the end; None: all 1. The mean is over steps.

    Returns:
        Scalar.
    """
    log_pi, advantages = ops.convert_to_tensor(log_pi), ops.cast(advantages, log_pi.dtype)
    if len(advantages.shape) < len(log_pi.shape):
        advantages = advantages[:, None]
    nothing = ops.zeros_like(log_pi)
    return trajectory_loss(log_pi, nothing, nothing, advantages, tau=0.0, weights=weights)


def sequence_log_prob(log_pi: Tensor, weights: Tensor) -> Tensor:
    """log p(y|x) = sum_t log pi(y_t|y_<t, x), in nats; [batch].

    Args:
        log_pi: log-probabilities of the pieces [batch, time].
        weights: [batch, time], 0 behind the end, where nothing reaches the sum or its gradient, not even NaN.
    """
    return ops.sum(ops.where(ops.cast(weights, log_pi.dtype) > 0, log_pi, ops.zeros_like(log_pi)), axis=-1)


def risk_loss(
    log_pi: Tensor,
    scores: Tensor,
    source_index: Tensor,
    sources: int,
    alpha: float,
    weights: Tensor | None = None,
) -> Tensor:
    """Minimum risk training: mean over sources of -sum_y Q_alpha(y) score(y) (Shen et al., 2016).

        Q_alpha(y) = p(y|x)^alpha / sum_{y' in S(x)} p(y'|x)^alpha,
        gradient with respect to log p(y): -alpha Q_alpha(y) ( score(y) - sum_{y'} Q_alpha(y') score(y') ) / sources

    Args:
        log_pi: log p(y|x) of whole translations [rows], `sequence_log_prob`; the only argument that gets a gradient.
        scores: of the translations [rows].
        source_index: which source each row translates, int [rows].
        sources: number of sources; those without a row are not in the mean.
        alpha: sharpness of Q_alpha; the gradient is about proportional to it.
        weights: [rows], 0 leaves a row (padding, or a duplicate by `dedupe`) out of S(x); None: all are in.

    Returns:
        Scalar: the negative expected score.
    """
    log_pi, scores = ops.convert_to_tensor(log_pi), ops.cast(scores, log_pi.dtype)
    kept = ops.ones_like(log_pi) if weights is None else ops.cast(weights, log_pi.dtype)
    here = ops.cast(source_index, "int32")[None, :] == ops.arange(sources, dtype="int32")[:, None]
    here = ops.logical_and(here, (kept > 0)[None, :])
    probabilities = ops.softmax(ops.where(here, alpha * log_pi[None, :], NEVER), axis=1)
    # Scores count from the source's best: Q sums to 1, and equal scores give no gradient, not even by rounding.
    best = ops.max(ops.where(here, scores[None, :], NEVER), axis=1, keepdims=True)
    regret = ops.stop_gradient(ops.where(here, best - scores[None, :], 0.0))
    risk = ops.sum(probabilities * regret, axis=1) - ops.stop_gradient(best[:, 0])
    occupied = ops.any(here, axis=1)
    total = ops.sum(ops.where(occupied, risk, ops.zeros_like(risk)))
    return total / ops.maximum(ops.sum(ops.cast(occupied, log_pi.dtype)), 1.0)
