"""What is trained of a model, and that an adapter is nothing until it has learnt something."""

import keras
import numpy as np
import pytest
from keras import ops

from nmt_rl.config import BiasConfig, EmbeddingsConfig, LoRAConfig, LSTMConfig, OptimizerConfig, TransformerConfig
from nmt_rl.models.adapters import adapt, merged_weights
from nmt_rl.models.build import build_model
from nmt_rl.models.linear import Linear, LowRank, converted_weights, training_products
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import CrossEntropy

pytestmark = pytest.mark.jax

MODELS = {
    "transformer": TransformerConfig(encoder_layers=1, decoder_layers=1, width=8, heads=2, feed_forward=8, dropout=0.0),
    "lstm": LSTMConfig(embedding=4, units=4, attention_units=4, dropout=0.0),
}
ids = np.random.default_rng(0).integers
BATCH = {
    "source": ids(4, 9, (2, 3)).astype("int32"),
    "target_in": ids(4, 9, (2, 2)).astype("int32"),
    "positions": np.arange(4, dtype="int32"),
    "labels": ids(4, 9, 4).astype("int32"),
}


def logits(model):
    encoded = model.encode(BATCH["source"])
    return ops.convert_to_numpy(model.decode(BATCH["target_in"], encoded).logits)


def trained(model):
    """Names of the variables that an update changes."""
    learner = Learner(model, CrossEntropy(0.1), OptimizerConfig(schedule="constant", warmup=0))
    before = {v.path: np.array(v.value) for v in model.weights}
    for _ in range(2):  # A of an adapter has no gradient while B is 0.
        learner.update([BATCH], 0.1)
    return {v.path for v in model.weights if not np.array_equal(before[v.path], np.array(v.value))}


def test_a_low_rank_product_by_hand():
    """x W + 2 (x down) up = [3, 5] + 2 [1 * 2, 1 * 3] with x = [1, 2], down = [1, 0]."""
    layer = Linear(2, use_bias=False)
    layer.build(2)
    layer.kernel.assign([[1.0, 1.0], [1.0, 2.0]])
    down, up = keras.Variable([[1.0], [0.0]]), keras.Variable([[2.0, 3.0]])
    layer.kernel.low_rank = LowRank(down, up, 2.0)
    found = layer(np.array([[1.0, 2.0]], np.float32))
    np.testing.assert_allclose(ops.convert_to_numpy(found), [[3 + 4, 5 + 6]], atol=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_an_adapter_changes_nothing_at_first_and_is_all_that_is_trained(kind):
    model = build_model(MODELS[kind], 9, 9, seed=1)
    before = logits(model)
    adapt(model, LoRAConfig(rank=2), seed=1)
    np.testing.assert_allclose(logits(model), before, atol=1e-6)
    changed = trained(model)
    assert changed and all("adapters" in path for path in changed)
    assert len(changed) == len(model.trainable_variables), "every matrix learns"
    assert np.abs(logits(model) - before).max() > 1e-3


@pytest.mark.parametrize("kind", MODELS)
def test_merged_weights_of_a_plain_model_compute_the_same(kind):
    model, fresh = (build_model(MODELS[kind], 9, 9, seed=1) for _ in range(2))
    adapt(model, LoRAConfig(rank=2), seed=1)
    trained(model)
    adapted = logits(model)
    fresh.set_weights(merged_weights(model))
    np.testing.assert_allclose(logits(fresh), adapted, atol=1e-5)
    np.testing.assert_allclose(logits(model), adapted, atol=1e-6)


def test_products_in_bfloat16_have_their_adapters_in_loops_too():
    model = build_model(MODELS["transformer"], 9, 9, seed=1, precision="bfloat16")
    adapt(model, LoRAConfig(rank=2), seed=1)
    trained(model)
    plain = logits(model)
    with converted_weights(model):
        np.testing.assert_allclose(logits(model), plain, atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_biases_and_embeddings(kind):
    model = build_model(MODELS[kind], 9, 9, seed=1)
    adapt(model, BiasConfig(), seed=1)
    assert {v.name for v in model.trainable_variables} <= {"bias", "beta"} and model.trainable_variables
    assert trained(model) <= {v.path for v in model.trainable_variables}
    model = build_model(MODELS[kind], 9, 9, seed=1)
    adapt(model, EmbeddingsConfig(), seed=1)
    assert {v.path.split("/")[-2] for v in model.trainable_variables} == {"embeddings"}


def test_attention_alone_or_all_else():
    found = {}
    for products in ("attention", "feed-forward", "all"):
        model = build_model(MODELS["transformer"], 9, 9, seed=1)
        adapt(model, LoRAConfig(rank=1, products=products), seed=1)
        found[products] = {v.name for v in model.trainable_variables}
    assert found["attention"] | found["feed-forward"] == found["all"]
    assert all("wide" in name or "narrow" in name for name in found["feed-forward"])


def dropping_layer(rate):
    """x W + 2 (drop(x) down) up, of 3 inputs and 2 units."""
    layer = Linear(2, use_bias=False)
    layer.build(3)
    layer.kernel.assign([[1.0, 1.0], [1.0, 2.0], [0.0, 1.0]])
    down, up = keras.Variable([[1.0], [-1.0], [0.5]]), keras.Variable([[2.0, 3.0]])
    layer.kernel.low_rank = LowRank(down, up, 2.0, rate, keras.random.SeedGenerator(1))
    return layer


def test_dropout_of_an_adapter_keeps_its_mean_and_leaves_the_matrix_alone():
    """At a rate of 0.9 an input is 0, or ten times itself: x W stays, and the mean of many draws of the rest."""
    x = np.tile(np.array([[1.0, 2.0, 3.0]], np.float32), (200_000, 1))
    layer = dropping_layer(0.9)
    whole = ops.convert_to_numpy(layer(x[:1]))[0]
    with training_products(True):
        drawn = ops.convert_to_numpy(layer(x))
    own = np.array([3.0, 8.0])  # x W
    assert (np.abs(drawn - own).max(axis=1) < 1e-5).mean() == pytest.approx(0.9**3, abs=0.01)
    np.testing.assert_allclose(drawn.mean(axis=0), whole, atol=0.4)  # Standard errors: 0.07 and 0.11.
    np.testing.assert_allclose(whole, own + 2 * (1 - 2 + 1.5) * np.array([2.0, 3.0]), atol=1e-5)


def test_dropout_of_an_adapter_is_of_training_alone():
    model = build_model(MODELS["transformer"], 9, 9, seed=1)
    adapt(model, LoRAConfig(rank=2, dropout=0.5), seed=1)
    plain = build_model(MODELS["transformer"], 9, 9, seed=1)
    trained(model)
    plain.set_weights(merged_weights(model))
    np.testing.assert_allclose(logits(plain), logits(model), atol=1e-5)

    def states(training):
        encoded = model.encode(BATCH["source"], training)
        return ops.convert_to_numpy(model.decode_states(BATCH["target_in"], encoded, training).states)

    np.testing.assert_array_equal(states(False), states(False))
    assert np.abs(states(True) - states(True)).max() > 1e-4, "each pass draws anew"


def test_an_adapter_with_dropout_is_all_that_is_trained_and_its_draws_are_part_of_the_state():
    model = build_model(MODELS["transformer"], 9, 9, seed=1)
    adapt(model, LoRAConfig(rank=2, dropout=0.5), seed=1)
    seeds = model.adapters.seeds.state
    before = np.array(seeds.value)
    changed = trained(model)
    assert changed and all("adapters" in path for path in changed)
    assert any(v is seeds for v in model.variables) and not np.array_equal(before, np.array(seeds.value))
