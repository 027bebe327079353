"""Minimum Bayes risk distilled: which sample is kept, and that it alone is learnt from."""

import numpy as np
import pytest
from copy_task import Student, WordTokenizer, make_config, make_corpus, make_model

from nmt_rl.config import load_config
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.errors import UserError

CORPUS = make_corpus(30)
START = make_model(noise=0.4, seed=3).get_weights()


def student(**settings):
    method = {"type": "mbr-distill", "samples": 5, "temperature": 0.7}
    return Student(START, make_config(method=method, sentences=6, **settings), CORPUS)


def play(learner, monkeypatch):
    """Sentences, the samples of each, the episodes kept, and the numbers reported."""
    drawn, original = [], learner.actor._drawn
    monkeypatch.setattr(learner.actor, "_drawn", lambda *given: drawn.append(original(*given)) or drawn[-1])
    sentences = learner.agent.sentences.next()
    episodes, numbers = learner.actor.play(sentences, 0, np.random.default_rng(0))
    return sentences, drawn[0][1].ids.reshape(6, 5, -1), episodes, numbers


@pytest.mark.jax
@pytest.mark.parametrize("metrics", [{"bleu": 1.0}, {"chrf": 0.5, "bleu": 0.5}])
def test_the_sample_most_alike_to_all_is_kept(monkeypatch, metrics):
    learner = student(reward={"metrics": metrics})
    sentences, samples, episodes, numbers = play(learner, monkeypatch)
    assert [episode.source_id for episode in episodes] == sentences.rows.indices.tolist()
    returns = []
    for rows, episode, reference in zip(samples, episodes, sentences.references, strict=True):
        texts = WordTokenizer().decode(rows)
        others = learner.reward.references(texts)
        utilities = [learner.reward.scores([text] * 5, others).mean() for text in texts]
        kept = learner.reward.scores(WordTokenizer().decode([episode.tokens]) * 5, others).mean()
        assert kept == pytest.approx(max(utilities)) and max(utilities) > min(utilities)
        assert episode.tokens.tolist() in [row[row != PAD].tolist() for row in rows]
        returns.append(learner.reward.scores(texts, [reference] * 5).mean())
    assert numbers["sample_return"] == pytest.approx(np.mean(returns))
    assert numbers["mbr_return"] == pytest.approx(np.mean([episode.score for episode in episodes]), abs=1e-6)


def test_what_was_kept_is_learnt_and_no_reference(monkeypatch):
    learner = student()
    _, _, episodes, _ = play(learner, monkeypatch)
    learner.agent.replay.add(episodes)
    arrays, numbers = learner.terms[0].batch(learner.agent.replay.sample(6, 1, None), 1)
    labels = arrays["labels"][arrays["labels"] != PAD]
    assert labels.tolist() == [piece for episode in episodes for piece in episode.tokens.tolist()]
    assert numbers["tokens"] == len(labels)


def test_one_sample_is_no_choice():
    with pytest.raises(UserError, match=r"finetune\.method\.samples.* greater than or equal to 2"):
        load_config("quickstart", ["finetune.method={type: mbr-distill, samples: 1}"])


def test_beside_an_anchor_both_cross_entropies_are_reported():
    numbers = student(cross_entropy=0.5).agent.update(1, 0.0)
    smoothing_apart = numbers["distillation"] + 0.5 * numbers["cross_entropy"]
    assert numbers["distillation"] != numbers["cross_entropy"] and numbers["loss"] == pytest.approx(
        smoothing_apart, rel=0.2
    )
