import numpy as np
import pytest
import toy_mdp
from copy_task import make_model, make_sources
from gradients import finite_difference, log_softmax
from gradients import value_and_gradient as uncompiled_value_and_gradient
from keras import ops
from toy_mdp import STATES

from nmt_rl.backend import compile_fn
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.decoding.generator import Generator
from nmt_rl.rl import losses, targets
from nmt_rl.rl import policy_gradient as pg

SEED = 7


def value_and_gradient(function, x):
    """Of the compiled function, as in a training step; on JAX it is also several times faster."""
    return uncompiled_value_and_gradient(compile_fn(function), x)


def chosen(logits, actions):
    """log pi of one-hot actions, on the device."""
    return ops.sum(ops.log_softmax(logits) * np.asarray(actions, np.float32), -1)


def random_episodes(rows=4, time=3, pieces=5, seed=SEED):
    """Logits [rows, time, pieces], one-hot actions, and a mask of rows that end early."""
    rng = np.random.default_rng(seed)
    actions = np.eye(pieces)[rng.integers(0, pieces, (rows, time))]
    lengths = rng.permutation(np.resize(np.arange(1, time + 1), rows))
    return rng.normal(size=(rows, time, pieces)), actions, (np.arange(time) < lengths[:, None]).astype(np.float32)


# Advantages


def test_scst_by_hand():
    advantages = pg.scst_advantages([[0.2, 0.5], [0.3, 0.1]], [0.4, 0.1])
    np.testing.assert_allclose(advantages, [[-0.2, 0.1], [0.2, 0.0]], atol=1e-15)


def test_rloo_by_hand():
    advantages = pg.rloo_advantages([[0.2, 0.5, 0.8], [0.0, 0.0, 0.3]])
    np.testing.assert_allclose(advantages, [[-0.45, 0.0, 0.45], [-0.15, -0.15, 0.3]], atol=1e-15)


def test_reinforce_by_hand():
    returns = targets.monte_carlo_returns([[0.1, 0.2, 0.3], [0.4, 0.5, np.nan]], [[1.0, 1.0, 0.0], [1.0, 0.0, np.nan]])
    advantages = pg.reinforce_advantages(returns, [[0.5, 0.25, 0.0], [1.0, 0.0, np.inf]], [[1, 1, 1], [1, 1, 0]])
    np.testing.assert_allclose(advantages, [[0.1, 0.25, 0.3], [-0.1, 0.5, 0.0]], atol=1e-15)


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 0.7])
@pytest.mark.parametrize("samples", [2, 3, 5, 10])
def test_constant_reward_is_no_advantage(constant, samples):
    """Exactly 0: an optimizer that divides by the size of the gradient would blow up mere rounding."""
    scores = np.full((4, samples), constant)
    assert not pg.rloo_advantages(scores).any()
    assert not pg.scst_advantages(scores, scores[:, 0]).any()


def test_a_constant_added_to_the_reward_changes_no_advantage():
    scores = np.random.default_rng(0).uniform(size=(3, 5))
    np.testing.assert_allclose(pg.rloo_advantages(scores + 2.0), pg.rloo_advantages(scores), atol=1e-14)
    np.testing.assert_allclose(pg.rloo_advantages(scores).sum(axis=1), 0.0, atol=1e-14)
    shifted = pg.scst_advantages(scores + 2.0, scores[:, 0] + 2.0)
    np.testing.assert_allclose(shifted, pg.scst_advantages(scores, scores[:, 0]), atol=1e-14)


def test_scores_of_the_wrong_shape():
    with pytest.raises(ValueError, match="two samples"):
        pg.rloo_advantages([[0.5], [0.2]])
    with pytest.raises(ValueError, match="sources, samples"):
        pg.scst_advantages(np.zeros((3, 2)), np.zeros(2))


# MIXER


def test_mixer_moves_by_hand():
    assert [pg.mixer_moves(step, 2) for step in range(1, 7)] == [1, 1, 2, 2, 3, 3]


def test_mixer_split_by_hand():
    assert pg.mixer_split([7, 3, 1], moves=0, pieces=3).tolist() == [7, 3, 1]
    assert pg.mixer_split([7, 3, 1], moves=1, pieces=3).tolist() == [4, 0, 0]
    assert pg.mixer_split([7, 3, 1], moves=2, pieces=3).tolist() == [1, 0, 0]
    assert pg.mixer_split([7, 3, 1], moves=9, pieces=3).tolist() == [0, 0, 0]


def test_mixer_masks_by_hand():
    forced, sampled = pg.mixer_masks([2, 0, 3], lengths=[4, 2, 3], time=5)
    assert forced.astype(int).tolist() == [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 0, 0]]
    assert sampled.astype(int).tolist() == [[0, 0, 1, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]


def test_mixer_through_the_generator():
    """Sampled translations begin with the forced pieces; before the first move they are the references."""
    model, references = make_model(noise=0.5, seed=2), make_sources(6)
    lengths = (references != PAD).sum(axis=1)
    generate = Generator(model)
    for moves in (0, 1, 9):
        prefix_lengths = pg.mixer_split(lengths, moves, pieces=2)
        out = generate(references, 9, references, prefix_lengths, temperature=1.0, seed=3)
        forced, sampled = pg.mixer_masks(prefix_lengths, out.lengths, out.ids.shape[1])
        width = min(out.ids.shape[1], references.shape[1])
        np.testing.assert_array_equal(out.ids[:, :width][forced[:, :width]], references[:, :width][forced[:, :width]])
        np.testing.assert_array_equal(forced.sum(axis=1), prefix_lengths)
        np.testing.assert_array_equal(forced | sampled, out.ids != PAD)
        if moves == 0:
            np.testing.assert_array_equal(out.ids, references[:, : out.ids.shape[1]])
            assert not sampled.any()
        if moves == 9:
            assert not forced.any()


def test_mixer_is_cross_entropy_and_policy_gradient():
    """With advantage 1 on forced pieces, the gradient is that of the sum of both losses over all pieces."""
    z, actions, weights = random_episodes()
    forced, sampled = pg.mixer_masks([1, 0, 2, 0], weights.sum(axis=1), 3)
    advantages = np.random.default_rng(1).normal(size=(4, 3))
    mixed = np.where(forced, 1.0, advantages)
    _, gradient = value_and_gradient(lambda x: pg.policy_gradient_loss(chosen(x, actions), mixed, forced | sampled), z)

    def both(x):
        log_pi = (log_softmax(x) * actions).sum(-1)
        return -(log_pi * forced).sum() / weights.sum() - (advantages * log_pi * sampled).sum() / weights.sum()

    np.testing.assert_allclose(gradient, finite_difference(both, z), atol=1e-6)


# Duplicates


def test_dedupe_by_hand():
    ids = [[5, 6, 3, 0], [5, 3, 0, 0], [5, 6, 3, 9], [5, 6, 3, 0], [5, 3, 7, 7], [5, 6, 7, 3]]
    first = pg.dedupe(ids, lengths=[3, 2, 3, 3, 2, 4], source_index=[0, 0, 0, 1, 0, 0])
    assert first.tolist() == [True, True, False, True, False, True]


def test_dedupe_against_a_set():
    rng = np.random.default_rng(2)
    ids, lengths, source = rng.integers(0, 2, (200, 4)), rng.integers(1, 5, 200), rng.integers(0, 3, 200)
    seen, expected = set(), []
    for row, length, index in zip(ids, lengths, source, strict=True):
        key = (index, *row[:length])
        expected.append(key not in seen)
        seen.add(key)
    assert 0 < sum(expected) < 200
    assert pg.dedupe(ids, lengths, source).tolist() == expected


# Policy gradient


@pytest.mark.jax
def test_policy_gradient_by_hand():
    value, gradient = value_and_gradient(
        lambda x: pg.policy_gradient_loss(x, [0.5, -0.25], np.array([[1, 1], [1, 0]], np.float32)),
        [[-1.0, -2.0], [-3.0, np.nan]],
    )
    assert value == pytest.approx((0.5**2 + 0.5**2 + 0.25**2) / 2 / 3)
    np.testing.assert_allclose(gradient, [[-1 / 6, -1 / 6], [1 / 12, 0.0]], atol=1e-7)


@pytest.mark.parametrize("by_step", [True, pytest.param(False, marks=pytest.mark.jax)])
def test_policy_gradient_is_that_of_the_surrogate(by_step):
    """-mean A log pi by finite differences, through log-softmax."""
    z, actions, weights = random_episodes()
    advantages = np.random.default_rng(3).normal(size=(4, 3) if by_step else 4)
    _, gradient = value_and_gradient(lambda x: pg.policy_gradient_loss(chosen(x, actions), advantages, weights), z)
    spread = advantages if by_step else advantages[:, None]

    def surrogate(x):
        return -(weights * spread * (log_softmax(x) * actions).sum(-1)).sum() / weights.sum()

    np.testing.assert_allclose(gradient, finite_difference(surrogate, z), atol=1e-6)


def test_without_weights_all_steps_count():
    log_pi, advantages = np.full((2, 3), -1.0), np.arange(6.0).reshape(2, 3)
    value, gradient = value_and_gradient(lambda x: pg.policy_gradient_loss(x, advantages), log_pi)
    assert value == pytest.approx(55 / 12)
    np.testing.assert_allclose(gradient, -advantages / 6, atol=1e-6)


@pytest.mark.jax
def test_rloo_is_the_trajectory_gradient():
    """lambda = 1, the others' mean as baseline, policy = prior: the Q-network's trajectory gradient is RLOO's."""
    z, actions, mask = random_episodes(rows=6)
    rewards = np.where(mask, np.random.default_rng(4).uniform(0, 0.4, mask.shape), 0.0)
    discounts = np.where(np.arange(3) < mask.sum(axis=1, keepdims=True) - 1, 1.0, 0.0)
    scores = rewards.sum(axis=1).reshape(2, 3)
    before = np.cumsum(rewards, axis=1) - rewards
    others = (scores.sum(axis=1, keepdims=True) - scores) / 2
    value = others.reshape(-1, 1) - before
    log_pi = (log_softmax(z) * actions).sum(-1)
    kappa = targets.log_ratio(log_pi, log_pi)
    target = targets.soft_lambda_targets(
        rewards, discounts, targets.next_step(value), targets.next_step(0.02 * kappa), 1.0, mask
    )
    prior, value32, target32 = (np.asarray(x, np.float32) for x in (log_pi, value, target))
    _, trajectory = value_and_gradient(
        lambda x: losses.trajectory_loss(chosen(x, actions), prior, value32, target32, 0.02, 0.0, mask), z
    )
    advantages = pg.rloo_advantages(scores).reshape(-1)
    _, rloo = value_and_gradient(lambda x: pg.policy_gradient_loss(chosen(x, actions), advantages, mask), z)
    np.testing.assert_allclose(rloo, trajectory, atol=1e-6)
    assert np.abs(rloo).max() > 1e-3


@pytest.mark.jax
def test_constant_reward_moves_reinforce_without_baseline():
    """Choshen et al. (2020): whatever was sampled becomes likelier although all translations are worth the same."""
    z, actions, weights = random_episodes()
    # Delta rewards that telescope to 0.5 are one way to pay it; at the end is another.
    returns = np.full((4, 3), 0.5)

    def gradient(advantages):

        def loss(x):
            return pg.policy_gradient_loss(chosen(x, actions), advantages, weights)

        return value_and_gradient(loss, z)[1]

    bare = gradient(pg.reinforce_advantages(returns, 0.0, weights))
    expected = -0.5 * weights[..., None] * (actions - np.exp(log_softmax(z))) / weights.sum()
    np.testing.assert_allclose(bare, expected, atol=1e-7)
    gain = ((log_softmax(z - bare) - log_softmax(z)) * actions).sum(-1)
    assert (gain[weights > 0] > 0).all()
    assert not gradient(pg.reinforce_advantages(returns, returns, weights)).any()
    assert not gradient(pg.rloo_advantages(np.full((1, 4), 0.5)).reshape(-1)).any()


def test_constant_reward_sharpens_when_samples_are_sharper_than_the_policy():
    """The expected update for one state: none on policy; from p^2 (temperature 1/2) the entropy falls."""
    z = np.log([[[0.5, 0.3, 0.2]]])
    p = np.exp(z)[0, 0]
    rows, actions = np.repeat(z, 3, axis=0), np.eye(3)[:, None, :]

    def update(behaviour):
        weights = behaviour[:, None].astype(np.float32)

        def loss(x):
            return pg.policy_gradient_loss(chosen(x, actions), np.ones(3), weights)

        return -value_and_gradient(loss, rows)[1].sum(axis=(0, 1))

    def entropy(logits):
        return -(np.exp(log_softmax(logits)) * log_softmax(logits)).sum()

    assert np.abs(update(p)).max() < 1e-7
    sharper = p**2 / (p**2).sum()
    np.testing.assert_allclose(update(sharper), sharper - p, atol=1e-6)
    assert entropy(z[0, 0] + update(sharper)) < entropy(z[0, 0])


# Minimum risk


def plain_risk(log_pi, scores, source_index, alpha):
    """The definition, source by source, in float64."""
    risks = []
    for source in np.unique(source_index):
        here = source_index == source
        q = np.exp(log_softmax(alpha * log_pi[here]))
        risks.append(-(q * scores[here]).sum())
    return np.mean(risks)


@pytest.mark.parametrize(
    ("alpha", "value", "gradient"), [(1.0, -0.35, [-1 / 30, 1 / 30, 0.0]), (2.0, -0.37, [-0.048, 0.048, 0.0])]
)
def test_risk_by_hand(alpha, value, gradient):
    """Two translations of probability 1/2 and 1/4, scores .6 and .3, and a source with one: Q = 2/3, 1/3 or .8, .2."""
    log_pi, scores = np.log([0.5, 0.25, 0.1]), [0.6, 0.3, 0.2]
    risk = value_and_gradient(lambda x: pg.risk_loss(x, scores, [1, 1, 0], 2, alpha), log_pi)
    assert risk[0] == pytest.approx(value)
    np.testing.assert_allclose(risk[1], gradient, atol=1e-7)


@pytest.mark.parametrize("alpha", [0.005, pytest.param(0.3, marks=pytest.mark.jax), 1.0])
def test_risk_by_finite_differences(alpha):
    rng = np.random.default_rng(5)
    log_pi, scores, source = rng.uniform(-30.0, -5.0, 9), rng.uniform(size=9), np.array([0, 2, 2, 0, 1, 1, 0, 2, 0])
    value, gradient = value_and_gradient(lambda x: pg.risk_loss(x, scores, source, 3, alpha), log_pi)
    assert value == pytest.approx(plain_risk(log_pi, scores, source, alpha), rel=1e-5)
    by_difference = finite_difference(lambda x: plain_risk(x, scores, source, alpha), log_pi)
    np.testing.assert_allclose(gradient, by_difference, atol=1e-6 * max(alpha, 0.1), rtol=1e-4)


@pytest.mark.jax
def test_constant_reward_is_no_risk_gradient():
    log_pi, source = np.random.default_rng(6).uniform(-30, -5, 12), np.repeat([0, 1, 2], 4)
    value, gradient = value_and_gradient(lambda x: pg.risk_loss(x, np.full(12, 0.7), source, 3, 0.3), log_pi)
    assert value == pytest.approx(-0.7)
    assert not gradient.any()


@pytest.mark.parametrize("samples", [2, 5])
def test_risk_tends_to_rloo(samples):
    """For alpha -> 0 the risk's gradient is alpha (n - 1) / n^2 times RLOO's sum over translations."""
    z, actions, weights = random_episodes(rows=samples)
    scores, alpha = np.random.default_rng(8).uniform(size=samples), 1e-4

    def risk(x):
        log_pi = pg.sequence_log_prob(chosen(x, actions), weights)
        return pg.risk_loss(log_pi, scores, np.zeros(samples, int), 1, alpha)

    advantages = pg.rloo_advantages(scores[None])[0]
    rloo = value_and_gradient(lambda x: pg.policy_gradient_loss(chosen(x, actions), advantages, weights), z)[1]
    # `policy_gradient_loss` is the mean over pieces.
    factor = alpha * (samples - 1) / samples**2 * weights.sum()
    np.testing.assert_allclose(value_and_gradient(risk, z)[1] / factor, rloo, atol=1e-4)
    assert np.abs(rloo).max() > 0.01


@pytest.mark.jax
def test_rows_left_out_of_the_risk():
    """As if the rows of weight 0 were not there, even if a source keeps none."""
    log_pi, scores = np.array([-3.0, -2.0, -4.0, -1.0]), np.array([0.1, 0.7, 0.4, 0.9])
    few = value_and_gradient(lambda x: pg.risk_loss(x, scores[:2], [0, 0], 1, 0.5), log_pi[:2])
    all_rows = value_and_gradient(
        lambda x: pg.risk_loss(x, scores, [0, 0, 0, 1], 3, 0.5, [True, True, False, False]), log_pi
    )
    assert all_rows[0] == pytest.approx(few[0])
    np.testing.assert_allclose(all_rows[1], [*few[1], 0.0, 0.0], atol=1e-8)


def test_risk_of_nothing():
    value, gradient = value_and_gradient(lambda x: pg.risk_loss(x, [0.5, 0.2], [0, 0], 1, 0.5, [0, 0]), [-1.0, -2.0])
    assert value == 0.0
    assert not gradient.any()


# Behind the end

JUNK = [pytest.param(np.nan, marks=pytest.mark.jax), np.inf, -np.inf, 1e9]


@pytest.mark.parametrize("junk", JUNK)
def test_nothing_behind_the_end_matters_to_the_policy_gradient(junk):
    rng = np.random.default_rng(9)
    log_pi, advantages = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    weights = (np.arange(4) < np.array([[4], [2], [0]])).astype(np.float32)

    def run():
        return value_and_gradient(lambda x: pg.policy_gradient_loss(x, advantages, weights), log_pi)

    clean = run()
    log_pi[weights == 0] = advantages[weights == 0] = junk
    dirty = run()
    assert dirty[0] == clean[0] != 0.0
    np.testing.assert_array_equal(dirty[1], clean[1])
    assert (clean[1][weights == 0] == 0).all() and (clean[1][weights == 1] != 0).all()


@pytest.mark.parametrize("junk", JUNK)
def test_nothing_behind_the_end_matters_to_the_risk(junk):
    """Neither pieces behind the end of a translation nor rows left out."""
    rng = np.random.default_rng(10)
    log_pi, scores, kept = rng.normal(size=(4, 3)), rng.uniform(size=4), np.array([1.0, 1.0, 1.0, 0.0])
    pieces = (np.arange(3) < np.array([[3], [1], [2], [3]])).astype(np.float32)
    used = (pieces * kept[:, None]) > 0

    def run():

        def loss(x):
            return pg.risk_loss(pg.sequence_log_prob(x, pieces), scores, [0, 0, 1, 1], 2, 0.4, kept)

        return value_and_gradient(loss, log_pi)

    clean = run()
    log_pi[~used], scores[3] = junk, junk
    dirty = run()
    assert dirty[0] == clean[0] != 0.0
    np.testing.assert_array_equal(dirty[1], clean[1])
    # The third row is alone with its source, so its Q is 1 whatever its probability.
    assert (clean[1][:2][used[:2]] != 0).all() and not clean[1][~used].any() and not clean[1][2].any()


def test_sequence_log_prob_by_hand():
    total = pg.sequence_log_prob(
        ops.convert_to_tensor([[-1.0, -2.0, np.nan], [-0.5, -1.5, -3.0]], "float32"), [[1, 1, 0], [1, 1, 1]]
    )
    np.testing.assert_allclose(ops.convert_to_numpy(total), [-3.0, -5.0])


# The toy token-MDP: expected gradients, over all episodes, against the gradient of the expected return


EPISODES = toy_mdp.episode_arrays()


def toy_logits():
    return np.random.default_rng(11).normal(size=(len(STATES), 3))


def episode_log_pi(logits):
    """log pi of every step of every episode [episodes, time], float64."""
    states, actions, *_ = EPISODES
    return log_softmax(logits)[states, actions]


def episode_probability(logits):
    return np.exp(np.where(EPISODES[-1], episode_log_pi(logits), 0.0).sum(axis=1))


def expected_return(logits):
    """J = sum_y p(y) R(y), R the sum of the rewards."""
    return episode_probability(logits) @ (EPISODES[2] * EPISODES[-1]).sum(axis=1)


def device_log_pi(logits, rows):
    states, actions, *_ = EPISODES
    table = np.eye(len(STATES) * 3, dtype=np.float32)[states[rows] * 3 + actions[rows]]
    return ops.matmul(table, ops.reshape(ops.log_softmax(logits), [-1, 1]))[..., 0]


def expected_gradient(rows, advantages, probability):
    """sum over rows of their probability times sum_t A_t grad log pi, from the loss, which divides by the weights."""
    weights = (EPISODES[-1][rows] * probability[:, None]).astype(np.float32)
    logits = toy_logits()

    def loss(x):
        return pg.policy_gradient_loss(device_log_pi(x, rows), advantages, weights)

    return -value_and_gradient(loss, logits)[1] * weights.sum()


def test_toy_episodes_are_all():
    assert episode_probability(toy_logits()).sum() == pytest.approx(1.0, abs=1e-12)
    assert np.abs(finite_difference(expected_return, toy_logits())).max() > 0.01


@pytest.mark.parametrize("baseline", ["none", "state"])
def test_expected_reinforce_gradient(baseline):
    states, _, rewards, discounts, mask = EPISODES
    table = np.random.default_rng(12).normal(size=len(STATES)) if baseline == "state" else np.zeros(len(STATES))
    returns = targets.monte_carlo_returns(rewards, discounts)
    advantages = pg.reinforce_advantages(returns, table[states], mask)
    gradient = expected_gradient(np.arange(len(mask)), advantages, episode_probability(toy_logits()))
    np.testing.assert_allclose(gradient, finite_difference(expected_return, toy_logits()), atol=2e-6)


def test_expected_scst_gradient():
    """The greedy translation's score does not depend on the sample, so it is a baseline like any other."""
    _, _, rewards, _, mask = EPISODES
    scores = (rewards * mask).sum(axis=1)
    logits, initial = toy_logits(), toy_mdp.phi(())
    greedy = toy_mdp.greedy_return((), lambda state: int(np.argmax(logits[toy_mdp.INDEX[state]]))) - initial
    advantages = pg.scst_advantages(scores[None], [greedy])[0]
    gradient = expected_gradient(np.arange(len(mask)), advantages, episode_probability(logits))
    np.testing.assert_allclose(gradient, finite_difference(expected_return, logits), atol=2e-6)


@pytest.mark.jax
def test_expected_rloo_gradient():
    """All pairs of independent samples."""
    _, _, rewards, _, mask = EPISODES
    scores, probability = (rewards * mask).sum(axis=1), episode_probability(toy_logits())
    pairs = np.stack(np.meshgrid(np.arange(len(mask)), np.arange(len(mask)), indexing="ij"), -1).reshape(-1, 2)
    advantages = pg.rloo_advantages(scores[pairs]).reshape(-1)
    both = np.repeat(probability[pairs].prod(axis=1), 2)
    gradient = expected_gradient(pairs.reshape(-1), advantages, both) / 2
    np.testing.assert_allclose(gradient, finite_difference(expected_return, toy_logits()), atol=2e-6)


@pytest.mark.jax
def test_risk_over_all_episodes_is_the_expected_return():
    """alpha = 1 and S(x) everything: Q is the policy itself."""
    _, _, rewards, _, mask = EPISODES
    scores, rows = (rewards * mask).sum(axis=1), np.arange(len(mask))

    def risk(x):
        return pg.risk_loss(pg.sequence_log_prob(device_log_pi(x, rows), mask), scores, np.zeros_like(rows), 1, 1.0)

    value, gradient = value_and_gradient(risk, toy_logits())
    assert value == pytest.approx(-expected_return(toy_logits()), abs=1e-6)
    np.testing.assert_allclose(gradient, -finite_difference(expected_return, toy_logits()), atol=2e-6)
