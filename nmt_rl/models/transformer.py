"""Transformer encoder-decoder (Vaswani et al., 2017), pre-norm or post-norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from nmt_rl.backend import dimension, gather_rows
from nmt_rl.config import TransformerConfig
from nmt_rl.config.model import NORM_EPSILON
from nmt_rl.config.positions import sinusoids
from nmt_rl.models.attention import causal_bias, dot_attention, mask_bias, merge_heads, parted_attention, split_heads
from nmt_rl.models.embedding import Embeddings
from nmt_rl.models.insight import Insight, Weighting
from nmt_rl.models.linear import Linear, result_type, training_products
from nmt_rl.models.segments import positions_within, same_segment, source_segments, target_segments
from nmt_rl.models.seq2seq import PAD, Cache, DecoderStates, Encoded, Seq2Seq, Tensor, with_room

KeysValues = tuple[Tensor, Tensor]
"""Of a layer's attention: [batch, heads, length, size] each."""


class Transformer(Seq2Seq):
    """Transformer with tied embeddings, sinusoidal or learned positions and ReLU, GELU or SwiGLU.

    Args:
        config: sizes and variants.
        source_vocabulary, target_vocabulary: numbers of pieces.
    """

    def __init__(self, config: TransformerConfig, source_vocabulary: int, target_vocabulary: int) -> None:
        """See the class docstring."""
        super().__init__(name="transformer", dtype="float32")
        self.settings, self.stream = config, result_type()
        self.max_length = config.max_positions
        self.embeddings = Embeddings(source_vocabulary, target_vocabulary, config.width, config.tie, "embeddings")
        self.source_positions = _Positions(config, "source_positions")
        self.target_positions = _Positions(config, "target_positions")
        self.encoder = [_Layer(config, False, f"encoder_{i}") for i in range(config.encoder_layers)]
        self.decoder = [_Layer(config, True, f"decoder_{i}") for i in range(config.decoder_layers)]
        self.encoder_norm = _final_norm(config, "encoder_norm")
        self.decoder_norm = _final_norm(config, "decoder_norm")

    def build(self, input_shape: object = None) -> None:
        """Make all weights."""
        width = self.settings.width
        self.embeddings.build()
        for positions in (self.source_positions, self.target_positions):
            positions.build(width)
        for layer in (*self.encoder, *self.decoder):
            layer.build(width)
        for norm in (self.encoder_norm, self.decoder_norm):
            if norm is not None:
                norm.build((None, None, width))
        self.built = True

    def encode(self, source: Tensor, training: bool = False, packed: bool = False) -> Encoded:
        """See Seq2Seq.encode."""
        return self._encode(source, training, packed)[0]

    def _encode(self, source: Tensor, training: bool, packed: bool) -> tuple[Encoded, list[Tensor]]:
        """Also the weights [batch, heads, source, source] of every layer's self-attention."""
        mask = ops.not_equal(source, PAD)
        bias, positions, segments = mask_bias(mask)[:, None, None, :], ops.arange(dimension(source, 1))[None], {}
        if packed:
            segments = {"segments": source_segments(source)}
            positions, own = positions_within(segments["segments"]), same_segment(*2 * [segments["segments"]])
            bias = bias + mask_bias(own)[:, None]
        x = self.source_positions.add(self.embeddings.source(source), positions, training)
        weights = []
        with training_products(training):
            for layer in self.encoder:
                x, own = layer.encode(x, bias, training)
                weights.append(own)
        x = x if self.encoder_norm is None else self.encoder_norm(x)
        return {"states": x, "mask": mask, **segments}, weights

    def decode_states(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> DecoderStates:
        """See Seq2Seq.decode_states."""
        with training_products(training):
            return self._decode(target_in, self._shared(encoded), training)[0]

    def start(self, encoded: Encoded, room: Tensor, beam: int = 1) -> Cache:
        """See Seq2Seq.start."""
        states = encoded["states"]
        rows, heads = dimension(states, 0) * beam, self.settings.heads
        none = ops.zeros((rows, heads, 0, self.settings.width // heads), self.stream)
        past, time = [(none, none) for _ in self.decoder], ops.zeros((rows,), "int32")
        return {"shared": self._shared(encoded), "rows": [], **with_room(past, time, room)}

    def resume(
        self, target_in: Tensor, encoded: Encoded, rows: Tensor, times: Tensor, room: Tensor, beam: int = 1
    ) -> tuple[Tensor, Cache]:
        """See Seq2Seq.resume."""
        shared, hypotheses = self._shared(encoded), ops.repeat(rows, beam)
        # What was fed after a hypothesis' own tokens is masked.
        output, past, _ = self._decode(target_in, shared, False)
        past = keras.tree.map_structure(lambda x: gather_rows(x, hypotheses), past)
        shared = keras.tree.map_structure(lambda x: gather_rows(x, rows), shared)
        return output.states, {"shared": shared, "rows": [], **with_room(past, ops.repeat(times, beam), room)}

    def step_states(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Tensor, Cache]:
        """See Seq2Seq.step_states."""
        time, shared = cache["time"], cache["shared"]
        x = self.target_positions.add(self.embeddings.target(tokens[:, None]), time[:, None], False)
        recents, looked, now = [], [], _Now(cache, self.settings.heads)
        layers = zip(self.decoder, shared["memory"], cache["past"], cache["recent"], strict=True)
        for layer, memory, past, recent in layers:
            x, weights, recent = layer.step(x, past, recent, now, memory, shared["bias"][:, None, None, :])
            looked.append(weights)
            recents.append(recent)
        x = x if self.decoder_norm is None else self.decoder_norm(x)
        weights = self._attention(looked)
        return (
            x[:, 0],
            ops.reshape(weights, (-1, dimension(weights, 2))),
            {**cache, "recent": recents, "time": time + 1},
        )

    def inspect(self, source: np.ndarray, target_in: np.ndarray) -> Insight:
        """See Seq2Seq.inspect."""
        encoded, encoder = self._encode(source, False, False)
        output, _, decoder = self._decode(target_in, self._shared(encoded), False)
        kind: Literal["attention"] = "attention"
        seen = []
        for layer, (_, cross) in enumerate(decoder, start=1):
            seen.append(Weighting(f"decoder layer {layer}, on the source", kind, cross, "target", "source"))
        for layer, (own, _) in enumerate(decoder, start=1):
            seen.append(Weighting(f"decoder layer {layer}, on itself", kind, own, "target", "target"))
        for layer, own in enumerate(encoder, start=1):
            seen.append(Weighting(f"encoder layer {layer}, on itself", kind, own, "source", "source"))
        return Insight(self.project(output.states), output.states, output.attention, tuple(seen))

    def _shared(self, encoded: Encoded) -> dict[str, Any]:
        """What all hypotheses of a source share: its additive bias, and every layer's keys and values of it."""
        memory = [layer.cross_memory(encoded["states"]) for layer in self.decoder]
        packed = {"segments": encoded["segments"]} if "segments" in encoded else {}
        return {"bias": mask_bias(encoded["mask"]), "memory": memory, **packed}

    def _decode(
        self, target_in: Tensor, shared: dict[str, Any], training: bool
    ) -> tuple[DecoderStates, list[Any], list[tuple[Tensor, Tensor]]]:
        """Teacher-forced: states, every layer's keys and values [batch, heads, time, size] of the tokens, and its
        weights [batch, heads, time, time or source] on them and on the source."""
        time = dimension(target_in, 1)
        causal, bias, positions = causal_bias(time), shared["bias"][:, None, None, :], ops.arange(time)[None]
        if "segments" in shared:
            own = target_segments(target_in)
            causal = causal + mask_bias(same_segment(own, own))[:, None]
            bias = bias + mask_bias(same_segment(own, shared["segments"]))[:, None]
            positions = positions_within(own)
        x = self.target_positions.add(self.embeddings.target(target_in), positions, training)
        pasts, weights = [], []
        for layer, memory in zip(self.decoder, shared["memory"], strict=True):
            x, both, past = layer.decode(x, causal, memory, bias, training)
            pasts.append(past)
            weights.append(both)
        x = x if self.decoder_norm is None else self.decoder_norm(x)
        return DecoderStates(x, self._attention([cross for _, cross in weights])), pasts, weights

    def _attention(self, looked: list[Tensor]) -> Tensor:
        """The alignment [batch, time, source] of every layer's weights [batch, heads, time, source]."""
        layer = self.settings.alignment_layer
        return ops.mean(looked[-1], axis=1) if layer is None else looked[layer - 1][:, 0]


def _final_norm(config: TransformerConfig, name: str) -> keras.layers.Layer | None:
    """Pre-norm models normalise the sum of all residuals once at the end (Xiong et al., 2020)."""
    return _layer_norm(name) if config.norm == "pre" else None


def _layer_norm(name: str) -> keras.layers.Layer:
    return keras.layers.LayerNormalization(epsilon=NORM_EPSILON, dtype="float32", name=name)


def _dropout(rate: float, name: str) -> keras.layers.Layer:
    return keras.layers.Dropout(rate, dtype=result_type(), name=name)


class _Positions(keras.layers.Layer):
    """Add positions to embeddings, drop out."""

    def __init__(self, config: TransformerConfig, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.config, self.stream = config, result_type()
        self.dropout = _dropout(config.dropout, "dropout")

    def build(self, width: int) -> None:
        shape = (self.config.max_positions, width)
        if self.config.positions == "learned":
            initializer = keras.initializers.RandomNormal(stddev=width**-0.5)
            self.table = self.add_weight(shape=shape, initializer=initializer, name="table")
        else:
            self.constant = sinusoids(*shape)
        self.built = True

    def add(self, embedded: Tensor, positions: Tensor, training: bool) -> Tensor:
        table = self.table if self.config.positions == "learned" else self.constant
        added = ops.cast(gather_rows(ops.convert_to_tensor(table), positions), embedded.dtype)
        return self.dropout(ops.cast(embedded + added, self.stream), training=training)


class _Now:
    """Where a step's keys and values go: every row has a time of its own.

    Attributes:
        index: int32 [rows * heads, 3], the places in recent keys or values [rows, heads, room, size].
        bias: additive [rows, 1, 1, length + room], which blocks what is behind a row's time, in past and recent keys.
    """

    def __init__(self, cache: Cache, heads: int) -> None:
        begun, place = cache["begun"][:, None], cache["time"] - cache["begun"]
        length, room = (dimension(cache[name][0][0], 2) for name in ("past", "recent"))
        rows = dimension(place, 0)
        row = ops.repeat(ops.arange(rows, dtype="int32"), heads)
        head = ops.tile(ops.arange(heads, dtype="int32"), (rows,))
        self.index = ops.stack([row, head, ops.repeat(place, heads)], axis=1)
        seen = [
            ops.arange(length, dtype="int32")[None] < begun,
            ops.arange(room, dtype="int32")[None] <= place[:, None],
        ]
        self.bias = mask_bias(ops.concatenate(seen, axis=1))[:, None, None, :]

    def write(self, recent: Tensor, new: Tensor) -> Tensor:
        """`recent` with `new` [rows, heads, 1, size] in its place."""
        return ops.scatter_update(recent, self.index, ops.reshape(new, (-1, new.shape[3])))


class _Layer(keras.layers.Layer):
    """One encoder or decoder layer: self-attention, attention on the source (decoder only), feed-forward."""

    def __init__(self, config: TransformerConfig, is_decoder: bool, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        width = config.width
        self.config, self.heads, self.is_decoder = config, config.heads, is_decoder
        self.self_qkv = Linear(3 * width, name="self_qkv")
        self.self_out = Linear(width, name="self_out")
        if is_decoder:
            self.cross_query = Linear(width, name="cross_query")
            self.cross_keys_values = Linear(2 * width, name="cross_keys_values")
            self.cross_out = Linear(width, name="cross_out")
        gate = 2 if config.activation == "swiglu" else 1
        self.wide = Linear(gate * config.feed_forward, name="wide")
        self.narrow = Linear(width, name="narrow")
        names = ["self", "cross", "feed_forward"] if is_decoder else ["self", "feed_forward"]
        self.norms = {n: _layer_norm(f"{n}_norm") for n in names}
        self.residual_dropout = _dropout(config.dropout, "residual_dropout")
        self.attention_dropout = _dropout(config.attention_dropout, "attention_dropout")
        self.activation_dropout = _dropout(config.activation_dropout, "activation_dropout")

    def build(self, width: int) -> None:
        inputs = [self.self_qkv, self.self_out, self.wide]
        if self.is_decoder:
            inputs += [self.cross_query, self.cross_keys_values, self.cross_out]
        for layer in inputs:
            layer.build(width)
        self.narrow.build(self.config.feed_forward)
        for norm in self.norms.values():
            norm.build((None, None, width))
        self.built = True

    def encode(self, x: Tensor, bias: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        """Encoder layer over [batch, source, width]; also the weights [batch, heads, source, source]."""
        x, (_, weights) = self._residual("self", x, lambda y: self._self_attention(y, bias, training), training)
        x, _ = self._residual("feed_forward", x, lambda y: (self._feed_forward(y, training), None), training)
        return x, weights

    def decode(
        self, x: Tensor, causal: Tensor, memory: KeysValues, bias: Tensor, training: bool
    ) -> tuple[Tensor, tuple[Tensor, Tensor], KeysValues]:
        """Decoder layer over [batch, time, width]; also the weights [batch, heads, time, time or source] on the tokens
        and on the source, keys and values."""
        x, (past, own) = self._residual("self", x, lambda y: self._self_attention(y, causal, training), training)
        x, weights = self._residual("cross", x, lambda y: self._cross_attention(y, memory, bias, training), training)
        x, _ = self._residual("feed_forward", x, lambda y: (self._feed_forward(y, training), None), training)
        return x, (own, weights), past

    def step(
        self, x: Tensor, past: KeysValues, recent: KeysValues, now: _Now, memory: KeysValues, bias: Tensor
    ) -> tuple[Tensor, Tensor, KeysValues]:
        """Decoder layer for one position [rows, 1, width]: output, weights [sources, heads, rows of a source, source],
        recent keys and values."""
        x, recent = self._residual("self", x, lambda y: self._cached_self_attention(y, past, recent, now), False)
        # The hypotheses of a source take the place of time, so its keys are never copied beam-wide.
        x = ops.reshape(x, (dimension(bias, 0), -1, self.config.width))
        x, weights = self._residual("cross", x, lambda y: self._cross_attention(y, memory, bias, False), False)
        x = ops.reshape(x, (-1, 1, self.config.width))
        x, _ = self._residual("feed_forward", x, lambda y: (self._feed_forward(y, False), None), False)
        return x, weights, recent

    def cross_memory(self, states: Tensor) -> KeysValues:
        """Keys and values [batch, heads, source, size] of encoder states."""
        keys, values = ops.split(self.cross_keys_values(states), 2, axis=-1)
        return split_heads(self._scaled(keys), self.heads), split_heads(values, self.heads)

    def _residual(
        self, name: str, x: Tensor, sublayer: Callable[[Tensor], tuple[Tensor, Any]], training: bool
    ) -> tuple[Tensor, Any]:
        norm = self.norms[name]
        y, extra = sublayer(norm(x) if self.config.norm == "pre" else x)
        y = x + self.residual_dropout(y, training=training)
        return (y if self.config.norm == "pre" else ops.cast(norm(y), y.dtype)), extra

    def _scaled(self, keys: Tensor) -> Tensor:
        # The keys, once, and not the query: TensorFlow 2.21 miscompiles product * scale + bias inside a loop.
        return keys * (self.config.width // self.heads) ** -0.5

    def _self_attention(self, x: Tensor, bias: Tensor, training: bool) -> tuple[Tensor, tuple[KeysValues, Tensor]]:
        query, keys, values = self._query_key_value(x)
        context, weights = dot_attention(query, keys, values, bias, self.attention_dropout, training)
        return self.self_out(merge_heads(context, self.heads)), ((keys, values), weights)

    def _cached_self_attention(
        self, x: Tensor, past: KeysValues, recent: KeysValues, now: _Now
    ) -> tuple[Tensor, KeysValues]:
        query, key, value = self._query_key_value(x)
        recent = now.write(recent[0], key), now.write(recent[1], value)
        return self.self_out(merge_heads(parted_attention(query, past, recent, now.bias), self.heads)), recent

    def _query_key_value(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, values = ops.split(self.self_qkv(x), 3, axis=-1)
        heads = self.heads
        return split_heads(query, heads), split_heads(self._scaled(keys), heads), split_heads(values, heads)

    def _cross_attention(self, x: Tensor, memory: KeysValues, bias: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        query = split_heads(self.cross_query(x), self.heads)
        context, weights = dot_attention(query, *memory, bias, self.attention_dropout, training)
        return self.cross_out(merge_heads(context, self.heads)), weights

    def _feed_forward(self, x: Tensor, training: bool) -> Tensor:
        y = self.wide(x)
        if self.config.activation == "swiglu":
            gate, y = ops.split(y, 2, axis=-1)
            y = ops.silu(gate) * y
        else:
            y = ops.relu(y) if self.config.activation == "relu" else ops.gelu(y, approximate=True)
        return self.narrow(self.activation_dropout(y, training=training))
