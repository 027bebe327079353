"""The baselines' batches on a real tiny model."""

import numpy as np
import pytest
from copy_task import Student, WordTokenizer, make_config, make_corpus, make_model

from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.rl.padding import source_limits
from nmt_rl.rl.replay import Sampled

CORPUS = make_corpus(30)
START = make_model(noise=0.4, seed=3).get_weights()


class Baseline(Student):
    """With batches of one method."""

    def __init__(self, method, reward=None, decoding=None, **part):
        config = make_config(method={"type": method, **part}, sentences=4, reward=reward or {}, decoding=decoding)
        super().__init__(START, config, CORPUS)
        (self.term,) = self.terms

    def batch(self, step=1):
        """(the term's arrays, its numbers, the sentences they are of)."""
        drawn = self.agent.sentences.next()
        episodes, _ = self.actor.play(drawn, step - 1, self.agent.sentences.rng())
        return *self.term.batch(Sampled(episodes, np.arange(len(episodes)), np.ones(len(episodes))), step), drawn

    def scores(self, ids, rows):
        references = self.reward.references(WordTokenizer().decode([CORPUS.target(int(i)) for i in rows]))
        return self.reward.scores(WordTokenizer().decode(ids), references)


@pytest.mark.jax
def test_leave_one_out_advantages_of_a_batch():
    learner = Baseline("rloo", samples=3)
    batch, _, drawn = learner.batch()
    scores = learner.scores(batch["tokens"], np.repeat(drawn.rows.indices, 3)).reshape(4, 3)
    for i in range(4):
        for k in range(3):
            others = np.delete(scores[i], k).mean()
            row = batch["advantages"][3 * i + k]
            mask = batch["weights"][3 * i + k] > 0
            np.testing.assert_allclose(row[mask], scores[i, k] - others, atol=1e-6)
            assert not row[~mask].any()


@pytest.mark.jax
def test_self_critical_advantages_are_against_the_greedy_translation():
    learner = Baseline("scst", samples=2)
    batch, numbers, drawn = learner.batch()
    limits = source_limits(drawn.rows.source, learner.config.decoding, 99)
    baseline = learner.scores(learner.decode(drawn.rows.source, limits).ids, drawn.rows.indices)
    scores = learner.scores(batch["tokens"], np.repeat(drawn.rows.indices, 2))
    np.testing.assert_allclose(batch["advantages"][:, 0], scores - np.repeat(baseline, 2), atol=1e-6)
    assert len(batch["tokens"]) == 8 and numbers["tokens"] == (batch["tokens"] != PAD).sum()


@pytest.mark.parametrize("method", ["scst", "rloo"])
def test_a_constant_reward_has_no_advantage(method):
    learner = Baseline(method, reward={"metrics": {"constant": 1.0}}, samples=3)
    assert not learner.batch()[0]["advantages"].any()


@pytest.mark.jax
@pytest.mark.parametrize("method", ["reinforce", "scst", "mixer"])
def test_an_end_that_the_limit_forced_was_not_chosen(method):
    """Its log-probability must not be pushed, whatever the translation was worth."""
    learner = Baseline(method, decoding={"max_length_ratio": 0.01, "max_length_extra": 9}, samples=20)
    batch, _, _ = learner.batch(1000)  # by then MIXER forces nothing
    lengths = (batch["tokens"] != PAD).sum(axis=1)
    assert lengths.min() < 8 and lengths.max() == 9
    assert (batch["tokens"][lengths == 9, 8] == EOS).all()
    np.testing.assert_array_equal(batch["weights"].sum(axis=1), np.minimum(lengths, 8))


@pytest.mark.jax
def test_mixer_takes_cross_entropy_on_what_the_actor_took_from_the_reference():
    """Two pieces less after every five updates."""
    learner = Baseline("mixer", pieces=2, every=5, samples=2)
    for step, sampled in ((1, 2), (6, 4), (26, 99)):
        batch, _, drawn = learner.batch(step)
        references = np.repeat(drawn.rows.target_out, 2, axis=0)
        assert len(batch["tokens"]) == len(references)
        for row, reference in enumerate(references):
            forced = max((reference != PAD).sum() - sampled, 0)
            np.testing.assert_array_equal(batch["tokens"][row, :forced], reference[:forced])
            assert (batch["advantages"][row, :forced] == 1.0).all()
            assert (batch["advantages"][row, forced:] != 1.0).all()


@pytest.mark.jax
def test_the_learned_baseline_learns_and_is_restored():
    """Of a constant reward the return is 0.5 from every state."""
    constant = {"metrics": {"constant": 1.0}}
    learner = Baseline("reinforce", reward=constant, samples=4, baseline_learning_rate=0.02)
    losses = [learner.batch(step)[1]["value_loss"] for step in range(1, 25)]
    assert losses[-1] < 0.2 * losses[0]
    meta, arrays = learner.agent.state()
    arrays = {name: np.array(array) for name, array in arrays.items()}
    first, _, _ = learner.batch(25)
    learner.agent.restore(meta, arrays)
    second, _, _ = learner.batch(25)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.jax
def test_minimum_risk_counts_a_translation_once_and_has_the_reference():
    learner = Baseline("mrt", samples=6, temperature=0.3)
    batch, _, drawn = learner.batch()
    assert len(batch["tokens"]) == 4 * 6 + 4 and learner.term.size(batch) == 4
    found = []
    for source in np.unique(batch["source_index"]):
        rows = batch["source_index"] == source
        kept = batch["tokens"][rows & (batch["kept"] > 0)]
        distinct = {row.tobytes() for row in batch["tokens"][rows]}
        assert len(kept) == len(distinct) == len({row.tobytes() for row in kept})
        assert batch["scores"][rows].max() == pytest.approx(1.0)
        found.append({tuple(row[row != PAD].tolist()) for row in kept})
    for reference in drawn.rows.target_out:
        assert any(tuple(reference[reference != PAD].tolist()) in each for each in found)
    assert (batch["kept"] == 0).any()
