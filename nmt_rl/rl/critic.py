"""V: what the policy's translation will still gain from a state on, learnt by temporal differences, or remembered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn, seeded
from nmt_rl.config import DQNConfig, OptimizerConfig
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.diagnostics import explained_variance
from nmt_rl.rl.episode import EpisodeBatch
from nmt_rl.rl.episodic import EpisodicMemory, mixed_value, state_keys, state_names
from nmt_rl.rl.padding import shift_right
from nmt_rl.rl.target_network import TargetNetwork
from nmt_rl.rl.targets import monte_carlo_returns, next_step, soft_lambda_targets
from nmt_rl.rl.term import below, value_numbers
from nmt_rl.rl.value import VALUE_UNITS, ValueHead, value_objective
from nmt_rl.training.learner import Learner

Numbers = dict[str, float]
Floats = NDArray[np.floating]

STEPS = 8
"""Of V per update, on the same states: the head is small, the states are what costs."""


class Critic:
    """A head V(s, c) on the decoder's states, and the target network that its targets bootstrap from.

    V may know what the policy must not (c, features of the reference): it exists in training only. Beside it there may
    be a dictionary of states and what was gained from them, which V̄ is then mixed with.

    Args:
        model: the policy, whose states it stands on; it is not trained here.
        target: a model of the same shape.
        features: number of privileged features of a state.
        settings: rates, lambda, and how many of the first updates have plain returns as targets.
        updates: of the stage.
        seed: of the head.
    """

    def __init__(
        self, model: Seq2Seq, target: Seq2Seq, features: int, settings: DQNConfig, updates: int, seed: int
    ) -> None:
        """See the class docstring."""
        self.settings, self.monte_carlo_updates = settings, round(settings.monte_carlo * updates)
        with seeded(seed):
            heads = [ValueHead(model.embeddings.width, features, VALUE_UNITS) for _ in range(2)]
        self._learner = Learner(heads[0], value_objective, OptimizerConfig(learning_rate=settings.value_learning_rate))
        self._target = TargetNetwork([(model, target), (heads[0], heads[1])], settings.target_rate)
        self._online = compile_fn(partial(value_and_states, model, heads[0]), model, heads[0])
        self._bootstrap = compile_fn(partial(value_and_states, target, heads[1]), target, heads[1])
        own = settings.episodic
        self.memory = None if own is None else EpisodicMemory(own, model.embeddings.width + features)

    def value(
        self, source: NDArray[np.int32], ids: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """V of the target network, of the state before each piece, float32 [batch, time]; mixed with what the
        dictionary says, if there is one and it says anything.

        Args:
            source: int32 [batch, source].
            ids: translations, int32 [batch, time].
            features: of the states, float32 [batch, time, features].
        """
        value, states = (np.asarray(x) for x in self._bootstrap(source, shift_right(ids), features))
        if self.memory is None:
            return value
        return self._mixed(value, self._remembered(value, state_keys(states, features), ids != PAD))

    def _remembered(self, value: Floats, keys: Floats, real: NDArray[np.bool_]) -> Floats:
        """What the dictionary says of real states [batch, time]; elsewhere, and while it is empty, V̄."""
        assert self.memory is not None
        told = np.array(value, np.float32)
        told[real] = self.memory.value(keys[real], told[real])
        return told

    def _mixed(self, value: Floats, remembered: Floats) -> Floats:
        assert self.settings.episodic is not None
        return mixed_value(value, remembered, self.settings.episodic.mixing)

    def acting(self) -> list[keras.Variable]:
        """What `value` reads."""
        return [*self._target.variables, *([] if self.memory is None else self.memory.variables)]

    def is_trained(self, step: int) -> bool:
        """Whether, at update `step`, targets bootstrap from V."""
        return step > self.monte_carlo_updates

    def learn(
        self,
        batch: EpisodeBatch,
        source: NDArray[np.int32],
        target_in: NDArray[np.int32],
        weights: NDArray[np.float64],
        step: int,
    ) -> Numbers:
        """Steps of V towards y_t = r_t + (1 - lambda) V̄(s_{t+1}) + lambda y_{t+1}; numbers to report.

        Equation (5) of docs/methods.md.

        `value_explained` is the share of the variance of y that V explained before, `value_loss` its error;
        `episodic_explained` the share that the dictionary explained before it was written to.
        """
        value, states = (np.asarray(x) for x in self._online(source, target_in, batch.features))
        trace, onward = 1.0, np.zeros_like(value)
        told: Numbers = {}
        if self.is_trained(step) or self.memory is not None:
            onward, target_states = (np.asarray(x) for x in self._bootstrap(source, target_in, batch.features))
        if self.memory is not None:
            onward, told = self._recall(batch, onward, target_states)
        if self.is_trained(step):
            trace = self.settings.trace
        nothing = np.zeros(value.shape)
        y = soft_lambda_targets(batch.rewards, batch.discount, next_step(onward), nothing, trace, batch.mask)
        each = (weights[:, None] * batch.mask).astype(np.float32)
        task = {"states": states, "features": batch.features, "target": y.astype(np.float32), "weights": each}
        updates = [self._learner.update([task], self.settings.value_learning_rate) for _ in range(STEPS)]
        explained = explained_variance(value[batch.mask], y[batch.mask])
        return {**value_numbers(updates[0]), "value_explained": explained, **told}

    def _recall(self, batch: EpisodeBatch, value: Floats, states: Floats) -> tuple[Floats, Numbers]:
        """V̄ [batch, time] mixed with what the dictionary says of a batch, which is then written to it; and numbers.

        Policy and transitions are deterministic, so that what was gained from a state is what it is worth, and plain
        returns are stored: the N steps of Pritzel et al. (2017) are all that are left.
        """
        assert self.memory is not None
        real, keys = batch.mask, state_keys(states, batch.features)
        remembered = self._remembered(value, keys, real)
        returns = monte_carlo_returns(batch.rewards, batch.discount)
        told = {"episodic_explained": explained_variance(remembered[real], returns[real]) if len(self.memory) else 0.0}
        self.memory.write(state_names(batch.source_id, batch.tokens)[real], keys[real], returns[real])
        return self._mixed(value, remembered), told

    def move_target(self) -> None:
        """A Polyak step of the target network."""
        self._target.move()

    def state(self) -> dict[str, np.ndarray]:
        """Everything for an exact resume."""
        variables = [*self._learner.state, *self._target.variables]
        arrays = {str(i): np.asarray(v.value) for i, v in enumerate(variables)}
        if self.memory is not None:
            arrays |= {f"memory/{name}": array for name, array in self.memory.state().items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave."""
        for i, variable in enumerate([*self._learner.state, *self._target.variables]):
            variable.assign(arrays[str(i)])
        if self.memory is not None:
            self.memory.restore(below(arrays, "memory/"))


def value_and_states(
    model: Seq2Seq, head: ValueHead, source: Tensor, target_in: Tensor, features: Tensor
) -> tuple[Tensor, Tensor]:
    """V(s_t) [batch, time], and the decoder's states float32 [batch, time, width]."""
    states = model.decode_states(target_in, model.encode(source)).states
    return head(states, features), ops.cast(states, "float32")
