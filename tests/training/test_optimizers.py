import keras
import numpy as np
import pytest
from toy_stage import make_learner, rows

from nmt_rl.config import OptimizerConfig, TransformerConfig, load_config
from nmt_rl.errors import UserError
from nmt_rl.models.build import build_model
from nmt_rl.training.optimizers import BlockMuon, averaged_weights, blocks_of, build_optimizer

CONFIG = TransformerConfig(width=8, heads=2, feed_forward=16, encoder_layers=1, decoder_layers=1, positions="learned")


@pytest.mark.jax
def test_muon_makes_each_map_of_a_kernel_orthogonal():
    """After one step the change of every block is rate * scale * U V^T, about: all its singular values are alike."""
    model = build_model(CONFIG, 12, 12, seed=1)
    optimizer = build_optimizer(OptimizerConfig(name="muon", learning_rate=1.0, clip_norm=0.0))
    assert isinstance(optimizer, BlockMuon)
    rng = np.random.default_rng(2)
    before = [v.numpy() for v in model.trainable_variables]
    optimizer.build(model.trainable_variables)
    optimizer.apply([rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables])
    seen = set()
    for variable, old in zip(model.trainable_variables, before, strict=True):
        change = variable.numpy() - old
        if change.ndim == 2 and "embeddings" not in variable.path and "positions" not in variable.path:
            blocks = np.split(change, blocks_of(variable.path), axis=1)
            seen.add(len(blocks))
            for block in blocks:
                values = np.linalg.svd(block / (0.2 * max(block.shape) ** 0.5), compute_uv=False)
                assert 0.65 < np.median(values) <= values.max() < 1.3, variable.path  # Five steps lift no tiny one.
        else:  # AdamW: the first step is the rate.
            np.testing.assert_allclose(np.abs(change), 1.0, rtol=1e-3, err_msg=variable.path)
    assert seen == {1, 2, 3}


@pytest.mark.jax
def test_schedule_free_is_validated_at_the_mean_of_its_steps():
    """x is the mean of z_1 .. z_t (Defazio et al., 2024, eq. 1 and 2), y = 0.1 z + 0.9 x is what is trained."""
    learner = make_learner(name="schedule-free", beta_1=0.9)
    inner, z = learner.optimizer, []
    for step in range(1, 6):
        learner.update([rows(step)], 0.1)
        z.append(np.asarray(inner._momentums[0].value))
    trained = learner.model.get_weights()[0]
    with averaged_weights(learner):
        x = learner.model.get_weights()[0]
        np.testing.assert_allclose(x, np.mean(z, axis=0), rtol=1e-4)
    np.testing.assert_allclose(trained, 0.1 * z[-1] + 0.9 * x, rtol=1e-4)
    np.testing.assert_array_equal(learner.model.get_weights()[0], trained)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon", "schedule-free"])
def test_all_learn(name):
    learner = make_learner(name=name)
    losses = [learner.update([rows(1)], 0.05)["loss"] for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


def test_schedule_free_takes_no_other_average_or_schedule():
    for other in ("ema=0.9", "schedule=cosine"):
        settings = ["name=schedule-free", "schedule=constant", other]
        with pytest.raises(UserError, match="name schedule-free averages the weights itself"):
            load_config("quickstart", [f"pretrain.optimizer.{each}" for each in settings])
    assert load_config("quickstart", ["pretrain.optimizer={name: schedule-free, schedule: constant}"])


def test_before_the_first_update_the_moving_average_is_the_weights():
    learner = make_learner(ema=0.9)
    before = learner.model.get_weights()[0]
    with averaged_weights(learner):
        np.testing.assert_array_equal(learner.model.get_weights()[0], before)


def test_the_average_of_a_plain_optimizer_is_its_weights():
    learner = make_learner()
    learner.update([rows(1)], 0.1)
    before = learner.model.get_weights()[0]
    with averaged_weights(learner):
        np.testing.assert_array_equal(learner.model.get_weights()[0], before)
    assert isinstance(learner.optimizer, keras.optimizers.Adam)
