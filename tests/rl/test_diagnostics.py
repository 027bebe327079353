"""What is told of Q, against numbers worked out by hand."""

import numpy as np
import pytest

from nmt_rl.rl.diagnostics import (
    calibration,
    clustered_mean,
    correlation,
    diagnose,
    explained_beyond,
    explained_by,
    explained_variance,
    sign_agreement,
)

TRUTH = [0.2, -0.1, 0.0, 0.3]


def test_explained_variance_by_hand():
    # -1, 0 and 1 are left of -2, 0 and 2.
    assert explained_variance([1.0, 2.0, 3.0], [0.0, 2.0, 4.0]) == pytest.approx(1 - 1 / 4)
    assert explained_variance([9.0, 10.0, 11.0], [1.0, 2.0, 3.0]) == 1.0  # V may be off by a constant
    assert explained_variance([5.0, -5.0], [1.0, 1.0]) == 0.0


def test_correlation_and_slope_know_no_scale():
    assert correlation([1.0, 2.0, 3.0], [10.0, 20.0, 60.0]) == pytest.approx(25 / np.sqrt(700))
    assert correlation([0.0, 0.0], [1.0, 2.0]) == 0.0
    found = diagnose([0.1, -0.05, 0.0, 0.15], TRUTH, np.zeros((4, 1)), range(4))
    assert found.slope == pytest.approx(2.0) and found.explained_scaled == pytest.approx(1.0)
    assert found.explained == pytest.approx(0.75)  # half of every difference is missed: 1 - (1/2)²


def test_ties_of_the_returns_have_no_sign_and_no_preference_is_a_guess():
    assert sign_agreement([1.0, 1.0, -1.0, 2.0], TRUTH) == pytest.approx(2 / 3)
    assert sign_agreement([1.0, 0.0, 1.0, 0.0], TRUTH) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert sign_agreement([3.0], [0.0]) == 0.5


def test_the_error_of_a_mean_counts_sentences_not_forks():
    # Mean 2; the deviations add up to -2 and 2 by sentence: 2 / 1 * 8 / 16.
    assert clustered_mean([1.0, 1.0, 3.0, 3.0], [5, 5, 7, 7]) == (2.0, 1.0)
    # One fork for each sentence: the usual error, sqrt(s² / n) with s² = 4 / 3.
    mean, error = clustered_mean([1.0, 1.0, 3.0, 3.0], [1, 2, 3, 4])
    assert (mean, error) == (2.0, pytest.approx(np.sqrt(4 / 3 / 4)))
    assert clustered_mean([1.0, 3.0], [1, 1]) == (2.0, None)


def test_the_gain_of_acting_on_q():
    # Q prefers the other action at the 2nd, 4th and 5th fork, which is worth 0.1, -0.3 and 0.5 more there.
    found = diagnose([1.0, -1.0, 0.0, -2.0, -1.0], [*TRUTH, -0.5], np.zeros((5, 1)), [0, 1, 2, 3, 4])
    assert found.preferred == 0.6 and found.gain == pytest.approx(0.1)
    error = np.sqrt(0.16 / 3)  # of 0.1, -0.3, 0.5: s = 0.4
    assert found.gain_interval == pytest.approx((0.1 - 1.96 * error, 0.1 + 1.96 * error))


def test_calibration_by_hand():
    q = [9.0, 0.0, *range(1, 9), *range(10, 20)]
    bins = calibration(q, 2 * np.array(q), range(20))
    assert [each.forks for each in bins] == [2] * 10
    assert bins[0].predicted == 0.5 and bins[0].true == 1.0  # 0 and 1
    assert bins[4].predicted == 8.5 and bins[4].true == 17.0  # 8 and 9
    assert bins[4].error == pytest.approx(1.0)  # of 16 and 18
    assert len(calibration([1.0], [1.0], [0])) == 1


def test_q_adds_nothing_that_is_known_already_and_everything_that_is_not():
    rng = np.random.default_rng(0)
    known, news, noise = rng.normal(size=(8000, 2)), rng.normal(size=8000), rng.normal(size=8000)
    sentence = np.repeat(np.arange(2000), 4)
    truth = known @ [1.0, 2.0] + 2.0 * news + 3.0
    assert explained_by(known, truth, sentence) == pytest.approx(5 / 9, abs=0.02)  # 1 + 4 of 1 + 4 + 4
    assert explained_beyond(0.001 * news, known, truth, sentence) == pytest.approx(4 / 9, abs=0.02)
    assert explained_beyond(known @ [1.0, 2.0], known, truth, sentence) == pytest.approx(0.0, abs=1e-3)
    assert explained_beyond(noise, known, truth, sentence) < 0.01


def test_what_holds_within_one_sentence_only_explains_nothing():
    """Six sentences of ten forks each; a feature per sentence tells which one it is, and each has its own mean."""
    sentence = np.repeat(np.arange(6), 10)
    truth = np.array([3.0, -1.0, 4.0, -1.0, 5.0, -9.0])[sentence]
    assert explained_by(np.eye(6)[sentence], truth, sentence) <= 0.0
    shuffled = np.arange(60) % 6  # folds that cut through sentences would have found it all
    assert explained_by(np.eye(6)[sentence], truth, shuffled) > 0.9


def test_a_handful_of_forks_does_not_explode():
    known = np.array([[-2.1, 0.0], [-2.1000001, 1.0], [-2.0999999, 2.0], [-3.5, 0.0]])
    assert -2.0 < explained_by(known, TRUTH, range(4)) < 1.0


def test_no_forks_at_all():
    found = diagnose([], [], np.zeros((0, 4)), [])
    assert (found.forks, found.gain, found.gain_interval, found.calibration) == (0, 0.0, None, ())
    assert np.isfinite(list(found.numbers().values())).all()
