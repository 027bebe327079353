"""Controllers with an external memory: gradients, sizes, and searches that reorder memories."""

import numpy as np
import pytest
from keras import ops
from noise import with_noise

from nmt_rl.backend import compile_fn, is_jax
from nmt_rl.bundle.weights import least_weights
from nmt_rl.config import DecodingConfig, DNCConfig, NTMConfig
from nmt_rl.corpus.tokenizer import BOS, PAD
from nmt_rl.decoding.search import Searcher
from nmt_rl.models.build import build_model

SMALL = {"embedding": 6, "units": 8, "slots": 5, "slot_width": 4}
KINDS = {
    "ntm": NTMConfig(**SMALL, read_heads=2, write_heads=2),
    "dnc": DNCConfig(**SMALL, read_heads=2),
    "dnc, sharp links": DNCConfig(**SMALL, read_heads=2, sharp_links=True),
    "feed-forward": NTMConfig(**SMALL, controller="feed-forward"),
}
VOCABULARY = 9
SOURCE = np.array([[4, 5, 6, 7, 3, 0], [6, 8, 3, 0, 0, 0]], "int32")
TARGET_IN = np.array([[2, 5, 4, 7], [2, 8, 8, 4]], "int32")
TARGET_OUT = np.array([[5, 4, 7, 3], [8, 8, 4, 3]], "int32")


def lively(kind):
    return with_noise(build_model(KINDS[kind], VOCABULARY, VOCABULARY, seed=2), 0.4, 4)


def loss(model):
    log_probs = ops.log_softmax(model({"source": SOURCE, "target_in": TARGET_IN}))
    return -ops.mean(ops.take_along_axis(log_probs, TARGET_OUT[..., None], axis=-1))


@pytest.mark.skipif(is_jax(), reason="the tape is TensorFlow's")
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind):
    import tensorflow as tf

    model, rng = lively(kind), np.random.default_rng(1)
    with tf.GradientTape() as tape:
        value = loss(model)
    gradients = tape.gradient(value, [v.value for v in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        gradient = tf.convert_to_tensor(gradient).numpy()
        direction = np.sign(gradient) + 0.1 * rng.normal(size=gradient.shape)
        step, before = 2e-3 / np.linalg.norm(direction), variable.numpy()
        around = []
        for sign in (1, -1):
            variable.assign(before + sign * step * direction)
            around.append(float(loss(model)))
        variable.assign(before)
        slope, exact = (around[0] - around[1]) / (2 * step), float((gradient * direction).sum())
        assert slope == pytest.approx(exact, rel=0.01, abs=2e-3), variable.path


@pytest.mark.jax
@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_carries_each_hypothesis_memory_along(kind):
    """The log-probability of every hypothesis is that of a pass which is forced along it."""
    model = lively(kind)
    found = Searcher(model, DecodingConfig(beam=4))(SOURCE, 6)
    score = compile_fn(lambda source, target: ops.log_softmax(model.decode(target, model.encode(source)).logits), model)
    for n in range(4):
        ids = found.ids[:, n]
        forced = ops.convert_to_numpy(score(SOURCE, np.pad(ids, ((0, 0), (1, 0)), constant_values=BOS)[:, :-1]))
        each = np.take_along_axis(forced, ids[..., None], axis=-1)[..., 0] * (ids != PAD)
        np.testing.assert_allclose(each.sum(axis=1), found.log_probs[:, n], atol=1e-4)


def test_a_feed_forward_controller_knows_only_what_it_reads():
    """Whatever its state was before, it does the same; an LSTM does not."""
    for kind, same in (("feed-forward", True), ("ntm", False)):
        cell = lively(kind).cell
        (hidden, carry, *others), x = cell.initial(1), np.ones((1, 6), "float32")
        outputs = [ops.convert_to_numpy(cell.advance(x, [h, h + carry, *others])[0]) for h in (hidden, hidden + 1.0)]
        assert np.allclose(*outputs) is same


def test_a_larger_memory_has_no_more_weights():
    sizes = {slots: build_model(NTMConfig(slots=slots), 20, 20).count_params() for slots in (8, 128)}
    assert sizes[8] == sizes[128]


@pytest.mark.parametrize("kind", ["ntm", "dnc"])
def test_a_feed_forward_model_has_the_weights_that_a_file_must_have_room_for(kind):
    config = KINDS[kind].model_copy(update={"controller": "feed-forward", "units": 64})
    assert least_weights(config, (20, 20)) <= build_model(config, 20, 20).count_params()
