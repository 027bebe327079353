"""What a forked translation is worth: exactly, or completed by V; where forks are and which actions they try."""

from itertools import pairwise

import numpy as np
import pytest
from copy_task import WordTokenizer, make_model, make_reward, make_sentences, make_sources

from nmt_rl.backend import compile_fn
from nmt_rl.config import DecodingConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK
from nmt_rl.decoding.search import Searcher
from nmt_rl.rl import fork_actor
from nmt_rl.rl.episode import Origin
from nmt_rl.rl.fork_actor import ForkActor, choose_forks, completed, explored, fork_numbers
from nmt_rl.rl.padding import source_limits
from nmt_rl.rl.reward import Episode

REWARD = make_reward()
DECODING = DecodingConfig(max_length_ratio=1.0, max_length_extra=2)
CHI_SQUARE = {3: 16.27, 5: 20.52}
"""Quantile .999 by degrees of freedom."""


def by_hand(model, width, restrict=lambda logits, ids: None):
    """Greedy continuation of one prefix, piece by piece, each from a whole teacher-forced pass."""
    logits_of = compile_fn(lambda source, target_in: model.decode(target_in, model.encode(source)).logits, model)

    def go_on(source, prefix, limit):
        """The finished ids and, for each new piece, the two best permitted ones."""
        ids, best = list(prefix), []
        while EOS not in ids:
            if len(ids) == limit - 1:
                ids.append(EOS)
                break
            target_in = np.full((1, width), PAD, np.int32)
            target_in[0, : len(ids) + 1] = [BOS, *ids]
            logits = np.array(logits_of(source[None], target_in)[0, len(ids)])
            restrict(logits, ids)
            logits[[PAD, BOS, UNK]] = -np.inf
            best.append(tuple(np.argsort(-logits)[:2]))
            ids.append(int(best[-1][0]))
        return ids, best

    return go_on


def make_actor(model, prior=None, decoding=DECODING, per_source=99, probability=0.0, **options):
    return ForkActor(model, prior or model, WordTokenizer(), REWARD, decoding, per_source, probability, **options)


def score(ids, reference):
    return REWARD.scores(WordTokenizer().decode([ids]), [reference])[0]


def forks_of(episodes):
    """(row, time, actions, values) of every fork."""
    return [
        (row, int(time), actions.tolist(), values)
        for row, episode in enumerate(episodes)
        for time, actions, values in zip(episode.forks.times, episode.forks.actions, episode.forks.values, strict=True)
    ]


@pytest.fixture(scope="module")
def played():
    """Every possible fork of some random sentences under a random policy."""
    model, source = make_model(noise=0.5, seed=2), make_sources(8)
    sentences = make_sentences(source, REWARD)
    actor = make_actor(model, make_model(noise=0.5, seed=3))
    return model, source, sentences, actor.play(sentences, 7, np.random.default_rng(0))


@pytest.mark.jax
def test_forks_are_the_exact_returns_of_the_greedy_policy(played):
    model, source, sentences, (episodes, _) = played
    limits = source_limits(source, DECODING, model.max_length)
    go_on = by_hand(model, int(limits.max()) + 1)
    states = []
    for row, episode in enumerate(episodes):
        ids, best = go_on(source[row], [], limits[row])
        assert episode.tokens.tolist() == ids
        assert episode.score == pytest.approx(score(ids, sentences.references[row]), abs=1e-6)
        states += [(row, t, list(pair)) for t, pair in enumerate(best)]
    forks = forks_of(episodes)
    assert sorted(fork[:3] for fork in forks) == states
    for row, time, (_, second), values in forks:
        ids, _ = go_on(source[row], [*episodes[row].tokens[:time], second], limits[row])
        whole = [score(each, sentences.references[row]) for each in (episodes[row].tokens, ids)]
        np.testing.assert_allclose(values, whole, atol=1e-6)


def test_many_sentences_are_played_in_parts_of_similar_lengths_as_if_at_once(played, monkeypatch):
    model, source, sentences, (episodes, numbers) = played
    monkeypatch.setattr(fork_actor, "TOGETHER", 3)
    actor = make_actor(model, make_model(noise=0.5, seed=3))
    parted, told = actor.play(sentences, 7, np.random.default_rng(0))
    lengths = [int((source[episode.source_id // 10] != PAD).sum()) for episode in parted]
    assert lengths == sorted(lengths)
    parted.sort(key=lambda episode: episode.source_id)
    for one, other in zip(parted, episodes, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
        ours, theirs = (sorted(forks_of([each])) for each in (one, other))
        assert [fork[:3] for fork in ours] == [fork[:3] for fork in theirs]
        np.testing.assert_allclose([fork[3] for fork in ours], [fork[3] for fork in theirs], atol=1e-6)
    assert told == pytest.approx(numbers)


def test_what_an_episode_says_of_itself(played):
    _, source, sentences, (episodes, numbers) = played
    assert [episode.source_id for episode in episodes] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert len({episode.id for episode in episodes}) == 8
    assert {episode.policy_version for episode in episodes} == {7}
    assert {episode.origin for episode in episodes} == {Origin.GREEDY}
    for row, episode in enumerate(episodes):
        paid = REWARD.episode(episode.tokens, sentences.references[row])
        np.testing.assert_allclose(episode.rewards, paid.rewards, atol=1e-6)
        np.testing.assert_allclose(episode.features, paid.features, atol=1e-6)
        assert (episode.log_probs <= 0).all()
    pieces = sum(len(episode.tokens) for episode in episodes)
    assert numbers["length_ratio"] == pytest.approx(pieces / (source != PAD).sum())
    assert numbers["return"] == pytest.approx(np.mean([episode.score for episode in episodes]))
    assert numbers["forks"] == len(forks_of(episodes))


@pytest.mark.jax
def test_the_prior_difference_is_that_of_the_pretrained_models_logits(played):
    _, source, _, (episodes, _) = played
    prior = make_model(noise=0.5, seed=3)
    for row, episode in enumerate(episodes):
        target_in = np.array([[BOS, *episode.tokens[:-1]]], np.int32)
        logits = np.asarray(prior.decode(target_in, prior.encode(source[row : row + 1])).logits)[0]
        forks = episode.forks
        by_hand = logits[forks.times, forks.actions[:, 0]] - logits[forks.times, forks.actions[:, 1]]
        np.testing.assert_allclose(forks.prior_difference, by_hand, atol=1e-4)


def no_bigram_twice(logits, ids):
    """And a repetition penalty of 1.5, before."""
    for piece in set(ids):
        logits[piece] *= 1 / 1.5 if logits[piece] > 0 else 1.5
    logits[[after for piece, after in pairwise(ids) if piece == ids[-1]]] = -np.inf


@pytest.mark.jax
def test_translations_and_forks_obey_what_validation_obeys():
    """What a fork keeps of the translation counts as written: what follows must not repeat it."""
    model, source = make_model(noise=0.5, seed=2), make_sources(10)
    sentences = make_sentences(source, REWARD)
    decoding = DECODING.model_copy(update={"no_repeat_ngram": 2, "repetition_penalty": 1.5, "max_length_extra": 6})
    episodes, _ = make_actor(model, decoding=decoding).play(sentences, 0, np.random.default_rng(0))
    validated = Searcher(model, decoding.greedy())(source, source_limits(source, decoding, model.max_length))
    for row, episode in enumerate(episodes):
        np.testing.assert_array_equal(episode.tokens, validated.ids[row, 0, : len(episode.tokens)])
    limits = source_limits(source, decoding, model.max_length)
    go_on, free = (by_hand(model, int(limits.max()) + 1, *rule) for rule in ([no_bigram_twice], []))
    changed, forks = 0, forks_of(episodes)
    for row, time, (_, second), values in forks:
        prefix = [*episodes[row].tokens[:time].tolist(), second]
        ids, _ = go_on(source[row], prefix, limits[row])
        assert values[1] == pytest.approx(score(ids, sentences.references[row]), abs=1e-6)
        changed += ids != free(source[row], prefix, limits[row])[0]
    assert len(forks) > 10 and changed > 3


def test_the_random_policy_meets_every_case(played):
    """What makes the test above worth its name."""
    model, source, _, (episodes, _) = played
    limits = source_limits(source, DECODING, model.max_length)
    forced = np.array([len(episode.tokens) for episode in episodes]) == limits
    assert forced.any() and not forced.all()
    actions = np.concatenate([episode.forks.actions for episode in episodes])
    values = np.concatenate([episode.forks.values for episode in episodes])
    assert (actions == EOS).any(axis=0).all()  # EOS as the greedy piece, and as its runner-up
    assert (values[:, 0] != values[:, 1]).any()


def test_the_forced_end_is_never_forked(played):
    model, source, _, (episodes, _) = played
    limits = source_limits(source, DECODING, model.max_length)
    for episode, limit in zip(episodes, limits, strict=True):
        assert (episode.forks.times < min(limit - 1, len(episode.tokens))).all()
        assert (episode.forks.actions != PAD).all()


def test_without_forks(played):
    model, _, sentences, (episodes, _) = played
    again, numbers = make_actor(model, per_source=3, probability=0.99).play(sentences, 0, np.random.default_rng(0))
    for one, other in zip(again, episodes, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
        assert len(one.forks) == 0 and one.forks.actions.shape == one.forks.values.shape == (0, 2)
    assert numbers["forks"] == numbers["fork_better"] == numbers["fork_gap"] == 0.0


def test_translations_stay_within_the_models_positions():
    model, source = make_model(noise=0.5, positions=6), make_sources(4, longest=5)
    decoding = DecodingConfig(max_length_ratio=3.0, max_length_extra=20)
    actor = make_actor(model, decoding=decoding, per_source=2)
    episodes, numbers = actor.play(make_sentences(source, REWARD, ["a"] * 4), 0, np.random.default_rng(0))
    assert max(len(e.tokens) for e in episodes) <= 6 and numbers["forks"] > 0
    assert all(np.isfinite(e.log_probs).all() for e in episodes)


@pytest.mark.jax
def test_epsilon_tries_other_actions_than_the_runner_up(played):
    """With epsilon 1 and three next best, each of them is tried somewhere; the worth is still exact."""
    model, source, sentences, _ = played
    actor = make_actor(model, epsilon=1.0, top_k=3)
    episodes, _ = actor.play(sentences, 0, np.random.default_rng(0))
    limits = source_limits(source, DECODING, model.max_length)
    width = int(limits.max()) + 1
    go_on, ranks = by_hand(model, width), []
    for row, time, (first, other), values in forks_of(episodes):
        prefix = episodes[row].tokens[:time].tolist()
        target_in = np.full((1, width), PAD, np.int32)
        target_in[0, : time + 1] = [BOS, *prefix]
        logits = np.array(model.decode(target_in, model.encode(source[row : row + 1])).logits)[0, time]
        logits[[PAD, BOS, UNK]] = -np.inf
        order = np.argsort(-logits).tolist()
        assert order[0] == first
        ranks.append(order.index(other))
        ids, _ = go_on(source[row], [*prefix, other], limits[row])
        assert values[1] == pytest.approx(score(ids, sentences.references[row]), abs=1e-6)
    assert set(ranks) == {1, 2, 3}


def test_where_fewer_actions_are_permitted_the_runner_up_is_tried(played):
    """PAD stands for the missing ones."""
    model, _, sentences, (episodes, _) = played
    actor = make_actor(model, epsilon=1.0, top_k=99)
    others = [fork[2][1] for fork in forks_of(actor.play(sentences, 0, np.random.default_rng(0))[0])]
    assert PAD not in others and len(others) == len(forks_of(episodes))


def paid(*potentials):
    """What is paid for the pieces of a translation with these potentials."""
    potentials = np.array(potentials)
    return Episode(np.diff(potentials), potentials, np.zeros((len(potentials) - 1, 1), np.float32))


def test_completed_by_hand():
    """Of 3 pieces: cut after 2, Phi(s_2) + V(s_2) = .25 + .5; not cut, or ended before it would be, the score .75."""
    value = np.array([[0.1, 0.2, 0.5]] * 4, np.float32)
    episodes = [paid(0.0, 0.125, 0.25, 0.75)] * 4
    until, cut = np.array([2, 2, 3, 0]), np.array([True, False, True, True])
    np.testing.assert_allclose(completed(value, episodes, until, cut), [0.75, 0.75, 0.75, 0.1], atol=1e-6)
    value[0, 2] = -0.125
    assert completed(value, episodes, until, cut)[0] == pytest.approx(0.125)


class Oracle:
    """A critic that knows of every state what `worth` says of the pieces before it."""

    def __init__(self, worth, trained=0):
        self.worth, self.trained = worth, trained

    def is_trained(self, step):
        return step > self.trained

    def value(self, source, ids, features):
        return np.array(
            [[self.worth(row, ids[row, :t].tolist()) for t in range(ids.shape[1])] for row in range(len(ids))]
        )


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_cut_forks_completed_by_the_true_value_are_exact(steps):
    """If V is what the greedy policy still gains, a cut after any number of pieces changes nothing."""
    model, source = make_model(noise=0.5, seed=2), make_sources(4)
    sentences = make_sentences(source, REWARD)
    limits = source_limits(source, DECODING, model.max_length)
    go_on, cut = by_hand(model, int(limits.max()) + 1), []

    def worth(sources):
        def of(row, prefix):
            row = sources[row]
            if EOS in prefix or len(prefix) >= limits[row]:
                return 99.0
            cut.append(len(prefix))
            ids, _ = go_on(source[row], prefix, limits[row])
            episode = REWARD.episode(np.array(ids), sentences.references[row])
            return episode.score - episode.potentials[len(prefix)]

        return of

    plain, _ = make_actor(model).play(sentences, 0, np.random.default_rng(0))
    rows = [fork[0] for fork in forks_of(plain)]

    class Both(Oracle):
        """Asked about the forks first, then about the greedy translations."""

        def value(self, source, ids, features):
            self.worth = worth(rows if len(ids) == len(rows) else range(len(ids)))
            return super().value(source, ids, features)

    actor = make_actor(model, steps=steps, critic=Both(None))
    played, _ = actor.play(sentences, 0, np.random.default_rng(0))
    for one, other in zip(forks_of(played), forks_of(plain), strict=True):
        assert one[:3] == other[:3]
        np.testing.assert_allclose(one[3], other[3], atol=1e-6)
    assert cut


def test_an_untrained_value_completes_nothing():
    model, sentences = make_model(noise=0.5, seed=2), make_sentences(make_sources(4), REWARD)
    plain, _ = make_actor(model).play(sentences, 0, np.random.default_rng(0))
    actor = make_actor(model, steps=1, critic=Oracle(lambda row, prefix: 50.0, trained=5))
    early, late = (forks_of(actor.play(sentences, version, np.random.default_rng(0))[0]) for version in (4, 5))
    for one, other in zip(early, forks_of(plain), strict=True):
        np.testing.assert_array_equal(one[3], other[3])
    assert max(values[1] for *_, values in early) <= 1.0 < 50.0 <= max(values[1] for *_, values in late)


def test_choose_forks_keeps_its_promises():
    rng = np.random.default_rng(1)
    for forks in (1, 3, 20):
        probs = rng.uniform(0.0, 0.5, (50, 12)).astype(np.float32)
        lengths = rng.integers(1, 13, 50).astype(np.int32)
        row, time = choose_forks(probs, lengths, forks, 0.2, rng)
        chosen = set(zip(row.tolist(), time.tolist(), strict=True))
        assert len(chosen) == len(row)
        assert row.dtype == time.dtype == np.int32
        eligible = (probs > 0.2) & (np.arange(12) < lengths[:, None])
        assert eligible[row, time].all()
        np.testing.assert_array_equal(np.bincount(row, minlength=50), np.minimum(eligible.sum(axis=1), forks))


def test_choose_forks_without_any():
    probs, lengths = np.full((3, 4), 0.1, np.float32), np.array([1, 4, 2], np.int32)
    row, time = choose_forks(probs, lengths, 5, 0.1, np.random.default_rng(0))
    assert row.shape == time.shape == (0,)


def test_one_fork_is_drawn_in_proportion_to_the_runner_up():
    draws, weights = 20_000, np.array([0.1, 0.2, 0.3, 0.4])
    probs = np.tile(np.array([*weights, 0.05, 0.9], np.float32), (draws, 1))
    _, time = choose_forks(probs, np.full(draws, 5), 1, 0.07, np.random.default_rng(2))
    counts, expected = np.bincount(time, minlength=6), draws * weights / weights.sum()
    assert counts[4:].sum() == 0
    assert ((counts[:4] - expected) ** 2 / expected).sum() < CHI_SQUARE[3]


def test_two_forks_are_drawn_one_after_the_other_without_replacement():
    draws, w = 20_000, np.array([0.1, 0.3, 0.6])
    probs = np.tile(w.astype(np.float32), (draws, 1))
    _, time = choose_forks(probs, np.full(draws, 3), 2, 0.0, np.random.default_rng(3))
    first, second = time.reshape(-1, 2).T
    counts = np.bincount(3 * first + second, minlength=9).reshape(3, 3)
    expected = draws * w[:, None] * w[None, :] / (1 - w[:, None])
    off = ~np.eye(3, dtype=bool)
    assert not counts[~off].any()
    assert ((counts - expected)[off] ** 2 / expected[off]).sum() < CHI_SQUARE[5]


@pytest.mark.parametrize(("epsilon", "expected"), [(0.0, [1, 0, 0, 0]), (0.4, [0.7, 0.1, 0.1, 0.1]), (1.0, [0.25] * 4)])
def test_explored_is_the_runner_up_or_with_epsilon_any(epsilon, expected):
    draws, expected = 20_000, np.array(expected)
    counts = np.bincount(explored(draws, 4, epsilon, np.random.default_rng(5)), minlength=4)
    some = expected > 0
    assert not counts[~some].any()
    assert ((counts - draws * expected)[some] ** 2 / (draws * expected)[some]).sum() < CHI_SQUARE[3]


def test_fork_numbers_by_hand():
    values = np.array([[0.5, 0.75], [0.5, 0.5], [0.5, 0.25], [1.0, 0.5]], np.float32)
    assert fork_numbers(values) == {"forks": 4.0, "fork_better": 0.25, "fork_gap": 0.25}
