"""Q = V + tau kappa on a real tiny model: its gradient, its identities, what it evaluates."""

import numpy as np
import pytest
from copy_task import SIZE, make_model, make_sources, make_translations
from gradients import taken_log_probs, weight_gradients
from tiny_batches import HUBER, LENGTHS, TAU, along, directional, directions, numpy, trajectory_batch
from toy_mdp import soft_value

from nmt_rl.config import KLConfig
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.rl.episode import Episode, Origin, collate
from nmt_rl.rl.padding import shift_right
from nmt_rl.rl.q_network import KLNetwork
from nmt_rl.rl.targets import log_ratio, q_values
from nmt_rl.rl.value import ValueHead

pytestmark = pytest.mark.jax


@pytest.fixture(scope="module")
def network(model):
    return KLNetwork(model, make_model(), 2, KLConfig(), tau=TAU, huber=HUBER, target_rate=0.1, seed=1)


def gradient(network, model, batch):
    return weight_gradients(lambda trained, arrays, _: network.loss(trained, arrays), model, batch)


def test_the_gradient_is_minus_mean_clipped_delta_times_score(network, model):
    batch = trajectory_batch()
    _, gradients = gradient(network, model, batch)

    def log_pi():
        output = model.decode(batch["target_in"], model.encode(batch["source"]))
        return taken_log_probs(output.logits, batch["tokens"])

    w = batch["weights"]
    delta = batch["target"] - batch["value"] - TAU * (numpy(log_pi()) - batch["log_prior"])
    for direction in directions(model):
        slope = directional(log_pi, model, direction)
        by_hand = -(w * np.clip(delta, -HUBER, HUBER) * slope).sum() / w.sum()
        assert along(gradients, direction) == pytest.approx(by_hand, rel=5e-3, abs=1e-4)


def test_what_follows_the_end_changes_nothing(network, model):
    batch = trajectory_batch()
    behind = np.arange(max(LENGTHS)) >= np.array(LENGTHS)[:, None]
    other = {name: np.where(behind, 5.0, batch[name]).astype(np.float32) for name in ("log_prior", "value", "target")}
    other |= {"target_in": np.where(behind, 7, batch["target_in"]), "tokens": np.where(behind, 8, batch["tokens"])}
    (loss, gradients), (other_loss, others) = (gradient(network, model, each) for each in (batch, {**batch, **other}))
    assert behind.any() and loss == pytest.approx(other_loss, rel=1e-5) and loss > 0
    for a, b in zip(gradients, others, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_an_immediate_end_can_be_trained(network, model):
    """A translation that is nothing but EOS."""
    whole = trajectory_batch()
    batch = {name: array[:1, :1] for name, array in whole.items() if name not in ("source", "positions")}
    batch |= {"source": make_sources(1, 4), "tokens": np.array([[EOS]], np.int32)}
    batch["positions"] = np.zeros(1, np.int32)
    loss, gradients = gradient(network, model, batch)
    assert np.isfinite(loss) and max(np.abs(g).max() for g in gradients) > 1e-4


@pytest.mark.parametrize("tau", [0.005, 0.1, 1.0])
def test_the_soft_value_of_q_is_v_whatever_the_weights(model, prior, tau):
    """Equation (2): tau log sum_a prior(a|s) exp(Q(s, a) / tau) = V(s), over the whole vocabulary."""
    _, target_in = make_translations(LENGTHS)
    source = make_sources(3, 4)
    every = np.broadcast_to(np.arange(SIZE, dtype=np.int32), (*target_in.shape, SIZE))
    head = ValueHead(model.embeddings.width, 0, 8)
    head.out.kernel.assign(np.random.default_rng(0).normal(size=(8, 1)))
    outputs = [m.decode(target_in, m.encode(source)) for m in (model, prior)]
    log_pi, log_prior = (numpy(taken_log_probs(np.repeat(o.logits[:, :, None], SIZE, axis=2), every)) for o in outputs)
    v = numpy(head(outputs[0].states, None))
    q = q_values(v[..., None], log_ratio(log_pi, log_prior), tau)
    np.testing.assert_allclose(soft_value(q, log_prior, tau), v, atol=2e-6)
    assert np.ptp(q, axis=-1).min() > tau * 0.1 and np.ptp(v) > 1e-3


@pytest.fixture
def played():
    """Two translations of 3 and 5 pieces with drawn rewards and prior, as (batch, source, target_in)."""
    rng, episodes = np.random.default_rng(2), []
    for number, (ids, length) in enumerate(zip(make_translations((3, 5))[0], (3, 5), strict=True)):
        rewards, log_probs, prior = rng.uniform(-1.0, 0.0, (3, length)).astype(np.float32)
        features = rng.uniform(size=(length, 2)).astype(np.float32)
        episodes.append(Episode(number, number, 0, Origin.SAMPLE, ids[:length], rewards, log_probs, prior, features))
    batch = collate(episodes)
    return batch, make_sources(2, 4), shift_right(batch.tokens)


def test_the_target_network_is_what_targets_are_made_of(network, model, played):
    """V̄ and tau (log pi̅ - log pi_0); it has not moved with the policy."""
    batch, source, target_in = played
    start = model.get_weights()
    log_pi = numpy(taken_log_probs(model.decode(target_in, model.encode(source)).logits, batch.tokens))
    before = network.evaluate(batch, source, target_in)
    model.set_weights([w + 0.1 for w in start])
    after = network.evaluate(batch, source, target_in)
    model.set_weights(start)
    np.testing.assert_allclose(before.penalty, TAU * (log_pi - batch.prior_log_probs) * batch.mask, atol=1e-5)
    assert (before.penalty[~batch.mask] == 0.0).all()
    for name in ("value", "penalty"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert np.abs(after.kept["value"] - before.kept["value"]).max() > 1e-3


def test_v_is_fitted_to_the_target_less_the_penalty(network, played):
    """Once per batch, at real pieces only."""
    batch, source, target_in = played
    weights, tasks = batch.mask.astype(np.float32), []
    evaluated = network.evaluate(batch, source, target_in)
    y = np.where(batch.mask, 0.25, 1e6)
    update = network.value_learner.update
    network.value_learner.update = lambda batches, rate: tasks.extend(batches) or update(batches, rate)
    losses = [network.fit(evaluated, batch, y, weights)[1]["value_loss"] for _ in range(30)]
    network.value_learner.update = update
    np.testing.assert_allclose(tasks[0]["target"][batch.mask], (0.25 - evaluated.penalty)[batch.mask], atol=1e-6)
    assert losses[-1] < losses[0] < 100
