"""A memory of pairs like the source: keys and values that the decoder reads by attention, learned end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import call_host, dimension, gather_rows, is_jax
from nmt_rl.config import PairMemoryConfig, TransformerConfig
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.models.attention import dot_attention, mask_bias, merge_heads, split_heads
from nmt_rl.models.embedding import Embeddings
from nmt_rl.models.insight import Insight
from nmt_rl.models.linear import Linear
from nmt_rl.models.segments import positions_within, same_segment, source_segments
from nmt_rl.models.seq2seq import PAD, Cache, DecoderStates, Encoded, Seq2Seq, Tensor
from nmt_rl.models.transformer import _Layer, _Positions  # As they are called in files of weights.
from nmt_rl.models.wrapper import Wrapper

Pieces = Sequence[int] | NDArray[np.int32]
Lookup = Callable[[NDArray[np.int32]], Sequence[Sequence[tuple[Pieces, Pieces]]]]
"""From sources int32 [batch, source] to the pairs that each recalls, the most similar first."""
Slots = dict[str, Tensor]
"""`keys` and `values` [batch, heads, slots, size], and `bias` [batch, slots], additive. The first slot says nothing."""

WIDTH = 8
"""Of the retrieved pieces of a batch, at least."""
_lookup: ContextVar[Lookup | None] = ContextVar("lookup", default=None)


@contextmanager
def recalling(lookup: Lookup | None) -> Iterator[None]:
    """Models with `model.memory` that are built inside recall these pairs, at every call; all others recall nothing."""
    token = _lookup.set(lookup)
    try:
        yield
    finally:
        _lookup.reset(token)


def recalls_pairs() -> bool:
    """Whether models that are built now have pairs to recall."""
    return _lookup.get() is not None


def laid_out(pairs: Sequence[Sequence[tuple[Pieces, Pieces]]], room: int, width: int) -> NDArray[np.int32]:
    """The pairs of each source in a row, int32 [batch, time]: source, EOS, target, EOS, and so on; PAD behind them.

    Args:
        pairs: of each source.
        room: pieces of a row at most; a pair that does not fit in whole is left out.
        width: of the rows, at least.
    """
    rows = []
    for own in pairs:
        row: list[int] = []
        for source, target in own:
            if len(row) + len(source) + len(target) + 2 <= room:
                row += [*source, EOS, *target, EOS]
        rows.append(row)
    found = np.full((len(rows), max([width, *map(len, rows)])), PAD, np.int32)
    for place, row in zip(found, rows, strict=True):
        place[: len(row)] = row
    return found


class KeysAndValues(keras.layers.Layer):
    """Writes retrieved pairs into slots, one for each piece of their targets, and reads them.

    The value of a slot is the embedding of its piece; its key is the state before it, of the piece that it follows, in
    an encoder that reads source and target of the pair (that key and value differ: Miller et al., 2016). A decoder
    state u becomes u + W sum_i p_i c_i, p = softmax(u' m) over keys m, c the values (Sukhbaatar et al., 2015, equations
    1 to 3). One slot more, of zeros, says nothing: what the others get of p is the gate. W is 0 at first, and so is
    what is read.

    Args:
        config: of the memory.
        width: of embeddings and decoder states.
    """

    def __init__(self, config: PairMemoryConfig, width: int, name: str) -> None:
        """See the class docstring."""
        super().__init__(name=name, dtype="float32")
        self.heads, self.width = config.heads, width
        shape = TransformerConfig(
            width=width,
            heads=config.heads,
            feed_forward=config.feed_forward,
            dropout=config.dropout,
            max_positions=config.room,
        )
        self.positions = _Positions(shape, "positions")
        self.encoder = [_Layer(shape, False, f"layer_{i}") for i in range(config.layers)]
        self.norm = keras.layers.LayerNormalization(dtype="float32", name="norm")
        self.keys, self.query = Linear(width, name="keys"), Linear(width, name="query")
        self.out = Linear(width, use_bias=False, name="out")
        self.dropout = keras.layers.Dropout(config.dropout, dtype="float32", name="dropout")

    def build(self, input_shape: object = None) -> None:
        """Make all weights."""
        self.positions.build(self.width)
        for layer in self.encoder:
            layer.build(self.width)
        for product in (self.keys, self.query, self.out):
            product.build(self.width)
        self.norm.build((None, None, self.width))
        self.out.kernel.assign(np.zeros(self.out.kernel.shape, "float32"))
        self.built = True

    def write(self, pairs: Tensor, embeddings: Embeddings, training: bool = False) -> Slots:
        """The slots of pairs int32 [batch, time], see `laid_out`."""
        exists, part = ops.not_equal(pairs, PAD), source_segments(pairs)
        is_target = ops.logical_and(ops.equal(part % 2, 1), exists)
        target = embeddings.target(ops.where(is_target, pairs, PAD))
        x = ops.where(is_target[..., None], target, embeddings.source(ops.where(is_target, PAD, pairs)))
        x = self.positions.add(x, positions_within(part), training)
        own = ops.logical_and(same_segment(part // 2, part // 2), exists[:, None, :])
        for layer in self.encoder:
            x, _ = layer.encode(x, mask_bias(own)[:, None], training)
        keys = self.keys(self.norm(x)) * (self.width // self.heads) ** -0.5
        # What follows each piece; behind the last one stands a place more.
        values, follows = ops.pad(target, ((0, 0), (0, 1), (0, 0))), ops.pad(is_target, ((0, 0), (0, 1)))
        return {
            "keys": _behind_nothing(split_heads(keys, self.heads)),
            "values": _behind_nothing(split_heads(ops.cast(values[:, 1:], keys.dtype), self.heads)),
            "bias": ops.pad(mask_bias(follows[:, 1:]), ((0, 0), (1, 0))),
        }

    def read(self, states: Tensor, slots: Slots, training: bool = False) -> Tensor:
        """Decoder states [batch, time, width] with what they read in the slots of their sources."""
        query, bias = split_heads(self.query(states), self.heads), slots["bias"][:, None, None, :]
        found, _ = dot_attention(query, slots["keys"], slots["values"], bias, self.dropout, training)
        return states + ops.cast(self.out(merge_heads(found, self.heads)), states.dtype)


def _behind_nothing(x: Tensor) -> Tensor:
    return ops.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))


class PairMemory(Wrapper):
    """A model whose decoder states read a memory of the pairs that its sources recall.

    What is recalled is found when a source is encoded, in training, scoring and translating alike. A model that is
    built outside of `recalling` has nothing to recall, and is its base.

    Args:
        base: the model.
        config: of the memory.
    """

    def __init__(self, base: Seq2Seq, config: PairMemoryConfig) -> None:
        """See the class docstring."""
        super().__init__(base, "pair_memory")
        self.lookup, self.room = _lookup.get(), config.room
        self.memory = KeysAndValues(config, base.embeddings.width, "memory")
        self.memory.build()
        self.built = True

    def encode(self, source: Tensor, training: bool = False, packed: bool = False) -> Encoded:
        """See Seq2Seq.encode; with `slots`, if there is something to recall. Raises ValueError if packed."""
        if packed:
            raise ValueError("pairs are recalled by single sentences, not by packed ones")
        encoded = self.base.encode(source, training)
        if self.lookup is None:
            return encoded
        (pairs,) = call_host(self._recalled, (("int32", self.room if is_jax() else None),), source)
        return {**encoded, "slots": self.memory.write(pairs, self.embeddings, training)}

    def _recalled(self, source: NDArray[np.int32]) -> tuple[NDArray[np.int32]]:
        assert self.lookup is not None
        return (laid_out(self.lookup(np.asarray(source)), self.room, self.room if is_jax() else WIDTH),)

    def decode_states(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> DecoderStates:
        """See Seq2Seq.decode_states."""
        output = self.base.decode_states(target_in, encoded, training)
        return output._replace(states=self._read(output.states, encoded.get("slots"), training))

    def inspect(self, source: np.ndarray, target_in: np.ndarray) -> Insight:
        """See Seq2Seq.inspect; with what pairs add to the states."""
        seen, output = self.base.inspect(source, target_in), self.decode_states(target_in, self.encode(source))
        return seen._replace(logits=self.project(output.states), states=output.states)

    def start(self, encoded: Encoded, room: Tensor, beam: int = 1) -> Cache:
        """See Seq2Seq.start."""
        return _beside(self.base.start(encoded, room, beam), encoded.get("slots", {}))

    def resume(
        self, target_in: Tensor, encoded: Encoded, rows: Tensor, times: Tensor, room: Tensor, beam: int = 1
    ) -> tuple[Tensor, Cache]:
        """See Seq2Seq.resume."""
        states, cache = self.base.resume(target_in, encoded, rows, times, room, beam)
        slots = encoded.get("slots", {})
        own = {name: gather_rows(x, rows) for name, x in slots.items()}
        return self._read(states, slots), _beside(cache, own)

    def step_states(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Tensor, Cache]:
        """See Seq2Seq.step_states."""
        shared = cache["shared"]
        states, attention, after = self.base.step_states(tokens, {**cache, "shared": shared["base"]})
        if shared["slots"]:
            # The hypotheses of a source take the place of time, so that its slots are never copied beam-wide.
            width = self.embeddings.width
            rows = ops.reshape(states, (dimension(shared["slots"]["bias"], 0), -1, width))
            states = ops.reshape(self._read(rows, shared["slots"]), (-1, width))
        return states, attention, {**after, "shared": shared}

    def _read(self, states: Tensor, slots: Slots | None, training: bool = False) -> Tensor:
        return self.memory.read(states, slots, training) if slots else states


def _beside(cache: Cache, slots: Slots) -> Cache:
    return {**cache, "shared": {"base": cache["shared"], "slots": slots}}
