"""What the log-probability of a finished hypothesis is divided by."""

from __future__ import annotations

from typing import Any, Literal

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
