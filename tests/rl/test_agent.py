"""A stage that was interrupted goes on as one that was not: every kind of term, LSTM and Transformer."""

import numpy as np
import pytest
from copy_task import Student, make_config, make_corpus, make_model

from nmt_rl.config import LSTMConfig, TransformerConfig

CORPUS = make_corpus(30)
TRANSFORMER = TransformerConfig(width=16, heads=2, feed_forward=16, encoder_layers=1, decoder_layers=1, dropout=0.1)
LSTM = LSTMConfig(embedding=12, units=16, attention_units=8, tie="all", dropout=0.1)
REPLAY = {"share": 0.4, "priority": 0.6, "max_age": 2}
DQN = {"type": "dqn", "steps": 2, "epsilon": 0.3, "monte_carlo": 0.25, "replay": {"ratio": 3, "max_age": 4}}
STAGES = {
    "dqn-sa, additive": (LSTM, {"method": DQN, "cross_entropy": 0.1}),
    "dqn-sa, bilinear": (LSTM.model_copy(update={"attention": "bilinear"}), {"method": DQN}),
    "trajectories, priorities": (TRANSFORMER, {"method": {"type": "trajectory", "replay": REPLAY}}),
    "dueling heads": (TRANSFORMER, {"method": {"type": "trajectory", "q": {"type": "dueling"}, "replay": REPLAY}}),
    "mrt": (LSTM, {"method": {"type": "mrt", "samples": 2}}),
    "reinforce": (TRANSFORMER, {"method": {"type": "reinforce", "samples": 2}}),
}


def make(model, **settings):
    config = make_config(model, sentences=4, updates=4, **settings)
    return Student(make_model(model, noise=0.3, seed=5).get_weights(), config, CORPUS)


def update(learner, steps):
    for step in steps:
        learner.agent.update(step, 0.01)


def everything(learner):
    """Weights, optimizer, replay, heads and target networks, byte for byte."""
    meta, arrays = learner.agent.state()
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
    learner.agent.restore(*saved[1:])
    update(learner, (3, 4))
    assert digest(everything(learner)) == straight
