"""Samples: of the model's distribution, and of each source by itself."""

import numpy as np
import pytest
from lively import SOURCES, lively, next_log_probs

from nmt_rl.config import DecodingConfig
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.decoding.sampler import Sampler

LIMITS = np.array([4, 4, 4])


@pytest.fixture(scope="module")
def model():
    return lively("transformer")


def drawn(model, source=SOURCES, **settings):
    settings = DecodingConfig(**{"samples": 3, **settings})
    return Sampler(model, settings)(source, LIMITS[: len(source)])


def test_samples_follow_the_distribution(model):
    found = drawn(model, SOURCES[:1], samples=2000)
    first = np.exp(next_log_probs(model)[0][()])
    allowed = first[[EOS, 4, 5, 6]] / first[[EOS, 4, 5, 6]].sum()
    shares = [(found.ids[0, :, 0] == piece).mean() for piece in (EOS, 4, 5, 6)]
    np.testing.assert_allclose(shares, allowed, atol=4 * np.sqrt(0.25 / 2000))


def test_samples_follow_the_distribution_after_a_word_reward(model):
    """The end counts 1 / 4 with a reward of log 4."""
    found = drawn(model, SOURCES[:1], samples=2000, word_reward=float(np.log(4)))
    first = np.exp(next_log_probs(model)[0][()])[[EOS, 4, 5, 6]] * [0.25, 1, 1, 1]
    shares = [(found.ids[0, :, 0] == piece).mean() for piece in (EOS, 4, 5, 6)]
    np.testing.assert_allclose(shares, first / first.sum(), atol=4 * np.sqrt(0.25 / 2000))


def test_neighbours_and_order_change_nothing_and_the_seed_does(model):
    one, other = (Sampler(model, DecodingConfig(samples=3, seed=seed)) for seed in (1, 2))
    together, turned, again = one(SOURCES, LIMITS), one(SOURCES[::-1], LIMITS), one(SOURCES, LIMITS)
    width = min(together.ids.shape[2], turned.ids.shape[2])
    np.testing.assert_array_equal(together.ids[:, :, :width], turned.ids[::-1, :, :width])
    more = drawn(model, SOURCES[:1], samples=5)
    width = min(together.ids.shape[2], more.ids.shape[2])
    np.testing.assert_array_equal(more.ids[0, :3, :width], together.ids[0, :, :width])
    np.testing.assert_array_equal(again.ids, together.ids)
    assert not np.array_equal(other(SOURCES, LIMITS).log_probs, together.log_probs)


def test_a_low_temperature_or_one_piece_is_greedy(model):
    greedy = drawn(model, top_k=1).ids
    assert (greedy == greedy[:, :1]).all()
    np.testing.assert_array_equal(drawn(model, temperature=0.001).ids, greedy)


def test_scores_are_log_probabilities_over_the_length(model):
    found = drawn(model, length_penalty=2.0)
    np.testing.assert_allclose(found.scores, found.log_probs / found.lengths**2, rtol=1e-6)
