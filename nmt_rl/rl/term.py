"""What a summand of the fine-tuning loss is: what it makes of episodes, and what is minimised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from keras import ops

from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.replay import Sampled

Arrays = dict[str, np.ndarray]
Numbers = dict[str, float]
ERRORS = "errors"
"""Among what a loss reports: the TD errors of its batch, from which priorities are made."""


def value_numbers(update: Mapping[str, Any]) -> Numbers:
    """What is reported of a value network's update: its loss, or that it was skipped."""
    return {"value_skipped": 1.0} if update["skipped"] else {"value_loss": update["loss"]}


class Term(ABC):
    """A summand of the loss. Its batch is made on the host, from episodes; its loss is part of the compiled update."""

    name: ClassVar[str]
    """Under which its arrays ride in the batch."""
    weight: float = 1.0

    @abstractmethod
    def batch(self, sampled: Sampled, step: int) -> tuple[Arrays, Numbers]:
        """What `loss` needs at update `step`, and numbers to report; `tokens` is the number of pieces learnt from."""

    def size(self, arrays: Arrays) -> float:
        """What the loss of such a batch is a mean over: several batches that make up an update count by it."""
        return float(arrays["weights"].sum())

    @abstractmethod
    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """`loss`, without the weight, other scalars to report, and perhaps `errors`, as many for each episode."""

    def after_update(self, step: int) -> None:
        """Called after each update, for target networks and the like."""
        return

    def state(self) -> Arrays:
        """Everything for an exact resume."""
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave."""
        return


class Objective:
    """The sum of the weighted terms, for a Learner.

    Dropout is off in every term but cross-entropy: the policy that is trained is the one that acted.

    Args:
        terms: as they ride in the batches.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        """See the class docstring."""
        self.terms = list(terms)

    def __call__(self, model: Seq2Seq, batch: dict[str, dict[str, Tensor]], training: bool) -> dict[str, Tensor]:
        """`loss` and what the terms report; the errors of a term under `NAME/errors`."""
        loss, result = ops.zeros(()), {}
        for term in self.terms:
            numbers = term.loss(model, batch[term.name], training)
            errors = numbers.pop(ERRORS, None)
            if "share" in batch[term.name]:
                numbers = {name: batch[term.name]["share"] * value for name, value in numbers.items()}
            loss = loss + term.weight * numbers.pop("loss")
            result.update(numbers)
            if errors is not None:
                result[f"{term.name}/{ERRORS}"] = errors
        return {"loss": loss, **result}


def below(arrays: Mapping[str, Any], head: str) -> dict[str, Any]:
    """The arrays whose names begin with `head`, without it."""
    return {name.removeprefix(head): arrays[name] for name in arrays if name.startswith(head)}


def root_mean_square(delta: Tensor, weights: Tensor) -> Tensor:
    """Root of the weighted mean square, 0 without any weight."""
    return ops.sqrt(ops.sum(weights * ops.square(delta)) / ops.maximum(ops.sum(weights), 1.0))
