"""Batches of the terms' losses on a tiny model, and slopes of scores along directions of its weights."""

import numpy as np
from copy_task import SIZE, make_sources, make_translations
from keras import ops

from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.rl.forks import logit_difference

LENGTHS = (5, 3, 4)
TAU, HUBER = 0.3, 0.2
numpy = ops.convert_to_numpy


def fork_batch(prior, seed=0):
    """Six forks on three translations, their values drawn."""
    rng, width = np.random.default_rng(seed), max(LENGTHS)
    _, target_in = make_translations(LENGTHS)
    row, time = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 4, 1, 2, 0, 3])
    batch = {
        "source": make_sources(3, 4),
        "target_in": target_in,
        "positions": (row * width + time).astype(np.int32),
        "actions": rng.permuted(np.tile(np.arange(3, SIZE, dtype=np.int32), (6, 1)), axis=1)[:, :2],
    }
    batch["prior_difference"] = numpy(logit_difference(prior, *batch.values()))
    batch["value_difference"] = rng.uniform(-0.5, 0.5, 6).astype(np.float32)
    return batch | {"weights": np.ones(6, np.float32)}


def fork_inputs(batch):
    return [batch[name] for name in ("source", "target_in", "positions", "actions")]


def trajectory_batch(seed=0):
    """Three translations with drawn prior, values and targets."""
    rng = np.random.default_rng(seed)
    tokens, target_in = make_translations(LENGTHS)
    drawn = rng.uniform(-1.0, 1.0, (3, *tokens.shape)).astype(np.float32)
    return {
        "source": make_sources(3, 4),
        "target_in": target_in,
        "tokens": tokens,
        "positions": np.arange(tokens.size, dtype=np.int32),
        "log_prior": drawn[0] - 2.0,
        "value": drawn[1],
        "target": drawn[2],
        "weights": (tokens != PAD).astype(np.float32),
    }


def directional(scores_of, model, direction, step=3e-3):
    """Central difference of a vector of scores along a direction of the weights."""
    start = model.get_weights()
    ends = []
    for sign in (1.0, -1.0):
        model.set_weights([w + sign * step * d for w, d in zip(start, direction, strict=True)])
        ends.append(numpy(scores_of()).astype(np.float64))
    model.set_weights(start)
    return (ends[0] - ends[1]) / (2 * step)


def directions(model, count=3):
    rng = np.random.default_rng(9)
    for _ in range(count):
        drawn = [rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()]
        norm = np.sqrt(sum((d**2).sum() for d in drawn))
        yield [d / norm for d in drawn]


def along(gradients, direction):
    return sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
