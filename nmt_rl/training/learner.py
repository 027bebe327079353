"""The compiled update: Keras' optimizers minimise an objective of the model and a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from nmt_rl.backend import Gradients, compile_accumulation, compile_update, runs_ahead
from nmt_rl.config import OptimizerConfig
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.training.optimizers import build_optimizer

Objective = Callable[[Seq2Seq, dict[str, Tensor], bool], dict[str, Tensor]]
"""(model, batch, training) -> scalars; `loss` is minimised, the others are reported. In a batch that makes up an update
together with others is its `share` of it (see `joined`), and the scalars are what it adds to those of the update."""


def joined(batches: Sequence[dict[str, Any]], sizes: Sequence[float]) -> list[dict[str, Any]]:
    """The batches of one update; several have their `share` of it, float32 [], so that it is that of one batch of all.

    Args:
        batches: as an objective takes them.
        sizes: what the loss of each is a mean over, such as its number of tokens.
    """
    if len(batches) == 1:
        return list(batches)
    total = sum(sizes)
    return [
        {**batch, "share": np.float32(size / total if total else 1 / len(batches))}
        for batch, size in zip(batches, sizes, strict=True)
    ]


class Learner(keras.Model):
    """Minimises an objective over batches that are dicts of NumPy arrays.

    Cross-entropy and DQN updates differ only in their objective and in what rides in the batch, so that both share
    clipping, accumulation, EMA and mixed precision.

    Args:
        model: the network that is trained.
        objective: see Objective.
        config: of the optimizer.
        precision: float16 turns loss scaling on.
        beside: holds weights that the objective reads and that are not trained.
    """

    def __init__(
        self,
        model: Seq2Seq,
        objective: Objective,
        config: OptimizerConfig,
        precision: str = "float32",
        beside: keras.Layer | None = None,
    ) -> None:
        """See the class docstring."""
        super().__init__(name="learner")
        self.model, self.objective, self.beside = model, objective, beside
        optimizer = build_optimizer(config)
        if precision == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self.compile(optimizer=optimizer, auto_scale_loss=False)
        self.built = True
        self._step: Callable[[Any], dict[str, Any]] | None = None
        self._halves: tuple[Gradients, Callable[[Any, Any], Any]] | None = None
        self._batches: Sequence[dict[str, Any]] = ()
        self.runs_ahead = runs_ahead()
        """What `update` returns are numbers on the device, which need not be there yet."""
        self.details: list[dict[str, np.ndarray]] = []
        """What the objective reports that is no scalar, of each batch of the last update."""
        optimizer.build(self.trainable_variables)

    def call(self, batch: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """The objective's scalars."""
        return self.objective(self.model, batch, training)

    def update(self, batches: Sequence[dict[str, Any]], learning_rate: float) -> dict[str, Any]:
        """One update; returns the objective's scalars and `skipped`, as floats unless it `runs_ahead`.

        An update whose gradient is not finite changes nothing, and `skipped` is 1; not of float16, whose loss scaling
        leaves such updates out by itself, many at first.

        Args:
            batches: pytrees of NumPy arrays, one or several with their shares; their gradients are added up before
                they are clipped and applied.
            learning_rate: of this update.
        """
        self.optimizer.learning_rate = learning_rate
        self._batches = batches
        if len(batches) > 1:
            return self._accumulate(batches)
        if self._step is None:
            self._step = compile_update(self)
        numbers, self.details = self._told([self._step(batches[0])])
        return numbers

    def loss_of_last(self) -> float:
        """Loss of the last update's batches by the weights as they are now; 0 if there was none."""
        return float(self.update(self._batches, 0.0)["loss"]) if self._batches else 0.0

    def _accumulate(self, batches: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if self._halves is None:
            self._halves = compile_accumulation(self)
        gradients, apply = self._halves
        each, sums = gradients(batches)
        numbers, self.details = self._told(each, {"skipped": apply(sums, sum(numbers["loss"] for numbers in each))})
        return numbers

    def _told(
        self, outputs: Sequence[dict[str, Any]], of_all: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], list[dict[str, np.ndarray]]]:
        """The sums over batches of the scalars that an objective reports, and what is of all; and the rest of each."""
        first = outputs[0]
        numbers = {
            name: sum((each[name] for each in outputs[1:]), value)
            for name, value in first.items()
            if not np.ndim(value)
        } | (of_all or {})
        if not self.runs_ahead:
            numbers = {name: float(value) for name, value in numbers.items()}
        details = [{name: np.asarray(value) for name, value in each.items() if np.ndim(value)} for each in outputs]
        return numbers, details

    @property
    def state(self) -> list[keras.Variable]:
        """Everything that must be restored for an exact resume: weights, dropout seeds, optimizer."""
        return [*self.variables, *self.optimizer.variables]
