"""Q heads on the decoder's states, and a model whose next piece they choose together with a policy."""

from __future__ import annotations

from functools import reduce
from typing import Literal

import keras
import numpy as np
from keras import ops

from nmt_rl.models.insight import ActionValues, Insight
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.models.wrapper import Wrapper


class QHeads(keras.Model):
    """Q(s, a), V(s) and the advantage of every piece, from the decoder's state.

    The output layers start at 0, and so do all values: the advantage is exactly 0 until something is learnt. The hidden
    layers are drawn at random; make the heads inside `backend.seeded`.

    Args:
        kind: `dueling`: one hidden layer and on it the streams V and A, Q = V + A - mean_a A (Wang et al., 2016,
            equation 9). `ilql`: two Q heads and a V head, each with a hidden layer of its own (Snell et al., 2023); of
            the two the smaller counts.
        width: of the decoder's states; of wider ones the first numbers are looked at.
        vocabulary: number of target pieces.
        units: of the hidden layers.
    """

    def __init__(self, kind: Literal["dueling", "ilql"], width: int, vocabulary: int, units: int) -> None:
        """See the class docstring."""
        super().__init__(name="q_heads", dtype="float32")
        self.kind, self.width = kind, width
        names = {"dueling": ("hidden",), "ilql": ("v_hidden", "q_0_hidden", "q_1_hidden")}[kind]
        self.hidden = [keras.layers.Dense(units, activation="relu", dtype="float32", name=name) for name in names]
        # The first output is V, the others have a row per piece.
        sizes = {"v": 1, "a": vocabulary} if kind == "dueling" else {"v": 1, "q_0": vocabulary, "q_1": vocabulary}
        self.out = [
            keras.layers.Dense(size, kernel_initializer="zeros", dtype="float32", name=name)
            for name, size in sizes.items()
        ]
        for layer in self.hidden:
            layer.build((None, width))
        for layer in self.out:
            layer.build((None, units))
        self.built = True

    def call(self, states: Tensor) -> Tensor:
        """The same as `q`."""
        return self.q(states)

    def q(self, states: Tensor) -> Tensor:
        """Q(s, .) float32 [..., vocab] of states [..., width]; of two heads the smaller value."""
        return reduce(ops.minimum, self.all_q(states))

    def all_q(self, states: Tensor) -> list[Tensor]:
        """Q(s, .) of each Q head, float32 [..., vocab]: one (dueling) or two (ilql), which are trained apart."""
        if self.kind == "dueling":
            return [self.value(states)[..., None] + self.advantage(states)]
        return [self._output(i, states) for i in (1, 2)]

    def value(self, states: Tensor) -> Tensor:
        """V(s) float32 [...] of states [..., width]."""
        return self._output(0, states)[..., 0]

    def advantage(self, states: Tensor) -> Tensor:
        """A - mean_a A (dueling) or min_i Q_i - V (ilql), float32 [..., vocab], of states [..., width]."""
        if self.kind == "dueling":
            streams = self._output(1, states)
            return streams - ops.mean(streams, axis=-1, keepdims=True)
        return self.q(states) - self.value(states)[..., None]

    def _output(self, index: int, states: Tensor) -> Tensor:
        """Output layer `index` on its hidden layer, or on the only one there is."""
        hidden = self.hidden[index % len(self.hidden)]
        return self.out[index](hidden(ops.cast(states[..., : self.width], "float32")))


class QGuided(Wrapper):
    """A policy and Q heads that choose together: pi(a|s) ~ pi_base(a|s) exp(beta A(s, a)) (Snell et al., 2023).

    A Seq2Seq like any other, so every search and objective takes it. Logits are those of the base plus beta A: they
    differ from log pi_base + beta A by a constant of the state, which no softmax sees, and with A = 0 the base's output
    comes out bit for bit.

    Args:
        base: the policy; freeze it (`trainable = False`) to train the heads alone.
        heads: on the base's decoder states.
        beta: in nats per BLEU of [0, 1]; 0 is the base. It is saved with the weights, and `beta.assign(value)` needs no
            new compilation.
    """

    def __init__(self, base: Seq2Seq, heads: QHeads, beta: float) -> None:
        """See the class docstring."""
        super().__init__(base, "q_guided")
        self.heads = heads
        initializer = keras.initializers.Constant(beta)
        self.beta = self.add_weight(shape=(), initializer=initializer, trainable=False, dtype="float32", name="beta")
        self.built = True

    def project(self, states: Tensor) -> Tensor:
        """Guided logits z(s, .) + beta A(s, .), float32 [..., vocab], of states [..., width]."""
        return self.base.project(states) + self.beta * self.heads.advantage(states)

    def logits_of(self, states: Tensor, pieces: Tensor) -> Tensor:
        """See Seq2Seq.logits_of."""
        advantage = ops.take_along_axis(self.heads.advantage(states), pieces, axis=-1)
        return self.base.logits_of(states, pieces) + self.beta * advantage

    def mean_logit(self, states: Tensor) -> Tensor:
        """See Seq2Seq.mean_logit."""
        return self.base.mean_logit(states) + self.beta * ops.mean(self.heads.advantage(states), axis=-1)

    def inspect(self, source: np.ndarray, target_in: np.ndarray) -> Insight:
        """See Seq2Seq.inspect; with what the heads say."""
        seen = super().inspect(source, target_in)
        return seen._replace(q=ActionValues(self.heads.q(seen.states), self.heads.value(seen.states)))
