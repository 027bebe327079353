"""The term of forks on a real tiny model: gradient identities, masks, and its batch from episodes."""

from dataclasses import replace

import numpy as np
import pytest
from copy_task import make_corpus
from episodes import make_episode
from gradients import weight_gradients
from tiny_batches import HUBER, LENGTHS, TAU, along, directional, directions, fork_batch, fork_inputs, numpy

from nmt_rl.rl.forks import ForkTerm, logit_difference
from nmt_rl.rl.replay import Sampled
from nmt_rl.rl.term import ERRORS, Objective

pytestmark = pytest.mark.jax

CORPUS = make_corpus(30)


def gradient(model, batch, tau=TAU):
    """Loss and its gradient."""
    return weight_gradients(Objective([ForkTerm(model, CORPUS, 2, tau, HUBER)]), model, {"fork": batch})


def test_the_gradient_is_minus_mean_clipped_delta_times_gradient_of_the_difference(model, prior):
    batch = fork_batch(prior)
    delta = np.array([-0.5, -0.1, 0.05, 0.15, 0.3, 0.6], np.float32)
    clipped = np.array([-0.2, -0.1, 0.05, 0.15, 0.2, 0.2])
    difference = numpy(logit_difference(model, *fork_inputs(batch)))
    batch["value_difference"] = delta + TAU * (difference - batch["prior_difference"])
    _, gradients = gradient(model, batch)
    for direction in directions(model):
        slope = directional(lambda: logit_difference(model, *fork_inputs(batch)), model, direction)
        assert along(gradients, direction) == pytest.approx(-(clipped * slope).mean(), rel=5e-3, abs=1e-4)
        assert np.abs(slope).max() > 0.1


def test_a_constant_reward_has_no_gradient_at_initialisation(prior):
    """The policy is the prior and every difference of values is 0: nothing can be learnt from sharpening."""
    batch = fork_batch(prior)
    flat = {**batch, "value_difference": np.zeros(6, np.float32)}
    loss, gradients = gradient(prior, flat)
    assert loss < 1e-12 and max(np.abs(g).max() for g in gradients) < 1e-5
    _, gradients = gradient(prior, flat, tau=0.0)
    assert all((g == 0.0).all() for g in gradients)
    _, gradients = gradient(prior, batch)
    assert max(np.abs(g).max() for g in gradients) > 1e-2


def assert_same_update(first, second, model):
    (loss, gradients), (other_loss, other) = (gradient(model, batch) for batch in (first, second))
    assert loss == pytest.approx(other_loss, rel=1e-5) and loss > 0
    for a, b in zip(gradients, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_room_for_forks_changes_nothing(model, prior):
    batch = fork_batch(prior)
    padded = {name: np.concatenate([batch[name], batch[name][:3]]) for name in list(batch)[2:]}
    padded["weights"][6:] = 0.0
    padded["value_difference"][6:] = [np.nan, 7.0, np.inf]
    assert_same_update(batch, {**batch, **padded}, model)


def test_what_follows_the_end_changes_nothing(model, prior):
    batch = fork_batch(prior)
    behind = np.arange(max(LENGTHS)) >= np.array(LENGTHS)[:, None]
    assert behind.any()
    assert_same_update(batch, {**batch, "target_in": np.where(behind, 7, batch["target_in"])}, model)


def test_the_reported_errors(model, prior):
    batch = fork_batch(prior)
    difference = numpy(logit_difference(model, *fork_inputs(batch)))
    delta = batch["value_difference"] - TAU * (difference - batch["prior_difference"])
    found = ForkTerm(model, CORPUS, 2, TAU, HUBER).loss(model, batch, True)
    np.testing.assert_allclose(numpy(found[ERRORS]), delta, atol=1e-5)
    assert float(found["td_error"]) == pytest.approx(np.sqrt((delta**2).mean()), rel=1e-4)


@pytest.fixture(scope="module")
def sampled():
    """Two translations of 3 and 4 pieces with 2 forks and 1, the second drawn again with the weight 1/2."""
    episodes = [replace(make_episode(2, forks=2), source_id=7), replace(make_episode(3, forks=1), source_id=1)]
    return Sampled(episodes, np.arange(2), np.array([1.0, 0.5]))


def test_a_batch_of_episodes_by_hand(model, sampled):
    """Each has room for three forks."""
    batch, numbers = ForkTerm(model, CORPUS, 3, TAU, HUBER).batch(sampled, 1)
    width = batch["target_in"].shape[1]
    assert numbers["tokens"] == 7.0 and batch["source"].shape[0] == 2
    np.testing.assert_array_equal(batch["positions"], [0, 1, 0, width, 0, 0])
    np.testing.assert_array_equal(batch["actions"], [[24, 90], [25, 91], [0, 0], [34, 90], [0, 0], [0, 0]])
    np.testing.assert_allclose(batch["value_difference"], [0.48, 0.38, 0, 0.47, 0, 0], atol=1e-6)
    np.testing.assert_allclose(batch["prior_difference"], [-2.0, -1.8, 0, -3.0, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(batch["weights"], [1, 1, 0, 0.5, 0, 0])
    np.testing.assert_array_equal(batch["target_in"][0, :4], [2, 24, 25, 26])
    np.testing.assert_array_equal(batch["source"][0, : len(CORPUS.source(7))], CORPUS.source(7))
