import random

import pytest
from lively import lively, next_log_probs
from noise import with_noise

from nmt_rl.config import DecodingConfig, TokenizerConfig, TransformerConfig
from nmt_rl.corpus.tokenizer import Tokenizers, train_tokenizer
from nmt_rl.decoding.generator import Generator
from nmt_rl.decoding.translator import Translator
from nmt_rl.models.build import build_model

TEXT = "ein kleiner Hund läuft über die grüne Wiese und sieht drei Vögel am blauen Himmel"
MODEL = TransformerConfig(width=8, heads=2, feed_forward=8, encoder_layers=1, decoder_layers=1, max_positions=40)
DECODING = DecodingConfig(beam=2, max_length_ratio=0.5, max_length_extra=4, max_source_length=24, batch_tokens=400)


@pytest.fixture(scope="session")
def tokenizers():
    draw = random.Random(1)
    lines = [" ".join(draw.sample(TEXT.split(), 6)) for _ in range(200)]
    both = train_tokenizer(lines, TokenizerConfig(vocabulary=295))
    return Tokenizers(both, both)


@pytest.fixture(scope="session")
def tiny_model(tokenizers):
    """Untrained, but with distributions that differ by source and prefix."""
    return with_noise(build_model(MODEL, tokenizers.source.size, tokenizers.target.size, seed=1), 0.5, 2)


@pytest.fixture(scope="session")
def translator(tiny_model, tokenizers):
    return Translator.of_model(tiny_model, tokenizers, DECODING)


@pytest.fixture(scope="module")
def transformer():
    return lively("transformer")


@pytest.fixture(scope="module", params=["transformer", "lstm"])
def model(request):
    return lively(request.param)


@pytest.fixture(scope="module")
def tables(model):
    """Per source: log-probabilities [vocabulary] of the next piece after every prefix of at most 4 free pieces."""
    return next_log_probs(model)


@pytest.fixture(scope="module")
def greedy(transformer):
    return Generator(transformer, alternatives=1)


@pytest.fixture(scope="module")
def sampler(transformer):
    return Generator(transformer)
