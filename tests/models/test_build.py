import logging

import pytest

from nmt_rl.config import TransformerConfig
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
