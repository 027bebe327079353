"""From the model section of the experiment file to a built model."""

from __future__ import annotations

import logging

import keras

from nmt_rl.backend import has_accelerator, multiplies_bfloat16, seeded
from nmt_rl.config import AnyModelConfig, DNCConfig, LSTMConfig, NTMConfig, TransformerConfig
from nmt_rl.models.hard_lstm import HardLSTM
from nmt_rl.models.linear import results_in
from nmt_rl.models.lstm import LSTM
from nmt_rl.models.memory_model import MemoryModel
from nmt_rl.models.pair_memory import PairMemory
from nmt_rl.models.q_guided import QGuided, QHeads
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.models.transformer import Transformer

KINDS: dict[type, type[Seq2Seq]] = {
    TransformerConfig: Transformer,
    LSTMConfig: LSTM,
    NTMConfig: MemoryModel,
    DNCConfig: MemoryModel,
}
"""Models by their section."""
logger = logging.getLogger("nmt_rl")


def compute_type(precision: str) -> str:
    """float32, bfloat16 or float16; auto is bfloat16 where hardware multiplies in it, else float32."""
    if precision == "auto":
        return "bfloat16" if multiplies_bfloat16() else "float32"
    return precision


def build_model(
    config: AnyModelConfig,
    source_vocabulary: int,
    target_vocabulary: int,
    seed: int = 0,
    precision: str = "float32",
    narrow: bool | None = None,
) -> Seq2Seq:
    """A model with freshly drawn weights; Q heads start at 0 and with a beta of 0.

    Args:
        config: kind, sizes and variants.
        source_vocabulary, target_vocabulary: numbers of pieces.
        seed: of the weights and of the dropout masks.
        precision: see `compute_type`; weights stay float32.
        narrow: a Transformer passes its states from layer to layer in that type, too; None: on accelerators.
    """
    before, precision = keras.config.dtype_policy(), compute_type(precision)
    if precision == "bfloat16" and not multiplies_bfloat16():
        logger.warning("this processor has no bfloat16: it takes several times as long as float32, which auto chooses")
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    kind = HardLSTM if isinstance(config, LSTMConfig) and config.hard is not None else KINDS[type(config)]
    narrow = kind is Transformer and (has_accelerator() if narrow is None else narrow)
    try:
        with seeded(seed), results_in(precision if narrow else "float32"):
            model: Seq2Seq = kind(config, source_vocabulary, target_vocabulary)
            model.build()
            if config.memory is not None:
                model = PairMemory(model, config.memory)
            if config.q_heads is not None:
                heads = QHeads(config.q_heads.kind, model.embeddings.width, target_vocabulary, config.q_heads.units)
                model = QGuided(model, heads, beta=0.0)
    finally:
        keras.config.set_dtype_policy(before)
    return model
