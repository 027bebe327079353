"""The fine-tuning objective on a real tiny model: gradient identities, masks, and the policy it starts from."""

from types import SimpleNamespace

import numpy as np
import pytest
from copy_task import (
    SIZE,
    make_config,
    make_corpus,
    make_model,
    make_reward,
    make_sources,
    make_translations,
    tokenizers,
)
from gradients import taken_log_probs, weight_gradients
from keras import ops
from toy_mdp import soft_value

from nmt_rl.config import DecodingConfig
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.decoding.search import Searcher
from nmt_rl.rl.family import build_family, copy_of
from nmt_rl.rl.forks import logit_difference
from nmt_rl.rl.targets import log_ratio, q_values
from nmt_rl.rl.term import Objective
from nmt_rl.rl.value import ValueHead
from nmt_rl.training.learner import joined

pytestmark = pytest.mark.jax

LENGTHS = (5, 3, 4)
TAU = 0.3
HUBER = 0.2


@pytest.fixture(scope="module")
def model():
    return make_model(noise=0.5, seed=5)


@pytest.fixture(scope="module")
def prior():
    return make_model(noise=0.5, seed=6)


numpy = ops.convert_to_numpy


def objective(**settings):
    """The terms of an experiment; which model is trained is for the caller."""
    prepared = SimpleNamespace(train=make_corpus(1), tokenizers=tokenizers())
    family = build_family(make_config(huber=HUBER, **settings), make_model(), prepared, make_reward())
    return Objective(family.terms)


def fork_batch(prior, seed=0):
    """Six forks on three translations, their values drawn."""
    rng, width = np.random.default_rng(seed), max(LENGTHS)
    _, target_in = make_translations(LENGTHS)
    row, time = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 4, 1, 2, 0, 3])
    batch = {
        "source": make_sources(3, 4),
        "target_in": target_in,
        "positions": (row * width + time).astype(np.int32),
        "actions": rng.permuted(np.tile(np.arange(3, SIZE, dtype=np.int32), (6, 1)), axis=1)[:, :2],
    }
    batch["prior_difference"] = numpy(logit_difference(prior, *batch.values()))
    batch["value_difference"] = rng.uniform(-0.5, 0.5, 6).astype(np.float32)
    return batch | {"weights": np.ones(6, np.float32), "tau": np.float32(TAU)}


def fork_inputs(batch):
    return [batch[name] for name in ("source", "target_in", "positions", "actions")]


def trajectory_batch(seed=0):
    """Three translations with drawn prior, values and targets."""
    rng = np.random.default_rng(seed)
    tokens, target_in = make_translations(LENGTHS)
    drawn = rng.uniform(-1.0, 1.0, (3, *tokens.shape)).astype(np.float32)
    return {
        "source": make_sources(3, 4),
        "target_in": target_in,
        "tokens": tokens,
        "positions": np.arange(tokens.size, dtype=np.int32),
        "log_prior": drawn[0] - 2.0,
        "value": drawn[1],
        "target": drawn[2],
        "weights": (tokens != PAD).astype(np.float32),
        "tau": np.float32(TAU),
    }


def directional(scores_of, model, direction, step=3e-3):
    """Central difference of a vector of scores along a direction of the weights."""
    start = model.get_weights()
    ends = []
    for sign in (1.0, -1.0):
        model.set_weights([w + sign * step * d for w, d in zip(start, direction, strict=True)])
        ends.append(numpy(scores_of()).astype(np.float64))
    model.set_weights(start)
    return (ends[0] - ends[1]) / (2 * step)


def directions(model, count=3):
    rng = np.random.default_rng(9)
    for _ in range(count):
        drawn = [rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()]
        norm = np.sqrt(sum((d**2).sum() for d in drawn))
        yield [d / norm for d in drawn]


def along(gradients, direction):
    return sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))


def test_fork_gradient_is_minus_mean_clipped_delta_times_gradient_of_the_difference(model, prior):
    batch = fork_batch(prior)
    delta = np.array([-0.5, -0.1, 0.05, 0.15, 0.3, 0.6], np.float32)
    clipped = np.array([-0.2, -0.1, 0.05, 0.15, 0.2, 0.2])
    difference = numpy(logit_difference(model, *fork_inputs(batch)))
    batch["value_difference"] = delta + TAU * (difference - batch["prior_difference"])
    _, gradients = weight_gradients(objective(), model, {"fork": batch})
    for direction in directions(model):
        slope = directional(lambda: logit_difference(model, *fork_inputs(batch)), model, direction)
        assert along(gradients, direction) == pytest.approx(-(clipped * slope).mean(), rel=5e-3, abs=1e-4)
        assert np.abs(slope).max() > 0.1


def test_trajectory_gradient_is_minus_mean_clipped_delta_times_score(model):
    batch = trajectory_batch()
    _, gradients = weight_gradients(objective(objective="trajectory"), model, {"trajectory": batch})

    def log_pi():
        output = model.decode(batch["target_in"], model.encode(batch["source"]))
        return taken_log_probs(output.logits, batch["tokens"])

    w = batch["weights"]
    delta = batch["target"] - batch["value"] - TAU * (numpy(log_pi()) - batch["log_prior"])
    for direction in directions(model):
        slope = directional(log_pi, model, direction)
        by_hand = -(w * np.clip(delta, -HUBER, HUBER) * slope).sum() / w.sum()
        assert along(gradients, direction) == pytest.approx(by_hand, rel=5e-3, abs=1e-4)


def test_a_constant_reward_has_no_gradient_at_initialisation(prior):
    """The policy is the prior and every difference of values is 0: nothing can be learnt from sharpening."""
    batch = fork_batch(prior)
    flat = {**batch, "value_difference": np.zeros(6, np.float32)}
    loss, gradients = weight_gradients(objective(), prior, {"fork": flat})
    assert loss < 1e-12 and max(np.abs(g).max() for g in gradients) < 1e-5
    _, gradients = weight_gradients(objective(), prior, {"fork": {**flat, "tau": np.float32(0.0)}})
    assert all((g == 0.0).all() for g in gradients)
    _, gradients = weight_gradients(objective(), prior, {"fork": batch})
    assert max(np.abs(g).max() for g in gradients) > 1e-2


def test_padding_forks_change_nothing(model, prior):
    batch = fork_batch(prior)
    padded = {name: np.concatenate([batch[name], batch[name][:3]]) for name in list(batch)[2:-1]}
    padded["weights"][6:] = 0.0
    padded["value_difference"][6:] = [np.nan, 7.0, np.inf]
    assert_same_update("fork", batch, {**batch, **padded}, model)


def test_what_follows_the_end_changes_nothing(model, prior):
    forks, trajectory = fork_batch(prior), trajectory_batch()
    behind = np.arange(max(LENGTHS)) >= np.array(LENGTHS)[:, None]
    assert behind.any()
    other_in = {"target_in": np.where(behind, 7, forks["target_in"])}
    assert_same_update("fork", forks, {**forks, **other_in}, model)
    other = {name: np.where(behind, 5.0, trajectory[name]) for name in ("log_prior", "value", "target")}
    other = {name: array.astype(np.float32) for name, array in other.items()}
    other |= other_in | {"tokens": np.where(behind, 8, trajectory["tokens"])}
    assert_same_update("trajectory", trajectory, {**trajectory, **other}, model)


def assert_same_update(name, first, second, model):
    summed = objective(objective=name)
    (loss, gradients), (other_loss, other) = (weight_gradients(summed, model, {name: b}) for b in (first, second))
    assert loss == pytest.approx(other_loss, rel=1e-5) and loss > 0
    for a, b in zip(gradients, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_terms_add_up_with_their_weights(model, prior):
    fork, trajectory = {"fork": fork_batch(prior)}, {"trajectory": trajectory_batch()}
    tokens, target_in = make_translations(LENGTHS)
    labels = tokens.reshape(-1)
    reference = {"source": make_sources(3, 4), "target_in": target_in, "labels": labels}
    reference["positions"] = np.arange(len(labels), dtype=np.int32)
    both = objective(objective="both", trajectory_weight=0.25, cross_entropy=0.5)
    plain = {"fork": objective(), "trajectory": objective(objective="trajectory")}
    plain["reference"] = objective(objective="cross-entropy")
    whole = both(model, {**fork, **trajectory, "reference": reference}, True)
    alone = (fork, trajectory, {"reference": reference})
    parts = [float(plain[name](model, batch, True)["loss"]) for batch in alone for name in batch]
    assert float(whole["loss"]) == pytest.approx(parts[0] + 0.25 * parts[1] + 0.5 * parts[2], rel=1e-5)
    assert set(whole) == {"loss", "td_error", "trajectory_td_error", "cross_entropy"}


@pytest.mark.parametrize("name", ["fork", "trajectory"])
def test_parts_of_a_batch_add_up_to_the_whole(model, prior, name):
    """4 forks and 2, or a translation and two: loss and gradient, with the shares of batches that are one update."""
    summed = objective(objective=name)
    (term,) = summed.terms
    if name == "fork":
        batch = fork_batch(prior)
        cut = list(batch)[2:-1]
        parts = [batch | {key: batch[key][forks] for key in cut} for forks in (slice(0, 4), slice(4, 6))]
    else:
        batch, width = trajectory_batch(), max(LENGTHS)
        cut = [key for key in batch if key not in ("positions", "tau")]
        parts = [batch | {key: batch[key][rows] for key in cut} for rows in (slice(0, 1), slice(1, 3))]
        for part in parts:
            part["positions"] = np.arange(width * len(part["tokens"]), dtype=np.int32)
    shared = joined(parts, [term.size(part) for part in parts])
    loss, gradients = weight_gradients(summed, model, {name: batch})
    found = [weight_gradients(summed, model, {name: part}) for part in shared]
    assert sum(each for each, _ in found) == pytest.approx(loss, rel=1e-5)
    for whole, *each in zip(gradients, *(part for _, part in found), strict=True):
        np.testing.assert_allclose(sum(each), whole, atol=1e-6)


def test_the_reported_td_error_is_the_root_mean_square(model, prior):
    batch = fork_batch(prior)
    difference = numpy(logit_difference(model, *fork_inputs(batch)))
    delta = batch["value_difference"] - TAU * (difference - batch["prior_difference"])
    result = objective()(model, {"fork": batch}, True)
    assert float(result["td_error"]) == pytest.approx(np.sqrt((delta**2).mean()), rel=1e-4)


def test_the_policy_starts_as_the_prior(prior):
    """Advantage 0 in every state, and the same beam search, bit by bit."""
    policy = copy_of(prior, make_config())
    source = make_sources(4)
    found, expected = (Searcher(m, DecodingConfig(beam=2))(source, 7) for m in (policy, prior))
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)
    _, target_in = make_translations((5, 4, 3, 5))
    log_pi, log_prior = (numpy(ops.log_softmax(m.decode(target_in, m.encode(source)).logits)) for m in (policy, prior))
    assert (TAU * log_ratio(log_pi, log_prior) == 0.0).all()


@pytest.mark.parametrize("tau", [0.005, 0.1, 1.0])
def test_the_soft_value_of_q_is_v_whatever_the_weights(model, prior, tau):
    """Equation (2): tau log sum_a prior(a|s) exp(Q(s, a) / tau) = V(s), over the whole vocabulary."""
    _, target_in = make_translations(LENGTHS)
    source = make_sources(3, 4)
    every = np.broadcast_to(np.arange(SIZE, dtype=np.int32), (*target_in.shape, SIZE))
    head = ValueHead(model.embeddings.width, 0, 8)
    head.out.kernel.assign(np.random.default_rng(0).normal(size=(8, 1)))
    outputs = [m.decode(target_in, m.encode(source)) for m in (model, prior)]
    log_pi, log_prior = (numpy(taken_log_probs(ops.repeat(o.logits[:, :, None], SIZE, axis=2), every)) for o in outputs)
    v = numpy(head(outputs[0].states, None))
    q = q_values(v[..., None], log_ratio(log_pi, log_prior), tau)
    np.testing.assert_allclose(soft_value(q, log_prior, tau), v, atol=2e-6)
    assert np.ptp(q, axis=-1).min() > tau * 0.1 and np.ptp(v) > 1e-3


def test_an_immediate_end_can_be_trained(model):
    """A translation that is nothing but EOS."""
    whole = trajectory_batch()
    batch = {name: array[:1, :1] for name, array in whole.items() if name not in ("source", "positions", "tau")}
    batch |= {"source": make_sources(1, 4), "tokens": np.array([[EOS]], np.int32), "tau": whole["tau"]}
    batch["positions"] = np.zeros(1, np.int32)
    loss, gradients = weight_gradients(objective(objective="trajectory"), model, {"trajectory": batch})
    assert np.isfinite(loss) and max(np.abs(g).max() for g in gradients) > 1e-4
