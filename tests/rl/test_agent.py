"""The loop: when it plays, what it learns from, and how it goes on after an interruption."""

import functools

import numpy as np
import pytest
from copy_task import Student, make_config, make_corpus, make_model

from nmt_rl.config import HardVariationalConfig, LSTMConfig, TransformerConfig
from nmt_rl.rl.agent import by_length, by_source, whole
from nmt_rl.rl.episode import Episode, Origin
from nmt_rl.rl.replay import Sampled

CORPUS = make_corpus(32)
TRANSFORMER = TransformerConfig(width=16, heads=2, feed_forward=16, encoder_layers=1, decoder_layers=1, dropout=0.1)
LSTM = LSTMConfig(embedding=12, units=16, attention_units=8, tie="all", dropout=0.1)
REPLAY = {"share": 0.4, "priority": 0.6, "max_age": 2}
DQN = {"type": "dqn", "steps": 2, "epsilon": 0.3, "monte_carlo": 0.25}
DQN["replay"] = {"ratio": 3, "batches": 1, "max_age": 4}
STAGES = {
    "dqn-sa, additive": (LSTM, {"method": DQN, "cross_entropy": 0.1}),
    "dqn-sa, bilinear": (LSTM.model_copy(update={"attention": "bilinear"}), {"method": DQN}),
    "dqn, episodic": (TRANSFORMER, {"method": {**DQN, "episodic": {"capacity": 30, "neighbours": 4}}}),
    "dqn-sa, hard": (
        LSTM.model_copy(update={"hard": HardVariationalConfig(positions=2)}),
        {"method": DQN, "cross_entropy": 0.1},
    ),
    "trajectories, priorities": (TRANSFORMER, {"method": {"type": "trajectory", "replay": REPLAY}}),
    "dueling heads": (TRANSFORMER, {"method": {"type": "trajectory", "q": {"type": "dueling"}, "replay": REPLAY}}),
    "mrt": (LSTM, {"method": {"type": "mrt", "samples": 2}}),
    "grpo": (LSTM, {"method": {"type": "grpo", "samples": 2, "ratio": 4, "beta": 0.1}}),
    "mbr-distill": (TRANSFORMER, {"method": {"type": "mbr-distill", "samples": 3}}),
    "reinforce": (TRANSFORMER, {"method": {"type": "reinforce", "samples": 2}}),
}


def make(model, **settings):
    config = make_config(model, **{"sentences": 4, "updates": 4, **settings})
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


JAX = ("dqn-sa, additive", "dqn, episodic", "dueling heads", "mrt")


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


def test_batches_that_are_played_at_once_are_learnt_from_one_by_one(monkeypatch):
    """Two of four sentences each for four updates, and in the end no more than what is left to be learnt from."""
    method = {"type": "dqn", "replay": {"ratio": 2, "batches": 2}}
    learner = make(TRANSFORMER, method=method, updates=6)
    play, sizes = learner.actor.play, []
    monkeypatch.setattr(learner.actor, "play", lambda *given: sizes.append(len(given[0].references)) or play(*given))
    sample, drawn = learner.agent.replay.sample, []
    monkeypatch.setattr(learner.agent.replay, "sample", lambda *given: drawn.append(sample(*given)) or drawn[-1])
    update(learner, range(1, 7))
    assert sizes == [8, 4]
    learnt = [[episode.id for episode in each.episodes] for each in drawn]
    assert [len(ids) for ids in learnt] == [2, 4, 4, 4, 4, 4], "half of an update is new, and nothing is older at first"
    assert sorted(number for ids in learnt[:4] for number in ids[:2]) == list(range(1, 9))


@pytest.fixture(scope="module")
def dqn():
    """Plays before every third update; nothing is older than 4 updates."""
    return make(TRANSFORMER, method=DQN, log_every=2)


def test_it_plays_once_for_so_many_updates(dqn, monkeypatch):
    """The policy version is the number of updates it has seen; what is new is learnt from first, and replayed."""
    play, sample = dqn.actor.play, dqn.agent.replay.sample
    versions, drawn = [], []

    def noted_play(sentences, version, rng):
        versions.append(version)
        return play(sentences, version, rng)

    def noted_sample(count, step, rng):
        drawn.append(sample(count, step, rng))
        return drawn[-1]

    monkeypatch.setattr(dqn.actor, "play", noted_play)
    monkeypatch.setattr(dqn.agent.replay, "sample", noted_sample)
    told = [dqn.agent.update(step, 0.001) for step in range(1, 8)]
    assert versions == [0, 3, 6]
    ages = [[step - 1 - e.policy_version for e in s.episodes] for step, s in enumerate(drawn, 1)]
    assert [len(each) for each in ages] == [2, 4, 4, 4, 4, 4, 4], "a third of an update is new, rounded up"
    assert [each.count(0) for each in (ages[0], ages[3], ages[6])] == [2, 2, 2]
    assert max(map(max, ages)) <= 4
    assert [numbers["replay"] for numbers in told] == [4, 4, 4, 8, 8, 4, 8]
    assert all(("return" in numbers) == (step in (0, 3, 6)) for step, numbers in enumerate(told))


def test_the_errors_of_an_update_become_the_priorities_of_what_it_learnt_from(dqn, monkeypatch):
    seen = []
    monkeypatch.setattr(dqn.agent, "cut", whole)
    monkeypatch.setattr(dqn.agent.replay, "prioritise", lambda places, values: seen.append((places, values)))
    sample = dqn.agent.replay.sample
    drawn = []
    monkeypatch.setattr(dqn.agent.replay, "sample", lambda *given: drawn.append(sample(*given)) or drawn[-1])
    dqn.agent.update(1, 0.0)
    ((places, values),) = seen
    np.testing.assert_array_equal(places, drawn[0].places)
    forked = np.array([len(episode.forks) > 0 for episode in drawn[0].episodes])
    assert ((values > 0) == forked).all() and forked.any()


def test_errors_that_are_not_finite_become_no_priorities(dqn, monkeypatch):
    """The stage ends with the loss of that update, and says so."""
    weights = dqn.policy.get_weights()
    dqn.agent.update(1, 0.0)  # to play by finite weights
    monkeypatch.setattr(dqn.agent.replay, "prioritise", lambda *_: pytest.fail("not finite"))
    dqn.policy.set_weights([w * np.nan for w in weights])
    loss = dqn.agent.update(2, 0.0)["loss"]
    dqn.policy.set_weights(weights)
    assert np.isnan(loss)


def test_an_episode_whose_errors_are_not_finite_is_not_drawn_by_priority_again(dqn, monkeypatch):
    """The others keep what they had: the update told nothing of them."""
    monkeypatch.setattr(dqn.agent, "cut", whole)
    update, seen, drawn = dqn.agent.learner.update, [], []

    def one_bad(batches, rate):
        found = update(batches, rate)
        (details,) = dqn.agent.learner.details
        for name, errors in details.items():
            details[name] = np.where(np.arange(errors.size).reshape(errors.shape) == 0, np.nan, errors)
        return found

    sample = dqn.agent.replay.sample
    monkeypatch.setattr(dqn.agent.learner, "update", one_bad)
    monkeypatch.setattr(dqn.agent.replay, "sample", lambda *given: drawn.append(sample(*given)) or drawn[-1])
    monkeypatch.setattr(dqn.agent.replay, "prioritise", lambda *given: seen.append(given))
    dqn.agent.update(1, 0.0)
    ((places, values),) = seen
    assert len(drawn[0].episodes) > 1
    np.testing.assert_array_equal(places, drawn[0].places[:1])
    np.testing.assert_array_equal(values, [0.0])


def test_an_accumulated_update_is_made_of_several_batches_that_are_played():
    """Together they are one batch of all: every one counts by its forks, and the tokens are those of all."""
    learner = make(TRANSFORMER, method={"type": "fork"}, optimizer={"warmup": 0, "accumulate": 2})
    learner.agent.cut = whole
    joined, batches = learner.agent._joined, []
    learner.agent._joined = lambda parts: batches.extend(joined(parts)) or batches
    numbers = learner.agent.update(1, 0.001)
    shares = [float(batch["fork"]["share"]) for batch in batches]
    sizes = [batch["fork"]["weights"].sum() for batch in batches]
    assert len(batches) == 2 and shares == pytest.approx([size / sum(sizes) for size in sizes])
    assert (batches[0]["fork"]["source"].shape != batches[1]["fork"]["source"].shape) or (
        batches[0]["fork"]["source"] != batches[1]["fork"]["source"]
    ).any()
    pieces = sum(((batch["fork"]["target_in"] != 0).sum()) for batch in batches)
    assert numbers["tokens"] <= pieces and numbers["replay"] == 0.0


def test_pieces_of_all_terms_count():
    """Of the anchor's references and of the translations."""
    plain, anchored = (
        make(TRANSFORMER, method={"type": "fork"}, cross_entropy=weight).agent.update(1, 0.001) for weight in (0.0, 0.1)
    )
    assert anchored["tokens"] > plain["tokens"] and "cross_entropy" in anchored and "cross_entropy" not in plain


def four_episodes(sources):
    """Of lengths 4, 1, 3 and 2."""
    episodes = []
    for number, (length, source) in enumerate(zip([4, 1, 3, 2], sources, strict=True)):
        zeros, features = np.zeros(length, np.float32), np.zeros((length, 1), np.float32)
        tokens = np.full(length, 5, np.int32)
        episodes.append(Episode(number, source, 0, Origin.GREEDY, tokens, zeros, zeros, zeros, features))
    return Sampled(episodes, np.arange(4) + 10, np.arange(4) / 10)


def test_parts_of_similar_lengths_hold_the_whole_batch_once():
    parts = by_length(four_episodes(range(4)), 2)
    assert [[len(episode.tokens) for episode in part.episodes] for part in parts] == [[1, 2], [3, 4]]
    assert [part.places.tolist() for part in parts] == [[11, 13], [12, 10]]
    assert [part.weights.tolist() for part in parts] == [[0.1, 0.3], [0.2, 0.0]]


def test_parts_by_source_have_all_translations_of_it():
    parts = by_source(four_episodes([7, 3, 9, 7]), 2)
    assert [[episode.source_id for episode in part.episodes] for part in parts] == [[7, 3, 7], [9]]
    assert [part.places.tolist() for part in parts] == [[10, 11, 13], [12]]
    assert len(by_source(four_episodes([7, 3, 9, 7]), 8)) == 3  # No part is empty.


@pytest.mark.parametrize(("method", "cut"), [("fork", by_length), ("mrt", by_source), ("rloo", by_source)])
def test_an_update_in_parts_is_the_update_as_a_whole(method, cut):
    """Parts change what is padded or where it is computed, not what is learnt; the anchor of cross-entropy included."""
    plain = TRANSFORMER.model_copy(update={"dropout": 0.0})
    config = make_config(plain, method=method, sentences=12, cross_entropy=0.5)
    weights = make_model(plain, noise=0.3).get_weights()
    told = []
    for parts in (1, 3):
        student = Student(weights, config, CORPUS)
        student.agent.cut = functools.partial(cut, parts=parts)
        told.append([student.agent.update(step, 1e-3) for step in (1, 2, 3)])
    for one, several in zip(*told, strict=True):
        assert several["loss"] == pytest.approx(one["loss"], rel=1e-3, abs=1e-4)
        assert several["tokens"] == one["tokens"]
        assert several["cross_entropy"] == pytest.approx(one["cross_entropy"], rel=1e-3)
