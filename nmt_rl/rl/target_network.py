"""The target network: a copy that follows the network being trained, slowly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


class TargetNetwork:
    """target += rate (online - target) after each update (Polyak and Juditsky, 1992; Lillicrap et al., 2016).

    Args:
        pairs: (online, target) networks; the second become copies of the first.
        rate: of each step.
    """

    def __init__(self, pairs: Sequence[tuple[keras.Model, keras.Model]], rate: float) -> None:
        """See the class docstring."""
        self.pairs, self.rate = list(pairs), rate
        self.move(1.0)

    def move(self, rate: float | None = None) -> None:
        """One step, or one of another rate; 1 is a copy."""
        rate = self.rate if rate is None else rate
        for online, target in self.pairs:
            for new, old in zip(online.trainable_variables, target.trainable_variables, strict=True):
                # A copy: on JAX an update of the online network frees its old arrays.
                old.assign(ops.copy(new) if rate == 1.0 else old + rate * (new - old))

    @property
    def variables(self) -> list[Any]:
        """What a resume needs beside the online networks."""
        return [v for _, target in self.pairs for v in target.trainable_variables]
