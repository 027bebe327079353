"""What summands of the loss have in common."""

import numpy as np
import pytest
from copy_task import make_corpus, make_model, make_sources, make_translations
from gradients import weight_gradients
from tiny_batches import HUBER, LENGTHS, TAU, fork_batch, trajectory_batch

from nmt_rl.config import KLConfig, TrajectoryConfig
from nmt_rl.rl.forks import ForkTerm
from nmt_rl.rl.q_network import KLNetwork
from nmt_rl.rl.references import ReferenceTerm
from nmt_rl.rl.term import Objective, below, root_mean_square
from nmt_rl.rl.trajectories import TrajectoryTerm
from nmt_rl.training.learner import joined

pytestmark = pytest.mark.jax

CORPUS = make_corpus(1)


@pytest.fixture(scope="module")
def terms(model):
    network = KLNetwork(model, make_model(), 2, KLConfig(), tau=TAU, huber=HUBER, target_rate=0.1, seed=1)
    return {
        "fork": ForkTerm(model, CORPUS, 2, TAU, HUBER),
        "trajectory": TrajectoryTerm(network, CORPUS, TrajectoryConfig(), 10, 32),
        "reference": ReferenceTerm(model, CORPUS, 0.0, 0.5),
    }


@pytest.fixture(scope="module")
def batch():
    tokens, target_in = make_translations(LENGTHS)
    reference = {"source": make_sources(3, 4), "target_in": target_in, "labels": tokens.reshape(-1)}
    reference["positions"] = np.arange(tokens.size, dtype=np.int32)
    return {
        "fork": fork_batch(make_model(noise=0.5, seed=6)),
        "trajectory": trajectory_batch(),
        "reference": reference,
    }


def test_terms_add_up_with_their_weights(model, terms, batch):
    whole = Objective(terms.values())(model, batch, True)
    parts = {name: float(term.loss(model, batch[name], True)["loss"]) for name, term in terms.items()}
    by_hand = parts["fork"] + parts["trajectory"] + 0.5 * parts["reference"]
    assert float(whole["loss"]) == pytest.approx(by_hand, rel=1e-5)
    assert set(whole) == {"loss", "td_error", "cross_entropy", "fork/errors", "trajectory/errors"}


@pytest.mark.parametrize("name", ["fork", "trajectory", "reference"])
def test_parts_of_a_batch_add_up_to_the_whole(model, terms, batch, name):
    """4 forks and 2, or a translation and two: loss and gradient, with the shares of batches that are one update."""
    whole = batch[name]
    if name == "fork":
        cut = list(whole)[2:]
        parts = [whole | {key: whole[key][forks] for key in cut} for forks in (slice(0, 4), slice(4, 6))]
    else:
        flat = {key: whole[key].reshape(3, -1) for key in ("positions", "labels") if key in whole}
        parts = [{key: array[rows] for key, array in (whole | flat).items()} for rows in (slice(0, 1), slice(1, 3))]
        for part in parts:
            part |= {key: part[key].reshape(-1) for key in flat}
            part["positions"] = np.arange(len(part["positions"]), dtype=np.int32)
    term = terms[name]
    shared = joined(parts, [term.size(part) for part in parts])
    loss, gradients = weight_gradients(Objective([term]), model, {name: whole})
    found = [weight_gradients(Objective([term]), model, {name: part}) for part in shared]
    assert sum(each for each, _ in found) == pytest.approx(loss, rel=1e-5)
    for gradient, *each in zip(gradients, *(part for _, part in found), strict=True):
        np.testing.assert_allclose(sum(each), gradient, rtol=1e-5, atol=3e-6)


def test_below_by_hand():
    assert below({"a/b": 1, "a/b/c": 2, "ab/d": 3}, "a/") == {"b": 1, "b/c": 2}


def test_root_mean_square_by_hand():
    """Of -3 and 4 with the weights 1 and 1; of nothing 0."""
    delta, weights = np.array([-3.0, 4.0, 99.0], np.float32), np.array([1.0, 1.0, 0.0], np.float32)
    assert float(root_mean_square(delta, weights)) == pytest.approx(12.5**0.5)
    assert float(root_mean_square(delta, 0 * weights)) == 0.0
