"""A stage that was interrupted goes on as one that was not: every kind of term, LSTM and Transformer."""

import numpy as np
import pytest
from copy_task import Student, make_config, make_corpus, make_model

from nmt_rl.config import LSTMConfig, TransformerConfig

CORPUS = make_corpus(30)
TRANSFORMER = TransformerConfig(width=16, heads=2, feed_forward=16, encoder_layers=1, decoder_layers=1, dropout=0.1)
LSTM = LSTMConfig(embedding=12, units=16, attention_units=8, tie="all", dropout=0.1)
PRIORITIES = {"share": 0.4, "priority": 0.6, "demonstrations": 0.2, "max_age": 2}
STAGES = {
    "dqn-sa, additive": (LSTM, {"objective": "both", "cross_entropy": 0.1}),
    "dqn-sa, bilinear": (LSTM.model_copy(update={"attention": "bilinear"}), {"objective": "both"}),
    "sa-dqn, priorities, copies": (TRANSFORMER, {"objective": "both", "part": {"target_period": 3}, **PRIORITIES}),
    "dueling heads": (TRANSFORMER, {"objective": "trajectory", "part": {"q": "dueling", "margin": 0.1}, **PRIORITIES}),
    "mrt": (LSTM, {"objective": "mrt"}),
    "reinforce": (TRANSFORMER, {"objective": "reinforce"}),
}


def make(model, objective, part=None, cross_entropy=0.0, **replay):
    trajectory = {"value_units": 8, "monte_carlo_updates": 1, "replay": replay, **(part or {})}
    settings = {"trajectory": trajectory, "policy_gradient": {"samples": 2, "baseline_units": 8}}
    config = make_config(model, objective=objective, sentences=4, cross_entropy=cross_entropy, **settings)
    return Student(make_model(model, noise=0.3, seed=5).get_weights(), config, CORPUS)


def update(learner, steps):
    for step in steps:
        learner.learner.update(learner.batches.next(step)[0], 0.01)
        learner.batches.after_update(step)


def everything(learner):
    """Weights, optimizer, replay, heads and target networks, byte for byte."""
    meta, arrays = learner.batches.state()
    arrays = {name: np.array(array) for name, array in arrays.items()}
    return [np.array(v.value) for v in learner.learner.state], meta, arrays


def digest(state):
    learner, meta, arrays = state
    return [a.tobytes() for a in learner], meta, {name: array.tobytes() for name, array in arrays.items()}


JAX = ("dqn-sa, additive", "dueling heads", "mrt")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.jax] if n in JAX else []) for n in STAGES])
def test_a_stage_goes_on_after_a_restore_as_without_one(name):
    model, settings = STAGES[name]
    learner = make(model, **settings)
    start = [w.copy() for w in learner.policy.get_weights()]
    update(learner, (1, 2))
    saved = everything(learner)
    assert any((a != b).any() for a, b in zip(start, learner.policy.get_weights(), strict=True))
    update(learner, (3, 4))
    straight = digest(everything(learner))
    for variable, value in zip(learner.learner.state, saved[0], strict=True):
        variable.assign(value)
    learner.batches.restore(*saved[1:])
    update(learner, (3, 4))
    assert digest(everything(learner)) == straight
