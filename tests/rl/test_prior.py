"""The rules that move tau and the prior."""

import math

import numpy as np
import pytest
from copy_task import Student, make_config, make_corpus, make_model

from nmt_rl.rl.prior import Prior, controlled_tau

LIMITS = {"limit": 0.05, "deviation": 0.03, "rate": 0.1}


@pytest.mark.parametrize(
    ("kl", "length_ratio", "move"),
    [(0.04, 1.0, -0.1), (0.06, 1.0, 0.1), (0.05, 1.029, -0.1), (0.0, 1.04, 0.1), (0.0, 0.96, 0.1), (0.9, 0.5, 0.1)],
)
def test_tau_rises_when_the_policy_has_gone_too_far(kl, length_ratio, move):
    assert controlled_tau(0.02, kl, length_ratio, **LIMITS) == pytest.approx(0.02 * math.exp(move))


def test_tau_moves_only_when_it_is_time():
    prior = Prior(make_model(), make_config(tau=0.02, controller={"every": 3}).finetune)
    taus = []
    for step in range(1, 7):
        prior.control(step, 1.0, 1.0)
        taus.append(prior.tau / 0.02)
    np.testing.assert_allclose(taus, np.exp([0.0, 0.0, 0.1, 0.1, 0.1, 0.2]))
    constant = Prior(make_model(), make_config(tau=0.02).finetune)
    constant.control(5, 1.0, 1.0)
    assert constant.tau == 0.02


@pytest.mark.parametrize(("kl", "end"), [(1.0, 0.08), (0.0, 0.005)])
def test_tau_stays_in_its_range(kl, end):
    """A length that was wrong from the start would raise it for ever."""
    prior = Prior(make_model(), make_config(tau=0.02, controller={"every": 1, "range": 4.0}).finetune)
    for step in range(1, 40):
        prior.control(step, kl, 1.0)
    assert prior.tau == pytest.approx(end)


@pytest.mark.jax
def test_a_refreshed_prior_is_the_policy_and_survives_its_next_update():
    start = make_model(noise=0.3, seed=2).get_weights()
    part = {"objective": "trajectory", "sentences": 4, "prior_refresh": 2, "trajectory": {"value_units": 8}}
    learner = Student(start, make_config(controller={"every": 1}, **part), make_corpus(20))
    batches = learner.batches
    for step in (1, 2):
        learner.learner.update(batches.next(step)[0], 0.01)
        batches.after_update(step)
        same = all((a == b).all() for a, b in zip(learner.prior.get_weights(), start, strict=True))
        assert same == (step == 1)
    assert len(learner.terms[0].replay) == 0  # its log-probabilities were the old prior's
    assert batches.prior.tau == learner.config.finetune.tau
    refreshed = [w.copy() for w in learner.policy.get_weights()]
    _, saved = batches.state()
    saved = {name: np.array(array) for name, array in saved.items()}
    learner.learner.update(batches.next(3)[0], 0.01)
    for a, b in zip(learner.prior.get_weights(), refreshed, strict=True):
        np.testing.assert_array_equal(a, b)
    learner.prior.set_weights(start)
    batches.restore({"epoch": 0, "batch": 2}, saved)
    for a, b in zip(learner.prior.get_weights(), refreshed, strict=True):
        np.testing.assert_array_equal(a, b)
