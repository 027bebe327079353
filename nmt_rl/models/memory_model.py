"""Recurrent encoder-decoders whose controller has an external memory: NTM and DNC."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from nmt_rl.backend import dimension, gather_rows, scan
from nmt_rl.config import DNCConfig, NTMConfig
from nmt_rl.models.attention import SoftAttention, mask_bias
from nmt_rl.models.embedding import Embeddings
from nmt_rl.models.external_memory import DNCMemory, ExternalMemory, NTMMemory
from nmt_rl.models.insight import Insight, Weighting
from nmt_rl.models.linear import Linear
from nmt_rl.models.recurrence import FeedForwardCell, LSTMCell
from nmt_rl.models.seq2seq import PAD, Cache, DecoderStates, Encoded, Seq2Seq, Tensor, with_room

CONTROLLERS: dict[str, type[LSTMCell] | type[FeedForwardCell]] = {"lstm": LSTMCell, "feed-forward": FeedForwardCell}
LARGEST = 20.0
"""Of the numbers that a controller gives its memory (Collier and Beel, 2018, clip them so)."""


class MemoryModel(Seq2Seq):
    """One controller with a memory reads the source and then writes the target, each at one piece per step.

    What it knows of the source is what its memory and its state hold when it begins to write; with `attention` it looks
    at its own outputs on the source as well (Bahdanau et al., 2015).

    Args:
        config: sizes and variants.
        source_vocabulary, target_vocabulary: numbers of pieces.
    """

    def __init__(self, config: NTMConfig | DNCConfig, source_vocabulary: int, target_vocabulary: int) -> None:
        """See the class docstring."""
        super().__init__(name=config.type, dtype="float32")
        self.settings, self.max_length = config, sys.maxsize
        self.embeddings = Embeddings(source_vocabulary, target_vocabulary, config.embedding, config.tie, "embeddings")
        self.dropout = keras.layers.Dropout(config.dropout, dtype="float32", name="dropout")
        self.cell = MemoryCell(config, "cell")

    def build(self, input_shape: object = None) -> None:
        """Make all weights."""
        self.embeddings.build()
        self.cell.build()
        self.built = True

    def encode(self, source: Tensor, training: bool = False, packed: bool = False) -> Encoded:
        """See Seq2Seq.encode; `final` is the state after the source; raises ValueError if packed."""
        if packed:
            raise ValueError("a controller with a memory reads no packed rows: one sentence would be in the next's")
        return self._read(source, training)[0]

    def _read(
        self, source: Tensor, training: bool, look: Callable[[list[Tensor]], Any] = lambda states: ()
    ) -> tuple[Encoded, Any]:
        """Encode, and `look` at the states after every step: arrays [source, batch, ...]."""
        mask = ops.not_equal(source, PAD)
        embedded = self.dropout(self.embeddings.source(source), training=training)

        def step(states: list[Tensor], now: tuple[Tensor, Tensor]) -> tuple[list[Tensor], tuple[Tensor, Any]]:
            x, is_piece = now
            output, new = self.cell.advance(x, states)
            kept = [_where(is_piece, after, before) for after, before in zip(new, states, strict=True)]
            return kept, (output, look(new))

        batch = dimension(source, 0)
        times = (ops.transpose(embedded, (1, 0, 2)), ops.transpose(mask))
        final, (outputs, seen) = scan(step, self.cell.initial(batch), times)
        return {"mask": mask, "final": final, "states": ops.transpose(outputs, (1, 0, 2))}, seen

    def decode_states(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> DecoderStates:
        """See Seq2Seq.decode_states."""
        return self._write(target_in, encoded, training)[0]

    def _write(
        self,
        target_in: Tensor,
        encoded: Encoded,
        training: bool,
        look: Callable[[list[Tensor]], Any] = lambda states: (),
    ) -> tuple[DecoderStates, Any]:
        """Decoder states, and what `look` sees in the states after every step: arrays [time, batch, ...]."""
        looked = self.cell.looked_at(encoded)
        embedded = self.dropout(self.embeddings.target(target_in), training=training)

        def step(states: list[Tensor], x: Tensor) -> tuple[list[Tensor], tuple[Tensor, Tensor, Any]]:
            output, attention, new = self.cell.step(x, states, looked)
            return new, (output, attention, look(new))

        _, (outputs, attention, seen) = scan(step, encoded["final"], ops.transpose(embedded, (1, 0, 2)))
        states = ops.reshape(ops.transpose(outputs, (1, 0, 2)), (-1, dimension(target_in, 1), self.settings.embedding))
        return DecoderStates(self.dropout(states, training=training), ops.transpose(attention, (1, 0, 2))), seen

    def inspect(self, source: np.ndarray, target_in: np.ndarray) -> Insight:
        """See Seq2Seq.inspect; the memory is shown as it is after each step."""
        encoded, read = self._read(source, False, self.cell.look)
        output, written = self._write(target_in, encoded, False, self.cell.look)
        seen = []
        for name, columns in self.cell.memory.shown.items():
            # [time, batch, heads, columns]; the source comes first.
            values = ops.transpose(ops.concatenate([read[name], written[name]]), (1, 2, 0, 3))
            seen.append(Weighting(name, "memory", values, "time", columns))
        attention = output.attention if self.cell.attention is not None else None
        return Insight(self.project(output.states), output.states, attention, tuple(seen))

    def start(self, encoded: Encoded, room: Tensor, beam: int = 1) -> Cache:
        """See Seq2Seq.start; the cache does not depend on `room`."""
        rows = [ops.repeat(state, beam, axis=0) for state in encoded["final"]]
        time = ops.zeros((dimension(rows[0], 0),), "int32")
        return {"shared": self.cell.looked_at(encoded), "rows": rows, **with_room([], time, room)}

    def resume(
        self, target_in: Tensor, encoded: Encoded, rows: Tensor, times: Tensor, room: Tensor, beam: int = 1
    ) -> tuple[Tensor, Cache]:
        """See Seq2Seq.resume; the cache does not depend on `room`."""
        looked = self.cell.looked_at(encoded)

        def step(states: list[Tensor], x: Tensor) -> tuple[list[Tensor], tuple[Tensor, list[Tensor]]]:
            output, _, new = self.cell.step(x, states, looked)
            return new, (output, new)

        initial = encoded["final"]
        _, (outputs, later) = scan(step, initial, self.embeddings.target(ops.transpose(target_in)))
        # One list of the states of all rows before the first token, then after it, and so on.
        places = ops.repeat(times * dimension(target_in, 0) + rows, beam)
        states = [
            gather_rows(ops.concatenate([first, ops.reshape(after, (-1, *first.shape[1:]))]), places)
            for first, after in zip(initial, later, strict=True)
        ]
        shared = [gather_rows(x, rows) for x in looked]
        cache = {"shared": shared, "rows": states, **with_room([], ops.repeat(times, beam), room)}
        return ops.transpose(outputs, (1, 0, 2)), cache

    def step_states(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Tensor, Cache]:
        """See Seq2Seq.step_states."""
        output, attention, rows = self.cell.step(self.embeddings.target(tokens), cache["rows"], cache["shared"])
        return output, attention, {**cache, "rows": rows, "time": cache["time"] + 1}


class MemoryCell(keras.layers.Layer):
    """One step: the controller on [embedding; what was read], the memory, and tanh(W [h; reads (; context)]).

    States: h and c of the controller, what was read, then those of the memory.
    """

    def __init__(self, config: NTMConfig | DNCConfig, name: str) -> None:
        """See the class docstring."""
        super().__init__(name=name, dtype="float32")
        self.config = config
        self.memory: ExternalMemory = (
            NTMMemory(config.slots, config.slot_width, config.read_heads, config.write_heads)
            if isinstance(config, NTMConfig)
            else DNCMemory(config.slots, config.slot_width, config.read_heads, config.sharp_links)
        )
        self.controller = CONTROLLERS[config.controller](config.units, "controller")
        self.interface = Linear(self.memory.interface, name="interface")
        self.combine = Linear(config.embedding, name="combine")
        width = config.embedding
        self.attention = SoftAttention("additive", width, width, False, "attention") if config.attention else None

    def build(self, input_shape: object = None) -> None:
        """Make all weights."""
        config, reads = self.config, self.memory.reads
        self.controller.build((None, config.embedding + reads))
        self.interface.build(config.units)
        self.combine.build(config.units + reads)
        if self.attention is not None:
            self.attention.build(config.embedding)
            self.merge = Linear(config.embedding, name="merge")
            self.merge.build(2 * config.embedding)
        self.built = True

    def initial(self, batch: Tensor) -> list[Tensor]:
        """Before anything was read."""
        hidden = ops.zeros((batch, self.config.units))
        return [hidden, hidden, ops.zeros((batch, self.memory.reads)), *self.memory.initial(batch)]

    def advance(self, embedded: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The output [rows, embedding] of a step, and the states after it."""
        hidden, carry, before, *memory = states
        x = ops.concatenate([embedded, before], axis=-1)
        hidden, controller = self.controller(self.controller.project(x), [hidden, carry])
        reads, memory = self.memory.update(self._asked(hidden), memory)
        output = ops.tanh(self.combine(ops.concatenate([hidden, reads], axis=-1)))
        return output, [*controller, reads, *memory]

    def look(self, states: list[Tensor]) -> dict[str, Tensor]:
        """What the memory shows of itself after a step, by the states after it; see `ExternalMemory.look`."""
        hidden, _, _, *memory = states
        return self.memory.look(self._asked(hidden), memory)

    def _asked(self, hidden: Tensor) -> Tensor:
        """The memory's interface [rows, interface]."""
        return ops.clip(self.interface(hidden), -LARGEST, LARGEST)

    def looked_at(self, encoded: Encoded) -> list[Tensor]:
        """What attention needs of a source: keys, outputs, and a bias [batch, source] that blocks padding."""
        states = encoded["states"]
        keys = self.attention.keys(states) if self.attention is not None else states
        return [keys, states, mask_bias(encoded["mask"])]

    def step(self, embedded: Tensor, states: list[Tensor], looked: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As `advance`, with attention on the source [rows, source], even without one that is learnt."""
        output, states = self.advance(embedded, states)
        keys, values, bias = looked
        batch, width = dimension(bias, 0), self.config.embedding
        rows = ops.reshape(output, (batch, -1, width))
        if self.attention is None:
            weights = ops.softmax(bias)[:, None, :] * ops.ones_like(rows[..., :1])
            return output, ops.reshape(weights, (-1, dimension(bias, 1))), states
        context, weights = self.attention.attend(rows, keys, values, bias, None)
        merged = ops.tanh(self.merge(ops.concatenate([rows, context], axis=-1)))
        return ops.reshape(merged, (-1, width)), ops.reshape(weights, (-1, dimension(bias, 1))), states


def _where(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` where bool [rows] is true, else `old`; [rows, ...] each."""
    return ops.where(ops.reshape(rows, (-1, *[1] * (len(new.shape) - 1))), new, old)
