"""What a finished hypothesis' log-probability is divided by, and what its score loses."""

from __future__ import annotations

from typing import Any, Literal

from keras import ops

Normalization = Literal["average", "gnmt"]


def length_penalty(length: Any, alpha: float, kind: Normalization) -> Any:
    """What a hypothesis' log-probability is divided by: length^alpha, or ((5 + length) / 6)^alpha.

    With `average` and alpha 1 a score is the mean log-probability of a piece; `gnmt` is Wu et al. (2016), equation 14.

    Args:
        length: pieces including EOS; a number, an array or a tensor of floats.
        alpha: 0 turns the penalty off.
        kind: which of the two.
    """
    return length**alpha if kind == "average" else ((5.0 + length) / 6.0) ** alpha


def coverage_penalty(coverage: Any, absent: Any) -> Any:
    """sum_i log min(c_i, 1), at most 0: by how much source pieces were not looked at (Wu et al., 2016, equation 14).

    Args:
        coverage: c, the sum of the attention on each source piece over all target pieces, float32 [..., source].
        absent: bool, broadcastable to it: padding, which does not count.
    """
    logs = ops.log(ops.clip(coverage, 1e-9, 1.0))
    return ops.sum(ops.where(absent, 0.0, logs), axis=-1)
