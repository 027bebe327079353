"""The value stream V(s, c) of the dueling Q-network: a small head on the decoder's states, used in training only."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from nmt_rl.models.seq2seq import Tensor
from nmt_rl.rl.losses import value_loss

VALUE_UNITS = 256
"""Hidden units of the heads."""


class ValueHead(keras.Model):
    """V(s, c) from the decoder state s and, if privileged, what the reference tells about the prefix (c).

    V cancels in the policy's softmax, so it may know what the policy must not (asymmetric actor-critic).

    Args:
        width: of the decoder states; of wider ones the first numbers are looked at.
        features: number of privileged features, 0 for none.
        units: of the hidden layer.
    """

    def __init__(self, width: int, features: int, units: int) -> None:
        """See the class docstring."""
        super().__init__(name="value_head")
        self.hidden = keras.layers.Dense(units, activation="relu", name="hidden")
        self.out = keras.layers.Dense(1, name="out")
        self.hidden.build((None, None, width + features))
        self.out.build((None, None, units))
        self.width, self.features = width, features
        self.built = True

    def call(self, states: Tensor, features: Tensor) -> Tensor:
        """V float32 [batch, time] of states [batch, time, width or more] and features [batch, time, features]."""
        x = ops.cast(states[..., : self.width], "float32")
        x = ops.concatenate([x, features], axis=-1) if self.features else x
        return self.out(self.hidden(x))[..., 0]


def value_objective(head: Any, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
    """Mean squared error of V against its targets, for a Learner of the head alone."""
    value = head(batch["states"], batch["features"])
    return {"loss": value_loss(value, batch["target"], batch["weights"])}
