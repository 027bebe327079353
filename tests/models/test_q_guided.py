"""Q heads, and the model they guide: it is the base until they have learnt something."""

import numpy as np
import pytest
from keras import ops

from nmt_rl.backend import compile_fn, seeded
from nmt_rl.config import DecodingConfig, LSTMConfig, OptimizerConfig, TransformerConfig
from nmt_rl.decoding.generator import Generator
from nmt_rl.decoding.search import Searcher
from nmt_rl.models.build import build_model
from nmt_rl.models.q_guided import QGuided, QHeads
from nmt_rl.rl.backups import action_value
from nmt_rl.rl.losses import td_loss
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import CrossEntropy

VOCABULARY, UNITS = 9, 6
SOURCES = np.array([[4, 5, 6, 4, 3, 0], [6, 3, 0, 0, 0, 0], [5, 8, 7, 6, 6, 3]], "int32")
PREFIXES = np.array([[2, 4, 5, 8], [2, 7, 7, 4], [2, 6, 4, 5]], "int32")
BASES = {
    "transformer": TransformerConfig(
        width=8, heads=2, feed_forward=8, encoder_layers=1, decoder_layers=1, max_positions=32
    ),
    "lstm": LSTMConfig(units=8, embedding=8, attention_units=4),
}
KINDS = ["dueling", "ilql"]


def shake(model, seed, scale=0.6):
    """Draw matrices anew, move gains and biases a little; the result is the same on both backends."""
    rng = np.random.default_rng(seed)
    drawn = [rng.normal(0, scale if w.ndim > 1 else 0.2, w.shape) for w in model.get_weights()]
    model.set_weights([d if d.ndim > 1 else w + d for w, d in zip(model.get_weights(), drawn, strict=True)])
    return model


def make_base(name="transformer"):
    """A base whose translations differ by source and prefix."""
    return shake(build_model(BASES[name], VOCABULARY, VOCABULARY), *{"transformer": (8, 1.0), "lstm": (5, 1.5)}[name])


def make_heads(kind, lively=True):
    with seeded(4):
        heads = QHeads(kind, 8, VOCABULARY, UNITS)
    return shake(heads, 6) if lively else heads


def states(*shape):
    return np.random.default_rng(7).normal(size=(*shape, 8)).astype("float32")


def log_softmax(z):
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def searches(model):
    """A function that returns greedy and beam translations with their scores; compiled once, reads current weights."""
    greedy, beam = Generator(model), Searcher(model, DecodingConfig(beam=2))
    return lambda: [*greedy(SOURCES, 5)[:3], *beam(SOURCES, 5)]


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.jax
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_advantages_start_at_exactly_zero(kind):
    heads = make_heads(kind, lively=False)
    for values in (heads.advantage(states(2, 3)), heads.q(states(2, 3)), *heads.all_q(states(2, 3))):
        assert values.shape == (2, 3, VOCABULARY)
        assert not ops.convert_to_numpy(values).any()
    assert not ops.convert_to_numpy(heads.value(states(2, 3))).any()


@pytest.mark.jax
def test_dueling_by_hand():
    """Q = V + A - mean A; one shared hidden layer."""
    heads, x = make_heads("dueling"), states(4)
    weights = {v.path.split("q_heads/")[-1]: np.asarray(v) for v in heads.variables}
    hidden = np.maximum(x @ weights["hidden/kernel"] + weights["hidden/bias"], 0)
    v = (hidden @ weights["v/kernel"] + weights["v/bias"])[:, 0]
    a = hidden @ weights["a/kernel"] + weights["a/bias"]
    np.testing.assert_allclose(heads.value(x), v, atol=1e-5)
    np.testing.assert_allclose(heads.advantage(x), a - a.mean(-1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(heads.q(x), v[:, None] + a - a.mean(-1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(heads.all_q(x)[0], heads.q(x), atol=0)
    assert np.abs(a).max() > 0.5


@pytest.mark.jax
def test_twin_heads_count_the_smaller_value():
    heads, x = make_heads("ilql"), states(4)
    first, second = (ops.convert_to_numpy(q) for q in heads.all_q(x))
    assert 0 < (first < second).mean() < 1
    np.testing.assert_array_equal(heads.q(x), np.minimum(first, second))
    np.testing.assert_allclose(
        heads.advantage(x), np.minimum(first, second) - np.asarray(heads.value(x))[:, None], atol=1e-6
    )
    np.testing.assert_array_equal(heads(x), heads.q(x))


@pytest.mark.jax
@pytest.mark.parametrize("kind", KINDS)
def test_heads_learn_values(kind):
    """The TD loss on the pieces taken alone, and V (which dueling has in Q) on their mean: both end at the targets."""
    heads, x = make_heads(kind, lively=False), np.eye(4, 8, dtype="float32") * 3
    actions = np.array([[0, 1], [0, 2], [3, 1], [5, 8]], "int32")
    y = np.array([[0.5, 0.1], [0.9, 0.0], [0.2, 0.3], [1.0, 0.7]], "float32")
    batch = {"states": np.repeat(x[:, None], 2, 1), "actions": actions, "target": y}

    def objective(heads, batch, training):
        taken = [action_value(q, batch["actions"]) for q in heads.all_q(batch["states"])]
        mean = ops.mean(batch["target"], axis=-1, keepdims=True) + ops.zeros_like(batch["target"])
        loss = sum(td_loss(q, batch["target"]) for q in taken) + td_loss(heads.value(batch["states"]), mean)
        return {"loss": loss}

    learner = Learner(heads, objective, OptimizerConfig())
    losses = [learner.update([batch], 0.02)["loss"] for _ in range(150)]
    assert losses[-1] < 1e-3 < 0.05 < losses[0]
    for q in heads.all_q(batch["states"]):
        np.testing.assert_allclose(action_value(q, actions), y, atol=0.05)
    np.testing.assert_allclose(heads.value(x), y.mean(-1), atol=0.05)


@pytest.mark.jax
@pytest.mark.parametrize(("name", "kind"), [("transformer", "ilql")])
def test_output_is_the_bases_bit_for_bit_until_something_is_learnt(name, kind):
    """Then it is another; with beta 0 the base's again; and a constant on V changes nothing."""
    base = make_base(name)
    guided = QGuided(base, make_heads(kind, lively=False), 3.0)
    plain, translate = searches(base)(), searches(guided)
    assert_same(translate(), plain)
    shake(guided.heads, 6)
    learnt = translate()
    assert not np.array_equal(learnt[0], plain[0]) and not np.array_equal(learnt[3][:, 0], plain[3][:, 0])
    value = np.asarray(guided.heads.value(states(3)))
    bias = guided.heads.out[0].bias
    bias.assign(np.asarray(bias) + 5.0)
    np.testing.assert_allclose(guided.heads.value(states(3)), value + 5.0, atol=1e-5)
    for found, expected in zip(translate(), learnt, strict=True):
        np.testing.assert_allclose(found, expected, atol=0 if np.issubdtype(found.dtype, np.integer) else 1e-4)
    guided.beta.assign(0.0)
    assert_same(translate(), plain)


@pytest.mark.jax
@pytest.mark.parametrize("kind", KINDS)
def test_policy_is_the_bases_times_exp_beta_advantage(kind):
    base, heads, x = make_base(), make_heads(kind), states(2, 3)
    guided = QGuided(base, heads, 1.5)
    rule = log_softmax(np.asarray(base.project(x))) + 1.5 * np.asarray(heads.advantage(x))
    np.testing.assert_allclose(log_softmax(np.asarray(guided.project(x))), log_softmax(rule), atol=1e-5)
    assert np.abs(np.asarray(heads.advantage(x))).max() > 0.5


@pytest.mark.parametrize(
    ("name", "kind"), [("lstm", "ilql"), pytest.param("transformer", "dueling", marks=pytest.mark.jax)]
)
def test_stepwise_equals_teacher_forced(name, kind):
    model, beam = QGuided(make_base(name), make_heads(kind), 2.0), 2

    def stepwise(source, target_in):
        cache, logits = model.start(model.encode(source), 8, beam), []
        for t in range(4):
            step, cache = model.step(ops.repeat(target_in[:, t], beam, axis=0), cache)
            logits.append(step.logits)
        return ops.stack(logits, axis=1)

    forced = compile_fn(lambda s, t: model.decode(t, model.encode(s)).logits, model)(SOURCES, PREFIXES)
    logits = np.asarray(compile_fn(stepwise, model)(SOURCES, PREFIXES))
    for hypothesis in range(beam):
        np.testing.assert_allclose(logits[hypothesis::beam], forced, atol=1e-5)


@pytest.mark.jax
def test_chosen_and_mean_logits_and_cross_entropy_are_those_of_the_projection():
    model, x = QGuided(make_base(), make_heads("ilql"), 2.0), states(6)
    pieces = np.random.default_rng(0).integers(0, VOCABULARY, (6, 2)).astype("int32")
    logits = np.asarray(model.project(x))
    np.testing.assert_allclose(model.logits_of(x, pieces), np.take_along_axis(logits, pieces, 1), atol=1e-5)
    np.testing.assert_allclose(model.mean_logit(x), logits.mean(-1), atol=1e-5)
    labels = np.roll(PREFIXES, -1, axis=1)
    batch = {"source": SOURCES, "target_in": PREFIXES, "positions": np.arange(12), "labels": labels.reshape(-1)}
    nll = ops.sparse_categorical_crossentropy(labels, model(batch), from_logits=True)
    assert float(CrossEntropy(0.1)(model, batch, False)["nll"]) == pytest.approx(np.asarray(nll).mean(), rel=1e-5)


@pytest.mark.jax
def test_beta_needs_no_new_compilation():
    model, x = QGuided(make_base(), make_heads("dueling"), 1.0), states(2, 3)
    compiled = compile_fn(model.project, model)
    for beta in (1.0, 4.0):
        model.beta.assign(beta)
        expected = np.asarray(model.base.project(x)) + beta * np.asarray(model.heads.advantage(x))
        np.testing.assert_allclose(compiled(x), expected, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("lstm", "ilql"), ("transformer", "dueling")])
def test_weights_are_saved_and_loaded_with_beta(name, kind, tmp_path):
    saved = QGuided(make_base(name), make_heads(kind), 2.5)
    saved.save_weights(tmp_path / "model.weights.h5")
    base = build_model(BASES[name], VOCABULARY, VOCABULARY, seed=9)
    loaded = QGuided(base, make_heads(kind, lively=False), 1.0)
    loaded.load_weights(tmp_path / "model.weights.h5")
    assert float(loaded.beta) == 2.5
    for a, b in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(loaded.get_weights()) == len(base.get_weights()) + len(loaded.heads.get_weights()) + 1
    batch = {"source": SOURCES, "target_in": PREFIXES}
    np.testing.assert_array_equal(loaded(batch), saved(batch))


def test_with_a_frozen_base_only_the_heads_train():
    guided = QGuided(make_base(), make_heads("ilql"), 1.0)
    everything = len(guided.trainable_variables)
    guided.base.trainable = False
    assert {id(v) for v in guided.trainable_variables} == {id(v) for v in guided.heads.trainable_variables}
    assert len(guided.trainable_variables) == 12 < everything
    assert guided.max_length == 32
