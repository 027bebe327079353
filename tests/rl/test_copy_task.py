"""The whole method on the copy task: from a mediocre cross-entropy model, BLEU alone has to teach copying."""

import numpy as np
import pytest
from copy_task import WordTokenizer, exact_match, make_config, make_corpus, make_model, pretrain, tokenizers

from nmt_rl.config import TransformerConfig
from nmt_rl.corpus.batches import pad_source
from nmt_rl.decoding.search import Generator
from nmt_rl.rl import rollouts
from nmt_rl.rl.episodes import EpisodeBatches
from nmt_rl.rl.objective import QObjective
from nmt_rl.rl.trajectories import Trajectories
from nmt_rl.training.learner import Learner

MODEL = TransformerConfig(
    width=32, heads=2, feed_forward=32, max_positions=16, encoder_layers=1, decoder_layers=1, dropout=0.0
)
LENGTHS = {"shortest": 3, "longest": 6}
TRAIN, TEST = make_corpus(2000, seed=1, **LENGTHS), make_corpus(300, seed=2, **LENGTHS)
SOURCE = pad_source([TEST.source(i).tolist() for i in range(len(TEST))])


class Student:
    """A pretrained policy, its frozen prior, and the real machinery of fine-tuning."""

    def __init__(self, weights, **settings):
        self.weights, self.config = (
            weights,
            make_config(MODEL, tau=0.005, sentences=32, fork={"per_source": 4}, **settings),
        )
        self.policy, prior = make_model(MODEL), make_model(MODEL)
        prior.set_weights(weights)
        trajectories = None
        if self.config.finetune.objective != "fork":
            target = make_model(MODEL)
            target.set_weights(weights)
            trajectories = Trajectories(self.policy, prior, target, WordTokenizer(), TRAIN, self.config)
        self.batches = EpisodeBatches(self.policy, prior, TRAIN, tokenizers(), self.config, trajectories)
        self.learner = Learner(self.policy, QObjective(self.config.finetune, 0.0), self.config.finetune.optimizer)
        self.decode = Generator(self.policy)

    def learn(self, updates, rate, seed):
        """From the pretrained weights, with nothing left of an earlier seed."""
        self.policy.set_weights(self.weights)
        for variable in self.learner.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        self.batches.config = self.config.model_copy(update={"seed": seed})
        if self.batches.trajectories is None:
            self.batches.restore({"epoch": 0, "batch": 0}, {})
        for step in range(1, updates + 1):
            self.learner.update(self.batches.next(step)[0], rate)
            self.batches.after_update(step)
        return exact_match(self.policy, SOURCE, self.decode)


@pytest.fixture(scope="module")
def pretrained():
    """Weights that copy about half of the sentences, and the exact share."""
    model = make_model(MODEL)
    pretrain(model, TRAIN, 100, 3e-3)
    share = exact_match(model, SOURCE)
    assert 0.3 < share < 0.8
    return model.get_weights(), share


@pytest.fixture(scope="module")
def forks(pretrained):
    return Student(pretrained[0], objective="fork")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_forked_rollouts_teach_copying(forks, pretrained, seed):
    assert forks.learn(50, 1e-3, seed) > pretrained[1] + 0.1


def test_a_constant_reward_teaches_nothing(forks, pretrained, monkeypatch):
    """The control for `it only got peakier`: the policy stays where it is."""
    monkeypatch.setattr(rollouts, "sentence_scores", lambda texts, references: np.full(len(texts), 0.5))
    forks.learn(10, 1e-3, 1)
    for before, after in zip(pretrained[0], forks.policy.get_weights(), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)


def test_trajectories_teach_copying(pretrained):
    student = Student(pretrained[0], objective="trajectory")
    assert student.learn(100, 5e-4, 1) > pretrained[1] + 0.03
