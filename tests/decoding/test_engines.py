"""Which engine translates."""

import importlib.util

import pytest
from exportable import SMALL

from nmt_rl.config import Config, DecodingConfig, LSTMConfig, TransformerConfig
from nmt_rl.decoding import conversions, engines
from nmt_rl.decoding.request import Request
from nmt_rl.errors import UserError

FILES = {"source_language": "de", "target_language": "en", "train": "t", "valid": "v"}


@pytest.fixture
def choose(monkeypatch, tmp_path):
    """The folder that CTranslate2 is to use for a request, `converted`, or None."""
    monkeypatch.setattr(conversions, "conversion", lambda folder, model, quantization, reward: tmp_path / quantization)

    def choose(settings=(), architecture=None, folders=1, **request):
        config = Config(name="tiny", corpus=FILES, model=architecture or TransformerConfig(**SMALL))
        return engines.choose_conversion(
            [tmp_path / "model"] * folders, config, DecodingConfig(**dict(settings)), Request(**request)
        )

    return choose


def test_ctranslate2_translates_by_itself(choose, tmp_path):
    assert choose() == choose({"beam": 1}) == choose({"mbr": "bleu", "repetition_penalty": 1.2}) == tmp_path / "float32"
    assert choose({"beam": 1, "stopping": "exact", "coverage_penalty": 1.0}) == tmp_path / "float32", "of beams only"
    assert choose(quantization="int8") == tmp_path / "int8"
    assert choose(engine="keras") is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"architecture": LSTMConfig(embedding=4, units=4, attention_units=4)}, "runs Transformers only"),
        ({"architecture": TransformerConfig(**SMALL, q_heads={"kind": "dueling"})}, "no Q heads"),
        ({"folders": 2}, "runs one model, not an ensemble of 2"),
        ({"precision": "bfloat16"}, "--precision is that of Keras"),
        ({"settings": {"samples": 3}}, "draws samples without a seed"),
        ({"settings": {"stopping": "exact"}}, "stops a search early"),
        ({"settings": {"coverage_penalty": 0.2}}, "no coverage penalty"),
        ({"settings": {"beam": 4, "diverse_groups": 2}}, "no diverse groups"),
        ({"settings": {"length_normalization": "gnmt"}}, "not as gnmt"),
    ],
)
def test_what_ctranslate2_cannot_do_keras_does_and_a_line_says_why(choose, caplog, arguments, why):
    with caplog.at_level("INFO", "nmt_rl"):
        assert choose(**arguments) is None
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith("Keras translates: ") and why in caplog.text
    with pytest.raises(UserError, match=f"{why}.*; --engine keras translates it"):
        choose(**arguments, engine="ctranslate2")
    with pytest.raises(UserError, match=f"--quantization is CTranslate2's, which does not translate here: .*{why}"):
        choose(**arguments, quantization="int8")


@pytest.mark.parametrize(
    "arguments",
    [
        {"banned": ["Hund"]},
        {"prefixes": True},
        {"settings": {"no_repeat_ngram": 3}},
        {"settings": {"min_length": 3}},
        {"settings": {"repetition_penalty": 1.2}, "scores": True},
    ],
)
def test_what_ctranslate2_would_find_otherwise_it_does_only_if_it_is_told(choose, tmp_path, arguments):
    assert choose(**arguments) is None
    assert choose(**arguments, engine="ctranslate2") == tmp_path / "float32"


def test_without_ctranslate2_keras_serves(choose, monkeypatch, caplog):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ctranslate2" else found(name))
    with caplog.at_level("INFO", "nmt_rl"):
        assert choose() is None
    assert caplog.messages == ["Keras translates: CTranslate2 is not installed (pip install ctranslate2)"]


def test_a_gpu_that_keras_can_use_is_used(choose, monkeypatch, tmp_path):
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(engines, "_is_installed", lambda name: False)
    assert choose() == tmp_path / "float32"
    monkeypatch.setattr(engines, "_is_installed", lambda name: name == "nvidia.cudnn")
    assert choose() is None


def test_the_quantization_of_keras_is_refused(choose):
    with pytest.raises(UserError, match="--quantization is CTranslate2's"):
        choose(engine="keras", quantization="int8")
