"""What hard attention is trained by, of the positions that a model has chosen: one loss per word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from nmt_rl.backend import recomputed
from nmt_rl.models.hard_attention import (
    baseline_error,
    expected_log_likelihood,
    marginal_log_likelihood,
    sampled_log_likelihood,
)
from nmt_rl.models.seq2seq import Choice, Tensor

LogLikelihood = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From states [words, width] to the log-likelihood of each word, smoothed and as it is, [words] each."""


def choice_losses(choice: Choice, log_likelihood: LogLikelihood) -> dict[str, Tensor]:
    """`loss`, of whose gradient the expectation is that of the bound, and its terms, of words, [words] each.

    The vocabulary is computed for one position after the other, and of several once more for the gradient, so that
    memory never holds [words, positions, vocab].

    Args:
        choice: for each word, [words, ...].
        log_likelihood: of the words.

    Returns:
        `loss`; `nll`, minus the bound on the log-likelihood without smoothing; and, where there are such, `kl` (which
        is in both) and `baseline_error`.
    """
    count = choice.states.shape[1]
    once = recomputed(log_likelihood) if count > 1 else log_likelihood
    each = [once(choice.states[:, k]) for k in range(count)]
    smoothed, plain = (ops.stack(values, axis=-1) for values in zip(*each, strict=True))
    baseline = choice.baseline
    if choice.soft is not None:
        baseline = ops.stop_gradient(log_likelihood(choice.soft)[0])
    bound, nll = _bound(choice, smoothed, baseline), -ops.stop_gradient(_bound(choice, plain, baseline))
    found = {"loss": -bound, "nll": nll}
    if choice.divergence is not None:
        found = {name: value + choice.divergence for name, value in found.items()} | {"kl": choice.divergence}
    if choice.cost is not None:
        found["loss"] = found["loss"] + choice.cost
    if choice.baseline is not None:
        found["baseline_error"] = baseline_error(choice.baseline, smoothed)
        found["loss"] = found["loss"] + found["baseline_error"]
    return found


def _bound(choice: Choice, log_likelihoods: Tensor, baseline: Tensor | None) -> Tensor:
    """On log p(word), [words], but for a divergence."""
    if choice.kind == "marginal":
        return marginal_log_likelihood(choice.log_weights, log_likelihoods)
    if choice.kind == "enumerated":
        return expected_log_likelihood(choice.log_weights, log_likelihoods)
    return sampled_log_likelihood(choice.log_weights, log_likelihoods, baseline)


def at(choice: Choice, positions: Tensor) -> Choice:
    """The choice at so many of its [batch * time] places: of [words, ...]."""

    def taken(x: Any) -> Any:
        return ops.take(ops.reshape(x, (-1, *x.shape[2:])), positions, axis=0) if keras.ops.is_tensor(x) else x

    return Choice(*map(taken, choice))
