"""Sequence replay in NumPy: whole translations as they were played, first in, first out.

Three steps that can be exchanged singly: records are accumulated by the rollouts, stored here under ids that never
come back, and chosen by a function of the ids that are still stored. Only token ids are kept: the state of a decoder
is a function of source and prefix, so it is computed afresh and cannot go stale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.corpus.tokenizer import PAD


class Origin(IntEnum):
    """Who wrote a translation."""

    SAMPLE = 0
    GREEDY = 1
    BEAM = 2
    REFERENCE = 3


@dataclass(frozen=True, eq=False)
class EpisodeRecord:
    """One finished translation. Its last piece ends the episode, be it EOS or the length limit.

    Raises:
        ValueError: if it is empty or an array's length is not that of `tokens`.
    """

    source_id: int
    """Index of the pair in the training corpus."""
    tokens: NDArray[np.int32]
    """Target pieces without BOS, EOS included if there is one, [length]."""
    rewards: NDArray[np.float32]
    """r_t [length]."""
    prior_logp: NDArray[np.float32]
    """log-probability of each piece under the frozen prior, [length]."""
    features: NDArray[np.float32]
    """Privileged features of the state before each piece, [length, features]."""
    policy_version: int
    """Number of updates the behaviour policy had seen."""
    origin: Origin = Origin.SAMPLE
    temperature: float = 1.0
    """Temperature of the behaviour policy."""

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in _RAGGED}
        if len(set(lengths.values())) != 1 or not len(self.tokens):
            raise ValueError(f"a record needs arrays of one length, at least 1, found {lengths}")

    @property
    def score(self) -> float:
        """Undiscounted return: the BLEU of the translation, in [0, 1]."""
        return float(self.rewards.sum(dtype=np.float64))


_RAGGED: dict[str, Any] = {
    "tokens": np.int32,
    "rewards": np.float32,
    "prior_logp": np.float32,
    "features": np.float32,
}
_SCALAR: dict[str, Any] = {
    "source_id": np.int64,
    "policy_version": np.int64,
    "origin": np.uint8,
    "temperature": np.float32,
}


@dataclass(frozen=True)
class EpisodeBatch:
    """Records padded to one length; everything behind an end is 0."""

    source_id: NDArray[np.int64]
    """[batch]."""
    tokens: NDArray[np.int32]
    """Target pieces, PAD behind the end, [batch, time]."""
    rewards: NDArray[np.float32]
    """[batch, time]."""
    prior_logp: NDArray[np.float32]
    """[batch, time]."""
    features: NDArray[np.float32]
    """[batch, time, features]."""
    policy_version: NDArray[np.int64]
    """[batch]."""
    origin: NDArray[np.uint8]
    """[batch], values of `Origin`."""
    temperature: NDArray[np.float32]
    """[batch]."""
    mask: NDArray[np.bool_]
    """True at real steps [batch, time]."""
    discount: NDArray[np.float32]
    """gamma = 1, but 0 at the last step of each episode and behind it, [batch, time]."""


def collate(records: Sequence[EpisodeRecord], length: int | None = None) -> EpisodeBatch:
    """Pad records to the longest, or to `length` steps.

    Raises:
        ValueError: for no records, a record longer than `length`, or different numbers of features.
    """
    if not records:
        raise ValueError("a batch needs at least one record")
    lengths = np.array([len(record.tokens) for record in records])
    time = int(lengths.max()) if length is None else length
    if lengths.max() > time:
        raise ValueError(f"a record of {lengths.max()} steps does not fit into {time}")
    mask = np.arange(time) < lengths[:, None]
    padded: dict[str, Any] = {}
    for name, dtype in _RAGGED.items():
        flat = np.concatenate([getattr(record, name) for record in records])
        array = np.full((len(records), time, *flat.shape[1:]), PAD if name == "tokens" else 0, dtype)
        array[mask] = flat
        padded[name] = array
    scalars = _stack_scalars(records)
    discount = (np.arange(time) < lengths[:, None] - 1).astype(np.float32)
    return EpisodeBatch(**padded, **scalars, mask=mask, discount=discount)


class SequenceReplay:
    """The last `capacity` translations.

    A record's id is the number of records added before it, and is never given again; so whoever keeps something by
    id (a sampler, priorities) can tell what has been evicted.

    Args:
        capacity: records kept.

    Raises:
        ValueError: for a capacity below 1.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, found {capacity}")
        self.capacity = capacity
        self._records: deque[EpisodeRecord] = deque(maxlen=capacity)
        self._added = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def ids(self) -> range:
        """Ids of the stored records, oldest first."""
        return range(self._added - len(self._records), self._added)

    def add(self, records: Iterable[EpisodeRecord]) -> NDArray[np.int64]:
        """Store records, evicting the oldest ones beyond the capacity; their ids [records]."""
        first = self._added
        for record in records:
            self._records.append(record)
            self._added += 1
        return np.arange(first, self._added)

    def get(self, ids: Iterable[int]) -> list[EpisodeRecord]:
        """The records of these ids; raises KeyError for one that is not stored."""
        stored = self.ids
        found = []
        for number in map(int, ids):
            if number not in stored:
                raise KeyError(f"record {number} is not stored; ids go from {stored.start} to {stored.stop - 1}")
            found.append(self._records[number - stored.start])
        return found

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Everything, as plain arrays for `numpy.savez`: ragged ones end to end, cut by `lengths`."""
        state: dict[str, NDArray[Any]] = {"added": np.array(self._added, np.int64)}
        state["lengths"] = np.array([len(record.tokens) for record in self._records], np.int64)
        if self._records:
            state |= {name: np.concatenate([getattr(r, name) for r in self._records]) for name in _RAGGED}
            state |= _stack_scalars(self._records)
        return state

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state_dict` gave, ids included; the oldest records go if the capacity is smaller now."""
        self._records.clear()
        self._added = int(state["added"])
        bounds = np.concatenate([[0], np.cumsum(state["lengths"])])
        # An opened .npz reads an array from disk at every access.
        columns = {name: np.asarray(state[name]) for name in (*_RAGGED, *_SCALAR) if len(bounds) > 1}
        for row, (begin, end) in enumerate(pairwise(bounds)):
            fields: dict[str, Any] = {name: columns[name][begin:end].copy() for name in _RAGGED}
            fields |= {name: columns[name][row].item() for name in _SCALAR}
            fields["origin"] = Origin(fields["origin"])
            self._records.append(EpisodeRecord(**fields))


def choose_uniform(ids: range, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ids drawn uniformly with replacement from the stored ones; [size].

    Raises:
        ValueError: if nothing is stored.
    """
    if not len(ids):
        raise ValueError("the replay is empty")
    return rng.integers(ids.start, ids.stop, size)


def _stack_scalars(records: Iterable[EpisodeRecord]) -> dict[str, Any]:
    rows = list(records)
    return {name: np.array([getattr(r, name) for r in rows], dtype) for name, dtype in _SCALAR.items()}
