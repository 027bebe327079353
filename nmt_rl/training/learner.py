"""The compiled update: Keras' own trainer minimises an objective of the model and a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from nmt_rl.backend import compile_update, is_jax
from nmt_rl.config import OptimizerConfig
from nmt_rl.models.seq2seq import Seq2Seq, Tensor

Objective = Callable[[Seq2Seq, dict[str, Tensor], bool], dict[str, Tensor]]
"""(model, batch, training) -> scalars; `loss` is minimised, the others are reported."""


class Learner(keras.Model):
    """Minimises an objective over batches that are dicts of NumPy arrays.

    Cross-entropy and DQN updates differ only in their objective and in what rides in the batch, so that both share
    clipping, accumulation, EMA and mixed precision.

    Args:
        model: the network that is trained.
        objective: see Objective. It may own layers of its own, listed in `extra`.
        config: of the optimizer.
        precision: float16 turns loss scaling on.
        extra: further layers with trainable weights, such as a value head.
    """

    def __init__(
        self,
        model: Seq2Seq,
        objective: Objective,
        config: OptimizerConfig,
        precision: str = "float32",
        extra: tuple[keras.layers.Layer, ...] = (),
    ) -> None:
        """See the class docstring."""
        super().__init__(name="learner")
        self.model, self.objective, self.extra = model, objective, list(extra)
        optimizer = build_optimizer(config)
        if precision == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self.compile(optimizer=optimizer, auto_scale_loss=False, jit_compile=False if _no_xla() else "auto")
        self.built = True
        self._step: Callable[[Any], dict[str, Any]] | None = None
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

    def update(self, batch: dict[str, np.ndarray], learning_rate: float) -> dict[str, float]:
        """One gradient step; returns the objective's scalars."""
        self.optimizer.learning_rate = learning_rate
        if self._step is None:
            self._step = compile_update(self)
        return {name: float(value) for name, value in self._step(batch).items()}

    @property
    def state(self) -> list[keras.Variable]:
        """Everything that must be restored for an exact resume: weights, dropout seeds, optimizer."""
        return [*self.variables, *self.optimizer.variables]


def _no_xla() -> bool:
    """XLA compiles once per shape, 16-21 s each, and is no faster on CPU: TensorFlow runs as a plain graph."""
    return not is_jax()


def build_optimizer(config: OptimizerConfig) -> keras.optimizers.Optimizer:
    """Adam or AdamW with clipping, accumulation and EMA; the learning rate is set before each update."""
    kind = keras.optimizers.AdamW if config.name == "adamw" else keras.optimizers.Adam
    decay = {"weight_decay": config.weight_decay} if config.name == "adamw" else {}
    return kind(
        learning_rate=config.learning_rate,
        beta_1=config.beta_1,
        beta_2=config.beta_2,
        epsilon=config.epsilon,
        global_clipnorm=config.clip_norm or None,
        gradient_accumulation_steps=config.accumulate if config.accumulate > 1 else None,
        use_ema=config.ema > 0,
        ema_momentum=config.ema or 0.99,
        name="optimizer",
        **decay,
    )
