"""What holds a model while it learns: nothing at first, and more the farther it goes."""

import numpy as np
import pytest
from keras import ops

from nmt_rl.config import LoRAConfig, OptimizerConfig, TransformerConfig
from nmt_rl.models.adapters import adapt
from nmt_rl.models.build import build_model
from nmt_rl.training.keeping import Anchor, Distilled, Elastic, fisher_information
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import CrossEntropy

pytestmark = pytest.mark.jax

CONFIG = TransformerConfig(encoder_layers=1, decoder_layers=1, width=8, heads=2, feed_forward=8, dropout=0.0)
PLAIN = CrossEntropy(0.0)


def batch(seed, rows=2):
    draw = np.random.default_rng(seed).integers
    return {
        "source": draw(4, 9, (rows, 3)).astype("int32"),
        "target_in": draw(4, 9, (rows, 2)).astype("int32"),
        "positions": np.arange(2 * rows, dtype="int32"),
        "labels": draw(4, 9, 2 * rows).astype("int32"),
    }


def sentence(whole, row):
    """One of a batch."""
    both = {name: whole[name][row : row + 1] for name in ("source", "target_in")}
    return {**both, "positions": np.arange(2, dtype="int32"), "labels": whole["labels"][2 * row : 2 * row + 2]}


def made():
    return build_model(CONFIG, 9, 9, seed=1)


def value(found, name):
    return float(ops.convert_to_numpy(found[name]))


def test_the_penalty_by_hand():
    """1/2 (2 * 3^2 + 0.5 * 1^2) for two weights that went 3 and 1 away and are needed 2 and 0.5."""
    model = made()
    needs = [np.zeros(v.shape) for v in model.trainable_variables]
    first = np.zeros(model.trainable_variables[0].shape)
    first.flat[:2] = 2.0, 0.5
    anchor = Anchor(model, [first, *needs[1:]])
    moved = np.array(model.trainable_variables[0].value)
    moved.flat[:3] += 3.0, -1.0, 9.0
    model.trainable_variables[0].assign(moved)
    found = anchor.penalty(model.trainable_variables)
    assert float(ops.convert_to_numpy(found)) == pytest.approx(9.25, abs=1e-4)


def test_fisher_information_is_that_of_finite_differences():
    """Squared slopes of two sentences' log-probabilities along one weight, over their four tokens."""
    model, sentences = made(), [batch(3, rows=1), batch(4, rows=1)]
    fisher = fisher_information(model, sentences)
    variable = next(v for v in model.trainable_variables if "wide" in v.path and v.name == "kernel")
    place = [v.path for v in model.trainable_variables].index(variable.path)
    start, slopes = np.array(variable.value), []
    for each in sentences:
        ends = []
        for step in (1e-2, -1e-2):
            moved = start.copy()
            moved[0, 0] += step
            variable.assign(moved)
            ends.append(2 * value(PLAIN(model, each, False), "nll"))
        slopes.append((ends[0] - ends[1]) / 2e-2)
        variable.assign(start)
    assert fisher[place][0, 0] == pytest.approx(sum(s**2 for s in slopes) / 4, rel=0.02, abs=1e-9)
    assert all((need >= 0).all() for need in fisher) and sum(need.sum() for need in fisher) > 0


@pytest.mark.parametrize("kind", ["distill", "ewc"])
def test_a_kept_model_stays_nearer_to_what_it_said(kind):
    """Of a model that has learnt the old text: after the same updates its loss there has risen less."""
    old, new, risen = batch(5, rows=8), batch(6, rows=8), {}
    start = made()
    learner = Learner(start, PLAIN, OptimizerConfig(schedule="constant", warmup=0))
    for _ in range(25):
        learner.update([old], 0.02)
    for weight in (1e-6, 300.0):
        model, teacher = made(), made()
        for each in (model, teacher):
            each.set_weights(start.get_weights())
        before = value(PLAIN(model, old, False), "nll")
        if kind == "distill":
            teacher.trainable = False
            objective, beside = Distilled(PLAIN, teacher, weight), teacher
        else:
            beside = Anchor(model, fisher_information(model, [sentence(old, row) for row in range(8)]))
            objective = Elastic(PLAIN, beside, weight)
        assert value(objective(model, new, True), "kept") == pytest.approx(0.0, abs=1e-6)
        held = [np.array(v.value) for v in beside.weights]
        learner = Learner(model, objective, OptimizerConfig(schedule="constant", warmup=0), beside=beside)
        for _ in range(15):
            numbers = learner.update([new], 0.02)
        assert numbers["kept"] > 0
        assert all(np.array_equal(a, np.array(v.value)) for a, v in zip(held, beside.weights, strict=True))
        risen[weight] = value(PLAIN(model, old, False), "nll") - before
    assert risen[300.0] < 0.8 * risen[1e-6], risen


def test_the_share_of_an_update_has_its_share_of_the_penalty():
    model, teacher = made(), build_model(CONFIG, 9, 9, seed=2)
    teacher.trainable = False
    whole = Distilled(PLAIN, teacher, 1.0)(model, batch(7), True)
    part = Distilled(PLAIN, teacher, 1.0)(model, {**batch(7), "share": np.float32(0.25)}, True)
    assert value(part, "kept") == pytest.approx(0.25 * value(whole, "kept"), rel=1e-5)
    assert value(part, "loss") == pytest.approx(0.25 * value(whole, "loss"), rel=1e-5)


def test_an_adapter_is_held_where_nothing_is_added():
    model = made()
    adapt(model, LoRAConfig(rank=2), seed=1)
    anchor = Anchor(model, fisher_information(model, [batch(8)]))
    assert len(anchor.places) == len(model.trainable_variables)
    assert value(Elastic(PLAIN, anchor, 1.0)(model, batch(9), True), "kept") == 0.0
