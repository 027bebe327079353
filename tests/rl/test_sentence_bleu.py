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


def test_matches_are_clipped():
    bleu = SentenceBleu(max_order=1, add_k=0.0)
    assert bleu.score(["the"] * 4, bleu.reference(["the", "the", "cat"])) == pytest.approx(0.5)


def test_unknown_never_matches():
    bleu = SentenceBleu(unknown=1)
    assert bleu.score([1, 1], bleu.reference([1, 1])) == bleu.score([8, 9], bleu.reference([1, 1]))
    assert bleu.reference([5, 1, 6]).counts == {(5,): 1, (6,): 1}
    assert bleu.reference([5, 1, 6]).length == 3


@settings(max_examples=80, deadline=None)
@given(sentences, sentences, st.integers(1, 5))
def test_agrees_with_sacrebleu_add_k(hypothesis, reference, order):
    theirs = BLEU(smooth_method="add-k", smooth_value=1, effective_order=True, tokenize="none", max_ngram_order=order)
    ours = SentenceBleu(max_order=order, floor=0.0)
    expected = theirs.sentence_score(" ".join(hypothesis), [" ".join(reference)]).score / 100
    assert ours.score(hypothesis, ours.reference(reference)) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(sentences, sentences, st.integers(1, 5))
def test_agrees_with_sacrebleu_floor(hypothesis, reference, order):
    theirs = BLEU(smooth_method="floor", smooth_value=0.1, effective_order=True, tokenize="none", max_ngram_order=order)
    ours = SentenceBleu(max_order=order, add_k=0.0, floor=0.1)
    if not set(hypothesis) & set(reference):
        return  # sacreBLEU answers 0 before it smooths
    expected = theirs.sentence_score(" ".join(hypothesis), [" ".join(reference)]).score / 100
    assert ours.score(hypothesis, ours.reference(reference)) == pytest.approx(expected, abs=1e-12)


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


def test_precisions_are_unsmoothed():
    bleu = SentenceBleu(max_order=3)
    prefix = bleu.prefix(bleu.reference("abcd"))
    assert prefix.precisions() == [0.0, 0.0, 0.0]
    prefix.extend("abd")
    assert prefix.precisions() == pytest.approx([1.0, 0.5, 0.0])


@pytest.mark.parametrize("bad", [{"max_order": 0}, {"add_k": -1.0}, {"floor": -0.1}])
def test_bad_parameters(bad):
    with pytest.raises(ValueError, match="found"):
        SentenceBleu(**bad)
