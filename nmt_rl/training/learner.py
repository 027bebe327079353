"""The compiled update: Keras' own trainer minimises an objective of the model and a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from nmt_rl.backend import compile_accumulation, compile_update, is_jax
from nmt_rl.config import OptimizerConfig
from nmt_rl.models.seq2seq import Seq2Seq, Tensor

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
    """

    def __init__(
        self, model: Seq2Seq, objective: Objective, config: OptimizerConfig, precision: str = "float32"
    ) -> None:
        """See the class docstring."""
        super().__init__(name="learner")
        self.model, self.objective = model, objective
        optimizer = build_optimizer(config)
        if precision == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self.compile(optimizer=optimizer, auto_scale_loss=False, jit_compile=False if _no_xla() else "auto")
        self.built = True
        self._step: Callable[[Any], dict[str, Any]] | None = None
        self._halves: tuple[Callable[[Any], tuple[Any, Any]], Callable[[Any], None]] | None = None
        self._batches: Sequence[dict[str, Any]] = ()
        self.details: list[dict[str, np.ndarray]] = []
        """What the objective reports that is no scalar, of each batch of the last update."""
        optimizer.build(self.trainable_variables)

    def call(self, batch: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """The objective's scalars."""
        return self.objective(self.model, batch, training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The objective's `loss` (Keras' hook)."""
        return y_pred["loss"]

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Tensor]:
        """Report the objective's scalars as they are (Keras' hook)."""
        return y_pred

    def update(self, batches: Sequence[dict[str, Any]], learning_rate: float) -> dict[str, float]:
        """One update; returns the objective's scalars.

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
        numbers, details = _told(self._step(batches[0]))
        self.details = [details]
        return numbers

    def loss_of_last(self) -> float:
        """Loss of the last update's batches by the weights as they are now; 0 if there was none."""
        return self.update(self._batches, 0.0)["loss"] if self._batches else 0.0

    def _accumulate(self, batches: Sequence[dict[str, Any]]) -> dict[str, float]:
        if self._halves is None:
            self._halves = compile_accumulation(self)
        gradients, apply = self._halves
        outputs, sums = gradients(batches[0])
        numbers, details = _told(outputs)
        self.details = [details]
        for batch in batches[1:]:
            outputs, found = gradients(batch)
            more, details = _told(outputs)
            self.details.append(details)
            numbers = {name: value + more[name] for name, value in numbers.items()}
            sums = [total + gradient for total, gradient in zip(sums, found, strict=True)]
        apply(sums)
        return numbers

    @property
    def state(self) -> list[keras.Variable]:
        """Everything that must be restored for an exact resume: weights, dropout seeds, optimizer."""
        return [*self.variables, *self.optimizer.variables]


def _told(outputs: dict[str, Any]) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The scalars of what an objective reports, and the rest."""
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    scalars = {name: float(value) for name, value in arrays.items() if not value.ndim}
    return scalars, {name: value for name, value in arrays.items() if value.ndim}


def _no_xla() -> bool:
    """XLA compiles once per shape, 16-21 s each, and is no faster on CPU: TensorFlow runs as a plain graph."""
    return not is_jax()


def build_optimizer(config: OptimizerConfig) -> keras.optimizers.Optimizer:
    """Adam or AdamW with clipping and EMA; the learning rate is set before each update."""
    kind = keras.optimizers.AdamW if config.name == "adamw" else keras.optimizers.Adam
    decay = {"weight_decay": config.weight_decay} if config.name == "adamw" else {}
    return kind(
        learning_rate=config.learning_rate,
        beta_1=config.beta_1,
        beta_2=config.beta_2,
        epsilon=config.epsilon,
        global_clipnorm=config.clip_norm or None,
        use_ema=config.ema > 0,
        ema_momentum=config.ema or 0.99,
        name="optimizer",
        **decay,
    )
