"""An ensemble's probabilities are the mean of its members', and searches treat it like any model."""

import numpy as np
import pytest
from keras import ops
from noise import with_noise

from nmt_rl.config import DecodingConfig, LSTMConfig, TransformerConfig
from nmt_rl.corpus.tokenizer import BOS
from nmt_rl.decoding.generator import Generator
from nmt_rl.decoding.search import Searcher
from nmt_rl.models.build import build_model
from nmt_rl.models.ensemble import Ensemble

SOURCE = np.array([[4, 5, 6, 3], [6, 3, 0, 0]], "int32")
TARGET = np.array([[BOS, 4, 5], [BOS, 6, 6]], "int32")
KINDS = {
    "transformer": TransformerConfig(width=8, heads=2, feed_forward=8, encoder_layers=1, decoder_layers=1),
    "lstm": LSTMConfig(units=8, embedding=6, attention_units=4, coverage=True, tie="all"),
}


def lively(kind, seed):
    return with_noise(build_model(KINDS[kind], 7, 7, seed=seed), 0.6, seed)


def probabilities(model):
    return ops.convert_to_numpy(ops.softmax(model({"source": SOURCE, "target_in": TARGET})))


@pytest.fixture(scope="module")
def members():
    return [lively("transformer", 1), lively("lstm", 3)]


@pytest.fixture(scope="module")
def ensemble(members):
    return Ensemble(members)


@pytest.mark.jax
def test_probabilities_are_the_mean(ensemble, members):
    mean = np.mean([probabilities(m) for m in members], axis=0)
    np.testing.assert_allclose(probabilities(ensemble), mean, atol=1e-6)
    logits = ops.convert_to_numpy(ensemble({"source": SOURCE, "target_in": TARGET}))
    np.testing.assert_allclose(np.exp(logits).sum(axis=-1), 1.0, atol=1e-5)


@pytest.mark.jax
@pytest.mark.parametrize(("place", "beam"), [(0, 3), (1, 1)])
def test_a_model_twice_searches_like_the_model(members, place, beam):
    member, settings = members[place], DecodingConfig(beam=beam)
    one, two = (Searcher(model, settings)(SOURCE, 9) for model in (member, Ensemble([member, member])))
    np.testing.assert_array_equal(one.ids, two.ids)
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-5)


@pytest.mark.jax
def test_a_beam_scores_what_it_finds_as_teacher_forcing_does(ensemble):
    """Members of two kinds, and hypotheses that outgrow the first cache."""
    found = Searcher(ensemble, DecodingConfig(beam=3))(SOURCE, 14)
    assert found.lengths.max() > 9 and (found.log_probs > -np.inf).all()
    for n in range(3):
        ids = found.ids[:, n]
        target_in = np.pad(ids, ((0, 0), (1, 0)), constant_values=BOS)[:, :-1]
        log_probs = ops.convert_to_numpy(ensemble({"source": SOURCE, "target_in": target_in}))
        each = np.take_along_axis(log_probs, ids[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(np.where(ids != 0, each, 0).sum(axis=1), found.log_probs[:, n], atol=1e-4)


def test_steps_give_what_teacher_forcing_gives(ensemble):
    encoded = ensemble.encode(SOURCE)
    whole = ops.convert_to_numpy(ensemble.decode(TARGET, encoded).logits)
    cache = ensemble.start(encoded, 4)
    for time in range(3):
        output, cache = ensemble.step(TARGET[:, time], cache)
        np.testing.assert_allclose(ops.convert_to_numpy(output.logits), whole[:, time], atol=1e-5)


def test_prefixes_are_continued(ensemble):
    generate = Generator(ensemble)
    free = generate(SOURCE, 8)
    kept = generate(SOURCE, 8, free.ids[:, :2], np.array([2, 2]))
    np.testing.assert_array_equal(kept.ids, free.ids)
    np.testing.assert_allclose(kept.log_probs, free.log_probs, atol=1e-5)


def test_logits_of_pieces(ensemble):
    states = ensemble.decode_states(TARGET, ensemble.encode(SOURCE)).states[:, -1]
    logits = ops.convert_to_numpy(ensemble.project(states))
    pieces = np.array([[4, 5], [3, 6]], "int32")
    chosen = ops.convert_to_numpy(ensemble.logits_of(states, pieces))
    np.testing.assert_allclose(chosen, np.take_along_axis(logits, pieces, axis=1), atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(ensemble.mean_logit(states)), logits.mean(axis=1), atol=1e-6)


def test_members_must_share_the_vocabulary(members):
    other = build_model(KINDS["lstm"], 9, 9, seed=0)
    with pytest.raises(ValueError, match=r"sizes \[\(7, 7\), \(9, 9\)\]"):
        Ensemble([members[0], other])
