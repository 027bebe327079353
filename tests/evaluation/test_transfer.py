"""Forgetting and transfer of matrices, by hand."""

import pytest

from nmt_rl.evaluation.chain_page import ChainScores, WayScores
from nmt_rl.evaluation.transfer import backward_transfer, final_mean, forgetting, forward_transfer

MATRIX = [[40.0, 10.0, 5.0, 1.0], [30.0, 20.0, 7.0, 2.0], [42.0, 18.0, 50.0, 9.0], [32.0, 19.0, 44.0, 60.0]]


def test_sums_by_hand():
    """Domain 0 was best after domain 2; domain 1 when it was learnt; domains 2 and 3 are learnt after another."""
    assert forgetting(MATRIX) == pytest.approx(((42 - 32) + (20 - 19) + (50 - 44)) / 3)
    assert backward_transfer(MATRIX) == pytest.approx(((32 - 40) + (19 - 20) + (44 - 50)) / 3)
    assert forward_transfer(MATRIX) == pytest.approx(((7 - 5) + (9 - 1)) / 2)
    assert final_mean(MATRIX) == pytest.approx((32 + 19 + 44 + 60) / 4)


def test_what_was_best_before_it_was_learnt_is_forgotten_too():
    assert forgetting([[10.0, 30.0], [8.0, 25.0]]) == 2.0
    assert forgetting([[1.0, 5.0, 0.0], [2.0, 3.0, 0.0], [2.0, 4.0, 0.0]]) == pytest.approx((0 + 1) / 2)


def test_two_domains_have_no_forward_transfer():
    assert forward_transfer([[40.0, 1.0], [30.0, 20.0]]) is None
    scores = ChainScores("x", "bleu", ["a", "b"], [WayScores("w", [[40.0, 1.0], [30.0, 20.0]], 1.5)], ["s"], [])
    *_, sums, signature = scores.text().splitlines()
    assert sums.split() == ["w", "25.00", "10.00", "-10.00", "–", "1.50"] and signature == "BLEU s"
