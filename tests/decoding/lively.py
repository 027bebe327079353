"""Tiny models with lively distributions, and every continuation of theirs scored."""

import itertools

import numpy as np
from keras import ops
from noise import with_noise

from nmt_rl.backend import compile_fn
from nmt_rl.config import LSTMConfig, TransformerConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD
from nmt_rl.models.build import build_model

VOCABULARY = 7
FREE = (EOS, 4, 5, 6)
SOURCES = np.array([[4, 5, 6, 4, 3, 0], [6, 3, 0, 0, 0, 0], [5, 5, 4, 6, 6, 3]], "int32")

TINY = {
    "transformer": TransformerConfig(
        width=8, heads=2, feed_forward=8, encoder_layers=1, decoder_layers=1, max_positions=32
    ),
    "lstm": LSTMConfig(units=8, embedding=8, attention_units=4, coverage=True, tie="all"),
}


def lively(kind):
    """A tiny model whose distributions are far from uniform and differ by source and prefix."""
    return with_noise(build_model(TINY[kind], VOCABULARY, VOCABULARY, seed=3), 0.6, 5)


def next_log_probs(model):
    longest = list(itertools.product(FREE[1:], repeat=4))
    target = np.array([[BOS, *prefix] for prefix in longest] * len(SOURCES), "int32")
    score = compile_fn(lambda source, target: ops.log_softmax(model.decode(target, model.encode(source)).logits), model)
    log_probs = score(np.repeat(SOURCES, len(longest), axis=0), target)
    log_probs = ops.convert_to_numpy(log_probs).reshape(len(SOURCES), len(longest), 5, VOCABULARY)
    return [{p[:n]: row[i, n] for i, p in enumerate(longest) for n in range(5)} for row in log_probs]


def forced_log_probs(model, source, ids):
    """Log-probability of each piece of ids [rows, time], 0 on PAD, from one teacher-forced pass."""
    target = np.pad(ids, ((0, 0), (1, 0)), constant_values=BOS)[:, :-1]
    score = compile_fn(lambda source, target: ops.log_softmax(model.decode(target, model.encode(source)).logits), model)
    scores = np.take_along_axis(ops.convert_to_numpy(score(source, target)), ids[..., None], axis=-1)[..., 0]
    return np.where(ids != PAD, scores, 0)


def pieces_of(ids):
    return tuple(int(i) for i in ids if i != PAD)
