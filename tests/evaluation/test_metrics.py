import logging
import math

import pytest

from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import (
    build_metrics,
    check_lines,
    corpus_scores,
    sentence_bleu,
)

REFERENCE = ["The cat sat on the mat.", "There is a dog in the garden.", "It rains."]


def test_perfect_translation_scores_100():
    scores = corpus_scores(REFERENCE, REFERENCE, test_set="toy")
    assert scores.bleu == pytest.approx(100)
    assert scores.chrf == pytest.approx(100)
    assert scores.length_ratio == 1
    assert scores.brevity_penalty == 1
    assert (scores.test_set, scores.lines) == ("toy", 3)


def test_known_bleu_of_one_sentence():
    # 13a: "the cat is on the mat ." against "the cat sat on the mat .": precisions 6/7, 4/6, 2/5, 1/4.
    scores = corpus_scores(["the cat is on the mat."], ["the cat sat on the mat."], test_set="toy")
    assert scores.bleu == pytest.approx(100 * (6 / 7 * 4 / 6 * 2 / 5 * 1 / 4) ** 0.25)
    assert (scores.hypothesis_length, scores.reference_length) == (7, 7)


def test_length_ratio_and_brevity_penalty_count_tokens():
    scores = corpus_scores(["a b c d e f"], ["a b c d e f g h"], test_set="toy")
    assert scores.length_ratio == pytest.approx(6 / 8)
    assert scores.brevity_penalty == pytest.approx(math.exp(1 - 8 / 6))


def test_scores_are_cased_and_say_so():
    hypotheses = [line.upper() for line in REFERENCE]
    cased = corpus_scores(hypotheses, REFERENCE, test_set="toy")
    caseless = corpus_scores(hypotheses, REFERENCE, test_set="toy", lowercase=True)
    assert cased.bleu < 50
    assert caseless.bleu == pytest.approx(100)
    assert "case:mixed" in cased.metrics["bleu"].signature
    assert "case:lc" in caseless.metrics["bleu"].signature


@pytest.mark.parametrize(
    ("language", "tokenizer"), [("en", "13a"), ("", "13a"), ("zh", "zh"), ("zh-CN", "zh"), ("zho_Hans", "zh")]
)
def test_tokenizer_follows_the_target_language(language, tokenizer):
    scores = corpus_scores(["猫在垫子上。"], ["猫在垫子上。"], test_set="toy", target_language=language)
    assert f"tok:{tokenizer}|" in scores.metrics["bleu"].signature
    assert "version:" in scores.metrics["bleu"].signature
    assert "nc:6" in scores.metrics["chrf"].signature


@pytest.mark.parametrize(("language", "extra"), [("ja", "sacrebleu[ja]"), ("kor", "sacrebleu[ko]")])
def test_missing_tokenizer_names_the_extra(language, extra):
    try:
        signature = str(build_metrics([["a"]], ("bleu",), language)["bleu"].tokenizer_signature)
    except UserError as error:
        assert extra in str(error)
    else:
        assert "mecab" in signature


def test_unknown_tokenizer_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 13a"):
        corpus_scores(REFERENCE, REFERENCE, test_set="toy", tokenize="13")


def test_several_references_take_the_best_match():
    worse = ["Nothing alike here at all."] * 3
    scores = corpus_scores(REFERENCE, [worse, REFERENCE], test_set="toy")
    assert scores.bleu == pytest.approx(100)
    assert "nrefs:2" in scores.metrics["bleu"].signature


def test_line_counts_that_differ_are_named():
    with pytest.raises(UserError, match=r"out\.txt has 2 lines but ref\.en has 3"):
        corpus_scores(REFERENCE[:2], REFERENCE, test_set="toy", system="out.txt", reference_name="ref.en")


def test_nothing_to_score_is_an_error():
    with pytest.raises(UserError, match="no lines"):
        corpus_scores([], [], test_set="toy")
    with pytest.raises(UserError, match="first has 2 lines but second has 1"):
        check_lines("first", ["a", "b"], "second", [["a", "b"], ["a"]])


def test_blank_hypotheses_score_zero():
    scores = corpus_scores(["", "", ""], REFERENCE, test_set="toy")
    assert scores.bleu == 0
    assert scores.length_ratio == 0


def test_tokenised_text_is_warned_about_once(caplog):
    with caplog.at_level(logging.WARNING):
        corpus_scores(["Tokenised text ."] * 120, ["Tokenised text."] * 120, test_set="toy", system="out.txt")
    (record,) = caplog.records
    assert record.name == "nmt_rl"
    assert "120 of 120 lines of out.txt" in record.getMessage()


def test_sentence_bleu_ranks_sentences():
    exact, near, far = sentence_bleu(["It rains.", "It rained.", "No."], ["It rains."] * 3)
    assert exact == pytest.approx(100)
    assert exact > near > far


def test_every_metric_says_what_it_is():
    hypotheses = ["The cat sat on a mat.", *REFERENCE[1:]]
    scores = corpus_scores(hypotheses, REFERENCE, test_set="toy", metrics=("ter", "chrf++", "bleu"))
    assert list(scores.metrics) == ["bleu", "ter", "chrf++"]
    # One of 16 words (6 + 7 + 2, and sacreBLEU's TER counts marks with their words) is another one.
    assert scores.metrics["ter"].value == pytest.approx(100 / 15)
    assert "nw:2" in scores.metrics["chrf++"].signature and "case:mixed" in scores.metrics["ter"].signature
    with pytest.raises(UserError, match="no metric 'chr'; did you mean chrf"):
        corpus_scores(REFERENCE, REFERENCE, test_set="toy", metrics=("chr",))


def test_intervals_come_from_seeded_resamples():
    hypotheses = ["The cat sat on a mat.", *REFERENCE[1:]]
    plain, one, same, other = (
        corpus_scores(hypotheses, REFERENCE, test_set="toy", resamples=n, seed=seed).metrics["bleu"]
        for n, seed in ((0, 1), (100, 1), (100, 1), (100, 2))
    )
    assert plain.ci is None and one == same != other
    assert one.value == plain.value and abs(one.mean - one.value) < one.ci
    assert "bs:100|seed:1" in one.signature and "bs:" not in plain.signature
