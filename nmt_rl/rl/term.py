"""What a summand of the fine-tuning loss is: where its data come from, and what is minimised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from nmt_rl.corpus.batches import Batch
from nmt_rl.models.seq2seq import Seq2Seq, Tensor

Arrays = dict[str, np.ndarray]
Numbers = dict[str, float]


@dataclass(frozen=True)
class Drawn:
    """Sentences of the corpus that one batch is made from."""

    step: int
    """The update the batch is for, from 1."""
    rows: Batch
    """Sources and references as pieces; no padding rows."""
    references: Sequence[Any]
    """The references as the reward wants them."""
    tau: float
    """Strength of the pull to the prior at this update, in BLEU of [0, 1] per nat."""
    rng: np.random.Generator
    """Of every draw for this batch."""


class Term(ABC):
    """A summand of the loss. Its batch is made on the host by the current policy; its loss is part of the update."""

    name: ClassVar[str]
    """Under which its arrays ride in the batch."""
    weight: float = 1.0

    @abstractmethod
    def batch(self, drawn: Drawn) -> tuple[Arrays, Numbers]:
        """What `loss` needs, and numbers to report; `tokens` is the number of target pieces trained on."""

    def size(self, arrays: Arrays) -> float:
        """What the loss of such a batch is a mean over: several batches that make up an update count by it."""
        return float(arrays["weights"].sum())

    @abstractmethod
    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """`loss`, without the weight, and other scalars to report."""

    def after_update(self, step: int) -> None:
        """Called after each update, for target networks and the like."""
        return

    def prior_changed(self) -> None:
        """Called when the prior has new weights: what was computed from the old ones is void."""
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
        """`loss` and what the terms report."""
        loss, result = ops.zeros(()), {}
        for term in self.terms:
            numbers = term.loss(model, batch[term.name], training)
            if "share" in batch[term.name]:
                numbers = {name: batch[term.name]["share"] * value for name, value in numbers.items()}
            loss = loss + term.weight * numbers.pop("loss")
            result.update(numbers)
        return {"loss": loss, **result}


def below(arrays: Mapping[str, np.ndarray], head: str) -> Arrays:
    """The arrays whose names begin with `head`, without it."""
    return {name.removeprefix(head): arrays[name] for name in arrays if name.startswith(head)}


def root_mean_square(delta: Tensor, weights: Tensor) -> Tensor:
    """Root of the weighted mean square, 0 without any weight."""
    return ops.sqrt(ops.sum(weights * ops.square(delta)) / ops.maximum(ops.sum(weights), 1.0))
