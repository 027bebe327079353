import keras
import numpy as np
import pytest
from toy_stage import make_learner, rows

from nmt_rl.config import BatchConfig, OptimizerConfig, TransformerConfig
from nmt_rl.corpus.batches import Batch
from nmt_rl.models.build import build_model
from nmt_rl.training.learner import Learner, joined
from nmt_rl.training.losses import CrossEntropy, with_positions

MODEL = TransformerConfig(
    width=8, heads=2, feed_forward=8, encoder_layers=1, decoder_layers=1, dropout=0.0, max_positions=16
)
FIXED = {"schedule": "constant", "warmup": 0}


def translation_batch(pairs=4, time=5, seed=0):
    """Targets that copy their sources, all of one length."""
    source = np.random.default_rng(seed).integers(4, 12, (pairs, time)).astype("int32")
    target_out = np.concatenate([source[:, :-1], np.full((pairs, 1), 3)], axis=1).astype("int32")
    target_in = np.concatenate([np.full((pairs, 1), 2), target_out[:, :-1]], axis=1).astype("int32")
    return Batch(source, target_in, target_out, np.arange(pairs))


def translation_learner(precision="float32", **optimizer):
    config = OptimizerConfig(**{**FIXED, "learning_rate": 0.01, **optimizer})
    return Learner(build_model(MODEL, 12, 12, seed=1, precision=precision), CrossEntropy(0.1), config, precision)


def feed(batch):
    return with_positions(batch, BatchConfig(pad="buckets"))


@pytest.mark.jax
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_loss_falls(precision):
    learner, batch = translation_learner(precision), feed(translation_batch())
    losses = [learner.update([batch], 0.01) for _ in range(20)]
    assert losses[0]["loss"] == pytest.approx(np.log(12), abs=1.0)
    assert losses[-1]["nll"] < 0.7 * losses[0]["nll"]
    assert losses[0]["tokens"] == 20.0


@pytest.mark.jax
@pytest.mark.parametrize("parts", [1, 2])
def test_a_gradient_that_is_not_finite_changes_nothing(parts):
    learner = make_learner(clip_norm=1.0, ema=0.9)
    batches = joined([rows(step) for step in range(parts)], [4] * parts)
    assert float(learner.update(batches, 0.1)["skipped"]) == 0.0
    before = [np.asarray(v.value).tobytes() for v in learner.state]
    spoilt = [*batches[:-1], {**batches[-1], "y": batches[-1]["y"] * np.inf}]
    assert float(learner.update(spoilt, 0.1)["skipped"]) == 1.0
    assert [np.asarray(v.value).tobytes() for v in learner.state] == before
    assert float(learner.update(batches, 0.1)["skipped"]) == 0.0
    assert [np.asarray(v.value).tobytes() for v in learner.state] != before


def test_float16_scales_the_loss():
    learner = translation_learner("float16")
    assert isinstance(learner.optimizer, keras.optimizers.LossScaleOptimizer)
    assert float(learner.optimizer.dynamic_scale) > 1000
    assert any(v is learner.optimizer.dynamic_scale for v in learner.state)


@pytest.mark.jax
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_batches_of_one_update_are_one_big_batch(precision):
    """2, 5 and 1 sentences of different lengths: the same loss, gradient, clipping and average as of all 8 at once."""
    settings = {"clip_norm": 0.05, "epsilon": 1.0, "ema": 0.5}
    one, many = (translation_learner(precision, **settings) for _ in range(2))
    whole = translation_batch(8)
    whole.target_out[:3, 2:], whole.target_in[:3, 3:] = 0, 0
    cuts = [whole_rows(whole, rows) for rows in (slice(0, 2), slice(2, 7), slice(7, 8))]
    for _ in range(2):
        numbers = one.update([feed(whole)], 1.0)
        batches = [feed(cut) for cut in cuts]
        shares = joined(batches, [np.count_nonzero(batch["labels"]) for batch in batches])
        assert many.update(shares, 1.0) == pytest.approx(numbers, rel=1e-3 if precision == "float16" else 1e-5)
    for a, b in zip(one.state, many.state, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3 if precision == "float16" else 1e-5, err_msg=a.path)
    assert np.abs(one.model.get_weights()[0] - translation_learner().model.get_weights()[0]).max() > 1e-3


def whole_rows(batch, rows):
    return Batch(*(getattr(batch, name)[rows] for name in ("source", "target_in", "target_out", "indices")))


def test_the_average_moves_once_per_update():
    """From the first weights w to m w + (1 - m) w', whatever the number of batches."""
    learner = make_learner(ema=0.75)
    first = learner.model.get_weights()[0]
    learner.update(joined([rows(1), rows(2), rows(3)], [1, 1, 1]), 0.1)
    average = next(v for v in learner.optimizer.variables if "kernel" in v.path and "average" in v.path)
    # Keras begins with the weights after the first update.
    second = learner.model.get_weights()[0]
    np.testing.assert_allclose(average, second)
    learner.update(joined([rows(4), rows(5)], [1, 1]), 0.1)
    np.testing.assert_allclose(average, 0.75 * second + 0.25 * learner.model.get_weights()[0], rtol=1e-5)
    assert np.abs(first - second).min() > 0.05


def test_shares_are_by_size():
    assert [batch["share"] for batch in joined([{}, {}, {}], [1, 5, 2])] == pytest.approx([0.125, 0.625, 0.25])
    assert [batch["share"] for batch in joined([{}, {}], [0, 0])] == [0.5, 0.5]


def test_the_first_adam_step_is_the_learning_rate_times_the_sign():
    # m / sqrt(v) = g / |g| in the first step, whatever beta_1 and beta_2 are.
    learner = make_learner()
    before, batch = learner.model.get_weights()[0], rows(1)
    gradient = 2 * batch["x"].T @ (batch["x"] @ before - batch["y"]) / len(batch["x"])
    learner.update([batch], 0.25)
    np.testing.assert_allclose(learner.model.get_weights()[0], before - 0.25 * np.sign(gradient), atol=1e-5)


def test_the_global_norm_is_clipped():
    # Adam's first step is rate * g / (|g| + epsilon / sqrt(1 - beta_2)) in the form with "epsilon hat" (Kingma and Ba,
    # end of section 2), so that a large epsilon shows the clipped norm.
    learner = make_learner(clip_norm=0.01, epsilon=1.0)
    before, batch = learner.model.get_weights(), rows(1)
    error = 2 * (batch["x"] @ before[0] - batch["y"]) / len(batch["x"])
    gradients = [batch["x"].T @ error, error.sum(axis=0)]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    assert norm > 1
    learner.update([batch], 1.0)
    for new, old, gradient in zip(learner.model.get_weights(), before, gradients, strict=True):
        clipped = gradient * 0.01 / norm
        np.testing.assert_allclose(
            new - old, -clipped / (np.abs(clipped) + 1 / np.sqrt(1 - 0.98)), rtol=1e-3, atol=1e-7
        )


def test_adamw_decays_weights():
    plain, decayed = make_learner(name="adamw"), make_learner(name="adamw", weight_decay=0.1)
    before = plain.model.get_weights()[0]
    plain.update([rows(1)], 0.1), decayed.update([rows(1)], 0.1)
    difference = plain.model.get_weights()[0] - decayed.model.get_weights()[0]
    np.testing.assert_allclose(difference, 0.1 * 0.1 * before, rtol=1e-3)


def test_dropout_seeds_and_optimizer_are_part_of_the_state():
    state = {v.path for v in make_learner(dropout=0.5, ema=0.9).state}
    for name in ("seed_generator_state", "iteration", "velocity", "average"):
        assert any(name in path for path in state), (name, sorted(state))


@pytest.mark.jax
def test_numbers_of_a_learner_that_runs_ahead_are_those_of_one_that_waits():
    waits, ahead = (translation_learner(clip_norm=0.5) for _ in range(2))
    ahead.runs_ahead = True
    batches = [feed(translation_batch(seed=n)) for n in range(3)]
    for _ in range(2):
        for batch in batches:
            one, other = waits.update([batch], 0.01), ahead.update([batch], 0.01)
            assert isinstance(one["loss"], float) and not isinstance(other["loss"], float)
            assert {name: float(value) for name, value in other.items()} == one
    shares = joined(batches, [20, 20, 20])
    one, other = waits.update(shares, 0.01), ahead.update(shares, 0.01)
    assert {name: float(value) for name, value in other.items()} == pytest.approx(one)
