"""The replay of forked rollouts."""

import numpy as np
import pytest
from copy_task import WordTokenizer, make_config, make_corpus, make_model, make_reward

from nmt_rl.corpus.batches import Batch
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.rl.forks import ForkTerm
from nmt_rl.rl.rollouts import shift_right
from nmt_rl.rl.term import Drawn

REWARD, CORPUS = make_reward(), make_corpus()


@pytest.fixture(scope="module")
def make_term():
    model, prior = make_model(noise=0.5, seed=2), make_model(noise=0.5, seed=3)

    def make(**fork):
        config = make_config(sentences=3, fork={"per_source": 2, "probability": 0.0, **fork})
        return ForkTerm(model, prior, WordTokenizer(), REWARD, config)

    return make


def drawn(step, tau=0.005):
    """Three other sentences for every update."""
    rows = np.arange(3 * step, 3 * step + 3)
    ids = [CORPUS.source(int(i)) for i in rows]
    source = np.full((3, 6), PAD, np.int32)
    for row, pieces in zip(source, ids, strict=True):
        row[: len(pieces)] = pieces
    references = REWARD.references(WordTokenizer().decode(ids))
    rng = np.random.default_rng(step)
    return Drawn(step, Batch(source, shift_right(source), source, rows), references, tau, rng)


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first if name != "tau")


@pytest.mark.jax
def test_each_played_batch_trains_when_new_and_others_are_drawn_from_the_last_ones(make_term):
    term, played = make_term(reuse=3, capacity=2), []
    for step in range(1, 16):
        batch, numbers = term.batch(drawn(step, tau=step / 100))
        assert batch["tau"] == np.float32(step / 100), "the present one, not that of the time it was played"
        new = step in (1, 4, 7, 10, 13)
        assert ("return" in numbers) is new
        if new:
            assert not any(same(batch, old) for old, _ in played)
            played.append((batch, numbers["tokens"]))
        else:
            assert numbers["tokens"] in [tokens for old, tokens in played[-2:] if same(batch, old)]


def test_without_reuse_every_batch_is_played_and_none_is_kept(make_term):
    term = make_term()
    assert all("return" in term.batch(drawn(step))[1] for step in (1, 2, 3))
    assert not term.state()


@pytest.mark.jax
def test_the_replay_is_restored(make_term):
    first, second = make_term(reuse=4, capacity=12), make_term(reuse=4, capacity=12)
    for step in range(1, 46):
        first.batch(drawn(step))
    second.batch(drawn(61))  # What it holds itself is forgotten.
    second.restore(first.state())
    for step in range(46, 60):
        assert same(first.batch(drawn(step))[0], second.batch(drawn(step))[0])


def test_another_prior_empties_the_replay(make_term):
    term = make_term(reuse=4)
    term.batch(drawn(1))
    assert "return" not in term.batch(drawn(2))[1]
    term.prior_changed()
    assert "return" in term.batch(drawn(3))[1]
