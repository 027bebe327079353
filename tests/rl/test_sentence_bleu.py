import math

import pytest
import toy_mdp
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from nmt_rl.rl.bleu import SentenceBleu

sentences = st.lists(st.sampled_from("abcd"), max_size=12)


@pytest.mark.parametrize(
    ("hypothesis", "expected"),
    [("", 0.0), ("A", 0.367879), ("B", 0.367879), ("AB", 1.0), ("AA", 0.577350), ("ABA", 0.707107), ("ABB", 0.707107)],
)
def test_toy_values(hypothesis, expected):
    words = ["AB".index(c) for c in hypothesis]
    assert toy_mdp.phi(words) == pytest.approx(expected, abs=5e-7)


def test_default_smoothing_by_hand():
    bleu = SentenceBleu()
    reference = bleu.reference(["the", "cat", "sat", "on", "the", "mat"])
    # p = 3/4, (1+1)/(3+1), (0+1)/(2+1), (0+1)/(1+1); brevity exp(1 - 6/4)
    expected = math.exp(-0.5) * (0.75 * 0.5 * (1 / 3) * 0.5) ** 0.25
    assert bleu.score(["the", "cat", "on", "dogs"], reference) == pytest.approx(expected, abs=1e-12)
    # no match: p = .01/1, then (0+1)/(0+1); brevity exp(1 - 6)
    assert bleu.score(["dogs"], reference) == pytest.approx(math.exp(-5.0) * 0.01**0.25, abs=1e-12)


def test_brevity_lengthens_the_reference_in_the_penalty_alone():
    bleu, words = SentenceBleu(brevity=1.0), ["a", "b", "c", "d"]
    reference = bleu.reference(words)
    # Every n-gram matches; brevity exp(1 - (4 + 1) / 4)
    assert bleu.score(words, reference) == pytest.approx(math.exp(-0.25), abs=1e-12)
    # p = 4/5, (3+1)/(4+1), (2+1)/(3+1), (1+1)/(2+1); five words are enough
    expected = (0.8 * 0.8 * 0.75 * (2 / 3)) ** 0.25
    assert bleu.score([*words, "e"], reference) == pytest.approx(expected, abs=1e-12)


def test_matches_are_clipped():
    bleu = SentenceBleu(max_order=1)
    assert bleu.score(["the"] * 4, bleu.reference(["the", "the", "cat"])) == pytest.approx(0.5)


def test_unknown_never_matches():
    bleu = SentenceBleu(unknown=1)
    assert bleu.score([1, 1], bleu.reference([1, 1])) == bleu.score([8, 9], bleu.reference([1, 1]))
    assert bleu.reference([5, 1, 6]).counts == {(5,): 1, (6,): 1}
    assert bleu.reference([5, 1, 6]).length == 3


@pytest.mark.parametrize(
    ("smoothing", "precisions"),
    [("floor", [3 / 5, 1 / 4, 0.1 / 3, 0.1 / 2]), ("exp", [3 / 5, 1 / 4, 1 / 6, 1 / 8]), ("none", [0.0])],
)
def test_other_smoothings_by_hand(smoothing, precisions):
    bleu = SentenceBleu(smoothing=smoothing)
    # three of five words, one of four bigrams, no longer n-gram; brevity exp(1 - 6/5)
    found = bleu.score(["the", "cat", "x", "mat", "y"], bleu.reference(["the", "cat", "sat", "on", "a", "mat"]))
    assert found == pytest.approx(math.exp(-0.2) * math.prod(precisions) ** 0.25, abs=1e-12)


@pytest.mark.parametrize("smoothing", ["add-k", "floor", "exp", "none"])
@settings(max_examples=80, deadline=None)
@given(hypothesis=sentences, reference=sentences, order=st.integers(1, 5), value=st.sampled_from([None, 0.5, 2.0]))
def test_agrees_with_sacrebleu(smoothing, hypothesis, reference, order, value):
    value = None if smoothing in ("exp", "none") else value
    theirs = BLEU(
        smooth_method=smoothing, smooth_value=value, effective_order=True, tokenize="none", max_ngram_order=order
    )
    ours = SentenceBleu(max_order=order, smoothing=smoothing, value=value, no_match=0.0)
    expected = theirs.sentence_score(" ".join(hypothesis), [" ".join(reference)]).score / 100
    assert ours.score(hypothesis, ours.reference(reference)) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(sentences, sentences), max_size=5), st.sampled_from([None, "a", "z"]))
def test_many_at_once_equal_one_by_one(pairs, unknown):
    bleu = SentenceBleu(unknown=unknown)
    expected = [bleu.score(hypothesis, bleu.reference(reference)) for hypothesis, reference in pairs]
    assert bleu.scores([a for a, _ in pairs], [b for _, b in pairs]).tolist() == expected


@settings(max_examples=100, deadline=None)
@given(sentences, sentences)
def test_every_prefix_equals_its_score_from_scratch(hypothesis, reference_words):
    bleu = SentenceBleu()
    reference = bleu.reference(reference_words)
    prefix = bleu.prefix(reference)
    for n, word in enumerate(hypothesis, start=1):
        prefix.extend([word])
        assert prefix.score() == bleu.score(hypothesis[:n], reference)
        assert 0.0 <= prefix.score() <= 1.0


@pytest.mark.parametrize(
    "bad",
    [
        {"max_order": 0},
        {"value": 0.0},
        {"no_match": -0.1},
        {"brevity": -1.0},
        {"smoothing": "exp", "value": 1.0},
        {"smoothing": "x"},
    ],
)
def test_bad_parameters(bad):
    with pytest.raises(ValueError, match="found"):
        SentenceBleu(**bad)
