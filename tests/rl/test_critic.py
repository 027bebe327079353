"""V of the deep Q-network: its targets, what it learns, and when it counts as trained."""

import numpy as np
import pytest
from copy_task import SIZE, make_model, make_sources

from nmt_rl.config import DQNConfig, EpisodicConfig
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.rl.critic import Critic, value_and_states
from nmt_rl.rl.episode import Episode, Origin, collate
from nmt_rl.rl.padding import shift_right
from nmt_rl.rl.term import value_numbers
from nmt_rl.rl.value import ValueHead

pytestmark = pytest.mark.jax

REWARDS = ([0.25, 0.0, 0.5], [0.125, 0.0625])
SOURCE = make_sources(2, 3)


def episode(number, rewards):
    length, rng = len(rewards), np.random.default_rng(number)
    tokens = np.array([*rng.integers(4, SIZE, length - 1), EOS], np.int32)
    nothing = np.zeros(length, np.float32)
    features = rng.uniform(size=(length, 2)).astype(np.float32)
    return Episode(number, number, 0, Origin.GREEDY, tokens, np.float32(rewards), nothing, nothing, features)


BATCH = collate([episode(n, rewards) for n, rewards in enumerate(REWARDS)])


def make_critic(updates=10, monte_carlo=0.5, **settings):
    model, target = (make_model(noise=0.5, seed=2) for _ in range(2))
    return Critic(model, target, 2, DQNConfig(monte_carlo=monte_carlo, **settings), updates, 1)


def learn(critic, step, monkeypatch):
    """The targets of V [batch, time] and their weights at an update."""
    seen = {}

    def update(tasks, rate):
        seen.update(tasks[0])
        return {"loss": 0.0, "skipped": 0.0}

    monkeypatch.setattr(critic._learner, "update", update)
    critic.learn(BATCH, SOURCE, shift_right(BATCH.tokens), np.array([1.0, 0.5]), step)
    return seen["target"], seen["weights"]


def test_targets_are_returns_at_first(monkeypatch):
    target, weights = learn(make_critic(), 5, monkeypatch)
    np.testing.assert_allclose(target, [[0.75, 0.5, 0.5], [0.1875, 0.0625, 0.0]], atol=1e-6)
    np.testing.assert_array_equal(weights, [[1.0, 1.0, 1.0], [0.5, 0.5, 0.0]])


def test_targets_bootstrap_from_the_target_network_after_that(monkeypatch):
    """V̄ = .5 everywhere, lambda .75: y_2 = .5; y_1 = 0 + .25 .5 + .75 .5 = .5; y_0 = .25 + .125 + .375 = .75; and
    of the second .0625; .125 + .125 + .75 .0625 = .296875."""
    critic = make_critic(trace=0.75)
    monkeypatch.setattr(critic, "_bootstrap", lambda *_: (np.full((2, 3), 0.5, np.float32), None))
    target, _ = learn(critic, 6, monkeypatch)
    np.testing.assert_allclose(target, [[0.75, 0.5, 0.5], [0.296875, 0.0625, 0.0]], atol=1e-6)
    one_step = make_critic(trace=0.0)
    monkeypatch.setattr(one_step, "_bootstrap", lambda *_: (np.full((2, 3), 2.0, np.float32), None))
    target, _ = learn(one_step, 6, monkeypatch)
    np.testing.assert_allclose(target, [[2.25, 2.0, 0.5], [2.125, 0.0625, 0.0]], atol=1e-6)


@pytest.mark.parametrize(("monte_carlo", "first"), [(0.0, 1), (0.3, 4), (0.5, 6), (0.96, 11)])
def test_it_is_trained_after_its_share_of_the_updates(monte_carlo, first):
    critic = make_critic(monte_carlo=monte_carlo)
    assert [critic.is_trained(step) for step in range(1, 12)] == [step >= first for step in range(1, 12)]


def test_v_learns_the_returns_and_its_target_follows():
    critic = make_critic(monte_carlo=0.9, value_learning_rate=0.02, target_rate=0.5)
    inputs = (BATCH, SOURCE, shift_right(BATCH.tokens), np.ones(2))
    told = []
    for _ in range(80):
        told.append(critic.learn(*inputs, 1))
        critic.move_target()
    assert told[-1]["value_loss"] < 0.05 * told[0]["value_loss"]
    assert told[-1]["value_explained"] > 0.9
    value = critic.value(SOURCE, BATCH.tokens, BATCH.features)
    np.testing.assert_allclose(value[0], [0.75, 0.5, 0.5], atol=0.1)


def test_values_are_those_of_the_target_network_until_it_moves():
    critic = make_critic(value_learning_rate=0.05)
    before = critic.value(SOURCE, BATCH.tokens, BATCH.features)
    critic.learn(BATCH, SOURCE, shift_right(BATCH.tokens), np.ones(2), 1)
    np.testing.assert_array_equal(critic.value(SOURCE, BATCH.tokens, BATCH.features), before)
    critic.move_target()
    assert np.abs(critic.value(SOURCE, BATCH.tokens, BATCH.features) - before).max() > 1e-4


EPISODIC = EpisodicConfig(capacity=8, neighbours=1, mixing=0.25, kernel_delta=1e-6)


def test_what_a_dictionary_remembers_is_mixed_into_v():
    """The returns of the five states are .75 .5 .5 and .1875 .0625; one neighbour, itself, and a quarter of it."""
    plain, critic = make_critic(), make_critic(episodic=EPISODIC)
    before = plain.value(SOURCE, BATCH.tokens, BATCH.features)
    np.testing.assert_array_equal(critic.value(SOURCE, BATCH.tokens, BATCH.features), before)
    told = critic.learn(BATCH, SOURCE, shift_right(BATCH.tokens), np.ones(2), 1)
    assert told["episodic_explained"] == 0.0
    returns = np.array([[0.75, 0.5, 0.5], [0.1875, 0.0625, 0.0]])
    expected = np.where(BATCH.mask, 0.75 * before + 0.25 * returns, before)
    np.testing.assert_allclose(critic.value(SOURCE, BATCH.tokens, BATCH.features), expected, atol=1e-4)
    assert critic.learn(BATCH, SOURCE, shift_right(BATCH.tokens), np.ones(2), 1)["episodic_explained"] > 0.999


def test_targets_bootstrap_from_v_and_the_dictionary(monkeypatch):
    """All of it: V(s_1) = V(s_2) = .5 of the returns that were written, so that one-step targets are those again."""
    critic = make_critic(trace=0.0, episodic=EPISODIC.model_copy(update={"mixing": 1.0}))
    critic.learn(BATCH, SOURCE, shift_right(BATCH.tokens), np.ones(2), 1)
    target, _ = learn(critic, 6, monkeypatch)
    np.testing.assert_allclose(target, [[0.75, 0.5, 0.5], [0.1875, 0.0625, 0.0]], atol=1e-4)


def test_padding_changes_nothing_that_is_remembered():
    critic, padded = make_critic(episodic=EPISODIC), make_critic(episodic=EPISODIC)
    wide = collate([episode(n, rewards) for n, rewards in enumerate(REWARDS)], 6)
    for each, batch in ((critic, BATCH), (padded, wide)):
        each.learn(batch, SOURCE, shift_right(batch.tokens), np.ones(2), 1)
    assert len(critic.memory) == len(padded.memory) == 5
    ours, theirs = critic.memory.state(), padded.memory.state()
    np.testing.assert_array_equal(ours["names"], theirs["names"])
    np.testing.assert_allclose(ours["keys"], theirs["keys"], atol=1e-5)


def test_who_plays_elsewhere_is_told_the_dictionary():
    critic, player = make_critic(episodic=EPISODIC), make_critic(episodic=EPISODIC)
    critic.learn(BATCH, SOURCE, shift_right(BATCH.tokens), np.ones(2), 1)
    for ours, theirs in zip(critic.acting(), player.acting(), strict=True):
        theirs.assign(np.asarray(ours.value))
    inputs = SOURCE, BATCH.tokens, BATCH.features
    np.testing.assert_array_equal(critic.value(*inputs), player.value(*inputs))


@pytest.mark.parametrize("episodic", [None, EPISODIC])
def test_a_state_is_restored(episodic):
    critic, other = make_critic(episodic=episodic), make_critic(episodic=episodic)
    inputs = (BATCH, SOURCE, shift_right(BATCH.tokens), np.ones(2))
    for step in (1, 2):
        critic.learn(*inputs, step)
        critic.move_target()
    other.restore({name: array.copy() for name, array in critic.state().items()})
    assert critic.learn(*inputs, 7) == other.learn(*inputs, 7)
    for each in (critic, other):
        each.move_target()
    for name, array in critic.state().items():
        np.testing.assert_array_equal(array, other.state()[name])


def test_values_and_states_of_a_model():
    model, head = make_model(noise=0.5, seed=2), ValueHead(16, 2, 4)
    value, states = value_and_states(model, head, SOURCE, shift_right(BATCH.tokens), BATCH.features)
    np.testing.assert_allclose(np.asarray(value), np.asarray(head(states, BATCH.features)), atol=1e-6)
    assert np.asarray(states).shape == (2, 3, 16)


@pytest.mark.parametrize(("skipped", "told"), [(0.0, {"value_loss": 2.5}), (1.0, {"value_skipped": 1.0})])
def test_a_skipped_update_of_v_is_told(skipped, told):
    assert value_numbers({"loss": 2.5, "skipped": skipped}) == told
