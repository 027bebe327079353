"""Sequence replay in NumPy: whole translations as they were played, first in, first out; and demonstrations.

Three steps that can be exchanged singly: records are accumulated by the rollouts, stored here under ids that never
come back, and chosen by a function of the ids that are still stored. Only token ids are kept: the state of a decoder
is a function of source and prefix, so it is computed afresh and cannot go stale.
"""

from __future__ import annotations

from bisect import bisect_left
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
    REFERENCE = 3
    """As in the checkpoints of 0.2.0, which knew others between."""


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
    """The last `capacity` translations, and demonstrations, which stay for ever (Hester et al., 2018).

    A record's id is the number of records added before it, and is never given again; so whoever keeps something by
    id (a sampler, priorities) can tell what has been evicted. Demonstrations have ids of their own: -1, -2, ...

    Args:
        capacity: records kept, demonstrations not counted.

    Raises:
        ValueError: for a capacity below 1.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, found {capacity}")
        self.capacity = capacity
        self._records: dict[int, EpisodeRecord] = {}
        self._demonstrations: list[EpisodeRecord] = []
        self._added = 0

    def __len__(self) -> int:
        """Number of records, demonstrations not counted."""
        return len(self._records)

    @property
    def ids(self) -> range:
        """Ids of the stored records, oldest first, without the demonstrations."""
        return range(self._added - len(self._records), self._added)

    @property
    def demonstration_ids(self) -> range:
        """Ids of the demonstrations, newest first: -n ... -1."""
        return range(-len(self._demonstrations), 0)

    def ids_since(self, version: int) -> range:
        """Ids of the records, oldest first, whose `policy_version` is at least `version`; found in O(log n).

        The age limit of a draw: `choose_uniform` takes the range, a `PrioritySampler` its start.
        """
        old = bisect_left(self.ids, version, key=lambda number: self._records[number].policy_version)
        return self.ids[old:]

    def add(self, records: Iterable[EpisodeRecord]) -> NDArray[np.int64]:
        """Store records, evicting the oldest ones beyond the capacity; their ids [records].

        Raises:
            ValueError: if a record's `policy_version` is below that of the one before.
        """
        first = self._added
        for record in records:
            if self._records and record.policy_version < (newest := self._records[self._added - 1].policy_version):
                raise ValueError(f"records go in by policy_version, found {record.policy_version} after {newest}")
            self._records[self._added] = record
            self._records.pop(self._added - self.capacity, None)
            self._added += 1
        return np.arange(first, self._added)

    def add_demonstrations(self, records: Iterable[EpisodeRecord]) -> NDArray[np.int64]:
        """Store records that are never evicted and have no age; their ids [records], going down."""
        first = len(self._demonstrations)
        self._demonstrations.extend(records)
        return -1 - np.arange(first, len(self._demonstrations))

    def get(self, ids: Iterable[int]) -> list[EpisodeRecord]:
        """The records or demonstrations of these ids; raises KeyError for one that is not stored."""
        stored, demonstrations = self.ids, self.demonstration_ids
        found = []
        for number in map(int, ids):
            if number in stored:
                found.append(self._records[number])
            elif number in demonstrations:
                found.append(self._demonstrations[-1 - number])
            else:
                raise KeyError(
                    f"record {number} is not stored; ids go from {stored.start} to {stored.stop - 1}, "
                    f"and there are {len(demonstrations)} demonstrations"
                )
        return found

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Everything, as plain arrays for `numpy.savez`: ragged ones end to end, cut by `lengths`.

        Demonstrations come first, in the order of -1, -2, ...
        """
        state: dict[str, NDArray[Any]] = {
            "added": np.array(self._added, np.int64),
            "demonstrations": np.array(len(self._demonstrations), np.int64),
        }
        rows = [*self._demonstrations, *self._records.values()]
        state["lengths"] = np.array([len(record.tokens) for record in rows], np.int64)
        if rows:
            state |= {name: np.concatenate([getattr(r, name) for r in rows]) for name in _RAGGED}
            state |= _stack_scalars(rows)
        return state

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state_dict` gave, ids included; the oldest records go if the capacity is smaller now."""
        bounds = np.concatenate([[0], np.cumsum(state["lengths"])])
        # An opened .npz reads an array from disk at every access.
        columns = {name: np.asarray(state[name]) for name in (*_RAGGED, *_SCALAR) if len(bounds) > 1}
        rows = []
        for row, (begin, end) in enumerate(pairwise(bounds)):
            fields: dict[str, Any] = {name: columns[name][begin:end].copy() for name in _RAGGED}
            fields |= {name: columns[name][row].item() for name in _SCALAR}
            fields["origin"] = Origin(fields["origin"])
            rows.append(EpisodeRecord(**fields))
        demonstrations = int(state["demonstrations"])
        self._demonstrations = rows[:demonstrations]
        self._added = int(state["added"])
        kept = rows[demonstrations:][-self.capacity :]
        self._records = dict(enumerate(kept, start=self._added - len(kept)))


def choose_uniform(ids: range, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ids drawn uniformly with replacement from a range of stored ones; [size].

    Raises:
        ValueError: if the range is empty.
    """
    if not len(ids):
        raise ValueError("the replay is empty: there is no id to draw")
    return rng.integers(ids.start, ids.stop, size)


def _stack_scalars(records: Iterable[EpisodeRecord]) -> dict[str, Any]:
    rows = list(records)
    return {name: np.array([getattr(r, name) for r in rows], dtype) for name, dtype in _SCALAR.items()}
