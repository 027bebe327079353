"""Replay of whole episodes: what was played, what of it is learnt from next, and when it is forgotten.

Only token ids are kept: the state of a decoder is a function of source and prefix, so it is computed afresh and cannot
go stale.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmt_rl.rl.episode import Episode, from_arrays, to_arrays
from nmt_rl.rl.priorities import PrioritySampler, importance_exponent, importance_weights

UNIFORM_MIX = 1e-3
"""Probability of a uniform draw in place of one by priority."""
IMPORTANCE = 0.4
"""Where none is given (Schaul et al., 2016)."""


@dataclass(frozen=True)
class Sampled:
    """Episodes for one update."""

    episodes: list[Episode]
    places: NDArray[np.int64]
    """Of each in the replay, [n]."""
    weights: NDArray[np.float64]
    """Of each in the loss: 1 where it is new, [n]."""


class Memory(ABC):
    """Episodes between the actor and the learner."""

    @abstractmethod
    def __len__(self) -> int:
        """How many are stored."""

    @abstractmethod
    def add(self, episodes: Iterable[Episode]) -> int:
        """Store episodes; returns how many it took."""

    @abstractmethod
    def sample(self, count: int, step: int, rng: np.random.Generator) -> Sampled:
        """Episodes for update `step`, `count` of them if none is new; raises ValueError if nothing is stored."""

    def prioritise(self, places: ArrayLike, priorities: ArrayLike) -> None:
        """Set the priorities [n] of what was sampled."""
        return

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """Everything, as plain arrays for `numpy.savez`."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` gave."""


class Queue(Memory):
    """For methods that learn only from what the policy played just now, each batch of it as a whole.

    Args:
        times: that each batch is learnt from.
    """

    def __init__(self, times: int = 1) -> None:
        """See the class docstring."""
        self.times = times
        self._batches: list[list[Episode]] = []
        self._left: list[int] = []
        """How often each batch is still to be learnt from."""

    def __len__(self) -> int:
        """See Memory."""
        return sum(map(len, self._batches))

    def add(self, episodes: Iterable[Episode]) -> int:
        """See Memory.add: one batch."""
        if batch := list(episodes):
            self._batches.append(batch)
            self._left.append(self.times)
        return len(batch)

    def sample(self, count: int, step: int, rng: np.random.Generator) -> Sampled:
        """See Memory.sample: the batch that was learnt from least, the oldest of several, which is gone after its last
        time."""
        if not self._batches:
            raise ValueError("nothing was played")
        place = self._left.index(max(self._left))
        batch = self._batches[place]
        self._left[place] -= 1
        if not self._left[place]:
            del self._batches[place], self._left[place]
        return Sampled(batch, np.arange(len(batch)), np.ones(len(batch)))

    def state(self) -> dict[str, NDArray[Any]]:
        """See Memory.state."""
        sizes = np.array([len(batch) for batch in self._batches], np.int64)
        episodes = to_arrays(itertools.chain.from_iterable(self._batches))
        return {"sizes": sizes, "left": np.array(self._left, np.int64), **episodes}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """See Memory.restore."""
        episodes = iter(from_arrays(arrays))
        self._batches = [list(itertools.islice(episodes, size)) for size in arrays["sizes"].tolist()]
        self._left = arrays["left"].tolist()


class Replay(Memory):
    """The last episodes, whoever played them and in whatever order they come; each id is taken once.

    What is new is learnt from first, with weight 1; beside it, and whenever nothing is new, comes what is drawn by
    priority from the rest.

    Args:
        capacity: episodes kept.
        share: of a batch with new episodes that is drawn from the older ones.
        max_age: updates after which an episode is forgotten; 0: never.
        priority: exponent of the priorities; 0 draws uniformly.
        updates: of the stage, over which the importance exponent rises.
        fresh: most new episodes in an update, drawn at random, which older ones fill up in place of their share; None:
            all that are new.
        importance: exponent of the importance weights at the start; it rises linearly to 1 at the last update.

    Raises:
        ValueError: for a capacity below 1.
    """

    def __init__(
        self,
        capacity: int,
        share: float,
        max_age: int,
        priority: float,
        updates: int,
        fresh: int | None = None,
        importance: float = IMPORTANCE,
    ) -> None:
        """See the class docstring."""
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, found {capacity}")
        self.capacity, self.share, self.max_age, self.updates, self.fresh = capacity, share, max_age, updates, fresh
        self.importance = importance
        self.sampler = PrioritySampler(capacity, priority, UNIFORM_MIX)
        self._episodes: dict[int, Episode] = {}
        """By place: the number of episodes that came before."""
        self._known: set[int] = set()
        """Ids of those that are stored."""
        self._new: list[int] = []
        """Places of what was not learnt from yet."""
        self._added = 0

    def __len__(self) -> int:
        """See Memory."""
        return len(self._episodes)

    def add(self, episodes: Iterable[Episode]) -> int:
        """Store episodes, but none whose id is stored; the oldest beyond the capacity go. Returns how many it took."""
        before = self._added
        for episode in episodes:
            if episode.id in self._known:
                continue
            self._forget(self._added - self.capacity)
            self._episodes[self._added] = episode
            self._known.add(episode.id)
            self._new.append(self._added)
            self._added += 1
        return self._added - before

    def sample(self, count: int, step: int, rng: np.random.Generator) -> Sampled:
        """Episodes for update `step`: new ones and their share of older ones, or `count` older ones.

        Raises:
            ValueError: if nothing is stored.
        """
        self._age(step - 1)
        new, self._new = [place for place in self._new if place in self._episodes], []
        if self.fresh is not None and len(new) > self.fresh:
            order = rng.permutation(len(new))
            self._new = [new[i] for i in order[self.fresh :]]
            new = [new[i] for i in order[: self.fresh]]
        share = round(len(new) * self.share / (1.0 - self.share))
        old = share if new and self.fresh is None else count - len(new)
        places, weights = self._draw(old, step, rng)
        self.sampler.insert(new)
        places = np.concatenate([np.array(new, np.int64), places])
        if not len(places):
            raise ValueError("the replay is empty")
        weights = np.concatenate([np.ones(len(new)), weights])
        return Sampled([self._episodes[place] for place in places.tolist()], places, weights)

    def prioritise(self, places: ArrayLike, priorities: ArrayLike) -> None:
        """See Memory.prioritise."""
        self.sampler.update(places, priorities)

    def _draw(self, count: int, step: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if not count or not len(self.sampler):
            return np.zeros(0, np.int64), np.zeros(0)
        places, probabilities = self.sampler.draw(count, rng)
        exponent = importance_exponent(self.importance, step, self.updates)
        return places, importance_weights(probabilities, len(self.sampler), exponent)

    def _age(self, version: int) -> None:
        if not self.max_age:
            return
        for place, episode in list(self._episodes.items()):
            if version - episode.policy_version > self.max_age:
                self._forget(place)

    def _forget(self, place: int) -> None:
        episode = self._episodes.pop(place, None)
        if episode is not None:
            self._known.discard(episode.id)
            self.sampler.evict([place])

    def state(self) -> dict[str, NDArray[Any]]:
        """See Memory.state."""
        places = {"places": np.array(list(self._episodes), np.int64), "added": np.array(self._added, np.int64)}
        places["new"] = np.array(self._new, np.int64)
        stored = {f"episodes/{name}": value for name, value in to_arrays(self._episodes.values()).items()}
        drawn = {f"sampler/{name}": value for name, value in self.sampler.state_dict().items()}
        return {**places, **stored, **drawn}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` gave; the oldest episodes go if the capacity is smaller now."""
        stored = from_arrays({name.removeprefix("episodes/"): a for name, a in arrays.items() if "episodes/" in name})
        self._added = int(arrays["added"])
        pairs = zip(np.asarray(arrays["places"]).tolist(), stored, strict=True)
        self._episodes = {place: episode for place, episode in pairs if place >= self._added - self.capacity}
        self._known = {episode.id for episode in self._episodes.values()}
        self._new = [place for place in np.asarray(arrays["new"]).tolist() if place in self._episodes]
        self.sampler.load_state_dict({n.removeprefix("sampler/"): a for n, a in arrays.items() if "sampler/" in n})
