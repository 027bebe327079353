"""A word reward: a bias against the end, before the softmax."""

from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops
from noise import with_noise

from nmt_rl.backend import compile_fn
from nmt_rl.config import LSTMConfig, TransformerConfig
from nmt_rl.corpus.tokenizer import BOS, EOS
from nmt_rl.models.build import build_model
from nmt_rl.models.ensemble import Ensemble
from nmt_rl.models.word_reward import WordReward, rewarded

SOURCE = np.array([[4, 5, 6, 3], [6, 3, 0, 0]], "int32")
TARGET = np.array([[BOS, 4, 5, 6], [BOS, 6, 6, 4]], "int32")
KINDS = {
    "transformer": TransformerConfig(width=8, heads=2, feed_forward=8, encoder_layers=1, decoder_layers=1),
    "lstm": LSTMConfig(units=8, embedding=6, attention_units=4, tie="all"),
}
LN2 = 0.6931472


def lively(kind, seed=1):
    return with_noise(build_model(KINDS[kind], 7, 7, seed=seed), 0.6, seed)


def forced(model):
    score = compile_fn(lambda s, t: ops.softmax(model.decode(t, model.encode(s)).logits), model)
    return ops.convert_to_numpy(score(SOURCE, TARGET))


@pytest.mark.jax
def test_by_hand():
    """p(EOS) = 0.5, w = ln 2: the end counts half, 0.25 of 0.75; a piece gains -log(1 - 0.5 (1 - 0.5)) = log(4 / 3)."""
    logits = np.log(np.array([[0.1, 0.1, 0.1, 0.5, 0.2]], "float32")) + 2.0
    base = SimpleNamespace(
        project=lambda states: ops.convert_to_tensor(logits),
        logits_of=lambda states, pieces: ops.take_along_axis(ops.convert_to_tensor(logits), pieces, axis=-1),
        mean_logit=lambda states: ops.mean(ops.convert_to_tensor(logits), axis=-1),
        max_length=9,
        embeddings=SimpleNamespace(sizes=(5, 5), width=8),
    )
    model = WordReward(base, LN2)
    found = np.asarray(ops.softmax(model.project(None)))
    np.testing.assert_allclose(found, [[2 / 15, 2 / 15, 2 / 15, 1 / 3, 4 / 15]], atol=1e-6)
    assert np.log(found[0, 4]) == pytest.approx(np.log(0.2) + np.log(4 / 3), abs=1e-6)
    pieces = np.array([[EOS, 4, 0]], "int32")
    np.testing.assert_allclose(model.logits_of(None, pieces), [[1.306853 - LN2, 0.390562, -0.302585]], atol=1e-5)
    mean = (3 * -0.302585 + 1.306853 - LN2 + 0.390562) / 5
    np.testing.assert_allclose(model.mean_logit(None), [mean], atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", pytest.param("transformer", marks=pytest.mark.jax)])
def test_stepwise_equals_teacher_forced(kind):
    model = WordReward(lively(kind), 1.5)

    def stepwise(source, target_in):
        cache, logits = model.start(model.encode(source), 8), []
        for t in range(TARGET.shape[1]):
            step, cache = model.step(target_in[:, t], cache)
            logits.append(step.logits)
        return ops.softmax(ops.stack(logits, axis=1))

    found = np.asarray(compile_fn(stepwise, model)(SOURCE, TARGET))
    np.testing.assert_allclose(found, forced(model), atol=1e-5)
    plain = forced(model.base)
    biased = plain * np.where(np.arange(7) == EOS, np.exp(-1.5), 1)
    np.testing.assert_allclose(found, biased / biased.sum(axis=-1, keepdims=True), atol=1e-5)


@pytest.mark.jax
def test_of_an_ensemble_the_mean_probability_is_biased():
    members = [lively("transformer"), lively("lstm", 3)]
    biased = np.mean([forced(member) for member in members], axis=0) * np.where(np.arange(7) == EOS, 0.25, 1)
    expected = biased / biased.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(forced(rewarded(Ensemble(members), 2 * LN2)), expected, atol=1e-5)


@pytest.mark.jax
def test_another_reward_needs_no_new_compilation():
    base, states = lively("transformer"), np.ones((2, 8), "float32")
    model = WordReward(base, 0.0)
    compiled = compile_fn(model.project, model)
    for reward in (0.0, 2.0):
        model.reward.assign(reward)
        difference = np.asarray(base.project(states)) - np.asarray(compiled(states))
        np.testing.assert_allclose(
            difference, np.where(np.arange(7) == EOS, [[reward]], 0) * np.ones((2, 1)), atol=1e-5
        )


def test_no_reward_is_the_model_itself():
    base = lively("transformer")
    assert rewarded(base, 0.0) is base and rewarded(base, 0.1).base is base
