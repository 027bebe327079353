"""Who samples the translations."""

import numpy as np
import pytest
from copy_task import make_model, make_sources

from nmt_rl.config import BehaviourConfig
from nmt_rl.decoding.generator import Generator
from nmt_rl.decoding.restrictions import Restrictions
from nmt_rl.rl.behaviour import Behaviour, linear_schedule

SOURCE = make_sources(12)
LIMITS = np.full(12, 8, np.int32)


@pytest.fixture(scope="module")
def model():
    return make_model(noise=0.5, seed=2)


def test_a_linear_schedule_stays_at_its_end():
    values = [linear_schedule(0.5, 0.1, step, 4) for step in (0, 1, 2, 4, 9)]
    np.testing.assert_allclose(values, [0.5, 0.4, 0.3, 0.1, 0.1])


def test_every_temperature_of_the_ladder_gets_its_share(model, monkeypatch):
    config = BehaviourConfig(temperatures=(0.5, 1.0, 2.0))
    behaviour, rng = Behaviour(model, config), np.random.default_rng(0)
    ladders = []
    monkeypatch.setattr(behaviour, "_generator", lambda *_, temperature, seed: ladders.append(temperature))
    behaviour(SOURCE, LIMITS, 1, rng), behaviour(SOURCE, LIMITS, 2, rng)
    for ladder in ladders:
        assert sorted(ladder) == [0.5] * 4 + [1.0] * 4 + [2.0] * 4
    assert (ladders[0] != ladders[1]).any()


@pytest.mark.parametrize("policy", ["boltzmann", "epsilon-greedy"])
def test_samples_obey_what_validation_obeys(model, policy):
    config = BehaviourConfig(policy=policy, temperatures=(2.0,), epsilon=0.9, epsilon_end=0.9)
    repeated = []
    for restrictions in (Restrictions(), Restrictions(ngram=1)):
        behaviour = Behaviour(model, config, restrictions)
        played = behaviour(SOURCE, LIMITS, 1, np.random.default_rng(0))
        rows = [ids[:length].tolist() for ids, length in zip(played.ids, played.lengths, strict=True)]
        repeated.append(sum(len(set(row)) < len(row) for row in rows))
    assert repeated[0] > 4 and repeated[1] == 0


def test_epsilon_falls_and_0_is_greedy(model):
    config = BehaviourConfig(policy="epsilon-greedy", top_k=4, epsilon=1.0, epsilon_end=0.0, epsilon_updates=10)
    behaviour, greedy = Behaviour(model, config), Generator(model)(SOURCE, LIMITS).ids
    at = {step: behaviour(SOURCE, LIMITS, step, np.random.default_rng(0)).ids for step in (0, 10, 50)}
    np.testing.assert_array_equal(at[10], greedy)
    np.testing.assert_array_equal(at[50], greedy)
    assert at[0].shape != greedy.shape or (at[0] != greedy).any()
