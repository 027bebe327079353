"""A stage of training without any text: a linear model, its updates, and scripted validations."""

import keras
import numpy as np
from keras import ops

from nmt_rl.config import OptimizerConfig, PretrainConfig, ValidationConfig
from nmt_rl.training.events import EventLog
from nmt_rl.training.learner import Learner, joined
from nmt_rl.training.loop import TrainingLoop

PLAIN = {"schedule": "constant", "warmup": 0, "learning_rate": 0.1, "clip_norm": 0.0}


class Line(keras.Model):
    """x w + b, float32 [batch, 1], with dropout on x in training."""

    def __init__(self, dropout=0.0):
        super().__init__(name="line")
        self.dropout = keras.layers.Dropout(dropout, seed=5, name="dropout")
        self.dense = keras.layers.Dense(1, kernel_initializer="ones", name="dense")
        self.dense.build((None, 3))
        self.built = True


def squared_error(model, batch, training):
    error = model.dense(model.dropout(batch["x"], training=training)) - batch["y"]
    loss = ops.mean(ops.square(error)) * batch.get("share", 1.0)
    return {"loss": loss, "tokens": ops.cast(ops.shape(error)[0], "float32")}


def rows(step, count=4):
    x = np.random.default_rng(step).normal(size=(count, 3)).astype("float32")
    return {"x": x, "y": (x @ [[1.0], [-2.0], [0.5]] + 0.3).astype("float32")}


def make_learner(dropout=0.0, **optimizer):
    return Learner(Line(dropout), squared_error, OptimizerConfig(**{**PLAIN, **optimizer}))


class NumberedUpdates:
    """On batches whose content is their number; `stop_at` interrupts like Ctrl-C, those of `poison` give NaN."""

    def __init__(self, stop_at=None, poison=()):
        self.number, self.stop_at, self.poison, self.closed = 0, stop_at, poison, False
        self.accumulate = 1

    def update(self, step, learning_rate):
        batches, numbers = self.next(step)
        return numbers | self.learner.update(batches, learning_rate)

    def next(self, step):
        batches = [self._one() for _ in range(self.accumulate)]
        return joined(batches, [4] * len(batches)), {"number": float(self.number)}

    def _one(self):
        self.number += 1
        if self.number == self.stop_at:
            raise KeyboardInterrupt
        batch = rows(self.number)
        if self.number in self.poison:
            batch["y"] = batch["y"] * np.nan
        return batch

    def state(self):
        return {"number": self.number}, {}

    def restore(self, meta, arrays):
        self.number = meta["number"]

    def close(self):
        self.closed = True


class Scores:
    """Scripted validation BLEU; the last score is repeated, each validation is remembered with its weights."""

    def __init__(self, learner, scores):
        self.learner, self.scores, self.seen = learner, list(scores), []

    def __call__(self):
        self.seen.append(np.asarray(self.learner.model.dense.kernel).copy())
        place = min(len(self.seen), len(self.scores)) - 1
        return {"bleu": self.scores[place], "loss": 1.0}


def make_loop(run, trainer=None, scores=(1.0,), dropout=0.0, optimizer=None, validation=None, **settings):
    optimizer = {**PLAIN, **(optimizer or {})}
    config = PretrainConfig(
        optimizer=OptimizerConfig(**optimizer),
        validation=ValidationConfig(**{"every": 2, "patience": 100, **(validation or {})}),
        **{"updates": 10, "checkpoint_every": 3, "log_every": 2, **settings},
    )
    learner = make_learner(dropout, **optimizer)
    learner.run_eagerly = True  # ten updates are not worth a compilation
    trainer = trainer or NumberedUpdates()
    trainer.learner, trainer.accumulate = learner, config.optimizer.accumulate
    return TrainingLoop("pretrain", config, trainer, Scores(learner, scores), run, EventLog(run))


def weights(loop):
    return [np.asarray(v.value).tobytes() for v in loop.learner.state]
