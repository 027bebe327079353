import json
import logging
import math

import pytest

from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import (
    align_columns,
    build_metrics,
    check_lines,
    corpus_scores,
    format_scores,
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
    assert "case:mixed" in cased.bleu_signature
    assert "case:lc" in caseless.bleu_signature


@pytest.mark.parametrize(
    ("language", "tokenizer"), [("en", "13a"), ("", "13a"), ("zh", "zh"), ("zh-CN", "zh"), ("zho_Hans", "zh")]
)
def test_tokenizer_follows_the_target_language(language, tokenizer):
    scores = corpus_scores(["猫在垫子上。"], ["猫在垫子上。"], test_set="toy", target_language=language)
    assert f"tok:{tokenizer}|" in scores.bleu_signature
    assert "version:" in scores.bleu_signature
    assert "nc:6" in scores.chrf_signature


@pytest.mark.parametrize(("language", "extra"), [("ja", "sacrebleu[ja]"), ("kor", "sacrebleu[ko]")])
def test_missing_tokenizer_names_the_extra(language, extra):
    try:
        signature = str(build_metrics([["a"]], language)[0].tokenizer_signature)
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
    assert "nrefs:2" in scores.bleu_signature


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


def test_json_and_table_carry_signature_set_and_lines():
    scores = corpus_scores(REFERENCE, REFERENCE, test_set="toy", system="mine")
    assert json.loads(json.dumps(scores.to_json()))["bleu_signature"] == scores.bleu_signature
    table = format_scores([scores, corpus_scores(["x"] * 3, REFERENCE, test_set="toy", system="other")])
    assert table.splitlines()[1].split() == ["mine", "100.00", "100.00", "1.000", "3", "toy"]
    assert table.count(scores.bleu_signature) == 1
    assert table.count(scores.chrf_signature) == 1


def test_columns_are_aligned():
    assert align_columns([("a", "1", "x"), ("bb", "22", "y")]) == "a    1  x\nbb  22  y"
