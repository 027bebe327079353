"""Q-networks with a value per piece, on a real tiny model: what they evaluate, what their loss trains."""

import numpy as np
import pytest
from copy_task import Student, make_config, make_corpus, make_model
from keras import ops

from nmt_rl.corpus.tokenizer import BOS, PAD, UNK
from nmt_rl.models.q_guided import QGuided
from nmt_rl.rl.replay import Origin, collate
from nmt_rl.rl.rollouts import shift_right

CORPUS = make_corpus(30)
START = make_model(noise=0.4, seed=3).get_weights()


def student(tau=0.1, **part):
    part = {"value_units": 8, "monte_carlo_updates": 0, "trace": 0.0, **part}
    return Student(START, make_config(objective="trajectory", tau=tau, sentences=4, trajectory=part), CORPUS)


def evaluated(learner):
    """The network's view of some freshly played records, and all action values by hand."""
    learner.batches.next(1)
    term = learner.terms[0]
    batch = collate(term.replay.get(term.replay.ids))
    source, target_in = term._sources(batch.source_id), shift_right(batch.tokens)
    tau = learner.config.finetune.tau
    found = term.network.evaluate(batch, source, target_in, tau)
    model, target = term.network.pairs[0]
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


@pytest.mark.jax
@pytest.mark.parametrize("backup", ["soft", "max", "double"])
def test_a_dueling_network_backs_up_its_own_values(backup):
    learner = student(q="dueling", backup=backup)
    model, target = learner.terms[0].network.pairs[0]
    shake(model, 1), shake(target, 2)
    found, batch, model, target, states, log_prior = evaluated(learner)
    q, target_q = (np.float64(ops.convert_to_numpy(m.heads.q(states[0]))) for m in (model, target))
    value = {
        "soft": 0.1 * lse(log_prior + free(target_q) / 0.1),
        "max": free(target_q).max(-1),
        "double": taken(target_q, free(q).argmax(-1)),
    }[backup]
    np.testing.assert_allclose(found.q, taken(q, batch.tokens) * batch.mask, atol=1e-4)
    np.testing.assert_allclose(found.value, value * batch.mask, atol=1e-4)
    np.testing.assert_allclose(found.penalty, (taken(target_q, batch.tokens) - value) * batch.mask, atol=1e-4)
    assert not found.bonus.any()


@pytest.mark.jax
@pytest.mark.parametrize("backup", ["psi", "munchausen"])
def test_scaled_logits_are_soft_action_values(backup):
    learner = student(q="logits", backup=backup, munchausen=0.9, munchausen_floor=-0.15)
    shake(learner.terms[0].network.pairs[0][1], 2)
    found, batch, _, target, states, log_prior = evaluated(learner)
    z = np.float64(ops.convert_to_numpy(target.project(states[1])))
    np.testing.assert_allclose(found.value, 0.1 * lse(free(z)) * batch.mask, atol=1e-4)
    log_pi = taken(z, batch.tokens) - lse(free(z))
    np.testing.assert_allclose(found.penalty, 0.1 * log_pi * batch.mask, atol=1e-4)
    bonus = {"psi": 0.1 * taken(log_prior, batch.tokens), "munchausen": 0.9 * np.clip(0.1 * log_pi, -0.15, 0.0)}
    np.testing.assert_allclose(found.bonus, bonus[backup] * batch.mask, atol=1e-4)
    assert (0.1 * log_pi[batch.mask] < -0.15).any()


@pytest.mark.jax
def test_implicit_values_are_bootstrapped_from_and_the_smaller_head_is_charged():
    learner = student(q="ilql")
    model, target = learner.terms[0].network.pairs[0]
    shake(model, 1), shake(target, 2)
    found, batch, _, _, states, _ = evaluated(learner)
    heads = [[np.float64(ops.convert_to_numpy(q)) for q in m.heads.all_q(states[0])] for m in (model, target)]
    value = np.float64(ops.convert_to_numpy(target.heads.value(states[0])))
    smaller = taken(np.minimum(*heads[1]), batch.tokens)
    np.testing.assert_allclose(found.q, taken(heads[0][0], batch.tokens) * batch.mask, atol=1e-4)
    np.testing.assert_allclose(found.value, value * batch.mask, atol=1e-4)
    np.testing.assert_allclose(found.penalty, (smaller - value) * batch.mask, atol=1e-4)
    np.testing.assert_allclose(found.kept["target_q"], smaller * batch.mask, atol=1e-4)


def by_hand(q, value, y, batch, settings, tau):
    """The loss of Q heads [heads][batch, time, pieces] and of V, in NumPy."""
    part, tokens = settings.trajectory, batch["tokens"]

    def mean(x, weights):
        return (x * weights).sum() / weights.sum()

    loss = 0.0
    for each in q:
        error = taken(each, tokens) - y
        cut = np.minimum(np.abs(error), settings.huber) if settings.huber else np.abs(error)
        loss += mean(cut * (np.abs(error) - cut / 2), batch["weights"])
        loss += part.cql * mean(tau * lse(each / tau) - taken(each, tokens), batch["weights"])
        led = each + part.margin_size * (np.arange(each.shape[-1]) != tokens[..., None])
        loss += part.margin * mean(led.max(-1) - taken(each, tokens), batch["demonstrated"])
    if value is not None:
        u = batch["value_target"] - value
        loss += mean(np.where(u < 0, 1 - part.expectile, part.expectile) * u**2, batch["weights"])
    return loss


@pytest.mark.jax
@pytest.mark.parametrize("q", ["dueling", "ilql"])
def test_the_loss_of_heads_by_hand(q):
    """TD error of every head, expectile of V, CQL of all rows and the margin of those that are demonstrated."""
    replay = {"demonstrations": 0.4, "share": 0.0}
    learner = student(q=q, cql=0.3, margin=0.7, margin_size=0.2, expectile=0.8, replay=replay)
    shake(learner.policy, 1)
    batch = learner.batches.next(1)[0][0]["trajectory"]
    assert 0 < batch["demonstrated"].sum() < batch["weights"].sum()
    states = learner.prior.decode_states(batch["target_in"], learner.prior.encode(batch["source"])).states
    heads = learner.policy.heads
    values = [np.float64(ops.convert_to_numpy(each)) for each in heads.all_q(states)]
    value = np.float64(ops.convert_to_numpy(heads.value(states))) if q == "ilql" else None
    found = learner.terms[0].network.loss(learner.policy, {k: ops.convert_to_tensor(v) for k, v in batch.items()})
    expected = by_hand(values, value, np.float64(batch["target"]), batch, learner.config.finetune, 0.1)
    np.testing.assert_allclose(float(found["loss"]), expected, rtol=1e-4)


@pytest.mark.jax
def test_candidates_are_the_priors_best():
    learner = student(q="logits", backup="max", candidates=2)
    found, batch, _, target, states, log_prior = evaluated(learner)
    z = np.float64(ops.convert_to_numpy(target.project(states[1])))
    best = np.argsort(-log_prior, axis=-1)[..., :2]
    np.testing.assert_allclose(found.value, np.take_along_axis(free(z), best, -1).max(-1) * batch.mask, atol=1e-4)


@pytest.mark.jax
@pytest.mark.parametrize("q", ["dueling", "ilql"])
def test_heads_learn_and_the_model_below_stays(q):
    learner = student(q=q, replay={"demonstrations": 0.2}, cql=0.1, margin=0.1)
    assert isinstance(learner.policy, QGuided)
    before = [w.copy() for w in learner.policy.base.get_weights()]
    learner.learn(3, 0.01, 1)
    for a, b in zip(before, learner.policy.base.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for online, target in [learner.terms[0].network.pairs[0]]:
        moved = [np.abs(np.asarray(v.value)).max() for v in (*online.heads.out[1].trainable_variables,)]
        assert max(moved) > 0 and online.heads is not target.heads and online.base is target.base


@pytest.mark.jax
def test_demonstrations_are_references_and_are_marked():
    learner = student(q="dueling", replay={"demonstrations": 0.4, "share": 0.0}, margin=0.1)
    (arrays,), _ = learner.batches.next(1)
    batch = arrays["trajectory"]
    rows = batch["demonstrated"].any(axis=1)
    assert rows.sum() == round(8 / 0.6 * 0.4) and not rows[:8].any()
    references = {CORPUS.target(i).tobytes() for i in range(len(CORPUS))}
    for row in batch["tokens"][rows]:
        assert np.int32(row[row > 3]).tobytes() in references
    stored = learner.terms[0].replay
    assert {r.origin for r in stored.get(stored.demonstration_ids)} == {Origin.REFERENCE}
    first = len(stored.demonstration_ids)
    learner.batches.restore({"epoch": 0, "batch": 0}, {n: np.array(a) for n, a in learner.batches.state()[1].items()})
    learner.batches.next(2)
    assert len(learner.terms[0].replay.demonstration_ids) == first  # the same sentences are stored once
