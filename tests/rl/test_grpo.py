"""Group-relative policy optimisation: its equations by hand, and what a batch is learnt from."""

import numpy as np
import pytest
from copy_task import Student, make_config, make_corpus, make_model, make_sources
from gradients import value_and_gradient

from nmt_rl.config import load_config
from nmt_rl.errors import UserError
from nmt_rl.rl import losses
from nmt_rl.rl import policy_gradient as pg
from nmt_rl.rl.divergence import Divergence
from nmt_rl.rl.padding import shift_right
from nmt_rl.rl.replay import Queue

CORPUS = make_corpus(30)
START = make_model(noise=0.4, seed=3).get_weights()


def student(**settings):
    reward, optimizer = settings.pop("reward", {}), {"warmup": 0, **settings.pop("optimizer", {})}
    method = {"type": "grpo", "samples": 3, **settings}
    return Student(START, make_config(method=method, sentences=4, reward=reward, optimizer=optimizer), CORPUS)


def learnt_from(learner, steps):
    """Ids of the episodes of each batch that some updates learn from, in order."""
    ids, original = [], learner.agent.replay.sample

    def sample(*arguments):
        sampled = original(*arguments)
        ids.append([episode.id for episode in sampled.episodes])
        return sampled

    learner.agent.replay.sample = sample
    for step in steps:
        learner.agent.update(step, 1e-3)
    return ids


def test_group_advantages_by_hand():
    # Deviations from the mean 0.5: -0.3, 0, 0.3; their mean square is 0.06.
    advantages = pg.group_advantages([[0.2, 0.5, 0.8], [0.0, 0.0, 0.3]], epsilon=0.0)
    np.testing.assert_allclose(
        advantages, [[-(1.5**0.5), 0.0, 1.5**0.5], [-(0.5**0.5), -(0.5**0.5), 2**0.5]], atol=1e-14
    )
    # The deviation of 0.5, 0.7 is 0.1; with 0.1 beside it the advantages are halved.
    np.testing.assert_allclose(pg.group_advantages([[0.5, 0.7]], epsilon=0.1), [[-0.5, 0.5]])


def test_group_advantages_have_no_scale():
    scores = np.random.default_rng(0).uniform(size=(3, 5))
    np.testing.assert_allclose(pg.group_advantages(7 * scores + 2, 0.0), pg.group_advantages(scores, 0.0), atol=1e-12)
    assert not pg.group_advantages(np.full((2, 3), 0.1)).any(), "equal scores are no advantage, not even by rounding"


@pytest.mark.jax
def test_clipped_loss_by_hand():
    """Ratios 1.5 and 0.5, advantages 1 and -1: only what moved in its advantage's direction is clipped."""
    behaviour = np.log(np.array([[0.2, 0.2, 0.2, 0.2, np.nan]], np.float32))
    log_pi = np.log(np.array([[0.3, 0.1, 0.3, 0.1, 0.5]], np.float32))
    advantages = np.array([[1.0, 1.0, -1.0, -1.0, 9.0]], np.float32)
    weights = np.array([[1.0, 1.0, 1.0, 1.0, 0.0]], np.float32)
    loss, gradient = value_and_gradient(
        lambda x: losses.clipped_loss(x, behaviour, advantages, 0.2, weights)[0], log_pi
    )
    assert loss == pytest.approx(-(1.2 + 0.5 - 1.5 - 0.8) / 4, abs=1e-6)
    np.testing.assert_allclose(gradient, [[0.0, -0.5 / 4, 1.5 / 4, 0.0, 0.0]], atol=1e-6)
    assert float(losses.clipped_loss(log_pi, behaviour, advantages, 0.2, weights)[1]) == 0.5


@pytest.mark.jax
def test_where_nothing_has_moved_it_is_the_policy_gradient():
    rng = np.random.default_rng(1)
    log_pi, advantages = (rng.normal(size=(3, 4)).astype(np.float32) for _ in range(2))
    weights = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], np.float32)
    _, clipped = value_and_gradient(lambda x: losses.clipped_loss(x, log_pi, advantages, 0.2, weights)[0], log_pi)
    _, plain = value_and_gradient(lambda x: pg.policy_gradient_loss(x, advantages, weights), log_pi)
    np.testing.assert_allclose(clipped, plain, atol=1e-7)


@pytest.mark.jax
def test_kl_estimate_by_hand():
    # 2 - log 2 - 1 and 1/2 + log 2 - 1: their mean is 1/4.
    log_pi = np.log(np.array([[0.2, 0.4, 0.3]], np.float32))
    log_prior = np.log(np.array([[0.4, 0.2, 0.0001]], np.float32))
    assert float(losses.kl_estimate(log_pi, log_prior, [[1.0, 1.0, 0.0]])) == pytest.approx(0.25, abs=1e-6)


def test_the_kl_estimate_is_not_biased():
    pi, prior = np.array([0.5, 0.3, 0.2], np.float32), np.array([0.2, 0.2, 0.6], np.float32)
    expected = float(losses.kl_estimate(np.log(pi), np.log(prior), pi))
    assert expected == pytest.approx(float(np.sum(pi * np.log(pi / prior))), abs=1e-6)


def test_each_batch_is_learnt_from_as_often_as_the_ratio_says():
    ids = learnt_from(student(ratio=3), range(1, 6))
    assert ids[0] == ids[1] == ids[2] and ids[3] == ids[4] and not {*ids[0]} & {*ids[3]}


def test_batches_of_one_update_stay_together():
    ids = learnt_from(student(ratio=2, optimizer={"accumulate": 2}), (1, 2))
    assert ids[:2] == ids[2:] and not {*ids[0]} & {*ids[1]}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("samples=1", ["finetune.method.samples", "greater than or equal to 2"]),
        ("clip=1", ["finetune.method.clip", "less than 1"]),
        ("ratio=0", ["finetune.method.ratio", "greater than or equal to 1"]),
        ("epsilon=0.1", ["finetune.method", "epsilon"]),
    ],
)
def test_settings_that_make_no_sense(setting, words):
    with pytest.raises(UserError) as error:
        load_config("quickstart", ["finetune.method=grpo", f"finetune.method.{setting}"])
    assert all(word in str(error.value) for word in words)


def test_a_queue_that_nothing_was_put_into():
    with pytest.raises(ValueError, match="nothing was played"):
        Queue(2).sample(4, 1, np.random.default_rng(0))


@pytest.mark.jax
def test_ratios_begin_at_one_and_are_clipped_once_the_policy_has_moved():
    learner = student(ratio=2, clip=0.05)
    first, second = learner.agent.update(1, 2e-3), learner.agent.update(2, 2e-3)
    assert first["clipped"] == 0.0 and first["loss"] == pytest.approx(0.0, abs=1e-4)
    assert second["clipped"] > 0.05 and second["loss"] < -1e-3


def test_translations_weigh_alike_however_long_they_are():
    learner = student()
    episodes, _ = learner.actor.play(learner.agent.sentences.next(), 0, np.random.default_rng(0))
    learner.agent.replay.add(episodes)
    arrays, _ = learner.terms[0].batch(learner.agent.replay.sample(4, 1, None), 1)
    assert len({len(episode.tokens) for episode in episodes}) > 1
    np.testing.assert_allclose(arrays["weights"].sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize(("beta", "nearer"), [(0.0, False), (1.0, True)])
def test_beta_pulls_back_to_the_pretrained_model(beta, nearer):
    """Without an advantage, from a policy that has moved away."""
    learner = student(beta=beta, samples=8, reward={"metrics": {"constant": 1.0}})
    rng = np.random.default_rng(0)
    learner.policy.set_weights([w + rng.normal(0.0, 0.1, w.shape).astype(w.dtype) for w in START])
    divergence, source = Divergence(learner.policy, learner.prior), make_sources()

    def distance():
        ids = learner.decode(source, 8).ids
        kl, _, pieces = divergence(source, shift_right(ids), ids)
        return kl / pieces

    before = distance()
    for step in range(1, 61):
        learner.agent.update(step, 5e-3)
    assert (distance() < 0.5 * before) == nearer
