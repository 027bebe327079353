"""What an actor plays and a learner learns from: finished translations, and forks of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.corpus.tokenizer import PAD


class Origin(IntEnum):
    """Who wrote a translation."""

    SAMPLE = 0
    """The behaviour policy, by chance."""
    GREEDY = 1
    """The policy's most probable pieces."""
    REFERENCE = 2
    """The corpus."""


@dataclass(frozen=True, eq=False)
class Forks:
    """States of an episode where another action was tried; `n` of them.

    Attributes:
        times: before which piece, int32 [n].
        actions: the piece a that the episode has there and the other one, a'; int32 [n, 2].
        values: what the actor found both to be worth in the end, float32 [n, 2].
        prior_difference: z_0(a) - z_0(a') of the pretrained model's logits, float32 [n].
    """

    times: NDArray[np.int32]
    actions: NDArray[np.int32]
    values: NDArray[np.float32]
    prior_difference: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.times)


NO_FORKS = Forks(
    np.zeros(0, np.int32), np.zeros((0, 2), np.int32), np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
)


@dataclass(frozen=True, eq=False)
class Episode:
    """One finished translation. Its last piece ends it, be it EOS or the length limit.

    Raises:
        ValueError: if it is empty or an array's length is not that of `tokens`.
    """

    id: int
    """No other episode has it, whichever actor played it."""
    source_id: int
    """Index of the pair in the training corpus."""
    policy_version: int
    """Number of updates the policy had seen that played it."""
    origin: Origin
    tokens: NDArray[np.int32]
    """Target pieces without BOS, EOS included if there is one, [length]."""
    rewards: NDArray[np.float32]
    """r_t [length]."""
    log_probs: NDArray[np.float32]
    """log-probability of each piece under the policy that played it, [length]."""
    prior_log_probs: NDArray[np.float32]
    """The same under the pretrained model, [length]; zeros where no learner asks for it."""
    features: NDArray[np.float32]
    """Privileged features of the state before each piece, [length, features]."""
    forks: Forks = field(default=NO_FORKS)

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in RAGGED}
        if len(set(lengths.values())) != 1 or not len(self.tokens):
            raise ValueError(f"an episode needs arrays of one length, at least 1, found {lengths}")

    @property
    def score(self) -> float:
        """Undiscounted return: the worth of the translation, about [0, 1]."""
        return float(self.rewards.sum(dtype=np.float64))


SCALARS: Mapping[str, Any] = {"id": np.int64, "source_id": np.int64, "policy_version": np.int64, "origin": np.uint8}
RAGGED: Mapping[str, Any] = {
    "tokens": np.int32,
    "rewards": np.float32,
    "log_probs": np.float32,
    "prior_log_probs": np.float32,
    "features": np.float32,
}
FORKED: Mapping[str, Any] = {
    "times": np.int32,
    "actions": np.int32,
    "values": np.float32,
    "prior_difference": np.float32,
}


@dataclass(frozen=True)
class EpisodeBatch:
    """Episodes padded to one length; everything behind an end is 0."""

    source_id: NDArray[np.int64]
    """[batch]."""
    tokens: NDArray[np.int32]
    """Target pieces, PAD behind the end, [batch, time]."""
    rewards: NDArray[np.float32]
    """[batch, time]."""
    log_probs: NDArray[np.float32]
    """[batch, time]."""
    prior_log_probs: NDArray[np.float32]
    """[batch, time]."""
    features: NDArray[np.float32]
    """[batch, time, features]."""
    mask: NDArray[np.bool_]
    """True at real steps [batch, time]."""
    discount: NDArray[np.float32]
    """gamma = 1, but 0 at the last step of each episode and behind it, [batch, time]."""


def collate(episodes: Sequence[Episode], length: int | None = None) -> EpisodeBatch:
    """Pad episodes to the longest, or to `length` steps.

    Raises:
        ValueError: for no episode, one longer than `length`, or different numbers of features.
    """
    if not episodes:
        raise ValueError("a batch needs at least one episode")
    lengths = np.array([len(episode.tokens) for episode in episodes])
    time = int(lengths.max()) if length is None else length
    if lengths.max() > time:
        raise ValueError(f"an episode of {lengths.max()} steps does not fit into {time}")
    mask = np.arange(time) < lengths[:, None]
    padded: dict[str, Any] = {}
    for name, dtype in RAGGED.items():
        flat = np.concatenate([getattr(episode, name) for episode in episodes])
        array = np.full((len(episodes), time, *flat.shape[1:]), PAD if name == "tokens" else 0, dtype)
        array[mask] = flat
        padded[name] = array
    discount = (np.arange(time) < lengths[:, None] - 1).astype(np.float32)
    source_id = np.array([episode.source_id for episode in episodes], np.int64)
    return EpisodeBatch(source_id=source_id, **padded, mask=mask, discount=discount)


def to_arrays(episodes: Iterable[Episode]) -> dict[str, NDArray[Any]]:
    """Everything, as plain arrays for `numpy.savez`: ragged ones end to end, cut by `lengths` and `forks`."""
    rows = list(episodes)
    arrays: dict[str, NDArray[Any]] = {
        "lengths": np.array([len(episode.tokens) for episode in rows], np.int64),
        "forks": np.array([len(episode.forks) for episode in rows], np.int64),
    }
    if rows:
        arrays |= {name: np.array([getattr(e, name) for e in rows], dtype) for name, dtype in SCALARS.items()}
        arrays |= {name: np.concatenate([getattr(e, name) for e in rows]) for name in RAGGED}
        arrays |= {f"forks/{name}": np.concatenate([getattr(e.forks, name) for e in rows]) for name in FORKED}
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> list[Episode]:
    """The episodes that `to_arrays` gave."""
    count = len(arrays["lengths"])
    if not count:
        return []
    # An opened .npz reads an array from disk at every access.
    scalars = {name: np.asarray(arrays[name]).tolist() for name in SCALARS}
    ragged = {name: _cut(arrays[name], arrays["lengths"]) for name in RAGGED}
    forked = {name: _cut(arrays[f"forks/{name}"], arrays["forks"]) for name in FORKED}
    episodes = []
    for row in range(count):
        fields = {name: values[row] for name, values in (scalars | ragged).items()}
        fields["origin"] = Origin(fields["origin"])
        forks = Forks(**{name: values[row] for name, values in forked.items()})
        episodes.append(Episode(**fields, forks=forks))
    return episodes


def _cut(flat: NDArray[Any], lengths: NDArray[Any]) -> list[NDArray[Any]]:
    return [part.copy() for part in np.split(np.asarray(flat), np.cumsum(lengths)[:-1])]
