"""Alignments of words by hand, and that they are the model's attention."""

import json

import numpy as np
import pytest

from nmt_rl.corpus.word_pieces import word_starts
from nmt_rl.decoding.alignment import align_words
from nmt_rl.decoding.scorer import Scorer


def test_words_by_hand():
    # "ab c" from "x yz": the pieces a and b look at x with .2 and .6, c at y and z with .3 each.
    attention = [[0.2, 0.5, 0.1, 0.2], [0.6, 0.1, 0.1, 0.2], [0.1, 0.3, 0.3, 0.3], [0, 0, 0, 1.0]]
    found = align_words(["▁x", "▁y", "z"], ["▁a", "b", "▁c"], np.array(attention))
    assert (found.source, found.target) == (("x", "yz"), ("ab", "c"))
    np.testing.assert_allclose(found.weights, [[0.4, 0.4], [0.1, 0.6]], rtol=1e-6)
    assert found.pharaoh() == "0-0 1-1"
    assert json.loads(found.matrix()) == {
        "source": ["x", "yz"],
        "target": ["ab", "c"],
        "weights": [[0.4, 0.4], [0.1, 0.6]],
    }


def test_a_lone_blank_belongs_to_the_next_word():
    assert word_starts(["▁", "<0xE4>", "b", "▁c", "▁", "d"]) == [0, 3, 4]
    assert word_starts([]) == []


@pytest.mark.parametrize("source, target", [([], ["▁a"]), (["▁a"], []), ([], [])])
def test_nothing_to_align(source, target):
    found = align_words(source, target, np.zeros((2, 2)))
    assert found.weights.shape == (len(target), len(source)) and "-1" not in found.pharaoh()


def test_a_scorer_gives_the_models_attention(tiny_model, tokenizers, translator):
    scorer = Scorer(tiny_model, tokenizers, translator.config)
    sources, targets = ["ein kleiner Hund", "", "grüne Wiese"], ["kleiner Hund", "Hund", ""]
    scores = scorer.score(sources, targets, align=True)
    assert [s.alignment.target for s in scores] == [tuple(t.split()) for t in targets]
    assert [s.alignment.source for s in scores] == [tuple(s.split()) for s in sources]
    assert scorer.score(sources, targets)[0].alignment is None
    (alone,) = scorer.score(sources[:1], targets[:1], align=True)
    np.testing.assert_allclose(alone.alignment.weights, scores[0].alignment.weights, atol=1e-5)
    assert ((alone.alignment.weights.sum(axis=1) > 0) & (alone.alignment.weights.sum(axis=1) <= 1.0001)).all()


def test_words_are_those_of_the_text_whatever_bytes_it_is_made_of():
    """Bytes of a character are one word, a control character parts words, and a blank alone is none."""
    pieces = ["▁a", "<0xF0>", "<0x9F>", "<0x91>", "<0x8D>", "<0xC2>", "<0x85>", "b", "<0xF0>", "<0x0A>", "▁"]
    found = align_words(pieces, ["▁x", "<0xCE>", "<0xA9>", "<0x00>", "▁y"], np.eye(5, 11))
    assert (found.source, found.target) == (("a👍", "b\ufffd"), ("xΩ", "y"))
    np.testing.assert_allclose(found.weights, [[1, 0], [1, 0]])
