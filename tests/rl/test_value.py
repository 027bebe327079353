import numpy as np
import pytest
from keras import ops

from nmt_rl.config import OptimizerConfig
from nmt_rl.rl.value import ValueHead, value_objective
from nmt_rl.training.learner import Learner

pytestmark = pytest.mark.jax


def test_the_value_head_learns():
    rng = np.random.default_rng(3)
    head = ValueHead(6, 3, 8)
    batch = {"states": rng.normal(size=(4, 5, 6)), "features": rng.uniform(size=(4, 5, 3))}
    batch["target"] = batch["features"].sum(-1) + 0.3 * batch["states"][..., 0]
    batch["weights"] = np.ones((4, 5))
    batch["weights"][1, 3:] = 0.0
    batch["target"][1, 3:] = 1e6  # behind the end
    batch = {name: array.astype(np.float32) for name, array in batch.items()}
    learner = Learner(head, value_objective, OptimizerConfig())
    losses = [learner.update([batch], 0.03)["loss"] for _ in range(60)]
    assert losses[-1] < 0.05 * losses[0] < 10


def test_without_privileged_features_v_sees_only_the_state():
    head = ValueHead(5, 0, 4)
    assert head.hidden.kernel.shape[0] == 5
    states = np.random.default_rng(0).normal(size=(1, 2, 5)).astype("float32")
    first, second = (ops.convert_to_numpy(head(states, np.full((1, 2, 8), x, "float32"))) for x in (0.0, 9.0))
    np.testing.assert_array_equal(first, second)
