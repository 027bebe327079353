"""Parameter-efficient training: which weights of a model are trained, and low-rank matrices beside its own."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import keras
import numpy as np
from numpy.typing import NDArray

from nmt_rl.backend import seeded
from nmt_rl.config import BiasConfig, EmbeddingsConfig, FullConfig, LoRAConfig, OnlyMemoryConfig
from nmt_rl.models.embedding import Embeddings
from nmt_rl.models.linear import LowRank
from nmt_rl.models.pair_memory import KeysAndValues
from nmt_rl.models.seq2seq import Seq2Seq

logger = logging.getLogger("nmt_rl")

Adapt = FullConfig | LoRAConfig | BiasConfig | EmbeddingsConfig | OnlyMemoryConfig

ATTENTION = ("self_qkv", "self_out", "cross_query", "cross_keys_values", "cross_out", "keys", "query")
"""Names of the layers whose products are those of attention."""
BIASES = ("bias", "beta")


class Adapters(keras.layers.Layer):
    """A and B of matrices [rows, columns], which then stand for W + (alpha / rank) A B (Hu et al., 2022, equation 3).

    B is 0 at first, and so is what is added.

    Args:
        matrices: variables that layers multiply by.
        rank: columns of A, rows of B.
        alpha: see above.
        dropout: of what A is multiplied by, in training.
    """

    def __init__(self, matrices: list[keras.Variable], rank: int, alpha: float, dropout: float = 0.0) -> None:
        """See the class docstring."""
        super().__init__(name="adapters", dtype="float32")
        self.seeds = keras.random.SeedGenerator() if dropout else None
        for matrix in matrices:
            rows, columns = matrix.shape
            name = matrix.path.replace("/", ".")
            down = self.add_weight(shape=(rows, rank), initializer="he_uniform", name=f"{name}.down")
            up = self.add_weight(shape=(rank, columns), initializer="zeros", name=f"{name}.up")
            matrix.low_rank = LowRank(down, up, alpha / rank, dropout, self.seeds)
        self.built = True


def adapt(model: Seq2Seq, settings: Adapt, seed: int) -> None:
    """Let a built model be trained as the settings say; with `lora` it has `adapters` from then on.

    What it computes stays the same.

    Args:
        model: whose weights are in place.
        settings: what is trained.
        seed: of A.
    """
    if isinstance(settings, FullConfig):
        return
    before = model.count_params()
    if isinstance(settings, LoRAConfig):
        matrices = list(_matrices(model, settings.products))
        with seeded(seed):
            adapters = Adapters(matrices, settings.rank, settings.alpha, settings.dropout)
        model._tracker.unlock()  # As Keras does in its own `enable_lora`.
        model.adapters = adapters
        model._tracker.lock()
        trained = adapters.variables
    elif isinstance(settings, BiasConfig):
        trained = [v for v in model.trainable_variables if v.name in BIASES]
    elif isinstance(settings, OnlyMemoryConfig):
        memories = (layer for layer in model._flatten_layers() if isinstance(layer, KeysAndValues))
        trained = [v for layer in memories for v in layer.trainable_variables]
    else:
        tables = (layer.trainable_variables for layer in model._flatten_layers() if isinstance(layer, Embeddings))
        trained = [v for variables in tables for v in variables]
    kept, count = {id(v) for v in trained}, sum(math.prod(v.shape) for v in trained)
    logger.info("%s: %s weights are trained beside %s", settings.type, f"{count:,}", f"{before:,}")
    for variable in model.trainable_variables:
        variable.trainable = id(variable) in kept


def merged_weights(model: Seq2Seq) -> list[NDArray[np.float32]]:
    """The weights of a plain model that computes what this one does, float32, in the order of `get_weights`."""
    adapters = getattr(model, "adapters", None)
    beside = {id(v) for v in adapters.weights} if adapters is not None else set()
    return [_merged(weight) for weight in model.weights if id(weight) not in beside]


def _merged(weight: keras.Variable) -> NDArray[np.float32]:
    value = np.asarray(weight.value)
    if (low_rank := getattr(weight, "low_rank", None)) is None:
        return value
    return value + low_rank.scale * np.asarray(low_rank.down.value) @ np.asarray(low_rank.up.value)


def _matrices(model: Seq2Seq, products: str) -> Iterator[keras.Variable]:
    """Matrices that products are made with, but for those of embeddings."""
    for layer in model._flatten_layers():
        wanted = products == "all" or (layer.name in ATTENTION) == (products == "attention")
        if wanted and hasattr(layer, "multiplied") and not isinstance(layer, Embeddings):
            yield from layer.multiplied()
