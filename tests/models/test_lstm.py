"""What only the LSTM has: layers with dropout between them, several attentions, coverage; and its float types."""

import itertools

import numpy as np
import pytest

from nmt_rl.backend import is_jax
from nmt_rl.config import LSTMConfig, OptimizerConfig
from nmt_rl.models.build import build_model
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import CrossEntropy

ids = np.random.default_rng(0).integers
BATCH = {
    "source": ids(4, 9, (2, 3)).astype("int32"),
    "target_in": ids(4, 9, (2, 2)).astype("int32"),
    "positions": np.arange(4, dtype="int32"),
    "labels": ids(4, 9, 4).astype("int32"),
}
VARIANTS = list(itertools.product((1, 2), ("additive", "bilinear", "dot"), (False, True), (0.0, 0.4)))


@pytest.mark.jax
@pytest.mark.parametrize(("layers", "attention", "coverage", "dropout"), VARIANTS)
def test_every_variant_learns(layers, attention, coverage, dropout):
    config = LSTMConfig(
        encoder_layers=layers,
        decoder_layers=layers,
        embedding=4,
        units=4,
        attention=attention,
        attention_units=4,
        coverage=coverage,
        dropout=dropout,
    )
    model = build_model(config, 9, 9, seed=1)
    learner = Learner(model, CrossEntropy(0.1), OptimizerConfig(schedule="constant", warmup=0))
    if is_jax():
        from tracing import trace

        return trace(learner, BATCH)
    learner.run_eagerly = True  # One step is not worth a compilation.
    before = model.get_weights()
    assert np.isfinite(learner.update([BATCH], 0.01)["loss"])
    for variable, old in zip(model.weights, before, strict=True):
        assert not variable.trainable or np.abs(np.asarray(variable) - old).max() > 1e-3, variable.path
