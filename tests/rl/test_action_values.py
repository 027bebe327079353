"""Q-networks with a value per piece, on a real tiny model: what they evaluate, what their loss trains."""

import numpy as np
import pytest
from copy_task import Student, make_config, make_corpus, make_model
from keras import ops

from nmt_rl.corpus.tokenizer import BOS, PAD, UNK
from nmt_rl.models.q_guided import QGuided
from nmt_rl.rl.episode import collate
from nmt_rl.rl.padding import corpus_sources, shift_right

pytestmark = pytest.mark.jax

CORPUS = make_corpus(30)
START = make_model(noise=0.4, seed=3).get_weights()


def student(q, **part):
    method = {"type": "trajectory", "q": q, "tau": 0.1, "monte_carlo": 0.0, "trace": 0.0, **part}
    return Student(START, make_config(method=method, sentences=4), CORPUS)


def play(learner):
    """Episodes of the next sentences."""
    sentences = learner.agent.sentences
    learner.agent.replay.add(learner.actor.play(sentences.next(), 0, sentences.rng())[0])
    return learner.agent.replay.sample(4, 1, sentences.rng())


def evaluated(learner):
    """The network's view of some freshly played episodes, and all action values by hand."""
    batch = collate(play(learner).episodes)
    source, target_in = corpus_sources(CORPUS, batch.source_id, 99), shift_right(batch.tokens)
    network = learner.terms[0].network
    found = network.evaluate(batch, source, target_in)
    model, target = network.models
    states = [m.decode_states(target_in, m.encode(source)).states for m in (model, target, learner.prior)]
    prior = ops.convert_to_numpy(ops.log_softmax(learner.prior.project(states[2])))
    return found, batch, model, target, [ops.convert_to_numpy(s) for s in states], np.float64(prior)


def taken(q, tokens):
    return np.take_along_axis(q, tokens[..., None], -1)[..., 0]


def free(q):
    """Action values of which no backup sees PAD, BOS and UNK."""
    q = q.copy()
    q[..., [PAD, BOS, UNK]] = -1e9
    return q


def lse(x):
    best = x.max(-1)
    return best + np.log(np.exp(x - best[..., None]).sum(-1))


def shake(model, seed):
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, 0.3, variable.shape).astype("float32"))


def shaken(q):
    learner = student(q)
    for seed, model in enumerate(learner.terms[0].network.models):
        shake(model, seed + 1)
    return learner


@pytest.mark.parametrize("backup", ["soft", "max", "double"])
def test_a_dueling_network_backs_up_its_own_values(backup):
    found, batch, model, target, states, log_prior = evaluated(shaken({"type": "dueling", "backup": backup}))
    q, target_q = (np.float64(ops.convert_to_numpy(m.heads.q(states[2]))) for m in (model, target))
    value = {
        "soft": 0.1 * lse(log_prior + free(target_q) / 0.1),
        "max": free(target_q).max(-1),
        "double": taken(target_q, free(q).argmax(-1)),
    }[backup]
    np.testing.assert_allclose(found.value, value * batch.mask, atol=1e-4)
    np.testing.assert_allclose(found.penalty, (taken(target_q, batch.tokens) - value) * batch.mask, atol=1e-4)


def test_a_rescaled_network_backs_up_returns_and_is_regressed_on_h_of_them():
    """x of h(x) = y by bisection, with h written out again."""

    def h(x):
        return np.sign(x) * (np.sqrt(np.abs(x) + 1) - 1) + 1e-3 * x

    def inverse(y):
        low, high = np.full_like(y, -1e3), np.full_like(y, 1e3)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = np.where(h(middle) < y, middle, low), np.where(h(middle) < y, high, middle)
        return low

    learner = shaken({"type": "dueling", "backup": "double", "rescale": True})
    found, batch, model, target, states, _ = evaluated(learner)
    q, target_q = (inverse(np.float64(ops.convert_to_numpy(m.heads.q(states[2])))) for m in (model, target))
    value = taken(target_q, free(q).argmax(-1))
    np.testing.assert_allclose(found.value, value * batch.mask, atol=1e-3)
    y = np.linspace(-1, 1, batch.mask.size).reshape(batch.mask.shape)
    extra, _ = learner.terms[0].network.fit(found, batch, y, np.ones_like(y))
    np.testing.assert_allclose(extra["target"], h(y), atol=1e-6)


@pytest.mark.parametrize("backup", ["max", "double"])
def test_the_negative_control_takes_its_logits_for_values(backup):
    found, batch, model, target, states, _ = evaluated(shaken({"type": "logits", "backup": backup}))
    z, target_z = (
        np.float64(ops.convert_to_numpy(m.project(s))) for m, s in zip((model, target), states, strict=False)
    )
    value = free(target_z).max(-1) if backup == "max" else taken(target_z, free(z).argmax(-1))
    np.testing.assert_allclose(found.value, value * batch.mask, atol=1e-4)
    np.testing.assert_allclose(found.penalty, (taken(target_z, batch.tokens) - value) * batch.mask, atol=1e-4)


def test_implicit_values_are_bootstrapped_from_and_the_smaller_head_is_charged():
    found, batch, _, target, states, _ = evaluated(shaken("ilql"))
    heads = [np.float64(ops.convert_to_numpy(q)) for q in target.heads.all_q(states[2])]
    value = np.float64(ops.convert_to_numpy(target.heads.value(states[2])))
    smaller = taken(np.minimum(*heads), batch.tokens)
    np.testing.assert_allclose(found.value, value * batch.mask, atol=1e-4)
    np.testing.assert_allclose(found.penalty, (smaller - value) * batch.mask, atol=1e-4)
    np.testing.assert_allclose(found.kept["target_q"], smaller * batch.mask, atol=1e-4)


def by_hand(q, value, batch, cql, expectile, huber, tau):
    """The loss of Q heads [heads][batch, time, pieces] and of V, in NumPy."""
    tokens, y, weights = batch["tokens"], np.float64(batch["target"]), batch["weights"]

    def mean(x):
        return (x * weights).sum() / weights.sum()

    loss = 0.0
    for each in q:
        error = taken(each, tokens) - y
        cut = np.minimum(np.abs(error), huber)
        loss += mean(cut * (np.abs(error) - cut / 2))
        loss += cql * mean(tau * lse(each / tau) - taken(each, tokens))
    if value is not None:
        u = batch["value_target"] - value
        loss += mean(np.where(u < 0, 1 - expectile, expectile) * u**2)
    return loss


@pytest.mark.parametrize(
    ("q", "cql"), [({"type": "dueling"}, 0.0), ({"type": "ilql", "cql": 0.3, "expectile": 0.8}, 0.3)]
)
def test_the_loss_of_heads_by_hand(q, cql):
    """TD error of every head, expectile of V, and CQL."""
    learner = student(q)
    shake(learner.policy, 1)
    batch, _ = learner.terms[0].batch(play(learner), 1)
    states = learner.prior.decode_states(batch["target_in"], learner.prior.encode(batch["source"])).states
    heads = learner.policy.heads
    values = [np.float64(ops.convert_to_numpy(each)) for each in heads.all_q(states)]
    value = np.float64(ops.convert_to_numpy(heads.value(states))) if q["type"] == "ilql" else None
    found = learner.terms[0].network.loss(learner.policy, {k: ops.convert_to_tensor(v) for k, v in batch.items()})
    np.testing.assert_allclose(float(found["loss"]), by_hand(values, value, batch, cql, 0.8, 0.5, 0.1), rtol=1e-4)


@pytest.mark.parametrize("q", ["dueling", {"type": "ilql", "cql": 0.1}])
def test_heads_learn_and_the_model_below_stays(q):
    learner = student(q)
    assert isinstance(learner.policy, QGuided)
    before = [w.copy() for w in learner.policy.base.get_weights()]
    learner.learn(3, 0.01, 1)
    for a, b in zip(before, learner.policy.base.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    online, target = learner.terms[0].network.models
    moved = [np.abs(np.asarray(v.value)).max() for v in online.heads.out[1].trainable_variables]
    assert max(moved) > 0 and online.heads is not target.heads and online.base is target.base
