"""Tables of scores in all their formats."""

import json

import pytest

from nmt_rl.evaluation.metrics import corpus_scores
from nmt_rl.evaluation.tables import align_columns, format_scores

REFERENCE = ["The cat sat on the mat.", "There is a dog in the garden.", "It rains."]


@pytest.fixture(scope="module")
def scores():
    ours = corpus_scores(REFERENCE, REFERENCE, test_set="toy_50%", system="a|b")
    return [ours, corpus_scores(["x y"] * 3, REFERENCE, test_set="toy_50%", system="other", resamples=50)]


def test_text_carries_signature_set_and_lines(scores):
    table = format_scores(scores)
    assert table.splitlines()[1].split() == ["a|b", "100.00", "100.00", "1.000", "3", "toy_50%"]
    assert table.count(scores[0].metrics["bleu"].signature) == 1
    assert "chrF " + scores[0].metrics["chrf"].signature in table
    assert format_scores(scores[:1] * 2).count("BLEU nrefs") == 1


def test_markdown_escapes_bars(scores):
    head, rule, first, second, *_ = format_scores(scores, "markdown").splitlines()
    assert head == "| system | BLEU | chrF | length ratio | lines | test set |"
    assert rule == "| --- | --- | --- | --- | --- | --- |"
    assert first == r"| a\|b | 100.00 | 100.00 | 1.000 | 3 | toy_50% |"
    assert " ± " in second


def test_latex_escapes_what_latex_reads(scores):
    table = format_scores(scores, "latex")
    assert r"a|b & 100.00 & 100.00 & 1.000 & 3 & toy\_50\% \\" in table
    assert r"$\pm$" in table and table.count("%") - table.count(r"\%") == 4


def test_json_holds_everything(scores):
    first, second = json.loads(format_scores(scores, "json"))
    assert first == json.loads(json.dumps(scores[0].to_json()))
    assert second["metrics"]["bleu"]["signature"].startswith("nrefs:1|bs:50")


def test_columns_are_aligned():
    assert align_columns([("a", "1", "x"), ("bb", "22", "y")]) == "a    1  x\nbb  22  y"
