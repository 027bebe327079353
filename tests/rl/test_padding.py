"""Limits are those of translating; arrays have few widths on JAX."""

from types import SimpleNamespace

import numpy as np
import pytest
from copy_task import make_corpus

from nmt_rl.config import DecodingConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, Tokenizers
from nmt_rl.decoding.hypotheses import Hypotheses
from nmt_rl.decoding.translator import Translator
from nmt_rl.rl.padding import corpus_pairs, corpus_sources, padded_length, padded_to, shift_right, source_limits


@pytest.mark.parametrize("settings", [{}, {"min_length": 9}])
def test_limits_are_those_of_the_translator(settings):
    """Whatever bounds a translation bounds a rollout: a search is told the same limits of the same sources."""
    told = []

    class Search:
        max_length = 11

        def __call__(self, source, limits):
            told.append((source, limits))
            ids = np.full((len(source), 1, 1), EOS, np.int32)
            return Hypotheses(ids, np.ones((len(source), 1), int), *(np.zeros((2, len(source), 1), np.float32)))

    decoding = DecodingConfig(max_length_ratio=1.5, max_length_extra=4, **settings)
    words = SimpleNamespace(
        encode=lambda lines: [[5] * len(line.split()) for line in lines],
        decode=lambda ids: [""] * len(ids),
        pieces=lambda ids: [],
    )
    Translator(Search(), Tokenizers(words, words), decoding).translate(["a b c", "a", "a b c d e f g"])
    assert sum(len(limits) for _, limits in told) == 3
    for source, limits in told:
        np.testing.assert_array_equal(source_limits(source, decoding, 11), limits)


def test_shapes_are_few_on_jax(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert padded_length(11, 1024) == 11
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert [padded_length(n, 20) for n in (1, 8, 9, 17)] == [8, 8, 16, 20]
    np.testing.assert_array_equal(padded_to(np.array([[5, 6, EOS]]), 20), [[5, 6, EOS, PAD, PAD, PAD, PAD, PAD]])


def test_shift_right():
    np.testing.assert_array_equal(shift_right(np.array([[5, 6, EOS], [7, EOS, PAD]])), [[BOS, 5, 6], [BOS, 7, EOS]])


def test_pairs_of_the_corpus():
    """As models read them: EOS behind both sides, BOS before the decoder's input."""
    corpus = make_corpus(9)
    places = np.array([4, 0, 4])
    pairs = corpus_pairs(corpus, places, 32)
    np.testing.assert_array_equal(pairs.source, corpus_sources(corpus, places, 32))
    np.testing.assert_array_equal(pairs.target_in, shift_right(pairs.target_out))
    for row, place in enumerate(places):
        for side, ids in ((pairs.source, corpus.source(place)), (pairs.target_out, corpus.target(place))):
            assert side[row, : len(ids) + 1].tolist() == [*ids, EOS] and not side[row, len(ids) + 1 :].any()
