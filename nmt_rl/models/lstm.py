"""Bidirectional LSTM encoder and stacked LSTM decoder with attention and input feeding (Luong et al., 2015)."""

from __future__ import annotations

import sys
from typing import Any

import keras
from keras import ops

from nmt_rl.backend import dimension, gather_rows, scan
from nmt_rl.config import LSTMConfig
from nmt_rl.models.attention import SoftAttention, mask_bias, weighted
from nmt_rl.models.embedding import Embeddings
from nmt_rl.models.linear import Linear
from nmt_rl.models.recurrence import Bidirectional, LSTMCell
from nmt_rl.models.seq2seq import PAD, Cache, DecoderStates, Encoded, Seq2Seq, Tensor, with_room


class LSTM(Seq2Seq):
    """LSTM encoder-decoder with additive, bilinear or dot attention.

    The attentional state h~ = tanh(W [context; h]) is projected to the vocabulary and fed back as input (Luong et al.,
    2015, eq. 5 and section 3.3). Its width is the embedding's, so that the tables can be tied.

    Args:
        config: sizes and variants.
        source_vocabulary, target_vocabulary: numbers of pieces.
    """

    def __init__(self, config: LSTMConfig, source_vocabulary: int, target_vocabulary: int) -> None:
        """See the class docstring."""
        super().__init__(name="lstm", dtype="float32")
        self.settings = config
        self.max_length = sys.maxsize
        self.embeddings = Embeddings(source_vocabulary, target_vocabulary, config.embedding, config.tie, "embeddings")
        self.dropout = keras.layers.Dropout(config.dropout, dtype="float32", name="dropout")
        self.encoder = [Bidirectional(config.units // 2, f"encoder_{i}") for i in range(config.encoder_layers)]
        self.bridge = Linear(2 * config.decoder_layers * config.units, name="bridge")
        self.cell = AttentionCell(config, "decoder")
        self.decoder = keras.layers.RNN(self.cell, return_sequences=True, dtype="float32", name="decoder_loop")

    def build(self, input_shape: object = None) -> None:
        """Make all weights."""
        units, width = self.settings.units, self.settings.embedding
        self.embeddings.build()
        for i, layer in enumerate(self.encoder):
            layer.build(width if i == 0 else units)
        self.bridge.build(units)
        self.cell.build()
        self.decoder.built = True
        self.built = True

    def encode(self, source: Tensor, training: bool = False, packed: bool = False) -> Encoded:
        """See Seq2Seq.encode; `final` is the last layer's final state [batch, units]; raises ValueError if packed."""
        if packed:
            raise ValueError("an LSTM reads no packed rows: its state would run from one sentence into the next")
        mask = ops.not_equal(source, PAD)
        x = self.dropout(self.embeddings.source(source), training=training)
        for i, layer in enumerate(self.encoder):
            x, final = layer.read(x, mask)
            x = self.dropout(x, training=training) if i + 1 < len(self.encoder) else x
        return {"states": x, "mask": mask, "final": final}

    def decode_states(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> DecoderStates:
        """See Seq2Seq.decode_states."""
        states, attention = self.read(self.loop(target_in, encoded, training), encoded["states"])
        return DecoderStates(self.dropout(states, training=training), attention)

    def loop(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> Tensor:
        """The cell's outputs for target prefixes int32 [batch, time]: [batch, time, ...]."""
        embedded = self.dropout(self.embeddings.target(target_in), training=training)
        inputs = self.cell.inputs(embedded, training)
        return self.decoder(inputs, initial_state=self._initial(encoded) + self._memory(encoded), training=training)

    def read(self, outputs: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Decoder states [batch, n, width] and attention [batch, n, source] of the cell's outputs.

        Args:
            outputs: of n times or hypotheses of each source, [batch, n, ...].
            values: what attention reads, [batch, source, units].
        """
        width = self.settings.embedding
        # The loop's output has an open last dimension, because the attention in it has; the states' is known.
        return ops.reshape(outputs[..., :width], (-1, dimension(outputs, 1), width)), outputs[..., width:]

    def start(self, encoded: Encoded, room: Tensor, beam: int = 1) -> Cache:
        """See Seq2Seq.start; an LSTM's cache does not depend on `room`."""
        rows = [ops.repeat(state, beam, axis=0) for state in self._initial(encoded)]
        time = ops.zeros((dimension(rows[0], 0),), "int32")
        return {"shared": self._memory(encoded), "rows": rows, **with_room([], time, room)}

    def resume(
        self, target_in: Tensor, encoded: Encoded, rows: Tensor, times: Tensor, room: Tensor, beam: int = 1
    ) -> tuple[Tensor, Cache]:
        """See Seq2Seq.resume; an LSTM's cache does not depend on `room`."""
        memory, initial = self._memory(encoded), self._initial(encoded)

        def step(states: list[Tensor], embedded: Tensor) -> tuple[list[Tensor], tuple[Tensor, list[Tensor]]]:
            output, new = self.cell.step(embedded, states, memory)
            return new, (output, new)

        _, (outputs, later) = scan(step, initial, self.embeddings.target(ops.transpose(target_in)))
        batch = dimension(target_in, 0)
        # One list of the states of all rows before the first token, then after it, and so on.
        places = ops.repeat(times * batch + rows, beam)
        states = [
            gather_rows(ops.concatenate([first, ops.reshape(after, (-1, dimension(after, 2)))]), places)
            for first, after in zip(initial, later, strict=True)
        ]
        shared = [gather_rows(x, rows) for x in memory]
        read, _ = self.read(ops.transpose(outputs, (1, 0, 2)), encoded["states"])
        return read, {"shared": shared, "rows": states, **with_room([], ops.repeat(times, beam), room)}

    def step_states(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Tensor, Cache]:
        """See Seq2Seq.step_states."""
        output, rows = self.cell.step(self.embeddings.target(tokens), cache["rows"], cache["shared"])
        values = cache["shared"][1]
        parted = ops.reshape(output, (dimension(values, 0), -1, dimension(output, 1)))
        states, attention = (ops.reshape(x, (-1, dimension(x, 2))) for x in self.read(parted, values))
        return states, attention, {**cache, "rows": rows, "time": cache["time"] + 1}

    def _memory(self, encoded: Encoded) -> list[Tensor]:
        states = encoded["states"]
        return [self.cell.attention.keys(states), states, mask_bias(encoded["mask"])]

    def _initial(self, encoded: Encoded) -> list[Tensor]:
        """h and c of every layer, the fed-back state, and the coverage, each [batch, ...]."""
        states = encoded["states"]
        final = ops.tanh(self.bridge(encoded["final"]))
        initial = list(ops.split(final, 2 * self.settings.decoder_layers, axis=-1))
        batch = dimension(states, 0)
        initial.append(ops.zeros((batch, self.settings.embedding), states.dtype))
        if self.settings.coverage:
            initial.append(ops.zeros((batch, dimension(states, 1)), states.dtype))
        return initial


class AttentionCell(keras.layers.Layer):
    """One decoder step: stacked LSTM cells on [embedding; h~], attention, the next h~.

    States: h and c of every layer, h~, the coverage if there is one; then the memory (keys, values, bias), which a
    loop carries along unchanged. The output is [h~; attention weights], with hard attention [h~; h; scores] of which h~
    is that of soft attention: what is fed back (see models.hard_attention).
    """

    def __init__(self, config: LSTMConfig, name: str) -> None:
        """See the class docstring."""
        super().__init__(name=name, dtype="float32")
        self.config = config
        self.cells = [LSTMCell(config.units, f"cell_{i}") for i in range(config.decoder_layers)]
        self.attention = SoftAttention(
            config.attention, config.units, config.attention_units, config.coverage, "attention"
        )
        self.combine = Linear(config.embedding, name="combine")
        self.dropout = keras.layers.Dropout(config.dropout, dtype="float32", name="dropout")
        recurrent = [config.units] * (2 * config.decoder_layers) + [config.embedding]
        self.rows = len(recurrent) + int(config.coverage)
        self.state_size = recurrent + [1] * (int(config.coverage) + 3)
        self.output_size = config.embedding

    def build(self, input_shape: Any = None) -> None:
        """Make all weights."""
        width, units = self.config.embedding, self.config.units
        for i, cell in enumerate(self.cells):
            cell.build((None, 2 * width if i == 0 else units))
        self.attention.build(units)
        self.combine.build(2 * units)
        self.built = True

    def inputs(self, embedded: Tensor, training: bool) -> Tensor:
        """What `call` is given of embeddings [batch, time, width]; in training dropout masks for between the layers
        follow them.

        Masks are drawn here because a random generator cannot be advanced inside JAX's loops.
        """
        between = (self.config.decoder_layers - 1) * self.config.units
        if not (training and between and self.config.dropout):
            return embedded
        ones = ops.ones((dimension(embedded, 0), dimension(embedded, 1), between), embedded.dtype)
        return ops.concatenate([embedded, self.dropout(ones, training=True)], axis=-1)

    def call(self, inputs: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """One step of a loop over time, of one time's part of `inputs`, [batch, ...]."""
        states, width = list(states), self.config.embedding
        rows, memory = states[: self.rows], states[self.rows :]
        masks = inputs[:, width:] if inputs.shape[1] > width else None
        output, rows = self.step(inputs[:, :width], rows, memory, masks)
        return output, rows + memory

    def step(
        self, embedded: Tensor, rows: list[Tensor], memory: list[Tensor], masks: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """One step for embeddings [rows, width]; there may be several rows per source in `memory`.

        `masks` [rows, (layers - 1) * units] multiply what goes from layer to layer.
        """
        layers, units = self.config.decoder_layers, self.config.units
        x = ops.concatenate([embedded, rows[2 * layers]], axis=-1)
        new = []
        for i, cell in enumerate(self.cells):
            x, state = cell(cell.project(x), rows[2 * i : 2 * i + 2])
            new += state
            if masks is not None and i + 1 < layers:
                x = x * masks[:, i * units : (i + 1) * units]
        keys, values, bias = memory
        batch, width = dimension(keys, 0), dimension(keys, 1)
        query = ops.reshape(x, (batch, -1, units))
        covered = ops.reshape(rows[-1], (batch, -1, width)) if self.config.coverage else None
        scores = self.attention.scores(query, keys, bias, covered)
        context, weights = weighted(scores, values)
        weights = ops.reshape(weights, (-1, width))
        attentional = self.attentional(ops.reshape(context, (-1, units)), x)
        new.append(attentional)
        if self.config.coverage:
            new.append(rows[-1] + weights)
        told = [weights] if self.config.hard is None else [x, ops.reshape(scores, (-1, width))]
        return ops.concatenate([attentional, *told], axis=-1), new

    def attentional(self, context: Tensor, hidden: Tensor) -> Tensor:
        """h~ = tanh(W [context; h]) (Luong et al., 2015, equation 5), [..., embedding] of [..., units] each."""
        return ops.tanh(self.combine(ops.concatenate([context, hidden], axis=-1)))
