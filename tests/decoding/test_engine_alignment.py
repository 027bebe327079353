"""The alignment of a guided head is the same in CTranslate2 and in Keras."""

import numpy as np
import pytest
from exportable import SMALL, save_model

from nmt_rl.config import TransformerConfig
from nmt_rl.decoding.request import Request
from nmt_rl.decoding.translator import Translator


@pytest.mark.parametrize("layer", [1, 2, None])
def test_the_engine_looks_where_keras_does(tokenizers, translator, tmp_path, layer):
    architecture = TransformerConfig(**SMALL | {"decoder_layers": 2, "alignment_layer": layer})
    folder = save_model(tmp_path / "model", tokenizers, translator.config, architecture)
    source = tokenizers.source.encode(["ein kleiner Hund", "die grüne Wiese und drei Vögel"])
    target = tokenizers.target.encode(["a small dog", "the meadow"])
    engines = [Translator.from_folders([folder], Request({}, engine=engine)) for engine in ("keras", "ctranslate2")]
    keras, engine = (each.attend(source, target) for each in engines)
    for ours, theirs, row, column in zip(keras, engine, source, target, strict=True):
        size = (slice(len(column)), slice(len(row)))
        np.testing.assert_allclose(ours[size], theirs[size], atol=1e-4)
