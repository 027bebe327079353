"""Prioritised replay in NumPy: which stored translations to draw, how often, and what corrects for it.

The equations stand alone as functions of arrays; `PrioritySampler` does the same in O(log n) per record with sum
trees. It knows ids and priorities only, never the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

PRIORITY_MIX = 0.9
"""eta of `sequence_priorities`, as in Kapturowski et al. (2019)."""
_EMPTY = -1


def sequence_priorities(td_errors: ArrayLike, mask: ArrayLike, eta: float) -> Array:
    """p = eta max_t |delta_t| + (1 - eta) mean_t |delta_t| (Kapturowski et al., 2019, section 2.3).

    Args:
        td_errors: delta, [batch, time].
        mask: true at real steps [batch, time]; nothing else is looked at, not even NaN.
        eta: weight of the largest error, in [0, 1].

    Returns:
        float64 [batch]; 0 for a row without a real step.

    Raises:
        ValueError: if the shapes differ.
    """
    real = np.asarray(mask, bool)
    if np.shape(td_errors) != real.shape:
        raise ValueError(f"td_errors and mask should have one shape, found {np.shape(td_errors)} and {real.shape}")
    size = np.where(real, np.abs(np.asarray(td_errors, np.float64)), 0.0)
    mean = size.sum(axis=-1) / np.maximum(real.sum(axis=-1), 1)
    return eta * size.max(axis=-1, initial=0.0) + (1.0 - eta) * mean


def sampling_probabilities(mass: Array, total: float, stored: int, uniform_mix: float) -> Array:
    """P(i) = (1 - mix) p_i^a / sum_k p_k^a + mix / N (Schaul et al., 2016, equation 1, mixed with uniform draws).

    Args:
        mass: p_i^a of some records, at least 0, any shape.
        total: sum_k p_k^a of all of them; 0 makes the draw uniform.
        stored: N.
        uniform_mix: probability of a uniform draw instead, in [0, 1].

    Returns:
        float64, in the shape of `mass`.
    """
    if not total:
        return np.full(mass.shape, 1.0 / max(stored, 1))
    return (1.0 - uniform_mix) * mass / total + uniform_mix / stored


def importance_weights(probabilities: ArrayLike, stored: int, beta: float) -> Array:
    """w_i = (N P(i))^-beta, divided by the largest of the batch (Schaul et al., 2016, section 3.4).

    Args:
        probabilities: P(i) of the records drawn, above 0, [batch].
        stored: N, the records that could have been drawn.
        beta: 0 corrects nothing, 1 all of the bias.

    Returns:
        float64 [batch], in (0, 1].
    """
    weights = (stored * np.asarray(probabilities, np.float64)) ** -beta
    return weights / weights.max(initial=0.0)


def importance_exponent(start: float, step: int, updates: int) -> float:
    """beta = start + (1 - start) step / updates, and 1 from then on (Schaul et al., 2016, section 3.4)."""
    return start + (1.0 - start) * min(step / updates, 1.0)


class SumTree:
    """Values in slots and the tree of their sums; drawing in proportion takes O(log n) (Schaul et al., 2016, B.2.1).

    An inner node is computed from its two children, never by adding a difference: nothing drifts, and the sums
    depend on the values alone, not on what was there before. All values start at 0.

    Args:
        slots: number of slots.

    Raises:
        ValueError: for fewer than 1.
    """

    def __init__(self, slots: int) -> None:
        if slots < 1:
            raise ValueError(f"a sum tree needs at least 1 slot, found {slots}")
        self._slots = slots
        self._leaves = 1 << (slots - 1).bit_length()
        # Node 1 is the root, the children of node n are 2n and 2n + 1, the leaves come last.
        self._nodes = np.zeros(2 * self._leaves)

    @property
    def total(self) -> float:
        """Sum of all values."""
        return float(self._nodes[1])

    def get(self, slots: ArrayLike) -> Array:
        """Values of slots, float64, in the shape of `slots`; raises IndexError for a slot that is not there."""
        return self._nodes[self._leaf(slots)]

    def set(self, slots: ArrayLike, values: ArrayLike) -> None:
        """Give slots [n] new values [n] or one for all; the last counts where a slot comes twice.

        Raises:
            IndexError: for a slot that is not there.
            ValueError: if a value is negative or not finite.
        """
        nodes = self._leaf(slots)
        self._nodes[nodes] = _checked(values)
        for _ in range(self._leaves.bit_length() - 1):
            nodes = nodes // 2
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def find(self, targets: ArrayLike) -> Ids:
        """The slot at which the running sum of the values first exceeds each target [n] in [0, total); int64 [n].

        A slot of value 0 is never found, not even by a target that was rounded up to the total.

        Raises:
            ValueError: if all values are 0.
        """
        if not self.total:
            raise ValueError("all values of the sum tree are 0")
        rest = np.array(targets, np.float64)
        nodes = np.ones(rest.shape, np.int64)
        for _ in range(self._leaves.bit_length() - 1):
            left = self._nodes[2 * nodes]
            right = (rest >= left) & (self._nodes[2 * nodes + 1] > 0.0)
            rest -= np.where(right, left, 0.0)
            nodes = 2 * nodes + right
        return nodes - self._leaves

    def _leaf(self, slots: ArrayLike) -> Ids:
        found = np.asarray(slots, np.int64)
        wrong = found[(found < 0) | (found >= self._slots)]
        if wrong.size:
            raise IndexError(f"slots go from 0 to {self._slots - 1}, found {wrong[0]}")
        return found + self._leaves


class PrioritySampler:
    """Draws ids by priority (Schaul et al., 2016, proportional variant); see `sampling_probabilities`.

    Ids are those of a `SequenceReplay` of the same capacity: never negative, counted upwards. An id takes slot
    `id % capacity`, so inserting evicts what the replay evicts.

    Args:
        capacity: ids kept.
        exponent: of the priorities; 0 draws uniformly.
        uniform_mix: probability of a uniform draw instead.

    Raises:
        ValueError: for a capacity below 1.
    """

    def __init__(self, capacity: int, exponent: float, uniform_mix: float) -> None:
        self.capacity = capacity
        self.exponent = exponent
        self.uniform_mix = uniform_mix
        self._clear()

    def __len__(self) -> int:
        return int(self._stored.total)

    def insert(self, ids: ArrayLike, priorities: ArrayLike | None = None) -> None:
        """Take in ids [n], evicting what was in their slots.

        Args:
            ids: not negative, oldest first.
            priorities: [n]; None: the largest given so far, so that each is soon drawn; 1 if none was given yet.

        Raises:
            ValueError: if an id is negative, or a priority negative or not finite.
        """
        ids = np.asarray(ids, np.int64)
        if (ids < 0).any():
            raise ValueError(f"ids must not be negative, found {ids.min()}")
        slots = ids % self.capacity
        if priorities is None:
            self._set(slots, np.full(ids.shape, self._largest or 1.0))
        else:
            self._give(slots, _checked(priorities))
        self._ids[slots] = ids
        self._stored.set(slots, 1.0)

    def update(self, ids: ArrayLike, priorities: ArrayLike) -> None:
        """Give ids [n] new priorities [n]; ids that are not here (any more) are ignored.

        Raises:
            ValueError: if a priority is negative or not finite.
        """
        ids, priorities = np.asarray(ids, np.int64), _checked(priorities)
        here = self._here(ids)
        self._give(ids[here] % self.capacity, priorities[here])

    def evict(self, ids: ArrayLike) -> None:
        """Forget ids [n]; those that are not here are ignored."""
        ids = np.asarray(ids, np.int64)
        slots = ids[self._here(ids)] % self.capacity
        self._ids[slots] = _EMPTY
        self._stored.set(slots, 0.0)
        self._mass.set(slots, 0.0)

    def draw(self, size: int, rng: np.random.Generator, oldest_id: int = 0) -> tuple[Ids, Array]:
        """Draw ids with replacement, one from each of `size` equal parts of the distribution.

        Args:
            size: number of draws.
            rng: where chance comes from; the same state gives the same ids.
            oldest_id: ids below are evicted first: what is too old once will always be.

        Returns:
            Ids int64 [size], and the probability of each among the `len(self)` ids that were left, float64 [size].

        Raises:
            ValueError: if no id is left.
        """
        self.evict(self._ids[self._ids < oldest_id])
        if not len(self):
            raise ValueError("there is no id to draw")
        parts = (np.arange(size) + rng.random(size)) / size
        weighted = (rng.random(size) >= self.uniform_mix) & (self._mass.total > 0.0)
        slots = self._stored.find(parts * len(self))
        if weighted.any():
            slots[weighted] = self._mass.find(parts[weighted] * self._mass.total)
        probabilities = sampling_probabilities(self._mass.get(slots), self._mass.total, len(self), self.uniform_mix)
        return self._ids[slots], probabilities

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Everything, as plain arrays for `numpy.savez`: ids int64 and priorities float64 [stored], oldest first."""
        ids = np.sort(self._ids[self._ids != _EMPTY])
        priorities = self._priorities[ids % self.capacity]
        return {"ids": ids, "priorities": priorities, "largest": np.array(self._largest)}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state_dict` gave; the oldest ids go if the capacity is smaller now."""
        self._clear()
        self.insert(state["ids"], state["priorities"])
        self._largest = float(state["largest"])

    def _clear(self) -> None:
        self._mass, self._stored = SumTree(self.capacity), SumTree(self.capacity)
        self._ids = np.full(self.capacity, _EMPTY, np.int64)
        self._priorities = np.zeros(self.capacity)
        self._largest = 0.0

    def _here(self, ids: Ids) -> NDArray[np.bool_]:
        return (ids >= 0) & (self._ids[ids % self.capacity] == ids)

    def _give(self, slots: Ids, priorities: Array) -> None:
        """Set priorities that come from errors: they count for the largest so far."""
        self._set(slots, priorities)
        self._largest = max(self._largest, float(priorities.max(initial=0.0)))

    def _set(self, slots: Ids, priorities: Array) -> None:
        self._mass.set(slots, priorities**self.exponent)
        self._priorities[slots] = priorities


def _checked(values: ArrayLike) -> Array:
    checked = np.asarray(values, np.float64)
    wrong = checked[~(np.isfinite(checked) & (checked >= 0.0))]
    if wrong.size:
        raise ValueError(f"priorities must be finite and not negative, found {wrong[0]}")
    return checked
