"""Neural episodic control (Pritzel et al., 2017): a state's value as a mean of what was gained from states like it.

A state's key is the decoder's state before a piece, beside what V may know of the reference. The paper has a dictionary
for each action; here transitions are deterministic and Q(s, a) = r + V(s'), so that the state that an action leads to
is the key of state and action, and one dictionary serves all pieces of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn
from nmt_rl.config import EpisodicConfig
from nmt_rl.models.neighbours import nearest, squared_distances
from nmt_rl.models.seq2seq import Tensor

Floats = NDArray[np.floating]

TOGETHER = 256
"""Keys that are looked up at once: what they need is so many distances to everything in the dictionary."""
FACTOR = np.uint64(6364136223846793005)
"""Odd and large (Knuth, 1998), of names."""


def state_keys(states: Tensor, features: Tensor) -> Tensor:
    """[h / sqrt(width), c], float32 [..., width + features]: squared distances are the mean over the width of those of
    the decoder's states, whatever the width, plus the sum of those of the features.

    Args:
        states: h [..., width].
        features: c, of the reference, about [0, 1], [..., features].
    """
    width = states.shape[-1]
    return np.concatenate([np.asarray(states, np.float32) / np.sqrt(width, dtype=np.float32), features], axis=-1)


def state_names(source_id: NDArray[np.int64], tokens: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Which state is before each piece, uint64 [batch, time]: source and prefix, in 64 bits.

        n_0 = (source + 1) F,    n_{t+1} = (n_t + piece_t + 1) F    (mod 2^64)

    Args:
        source_id: place of the pair in the corpus [batch].
        tokens: pieces [batch, time].
    """
    names = np.empty(tokens.shape, np.uint64)
    name = (source_id.astype(np.uint64) + np.uint64(1)) * FACTOR
    for t in range(tokens.shape[1]):
        names[:, t] = name
        name = (name + tokens[:, t].astype(np.uint64) + np.uint64(1)) * FACTOR
    return names


def kernel_weights(distances: Tensor, delta: float) -> Tensor:
    """w_i = k_i / sum_j k_j, k_i = 1 / (d_i + delta), [..., count] (Pritzel et al., 2017, equations 2 and 5).

    Args:
        distances: squared, d_i = ||h - h_i||^2, [..., count].
        delta: keeps the weight of a key that is met exactly finite.
    """
    kernel = 1.0 / (distances + delta)
    return kernel / ops.sum(kernel, axis=-1, keepdims=True)


def mixed_value(parametric: Floats, episodic: Floats, share: float) -> Floats:
    """(1 - share) V̄ + share V_episodic; any shape."""
    return (1.0 - share) * parametric + share * episodic


class EpisodicMemory(keras.layers.Layer):
    """A dictionary of states and returns, as full as it may be: the oldest is overwritten.

    Arrays have one shape for good, so that a look-up is compiled once. What a state is called stays on the host: only
    who writes needs it.

    Args:
        settings: capacity, neighbours, delta of the kernel, learning rate.
        width: of the keys.
    """

    def __init__(self, settings: EpisodicConfig, width: int) -> None:
        """See the class docstring."""
        super().__init__(name="episodic_memory", trainable=False, dtype="float32")
        self.settings, self.width = settings, width
        shapes = {"keys": (settings.capacity, width), "returns": (settings.capacity,), "filled": (settings.capacity,)}
        self.stored = {
            name: self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)
            for name, shape in shapes.items()
        }
        self.built = True
        self._names, self._next = np.zeros(settings.capacity, np.uint64), 0
        self._places: dict[int, int] = {}
        self._look_up = compile_fn(self.call, self)

    def __len__(self) -> int:
        return len(self._places)

    def call(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Value of each key [n, width], float32 [n], and whether there is anything to tell it by, bool []."""
        keys, returns, filled = (self.stored[name].value[None] for name in ("keys", "returns", "filled"))
        distances = squared_distances(queries[None], keys, filled > 0)
        near, values = nearest(distances, returns, self.settings.neighbours)
        value = ops.sum(kernel_weights(near, self.settings.kernel_delta) * values, axis=-1)
        return value[0], ops.any(filled > 0)

    def value(self, keys: Floats, otherwise: Floats) -> NDArray[np.float32]:
        """What the dictionary says of keys [n, width], float32 [n]; while it is empty, `otherwise` [n]."""
        told = np.array(otherwise, np.float32)
        for first in range(0, len(keys), TOGETHER):
            part = keys[first : first + TOGETHER].astype(np.float32)
            value, known = self._look_up(np.pad(part, ((0, TOGETHER - len(part)), (0, 0))))
            if not bool(known):
                break
            told[first : first + len(part)] = np.asarray(value)[: len(part)]
        return told

    def write(self, names: NDArray[np.uint64], keys: Floats, returns: Floats) -> None:
        """Store what was returned from states, one after the other.

        A state that is there already gets its new key, and its value moves, Q <- Q + alpha (return - Q) (Pritzel et
        al., 2017, equation 4); of others the return is stored in place of the oldest entry.

        Args:
            names: of `state_names`, [n].
            keys: of `state_keys`, [n, width].
            returns: what was gained from each state to the end, [n].
        """
        arrays = {name: np.array(variable.value) for name, variable in self.stored.items()}
        for name, key, target in zip(names.tolist(), keys, np.asarray(returns, np.float32), strict=True):
            place = self._places.get(name)
            if place is None:
                place = self._taken(name)
                arrays["returns"][place] = target
            else:
                arrays["returns"][place] += self.settings.learning_rate * (target - arrays["returns"][place])
            arrays["keys"][place], arrays["filled"][place] = key, 1.0
        self._assign(arrays)

    def _taken(self, name: int) -> int:
        """The place of a new state, which whatever was there has left."""
        place = self._next
        if len(self._places) == self.settings.capacity:
            del self._places[int(self._names[place])]
        self._names[place], self._places[name] = name, place
        self._next = (place + 1) % self.settings.capacity
        return place

    def _assign(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name, variable in self.stored.items():
            variable.assign(arrays[name])

    def state(self) -> dict[str, np.ndarray]:
        """Everything for an exact resume."""
        arrays = {name: np.array(variable.value) for name, variable in self.stored.items()}
        return arrays | {"names": self._names.copy(), "next": np.array(self._next, np.int64)}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self._assign(arrays)
        self._names, self._next = np.array(arrays["names"]), int(arrays["next"])
        filled = np.flatnonzero(np.asarray(arrays["filled"]))
        self._places = {int(self._names[place]): int(place) for place in filled}
