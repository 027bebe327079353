"""The baselines' batches on a real tiny model."""

import numpy as np
import pytest
from copy_task import Student, WordTokenizer, make_config, make_corpus, make_model

from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.rl.rollouts import source_limits

CORPUS = make_corpus(30)
START = make_model(noise=0.4, seed=3).get_weights()


def student(objective, reward=None, decoding=None, **part):
    settings = {"objective": objective, "sentences": 4, "reward": reward or {}, "policy_gradient": part}
    settings["decoding"] = decoding
    return Student(START, make_config(**settings), CORPUS)


def scores_of(learner, batch, rows):
    texts = WordTokenizer().decode(batch["tokens"])
    references = learner.reward.references(WordTokenizer().decode([CORPUS.target(int(i)) for i in rows]))
    return learner.reward.scores(texts, references)


def drawn_rows(learner, monkeypatch):
    drawn = []
    original = learner.batches._draw
    monkeypatch.setattr(learner.batches, "_draw", lambda: drawn.append(original()) or drawn[-1])
    return drawn


@pytest.mark.jax
def test_leave_one_out_advantages_of_a_batch(monkeypatch):
    learner = student("rloo", samples=3)
    drawn = drawn_rows(learner, monkeypatch)
    batch = learner.batches.next(1)[0][0]["policy_gradient"]
    scores = scores_of(learner, batch, np.repeat(drawn[0].indices, 3)).reshape(4, 3)
    for i in range(4):
        for k in range(3):
            others = np.delete(scores[i], k).mean()
            row = batch["advantages"][3 * i + k]
            mask = batch["weights"][3 * i + k] > 0
            np.testing.assert_allclose(row[mask], scores[i, k] - others, atol=1e-6)
            assert not row[~mask].any()


@pytest.mark.jax
def test_self_critical_advantages_are_against_the_greedy_translation(monkeypatch):
    learner = student("scst", samples=2)
    drawn = drawn_rows(learner, monkeypatch)
    batch = learner.batches.next(1)[0][0]["policy_gradient"]
    played = WordTokenizer().decode(
        learner.decode(drawn[0].source, source_limits(drawn[0].source, learner.config.decoding, 99)).ids
    )
    references = learner.reward.references(WordTokenizer().decode([CORPUS.target(int(i)) for i in drawn[0].indices]))
    baseline = learner.reward.scores(played, references)
    scores = scores_of(learner, batch, np.repeat(drawn[0].indices, 2))
    np.testing.assert_allclose(batch["advantages"][:, 0], scores - np.repeat(baseline, 2), atol=1e-6)


@pytest.mark.parametrize("objective", ["scst", "rloo"])
def test_a_constant_reward_has_no_advantage(objective):
    learner = student(objective, reward={"metrics": {"constant": 1.0}}, samples=3)
    assert not learner.batches.next(1)[0][0]["policy_gradient"]["advantages"].any()


@pytest.mark.jax
@pytest.mark.parametrize("objective", ["reinforce", "scst", "mixer"])
def test_an_end_that_the_limit_forced_was_not_chosen(objective):
    """Its log-probability must not be pushed, whatever the translation was worth."""
    learner = student(objective, decoding={"max_length_ratio": 0.01, "max_length_extra": 9}, samples=20)
    batch = learner.batches.next(1000)[0][0]["policy_gradient"]  # by then MIXER forces nothing
    lengths = (batch["tokens"] != PAD).sum(axis=1)
    assert lengths.min() < 8 and lengths.max() == 9
    assert (batch["tokens"][lengths == 9, 8] == EOS).all()
    np.testing.assert_array_equal(batch["weights"].sum(axis=1), np.minimum(lengths, 8))


@pytest.mark.jax
def test_mixer_begins_with_the_reference_and_gives_it_up_from_the_end(monkeypatch):
    learner = student("mixer", mixer_pieces=2, mixer_updates=5, samples=2)
    drawn = drawn_rows(learner, monkeypatch)
    for step, sampled in ((1, 2), (6, 4), (26, 99)):
        batch = learner.batches.next(step)[0][0]["policy_gradient"]
        references = np.repeat(drawn[-1].target_out, 2, axis=0)
        assert len(batch["tokens"]) == len(references)
        for row, reference in enumerate(references):
            forced = max((reference != 0).sum() - sampled, 0)
            np.testing.assert_array_equal(batch["tokens"][row, :forced], reference[:forced])
            assert (batch["advantages"][row, :forced] == 1.0).all()
            assert (batch["advantages"][row, forced:] != 1.0).all()


@pytest.mark.jax
def test_the_learned_baseline_learns_and_is_restored():
    """Of a constant reward the return is 0.5 from every state."""
    constant = {"metrics": {"constant": 1.0}}
    learner = student("reinforce", reward=constant, samples=4, baseline_learning_rate=0.02)
    losses = [learner.batches.next(step)[1]["value_loss"] for step in range(1, 25)]
    assert losses[-1] < 0.2 * losses[0]
    meta, arrays = learner.batches.state()
    arrays = {name: np.array(array) for name, array in arrays.items()}
    first = learner.batches.next(25)[0][0]["policy_gradient"]
    learner.batches.restore(meta, arrays)
    second = learner.batches.next(25)[0][0]["policy_gradient"]
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.jax
def test_minimum_risk_counts_a_translation_once_and_has_the_reference(monkeypatch):
    learner = student("mrt", samples=6, temperature=0.3)
    drawn = drawn_rows(learner, monkeypatch)
    batch = learner.batches.next(1)[0][0]["risk"]
    assert len(batch["tokens"]) == 4 * 6 + 4
    for source in range(4):
        rows = batch["source_index"] == source
        kept = batch["tokens"][rows & (batch["kept"] > 0)]
        distinct = {row.tobytes() for row in batch["tokens"][rows]}
        assert len(kept) == len(distinct) == len({row.tobytes() for row in kept})
        reference = drawn[0].target_out[source]
        assert any((row[row != 0].tolist() == reference[reference != 0].tolist()) for row in kept)
        assert batch["scores"][rows].max() == pytest.approx(1.0)
    assert (batch["kept"] == 0).any()
