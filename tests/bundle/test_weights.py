"""What a file of weights holds is the model's, of every kind and on both backends."""

import numpy as np
import pytest

from nmt_rl.bundle.weights import check_weights, least_weights, load_weights, read_shapes, save_weights
from nmt_rl.config import LSTMConfig, QHeadsConfig, TransformerConfig
from nmt_rl.models.build import build_model

LSTM = {"embedding": 6, "units": 8, "attention_units": 4, "encoder_layers": 2}
TRANSFORMER = {"encoder_layers": 1, "decoder_layers": 2, "width": 8, "heads": 2, "feed_forward": 16}
LEARNED = {"positions": "learned", "max_positions": 20, "tie": "all", "activation": "swiglu", "norm": "post"}


@pytest.mark.jax
@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(**LSTM, tie="all", coverage=True),
        LSTMConfig(**LSTM, tie="none", attention="bilinear", q_heads=QHeadsConfig(kind="ilql", units=8)),
        TransformerConfig(**TRANSFORMER, tie="target", q_heads=QHeadsConfig(kind="dueling", units=8)),
        TransformerConfig(**TRANSFORMER, **LEARNED),
    ],
)
def test_a_file_holds_the_weights_and_nothing_else(config, tmp_path):
    sizes = (30, 30 if config.tie == "all" else 40)
    model, other = build_model(config, *sizes, seed=1), build_model(config, *sizes, seed=2)
    path = tmp_path / "model.weights.h5"
    save_weights(path, model)
    check_weights(path)
    count = sum(int(np.prod(shape)) * arrays for shape, arrays in read_shapes(path).items())
    assert 0.3 * model.count_params() < least_weights(config, sizes) <= count == model.count_params()
    load_weights(path, other)
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
