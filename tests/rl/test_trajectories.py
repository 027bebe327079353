"""Targets along episodes: on the toy token-MDP whose optimum is known, and the term on a real tiny model."""

from types import SimpleNamespace

import numpy as np
import pytest
import toy_mdp
from copy_task import make_corpus, make_model, make_translations

from nmt_rl.config import KLConfig, TrajectoryConfig
from nmt_rl.rl.episode import Episode, Origin
from nmt_rl.rl.padding import shift_right
from nmt_rl.rl.q_network import Evaluated, KLNetwork
from nmt_rl.rl.replay import Sampled
from nmt_rl.rl.trajectories import TrajectoryTerm, td_targets

pytestmark = pytest.mark.jax

TAU = 0.1
STATES, ACTIONS, REWARDS, DISCOUNTS, MASK = toy_mdp.episode_arrays()
BATCH = SimpleNamespace(rewards=REWARDS, discount=DISCOUNTS, mask=MASK)
Q = (toy_mdp.solve(TAU)[0])[STATES, ACTIONS] * MASK
RETURNS = np.flip(np.cumsum(np.flip(REWARDS * MASK, 1), 1), 1)


def evaluated(shift=0.0):
    """The optimal network's view of every episode, its value moved by `shift`."""
    q, v = toy_mdp.solve(TAU)
    return Evaluated((v[STATES] + shift) * MASK, (q - v[:, None])[STATES, ACTIONS] * MASK, {})


def targets(shift=0.0, untrained=False, exact=True, **settings):
    return td_targets(BATCH, evaluated(shift), TrajectoryConfig(**settings), untrained, exact)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("settings", [{"steps": 1}, {"steps": 2}, {"steps": 9}, {"trace": 0.0}, {"trace": 0.6}])
def test_every_target_is_q_at_the_soft_optimum(settings, exact):
    """Path consistency: whoever chose the later actions, and however many steps are taken."""
    np.testing.assert_allclose(targets(exact=exact, **settings) * MASK, Q, atol=1e-12)


@pytest.mark.parametrize(("settings", "seen"), [({"steps": 9}, 0.0), ({"trace": 1.0}, 0.0), ({"steps": 1}, 1.0)])
def test_monte_carlo_looks_at_no_value_and_one_step_at_one(settings, seen):
    moved = targets(0.5, **settings) - targets(**settings)
    goes_on = MASK & (DISCOUNTS > 0)
    np.testing.assert_allclose(moved[goes_on], 0.5 * seen, atol=1e-12)
    np.testing.assert_allclose(moved[MASK & ~goes_on], 0.0, atol=1e-12)


@pytest.mark.parametrize("settings", [{"trace": 0.0}, {"steps": 1}])
def test_untrained_values_are_not_looked_at(settings):
    early = targets(0.5, untrained=True, **settings)
    np.testing.assert_allclose(early, targets(trace=1.0), atol=1e-12)
    assert np.abs(targets(0.5, **settings) - early).max() > 0.4


def test_monte_carlo_targets_of_estimated_values_are_plain_returns():
    """Where the penalty is a log-probability it is charged, too."""
    assert np.abs((targets(trace=1.0) - RETURNS)[MASK]).max() > 0.05
    for found in (targets(0.5, exact=False, trace=1.0), targets(0.5, untrained=True, exact=False, trace=0.5)):
        np.testing.assert_allclose(found[MASK], RETURNS[MASK], atol=1e-12)


def make_term(**settings):
    """On a policy and a target network that differ."""
    model, target = make_model(noise=0.5, seed=8), make_model()
    method = TrajectoryConfig(**{"monte_carlo": 0.0, "trace": 0.7, **settings})
    network = KLNetwork(model, target, 2, KLConfig(), tau=TAU, huber=0.5, target_rate=0.5, seed=1)
    rng = np.random.default_rng(1)
    target.set_weights([w + rng.normal(0, 0.3, w.shape) for w in target.get_weights()])
    return TrajectoryTerm(network, make_corpus(5), method, 10, model.max_length)


def sampled(lengths, weights):
    rng, episodes = np.random.default_rng(2), []
    for number, (ids, length) in enumerate(zip(make_translations(lengths)[0], lengths, strict=True)):
        rewards, prior = rng.uniform(0.0, 0.2, (2, length)).astype(np.float32)
        features = rng.uniform(size=(length, 2)).astype(np.float32)
        episodes.append(Episode(number, number, 0, Origin.SAMPLE, ids[:length], rewards, prior, prior - 1.0, features))
    return Sampled(episodes, np.arange(len(lengths)), np.array(weights))


@pytest.fixture(scope="module")
def term():
    return make_term()


def test_a_batch_of_episodes(term):
    """Targets are those of the target network; weights those of the draw."""
    drawn = sampled((3, 5), (1.0, 0.25))
    evaluate, found = term.network.evaluate, []
    term.network.evaluate = lambda *inputs: found.append((inputs[0], evaluate(*inputs))) or found[-1][1]
    batch, numbers = term.batch(drawn, 1)
    term.network.evaluate = evaluate
    ((collated, values),) = found
    assert numbers["tokens"] == 8.0 and numbers["value_loss"] > 0
    np.testing.assert_array_equal(batch["target_in"], shift_right(batch["tokens"]))
    np.testing.assert_array_equal(batch["weights"], collated.mask * np.array([[1.0], [0.25]], np.float32))
    by_hand = td_targets(collated, values, term.settings, False, True)
    np.testing.assert_allclose(batch["target"], by_hand, atol=1e-6)
    np.testing.assert_array_equal(batch["log_prior"], collated.prior_log_probs)


def test_nothing_behind_the_end_reaches_a_target(term):
    """A short episode's targets are the same beside a long one."""
    drawn = sampled((3, 9), (1.0, 1.0))
    alone = Sampled(drawn.episodes[:1], np.arange(1), np.ones(1))
    start = [np.array(v.value) for v in term.network.value_learner.state]
    one, _ = term.batch(alone, 1)
    for variable, value in zip(term.network.value_learner.state, start, strict=True):
        variable.assign(value)
    both, _ = term.batch(drawn, 1)
    for name in ("target", "value", "log_prior", "weights"):
        np.testing.assert_allclose(both[name][0, :3], one[name][0, :3], atol=1e-5, err_msg=name)
        assert name == "value" or not both[name][0, 3:].any()


def test_monte_carlo_is_for_a_share_of_the_updates():
    """.4 of 10 updates: the fifth bootstraps from a target network that is far off."""
    term = make_term(monte_carlo=0.4)
    head = term.network.target.pairs[1][1]
    head.out.bias.assign([100.0])
    targets = [np.abs(term.batch(sampled((3, 5), (1.0, 1.0)), step)[0]["target"]).max() for step in (4, 5)]
    assert targets[0] < 5 < 20 < targets[1]


def test_the_target_network_moves_after_an_update(term):
    policy, target = term.network.target.pairs[0]
    before = [0.5 * (a + b) for a, b in zip(policy.get_weights(), target.get_weights(), strict=True)]
    term.after_update(1)
    for found, expected in zip(target.get_weights(), before, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
