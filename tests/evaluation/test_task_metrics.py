"""Scores of answers, labels and summaries, worked out by hand."""

import pytest

from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import corpus_scores
from nmt_rl.evaluation.significance import paired_test
from nmt_rl.evaluation.task_metrics import MOST_LABELS, exact_match, normalized, word_f1


def score(name, hypotheses, references, **options):
    return corpus_scores(hypotheses, references, test_set="toy", metrics=[name], **options).metrics[name]


def test_accuracy_is_of_whole_lines():
    found = score("accuracy", ["yes", "No", " yes "], ["yes", "no", "yes"])
    assert found.value == pytest.approx(200 / 3) and "nrefs:1" in found.signature


def test_macro_f1_is_the_mean_over_the_labels_of_the_references():
    """a: 1 of 2 found, 1 said wrongly: F1 1/2. b: 1 of 1 found, 1 said wrongly: 2/3. c: never said: 0."""
    found = score("macro-f1", ["a", "b", "b", "a"], ["a", "a", "b", "c"])
    assert found.value == pytest.approx(100 * (1 / 2 + 2 / 3 + 0) / 3)
    with pytest.raises(UserError, match="one label for each line, found 2 references"):
        score("macro-f1", ["a"], [["a"], ["b"]])
    with pytest.raises(UserError, match=f"more than {MOST_LABELS} different lines"):
        score("macro-f1", ["a"] * 600, [str(i) for i in range(600)])


def test_answers_are_compared_as_squad_does():
    assert normalized("The  Eiffel-Tower, a landmark!") == "eiffeltower landmark"
    assert exact_match("the Cat.", "cat") == 1.0 and exact_match("cats", "cat") == 0.0
    assert word_f1("a red cat sat", "the red dog sat down") == pytest.approx(2 * 2 / (3 + 4))
    assert (word_f1("", "the"), word_f1("", "cat")) == (1.0, 0.0)
    assert score("f1", ["red cat"], [["red"], ["red cats"]]).value == pytest.approx(200 / 3), "the best reference"


def test_rouge_l_is_that_of_the_longest_common_subsequence():
    """the cat ... mat: 3 of 4 and of 6 words."""
    pytest.importorskip("rouge_score")
    found = score("rouge-l", ["the cat liked mats"], ["the cat sat on the mat"])
    assert found.value == pytest.approx(100 * 2 * (3 / 4) * (3 / 6) / (3 / 4 + 3 / 6))


def test_the_share_of_lines_in_the_target_language():
    pytest.importorskip("py3langid")
    lines = ["Das ist ein kleines Haus mit einem Garten.", "This is a small house with a garden.", ""]
    found = score("language", lines, ["x"] * 3, target_language="de")
    assert found.value == pytest.approx(200 / 3) and "py3langid" in found.signature and "-de" in found.signature
    with pytest.raises(UserError, match="needs the target language"):
        score("language", lines, ["x"] * 3)
    with pytest.raises(UserError, match="does not know the language tlh"):
        score("language", lines, ["x"] * 3, target_language="tlh")


@pytest.mark.parametrize("kind", ["bootstrap", "randomization"])
@pytest.mark.parametrize("name", ["accuracy", "macro-f1"])
def test_two_systems_are_tested_as_by_bleu(name, kind):
    references = ["a", "b"] * 40
    good, bad = references, ["a"] * 80
    options = {"test_set": "toy", "metrics": (name,), "kind": kind, "samples": 200}
    found = paired_test({"bad": bad, "good": good}, references, **options)
    assert found.systems[1].metrics[name].p_value < 0.05
