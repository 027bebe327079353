"""External memories of a recurrent controller: the neural Turing machine's and the differentiable neural computer's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from keras import ops

from nmt_rl.models.addressing import (
    allocation,
    by_modes,
    content_weights,
    gated,
    links,
    preceding,
    read,
    sharpened,
    shifted,
    usage,
    written,
)
from nmt_rl.models.insight import Axis

Tensor = Any
EMPTY = 1e-6
"""What a memory holds at first (Collier and Beel, 2018: a constant learns fastest and most surely)."""
SHIFTS = 3
"""One slot back, none, one on."""


class ExternalMemory(Protocol):
    """A memory without weights of its own: what is done to it is the controller's `interface`."""

    interface: int
    """Numbers that a step needs of the controller."""
    reads: int
    """Numbers that a step reads."""
    shown: dict[str, Axis | tuple[str, ...]]
    """What can be looked at, and what its columns are."""

    def initial(self, batch: Tensor) -> list[Tensor]:
        """The state of an empty memory, each [batch, ...]; `batch` is a number or int32 []."""

    def update(self, interface: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Write, then read: what was read [batch, reads], and the new state.

        Args:
            interface: [batch, interface].
            state: as `initial`.
        """

    def look(self, interface: Tensor, state: list[Tensor]) -> dict[str, Tensor]:
        """What a step did, for people: of each name of `shown` numbers in [0, 1], [batch, heads, columns].

        Args:
            interface: of the step.
            state: after it.
        """


class NTMMemory:
    """Slots that are addressed by content and by steps from where a head was (Graves et al., 2014, section 3).

    The state: memory [batch, slots, width], weightings of the read heads and of the write heads [batch, heads, slots].

    Args:
        slots, width: of the memory.
        read_heads, write_heads: how many there are.
    """

    def __init__(self, slots: int, width: int, read_heads: int, write_heads: int) -> None:
        """See the class docstring."""
        self.slots, self.width, self.read_heads, self.write_heads = slots, width, read_heads, write_heads
        self.address = [width, 1, 1, 1, SHIFTS]
        self.head = sum(self.address)
        self.interface = (read_heads + write_heads) * self.head + 2 * write_heads * width
        self.reads = read_heads * width
        self.shown: dict[str, Axis | tuple[str, ...]] = {
            "write": "slots",
            "read": "slots",
            "by content": (*_numbered("write", write_heads), *_numbered("read", read_heads)),
        }

    def initial(self, batch: Tensor) -> list[Tensor]:
        """See ExternalMemory; all heads are at the first slot."""
        first = ops.one_hot(ops.zeros((batch, 1), "int32"), self.slots)
        memory = ops.full((batch, self.slots, self.width), EMPTY)
        return [memory, *(ops.repeat(first, heads, axis=1) for heads in (self.read_heads, self.write_heads))]

    def update(self, interface: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """See ExternalMemory."""
        memory, reading, writing = state
        heads = self.write_heads
        writes, erase, add, reads = self._asked(interface)
        writing = self._address(_by_head(writes, heads), memory, writing)
        memory = written(memory, writing, ops.sigmoid(_by_head(erase, heads)), ops.tanh(_by_head(add, heads)))
        reading = self._address(_by_head(reads, self.read_heads), memory, reading)
        return ops.reshape(read(memory, reading), (-1, self.reads)), [memory, reading, writing]

    def look(self, interface: Tensor, state: list[Tensor]) -> dict[str, Tensor]:
        """See ExternalMemory.look; `by content` are the gates of equation 7, one column for each head."""
        _, reading, writing = state
        writes, _, _, reads = self._asked(interface)
        gates = [
            ops.sigmoid(_parts(_by_head(given, heads), self.address)[2][..., 0])
            for given, heads in ((writes, self.write_heads), (reads, self.read_heads))
        ]
        return {"write": writing, "read": reading, "by content": ops.concatenate(gates, axis=-1)[:, None]}

    def _asked(self, interface: Tensor) -> list[Tensor]:
        """The interface, divided: addresses to write at, erase and add vectors, addresses to read from."""
        heads = self.write_heads
        sizes = [heads * self.head, heads * self.width, heads * self.width, self.read_heads * self.head]
        return _parts(interface, sizes)

    def _address(self, given: Tensor, memory: Tensor, before: Tensor) -> Tensor:
        """Weightings by numbers [batch, heads, head]."""
        key, strength, gate, power, shifts = _parts(given, self.address)
        content = content_weights(memory, ops.tanh(key), ops.softplus(strength[..., 0]))
        weights = gated(content, before, ops.sigmoid(gate[..., 0]))
        return sharpened(shifted(weights, ops.softmax(shifts, axis=-1)), 1.0 + ops.softplus(power[..., 0]))


class DNCMemory:
    """Slots that are allocated and freed, and read in the order in which they were written (Graves et al., 2016).

    The state: memory [batch, slots, width], usage [batch, slots], precedence [batch, slots], links [batch, slots,
    slots], weightings of the write head [batch, slots] and of the read heads [batch, heads, slots].

    Args:
        slots, width: of the memory.
        read_heads: how many there are.
        sharp: what the links say is sharpened, see `by_modes`.
    """

    def __init__(self, slots: int, width: int, read_heads: int, sharp: bool = False) -> None:
        """See the class docstring."""
        self.slots, self.width, self.read_heads, self.sharp = slots, width, read_heads, sharp
        keys, powers = [read_heads * width, read_heads, width, 1], 2 * read_heads if sharp else 0
        self.sizes = [*keys, width, width, read_heads, 1, 1, 3 * read_heads, powers]
        self.interface, self.reads = sum(self.sizes), read_heads * width
        self.shown: dict[str, Axis | tuple[str, ...]] = {
            "write": "slots",
            "read": "slots",
            "usage": "slots",
            "gates": ("write", "allocate", *_numbered("free", read_heads)),
            "read modes": ("backward", "by content", "forward"),
        }

    def initial(self, batch: Tensor) -> list[Tensor]:
        """See ExternalMemory."""
        slots = ops.zeros((batch, self.slots))
        memory = ops.full((batch, self.slots, self.width), EMPTY)
        linked, reading = ops.zeros((batch, self.slots, self.slots)), ops.zeros((batch, self.read_heads, self.slots))
        return [memory, slots, slots, linked, slots, reading]

    def update(self, interface: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """See ExternalMemory."""
        memory, used, last, linked, writing, reading = state
        keys, strengths, key, strength, erase, add, free, allocate, write, modes, powers = _parts(interface, self.sizes)
        used = usage(used, writing, reading, ops.sigmoid(free))
        content = content_weights(memory, key[:, None], 1.0 + ops.softplus(strength))[:, 0]
        allocate = ops.sigmoid(allocate)
        writing = ops.sigmoid(write) * (allocate * allocation(used) + (1.0 - allocate) * content)
        memory = written(memory, writing[:, None], ops.sigmoid(erase)[:, None], add[:, None])
        linked, last = links(linked, last, writing), preceding(last, writing)
        content = content_weights(memory, _by_head(keys, self.read_heads), 1.0 + ops.softplus(strengths))
        modes = ops.softmax(_by_head(modes, self.read_heads), axis=-1)
        sharp = 1.0 + ops.softplus(_by_head(powers, self.read_heads)) if self.sharp else None
        reading = by_modes(modes, content, reading, linked, sharp)
        found = ops.reshape(read(memory, reading), (-1, self.reads))
        return found, [memory, used, last, linked, writing, reading]

    def look(self, interface: Tensor, state: list[Tensor]) -> dict[str, Tensor]:
        """See ExternalMemory.look; `gates` have a column for each."""
        _, used, _, _, writing, reading = state
        *_, free, allocate, write, modes, _ = _parts(interface, self.sizes)
        return {
            "write": writing[:, None],
            "read": reading,
            "usage": used[:, None],
            "gates": ops.sigmoid(ops.concatenate([write, allocate, free], axis=-1))[:, None],
            "read modes": ops.softmax(_by_head(modes, self.read_heads), axis=-1),
        }


def _numbered(name: str, heads: int) -> list[str]:
    """Names of heads: one needs no number."""
    return [name] if heads == 1 else [f"{name} {n}" for n in range(1, heads + 1)]


def _by_head(values: Tensor, heads: int) -> Tensor:
    """[batch, heads * n] as [batch, heads, n]."""
    return ops.reshape(values, (-1, heads, values.shape[-1] // heads))


def _parts(values: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Numbers [..., sum of the sizes], divided."""
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return [values[..., end - size : end] for end, size in zip(ends, sizes, strict=True)]
