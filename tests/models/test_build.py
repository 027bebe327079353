import logging

import keras
import numpy as np
import pytest

from nmt_rl.backend import compile_fn
from nmt_rl.config import LSTMConfig, TransformerConfig
from nmt_rl.models import build
from nmt_rl.models.build import build_model

TINY = TransformerConfig(encoder_layers=1, decoder_layers=1, width=8, heads=2, feed_forward=8, max_positions=8)


@pytest.mark.parametrize(
    ("precision", "hardware", "products", "warned"),
    [
        ("auto", True, "bfloat16", False),
        ("auto", False, "float32", False),
        ("float32", True, "float32", False),
        ("bfloat16", True, "bfloat16", False),
        ("bfloat16", False, "bfloat16", True),
    ],
)
def test_products_are_in_bfloat16_where_hardware_has_it(precision, hardware, products, warned, monkeypatch, caplog):
    monkeypatch.setattr(build, "multiplies_bfloat16", lambda: hardware)
    with caplog.at_level(logging.WARNING, "nmt_rl"):
        model = build_model(TINY, 10, 10, precision=precision)
    assert model.embeddings.product_dtype == products
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert bool(caplog.records) is warned


@pytest.mark.jax
def test_a_narrow_model_is_the_same_function_rounded():
    """States in bfloat16 from layer to layer: logits and losses stay float32 and near, teacher-forced and stepwise."""
    config = TINY.model_copy(update={"width": 16, "norm": "post", "encoder_layers": 2})
    wide, narrow = (
        build_model(config, 30, 30, seed=3, precision=p, narrow=n) for p, n in (("float32", None), ("bfloat16", True))
    )
    source, target_in = np.array([[5, 6, 7, 3], [8, 3, 0, 0]], "int32"), np.array([[2, 9, 8], [2, 4, 4]], "int32")

    def forced(model):
        output = model.decode(target_in, model.encode(source))
        return output.logits, output.attention, model.encode(source)["states"]

    def stepwise(model):
        cache = model.start(model.encode(source), 4)
        for t in range(3):
            output, cache = model.step(target_in[:, t], cache)
        return output.logits

    expected, found = (compile_fn(lambda m=m: forced(m), m)() for m in (wide, narrow))
    assert [str(keras.backend.standardize_dtype(x.dtype)) for x in found] == ["float32", "float32", "bfloat16"]
    np.testing.assert_allclose(found[0], expected[0], atol=0.15)
    np.testing.assert_allclose(compile_fn(lambda: stepwise(narrow), narrow)(), found[0][:, -1], atol=0.05)
    assert {v.dtype for v in narrow.trainable_variables} == {"float32"}


def test_an_lstm_is_never_narrow(monkeypatch):
    monkeypatch.setattr(build, "has_accelerator", lambda: True)
    lstm = build_model(LSTMConfig(embedding=4, units=4, attention_units=4), 10, 10, precision="bfloat16")
    assert lstm.encoder[0].compute_dtype == "float32"
    assert build_model(TINY, 10, 10, precision="bfloat16").stream == "bfloat16"
    assert build_model(TINY, 10, 10).stream == "float32"
