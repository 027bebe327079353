from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from nmt_rl.backend import compile_accumulation
from nmt_rl.config import BatchConfig, OptimizerConfig, TransformerConfig
from nmt_rl.corpus.batches import Batch, collate
from nmt_rl.corpus.store import ragged
from nmt_rl.models.build import build_model
from nmt_rl.training import losses
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import (
    CrossEntropy,
    log_probs_at,
    normaliser_and_chosen,
    smoothed_cross_entropy,
    with_positions,
)

LOGITS = np.array([[0.0, 1.0, -2.0], [80.0, -80.0, 0.0], [-500.0, -501.0, -500.0], [3.0, 3.0, 3.0]], "float32")
UPSTREAM = np.array([1.0, -2.0, 0.5, 3.0], "float32")


def gradient(function, x):
    """Of sum(UPSTREAM * function(x)) on whichever backend runs."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda y: (UPSTREAM * function(y)).sum())(x))
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(UPSTREAM * function(x))
    return np.asarray(tape.gradient(value, x))


def softmax(z):
    z = np.exp(z - z.max(axis=-1, keepdims=True))
    return z / z.sum(axis=-1, keepdims=True)


CHOSEN = np.array([2, 0, 1, 1], "int32")


@pytest.mark.jax
def test_the_normaliser_is_logsumexp_and_the_chosen_are_picked():
    normaliser, chosen = map(ops.convert_to_numpy, normaliser_and_chosen(LOGITS, CHOSEN))
    np.testing.assert_allclose(normaliser, np.logaddexp.reduce(LOGITS.astype("float64"), axis=-1), rtol=1e-6)
    np.testing.assert_array_equal(chosen, [-2, 80, -501, 3])


@pytest.mark.jax
def test_gradients_of_normaliser_and_chosen():
    """The softmax, and 1 at the chosen piece; each with an upstream gradient of its own."""

    def both(logits):
        normaliser, chosen = normaliser_and_chosen(logits, CHOSEN)
        return normaliser - 0.7 * chosen

    expected = UPSTREAM[:, None] * (softmax(LOGITS.astype("float64")) - 0.7 * np.eye(3)[CHOSEN])
    np.testing.assert_allclose(gradient(both, LOGITS), expected, atol=1e-6)


@pytest.mark.jax
def test_the_gradient_of_the_normaliser_agrees_with_finite_differences():
    logits, step = np.array([[0.3, -1.2, 0.8]] * 4), 1e-6
    high, low = (
        [UPSTREAM * np.logaddexp.reduce(logits + sign * step * np.eye(3)[column], axis=-1) for column in range(3)]
        for sign in (1, -1)
    )
    expected = (np.array(high) - np.array(low)).T / (2 * step)
    found = gradient(lambda z: normaliser_and_chosen(z, CHOSEN)[0], logits.astype("float32"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.jax
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_log_probability_is_above_0(precision):
    """Of a model that is sure of itself, with logits of about 40: bfloat16 rounds them by up to 0.125."""
    config = TransformerConfig(encoder_layers=1, decoder_layers=1, width=8, heads=2, feed_forward=8)
    model = build_model(config, 20, 20, seed=1, precision=precision)
    states = 10 * np.random.default_rng(0).normal(size=(1, 50, 8)).astype("float32")
    logits = ops.convert_to_numpy(model.project(states))
    best = logits.argmax(axis=-1).astype("int32")
    found = ops.convert_to_numpy(log_probs_at(model, states, best, np.arange(50, dtype="int32")))
    exact = np.max(logits - np.logaddexp.reduce(logits.astype("float64"), axis=-1)[..., None], axis=-1)
    assert found.max() <= 0 and np.ptp(logits) > 40
    np.testing.assert_allclose(found, exact, atol=1e-5)


@pytest.mark.jax
def test_smoothed_cross_entropy_by_hand():
    # p = (1/2, 1/4, 1/4), y = 0, e = 0.3: the mixture is 0.7 onehot(y) + 0.1, so (0.8, 0.1, 0.1), and
    # -(0.8 ln 1/2 + 0.1 ln 1/4 + 0.1 ln 1/4) = 1.2 ln 2 = 0.8317766.
    logits = np.log(np.array([[0.5, 0.25, 0.25]], "float32")) + 4.0
    normaliser, chosen = normaliser_and_chosen(logits, np.zeros(1, "int32"))
    loss = smoothed_cross_entropy(normaliser, chosen, logits.mean(axis=-1), 0.3)
    np.testing.assert_allclose(ops.convert_to_numpy(loss), [0.8317766], rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_smoothed_cross_entropy_is_that_of_the_explicit_mixture(smoothing):
    logits, labels = np.random.default_rng(0).normal(size=(7, 5)).astype("float32"), np.arange(7) % 5
    mixture = (1 - smoothing) * np.eye(5)[labels] + smoothing / 5
    expected = -(mixture * np.log(softmax(logits))).sum(axis=-1)
    normaliser, chosen = normaliser_and_chosen(logits, labels.astype("int32"))
    loss = smoothed_cross_entropy(normaliser, chosen, logits.mean(axis=-1), smoothing)
    np.testing.assert_allclose(ops.convert_to_numpy(loss), expected, rtol=1e-5)


@pytest.mark.jax
def test_log_probs_by_hand():
    model = SimpleNamespace(project=lambda z: z)
    logits = np.log(np.array([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]], "float32")) + 3.0
    for positions, expected in (([0, 1], [[-1.3862944, -0.2231436]]), ([1], [[0, -0.2231436]])):
        found = log_probs_at(model, logits, np.array([[1, 1]], "int32"), np.array(positions, "int32"))
        np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


BATCH = Batch(
    source=np.array([[5, 3], [6, 3]], "int32"),
    target_in=np.array([[2, 7, 0], [2, 8, 9]], "int32"),
    target_out=np.array([[7, 3, 0], [8, 9, 3]], "int32"),
    indices=np.array([0, 1]),
)


def test_positions_leave_padding_out():
    rows = with_positions(BATCH, BatchConfig(pad="longest"))
    assert rows["positions"].tolist() == [0, 1, 3, 4, 5]
    assert rows["labels"].tolist() == [7, 3, 8, 9, 3]
    assert rows["positions"].dtype == np.int32
    assert rows["source"] is BATCH.source and rows["target_in"] is BATCH.target_in


def test_positions_keep_their_number_in_buckets():
    rows = with_positions(BATCH, BatchConfig(pad="buckets"))
    assert rows["positions"].tolist() == [0, 1, 2, 3, 4, 5]
    assert rows["labels"].tolist() == [7, 3, 0, 8, 9, 3]


SMALL = {"encoder_layers": 2, "decoder_layers": 2, "width": 16, "heads": 2, "feed_forward": 24, "dropout": 0.0}
PACKED_MODELS = {
    "pre-sinusoidal": TransformerConfig(**SMALL, max_positions=16),
    "post-learned": TransformerConfig(**SMALL, max_positions=16, norm="post", positions="learned"),
}


@pytest.mark.jax
@pytest.mark.parametrize("name", PACKED_MODELS)
def test_packing_changes_no_loss_and_no_gradient(name):
    """Rows of several pairs, an empty row among them, against a row for each pair."""
    rng = np.random.default_rng(3)
    sides = [[rng.integers(4, 30, n).tolist() for n in lengths] for lengths in ((3, 7, 1, 5, 2), (4, 2, 6, 1, 8))]
    source, target = map(ragged, sides)
    model = build_model(PACKED_MODELS[name], 30, 30, seed=2)
    found = {}
    for packed in (False, True):
        row_of = np.array([0, 0, 0, 1, 1]) if packed else None
        widths = (16, 16) if packed else (0, 0)
        batch = collate(source, target, np.arange(5), 3, widths, row_of)
        learner = Learner(model, CrossEntropy(0.1, packed), OptimizerConfig(name="adam", clip_norm=0.0))
        gradients, _ = compile_accumulation(learner)
        (outputs,), slopes = gradients([with_positions(batch, BatchConfig())])
        found[packed] = float(outputs["loss"]), float(outputs["tokens"]), [np.asarray(x) for x in slopes]
    assert found[True][0] == pytest.approx(found[False][0], abs=1e-5)
    assert found[True][1] == found[False][1] == 26
    for one, other in zip(found[True][2], found[False][2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.jax
def test_logits_in_chunks_change_no_loss_and_no_gradient(monkeypatch):
    """Of 26 tokens, 4 chunks of 7 (the last one filled up), where the backend divides them."""
    rng = np.random.default_rng(4)
    source, target = (ragged([rng.integers(4, 30, n).tolist() for n in (3, 7, 2, 8, 1)]) for _ in range(2))
    batch = with_positions(collate(source, target, np.arange(5)), BatchConfig(pad="longest"))
    model, found = build_model(PACKED_MODELS["pre-sinusoidal"], 30, 30, seed=2), []
    for logits in (2**26, 7 * 30):
        monkeypatch.setattr(losses, "LOGITS", logits)
        gradients, _ = compile_accumulation(Learner(model, CrossEntropy(0.1), OptimizerConfig()))
        (outputs,), slopes = gradients([batch])
        found.append((float(outputs["loss"]), [np.asarray(x) for x in slopes]))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    for whole, parts in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(whole, parts, atol=1e-6)
