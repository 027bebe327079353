"""The LSTM with hard attention: what it is trained by, and what it translates with."""

import itertools

import numpy as np
import pytest
from keras import ops
from noise import with_noise

from nmt_rl.backend import compile_fn, is_jax
from nmt_rl.config import DecodingConfig, LSTMConfig, OptimizerConfig
from nmt_rl.corpus.tokenizer import BOS, PAD
from nmt_rl.decoding.search import Searcher
from nmt_rl.models.build import build_model
from nmt_rl.models.hard_lstm import following
from nmt_rl.models.q_guided import QGuided, QHeads
from nmt_rl.rl.value import ValueHead
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import CrossEntropy

SMALL = {"embedding": 6, "units": 8, "attention_units": 4, "dropout": 0.0}
VOCABULARY = 12
HARD = {
    "score": {"type": "score", "samples": 2, "entropy": 0.0},
    "learned baseline": {"type": "score", "baseline": "learned", "entropy": 0.0},
    "marginal": {"type": "marginal", "positions": 3},
    "variational": {"type": "variational"},
    "enumerated": {"type": "variational", "samples": 0, "positions": 2},
}
ids = np.random.default_rng(0).integers
TARGET_IN = np.array([[2, 5, 4, 7], [2, 8, 9, 0]], "int32")
LABELS = np.array([5, 4, 7, 3, 8, 9, 3], "int32")
BATCH = {
    "source": np.array([[4, 5, 6, 7, 3], [6, 8, 3, 0, 0]], "int32"),
    "target_in": TARGET_IN,
    "positions": np.array([0, 1, 2, 3, 4, 5, 6], "int32"),
    "labels": LABELS,
}


def make(hard=None, seed=1, **settings):
    return build_model(LSTMConfig(**SMALL | settings, hard=hard), VOCABULARY, VOCABULARY, seed=seed)


def with_weights_of(model, other):
    """What `model` has and `other` has not stays as it was drawn."""
    known = {v.path: v for v in other.weights}
    for variable in model.weights:
        if variable.path in known:
            variable.assign(known[variable.path])
    return model


def losses(model, batch=BATCH):
    objective = CrossEntropy(0.1)
    found = compile_fn(lambda batch: objective(model, batch, True), model)(batch)
    return {name: float(value) for name, value in found.items()}


@pytest.mark.jax
@pytest.mark.parametrize("name", HARD)
def test_with_one_position_to_look_at_every_estimator_is_soft_attention(name):
    """Sources of one piece, which padding follows: attention is one-hot, whatever its weights."""
    soft = make()
    batch = {**BATCH, "source": np.array([[5, 0, 0], [7, 0, 0]], "int32")}
    hard, expected = losses(with_weights_of(make(HARD[name], seed=2), soft), batch), losses(soft, batch)
    assert hard["nll"] == pytest.approx(expected["nll"], abs=1e-5)
    assert hard["loss"] - hard.get("baseline_error", 0.0) == pytest.approx(expected["loss"], abs=1e-5)
    assert abs(hard.get("kl", 0.0)) < 1e-6


@pytest.mark.parametrize("name", ["score", "learned baseline", "marginal"])
def test_where_attention_is_sure_of_a_position_hard_is_soft(name):
    soft = make(attention="bilinear")
    kernel = soft.cell.attention.key_layer.kernel
    kernel.assign(1e5 * kernel)
    hard, expected = losses(with_weights_of(make(HARD[name], attention="bilinear"), soft)), losses(soft)
    assert hard["nll"] == pytest.approx(expected["nll"], abs=1e-4)


@pytest.mark.jax
def test_the_marginal_is_the_sum_over_all_positions():
    """p(y) = sum_z p(z) p(y|z), each term made by itself; training and translating agree."""
    model = make({"type": "marginal", "positions": 5})

    def parts(source, target_in):
        encoded = model.encode(source)
        _, hidden, log_p = model._parted(model.loop(target_in, encoded))
        terms = []
        for z in range(5):
            context = encoded["states"][:, None, z] * ops.ones_like(hidden[..., :1])
            p_y = ops.softmax(model.embeddings.project(model.cell.attentional(context, hidden)))
            terms.append(ops.exp(log_p[..., z, None]) * p_y)
        return sum(terms), model.decode(target_in, encoded).logits

    summed, logits = (np.asarray(x) for x in compile_fn(parts, model)(BATCH["source"], TARGET_IN))
    np.testing.assert_allclose(np.exp(logits), summed, atol=1e-5)
    taken = summed.reshape(8, -1)[np.arange(7), LABELS]
    assert losses(model)["nll"] == pytest.approx(-np.log(taken).mean(), abs=1e-5)


@pytest.mark.jax
def test_the_posterior_bounds_the_marginal_and_draws_differ():
    marginal, variational = make({"type": "marginal", "positions": 5}), make(HARD["variational"])
    exact = losses(with_weights_of(marginal, variational))["nll"]
    drawn = [losses(variational)["nll"] for _ in range(1 if is_jax() else 20)]
    assert np.mean(drawn) > exact
    enumerated = with_weights_of(make({"type": "variational", "samples": 0, "positions": 5}), variational)
    assert losses(enumerated)["nll"] > exact


def test_what_follows_a_piece_is_the_next_one_or_the_end():
    assert np.asarray(following(TARGET_IN)).tolist() == [[5, 4, 7, 3], [8, 9, 3, 0]]


@pytest.mark.parametrize("name", HARD)
def test_the_arg_max_looks_at_one_position_and_more_share(name):
    one, three = (make({**HARD[name], "positions": count}) for count in (1, 3))
    for model, count in ((one, 1), (three, 3)):
        attention = np.asarray(model.decode(TARGET_IN, model.encode(BATCH["source"])).attention)
        assert ((attention > 0).sum(axis=-1) == count).all()
        np.testing.assert_allclose(attention.sum(axis=-1), 1.0, atol=1e-6)


VARIANTS = list(itertools.product(HARD, (0.0, 0.4)))


@pytest.mark.jax
@pytest.mark.parametrize(("name", "dropout"), VARIANTS)
def test_every_weight_learns(name, dropout):
    model = make({**HARD[name], "entropy": 0.1} if HARD[name]["type"] == "score" else HARD[name], dropout=dropout)
    learner = Learner(model, CrossEntropy(0.1), OptimizerConfig(schedule="constant", warmup=0))
    if is_jax():
        from tracing import trace

        return trace(learner, BATCH)
    learner.run_eagerly = True  # One step is not worth a compilation.
    before = model.get_weights()
    assert np.isfinite(learner.update([BATCH], 0.01)["loss"])
    for variable, old in zip(model.weights, before, strict=True):
        assert not variable.trainable or np.abs(np.asarray(variable) - old).max() > 1e-3, variable.path
    # A run that goes on must draw what it would have drawn.
    assert any(variable is model.generator.state for variable in learner.state)


@pytest.mark.jax
@pytest.mark.parametrize("positions", [1, 3])
def test_the_log_probability_of_every_hypothesis_of_a_beam_is_that_of_a_forced_pass(positions):
    model = with_noise(make({"type": "variational", "positions": positions}), 0.4, 4)
    found = Searcher(model, DecodingConfig(beam=4))(BATCH["source"], 6)
    score = compile_fn(lambda source, target: ops.log_softmax(model.decode(target, model.encode(source)).logits), model)
    for n in range(4):
        pieces = found.ids[:, n]
        forced = np.asarray(score(BATCH["source"], np.pad(pieces, ((0, 0), (1, 0)), constant_values=BOS)[:, :-1]))
        each = np.take_along_axis(forced, pieces[..., None], axis=-1)[..., 0] * (pieces != PAD)
        np.testing.assert_allclose(each.sum(axis=1), found.log_probs[:, n], atol=1e-4)


@pytest.mark.jax
def test_chosen_and_mean_logits_of_several_positions_are_those_of_the_projection():
    model = make({"type": "marginal", "positions": 3})
    states = model.decode(TARGET_IN, model.encode(BATCH["source"])).states[0]
    logits, pieces = np.asarray(model.project(states)), ids(4, VOCABULARY, (4, 2)).astype("int32")
    np.testing.assert_allclose(np.exp(logits).sum(axis=-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(model.logits_of(states, pieces), np.take_along_axis(logits, pieces, 1), atol=1e-5)
    np.testing.assert_allclose(model.mean_logit(states), logits.mean(axis=-1), atol=1e-5)
    assert states.shape[-1] == model.width == 3 * 7


@pytest.mark.jax
@pytest.mark.parametrize("kind", ["dueling", "ilql"])
def test_q_heads_and_values_look_at_the_likeliest_position(kind):
    """The state of it stands first; a guided model is trained by positions as the plain one is."""
    model = make({"type": "marginal", "positions": 2})
    heads = QHeads(kind, model.embeddings.width, VOCABULARY, 4)
    states = model.decode_states(TARGET_IN, model.encode(BATCH["source"])).states
    assert states.shape[-1] == 2 * 7
    np.testing.assert_allclose(heads.value(states), heads.value(states[..., :6]), atol=1e-6)
    value = ValueHead(model.embeddings.width, 0, 4)
    np.testing.assert_allclose(value(states, None), value(states[..., :6], None), atol=1e-6)
    guided, objective = QGuided(model, heads, beta=1.0), CrossEntropy(0.1)
    assert guided.width == 14
    np.testing.assert_allclose(guided.project(states), model.project(states), atol=1e-6)  # Advantages begin at 0.
    plain, same = (float(objective(each, BATCH, True)["nll"]) for each in (model, guided))
    assert same == pytest.approx(plain, abs=1e-5)
