"""Keras' optimizers, with what this project adds: Muon by blocks, and the averaged weights that are validated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from nmt_rl.config import OptimizerConfig

BLOCKS = {"self_qkv": 3, "cross_keys_values": 2}
"""Matrices that stand side by side in one kernel, by its layer's name: each is a map of its own."""


def build_optimizer(config: OptimizerConfig) -> keras.optimizers.Optimizer:
    """The optimizer with clipping and EMA; the learning rate is set before each update."""
    shared: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "global_clipnorm": config.clip_norm or None,
        "use_ema": config.ema > 0,
        "ema_momentum": config.ema or 0.99,
        "epsilon": config.epsilon,
        "name": "optimizer",
    }
    if config.name == "muon":
        decay = config.weight_decay or None
        return BlockMuon(
            adam_beta_1=config.beta_1, adam_beta_2=config.beta_2, weight_decay=decay, adam_weight_decay=decay,
            exclude_layers=["positions"], **shared,
        )  # fmt: skip
    betas = {"beta_1": config.beta_1, "beta_2": config.beta_2}
    if config.name == "adam":
        return keras.optimizers.Adam(**betas, **shared)
    kinds = {"adamw": keras.optimizers.AdamW, "schedule-free": ScheduleFree}
    return kinds[config.name](weight_decay=config.weight_decay, **betas, **shared)


class BlockMuon(keras.optimizers.Muon):
    """Muon (Jordan et al., 2024; with Moonlight's scale, Liu et al., 2025): momentum, made orthogonal.

    Kernels that hold several maps side by side are made orthogonal map by map, or one would be measured by another.
    Embeddings, position tables and vectors are updated by AdamW.
    """

    def build(self, variables: list[Any]) -> None:
        """See keras.Optimizer; on TensorFlow the updated variables have no paths."""
        self._blocks = [blocks_of(variable.path) for variable in variables]
        super().build(variables)

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, gradient + m * (self.momentum - 1))
        direction = gradient + self.momentum * m if self.nesterov else m
        parts = ops.split(direction, self._blocks[self._get_variable_index(variable)], axis=1)
        updates = [self.lr_adjust(lr * self.zeropower_via_newtonschulz5(part, self.ns_steps)) for part in parts]
        self.assign_sub(variable, ops.concatenate(updates, axis=1))


class ScheduleFree(keras.optimizers.ScheduleFreeAdamW):
    """Schedule-free AdamW (Defazio et al., 2024, algorithm 1); Keras 3.15's own reads z after it has changed.

    That is on TensorFlow, where a variable's value is the variable.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """z -= rate g / sqrt(v); x = (1 - 1/t) x + z / t; y = (1 - beta_1) z + beta_1 x, where y are the weights."""
        index, step = self._get_variable_index(variable), ops.cast(self.iterations + 1, variable.dtype)
        z, v = self._momentums[index], self._velocities[index]
        x = (variable - (1 - self.beta_1) * ops.convert_to_tensor(z)) / self.beta_1
        squared = self.beta_2 * ops.convert_to_tensor(v) + (1 - self.beta_2) * ops.square(gradient)
        size = ops.sqrt(squared / (1 - ops.power(ops.cast(self.beta_2, variable.dtype), step))) + self.epsilon
        moved = ops.convert_to_tensor(z) - ops.cast(learning_rate, variable.dtype) * gradient / size
        x = x + (moved - x) / step
        self.assign(v, squared)
        self.assign(z, moved)
        self.assign(variable, (1 - self.beta_1) * moved + self.beta_1 * x)


def blocks_of(path: str) -> int:
    """How many maps a kernel holds, by its path in the model."""
    return next((count for name, count in BLOCKS.items() if name in path.split("/")), 1)


@contextmanager
def averaged_weights(learner: keras.Model) -> Iterator[None]:
    """Inside, the weights are the average that the optimizer keeps, if it keeps one: what is validated and saved.

    That is the exponential moving average, or x of a schedule-free optimizer (Defazio et al., 2024): it trains at
    y = (1 - beta_1) z + beta_1 x, and keeps z.
    """
    optimizer = learner.optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if inner.use_ema and int(inner.iterations):  # Before the first update Keras' average is zeros.
        swap = keras.callbacks.SwapEMAWeights()
        swap.set_model(learner)
        swap.on_test_begin()
        try:
            yield
        finally:
            swap.on_test_end()
    elif isinstance(inner, ScheduleFree):
        trained = [ops.copy(variable) for variable in learner.trainable_variables]
        for variable, z in zip(learner.trainable_variables, inner._momentums, strict=True):
            variable.assign((variable - (1 - inner.beta_1) * z) / inner.beta_1)
        try:
            yield
        finally:
            for variable, value in zip(learner.trainable_variables, trained, strict=True):
                variable.assign(value)
    else:
        yield
