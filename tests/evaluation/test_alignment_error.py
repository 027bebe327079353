"""Alignment error rates by hand."""

import pytest

from nmt_rl.evaluation.alignment_error import alignment_scores


def test_by_hand():
    # A = {0-0, 1-1, 2-3, 3-3}; S = {0-0, 1-1, 2-2}; P = S and {2-3}.
    found, sure, possible = {(0, 0), (1, 1), (2, 3), (3, 3)}, {(0, 0), (1, 1), (2, 2)}, {(2, 3)}
    scores = alignment_scores([(found, sure, possible)])
    assert scores.precision == pytest.approx(3 / 4)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.error_rate == pytest.approx(1 - (2 + 3) / (4 + 3))


def test_what_is_found_whole_has_no_error_and_a_possible_link_more_is_none():
    sure = {(0, 0), (1, 1)}
    assert alignment_scores([(sure, sure, set())]).error_rate == 0.0
    assert alignment_scores([(sure | {(1, 2)}, sure, {(1, 2)})]).error_rate == 0.0
    assert alignment_scores([(set(), sure, set())]).error_rate == 1.0


def test_a_text_is_scored_as_a_whole_not_as_the_mean_of_its_lines():
    pairs = [({(0, 0)}, {(0, 0)}, set()), ({(0, 1), (1, 0), (2, 2)}, {(0, 0), (1, 1), (2, 2)}, set())]
    assert alignment_scores(pairs).error_rate == pytest.approx(1 - 2 * 2 / (4 + 4))


def test_nothing_sure_is_no_measure():
    with pytest.raises(ValueError, match="no sure link"):
        alignment_scores([({(0, 0)}, set(), {(0, 0)})])
