from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from copy_task import WordTokenizer, make_model, make_reward, make_sources

from nmt_rl.backend import compile_fn
from nmt_rl.config import DecodingConfig, ForkConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK, Tokenizers
from nmt_rl.decoding.hypotheses import Hypotheses
from nmt_rl.decoding.search import Searcher
from nmt_rl.decoding.translator import Translator
from nmt_rl.rl.rollouts import ForkRollout, choose_forks, padded_length, shift_right, source_limits

REWARD = make_reward()
DECODING = DecodingConfig(max_length_ratio=1.0, max_length_extra=2)
CHI_SQUARE = {2: 13.82, 3: 16.27, 5: 20.52}
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


@pytest.fixture(scope="module")
def played():
    """Every possible fork of some random sentences under a random policy."""
    model, source = make_model(noise=0.5, seed=2), make_sources(8)
    references = REWARD.references(WordTokenizer().decode(source))
    rollout = ForkRollout(model, WordTokenizer(), REWARD, DECODING, ForkConfig(per_source=99, probability=0.0))
    return model, source, references, rollout.play(source, references, np.random.default_rng(0))


@pytest.mark.jax
def test_forks_are_the_exact_returns_of_the_greedy_policy(played):
    model, source, references, (greedy, scores, forks) = played
    limits = source_limits(source, DECODING, model.max_length)
    go_on = by_hand(model, int(limits.max()) + 1)
    states = []
    for row in range(len(source)):
        ids, best = go_on(source[row], [], limits[row])
        assert greedy.ids[row, : greedy.lengths[row]].tolist() == ids
        assert scores[row] == REWARD.scores(WordTokenizer().decode([ids]), [references[row]])[0]
        states += [(row, t, *pair) for t, pair in enumerate(best)]
    assert sorted(zip(forks.row, forks.time, *forks.actions.T, strict=True)) == states
    for row, time, (_, second), values in zip(forks.row, forks.time, forks.actions, forks.values, strict=True):
        ids, _ = go_on(source[row], [*greedy.ids[row, :time], second], limits[row])
        forked = REWARD.scores(WordTokenizer().decode([ids]), [references[row]])[0]
        assert tuple(values) == (scores[row], forked)


def no_bigram_twice(logits, ids):
    """And a repetition penalty of 1.5, before."""
    for piece in set(ids):
        logits[piece] *= 1 / 1.5 if logits[piece] > 0 else 1.5
    logits[[after for piece, after in pairwise(ids) if piece == ids[-1]]] = -np.inf


@pytest.mark.jax
def test_translations_and_forks_obey_what_validation_obeys():
    """What a fork keeps of the translation counts as written: what follows must not repeat it."""
    model, source = make_model(noise=0.5, seed=2), make_sources(10)
    references = REWARD.references(WordTokenizer().decode(source))
    decoding = DECODING.model_copy(update={"no_repeat_ngram": 2, "repetition_penalty": 1.5, "max_length_extra": 6})
    settings = ForkConfig(per_source=99, probability=0.0)
    rollout = ForkRollout(model, WordTokenizer(), REWARD, decoding, settings)
    path, scores, forks = rollout.play(source, references, np.random.default_rng(0))
    validated = Searcher(model, decoding.greedy())(source, source_limits(source, decoding, model.max_length))
    np.testing.assert_array_equal(path.ids, validated.ids[:, 0])
    limits = source_limits(source, decoding, model.max_length)
    go_on, free = (by_hand(model, int(limits.max()) + 1, *rule) for rule in ([no_bigram_twice], []))
    changed = 0
    for row, time, (_, second), values in zip(forks.row, forks.time, forks.actions, forks.values, strict=True):
        prefix = [*path.ids[row, :time].tolist(), int(second)]
        ids, _ = go_on(source[row], prefix, limits[row])
        assert tuple(values) == (scores[row], REWARD.scores(WordTokenizer().decode([ids]), [references[row]])[0])
        changed += ids != free(source[row], prefix, limits[row])[0]
    assert len(forks.row) > 10 and changed > 3


def test_forks_of_sampled_translations_are_exact_too():
    """Both actions are followed by the greedy policy, whatever was sampled there."""
    model, source = make_model(noise=0.5, seed=2), make_sources(4)
    references = REWARD.references(WordTokenizer().decode(source))
    settings = ForkConfig(per_source=99, probability=0.0, path="sampled", temperature=2.0)
    rollout = ForkRollout(model, WordTokenizer(), REWARD, DECODING, settings)
    path, scores, forks = rollout.play(source, references, np.random.default_rng(0))
    limits = source_limits(source, DECODING, model.max_length)
    go_on = by_hand(model, int(limits.max()) + 1)
    assert len(forks.row) == sum(min(n, limit - 1) for n, limit in zip(path.lengths, limits, strict=True))
    assert any(
        path.ids[row, time] not in pair for row, time, pair in zip(forks.row, forks.time, forks.actions, strict=True)
    )
    np.testing.assert_array_equal(scores, REWARD.scores(WordTokenizer().decode(path.ids), references))
    for row, time, actions, values in zip(forks.row, forks.time, forks.actions, forks.values, strict=True):
        prefix = path.ids[row, :time].tolist()
        assert go_on(source[row], prefix, limits[row])[1][0] == tuple(actions)
        ends = [go_on(source[row], [*prefix, action], limits[row])[0] for action in actions]
        np.testing.assert_array_equal(values, REWARD.scores(WordTokenizer().decode(ends), [references[row]] * 2))


def test_the_random_policy_meets_every_case(played):
    """What makes the test above worth its name."""
    model, source, _, (greedy, _, forks) = played
    limits = source_limits(source, DECODING, model.max_length)
    forced = greedy.lengths == limits
    assert forced.any() and not forced.all()
    assert (forks.actions == EOS).any(axis=0).all()  # EOS as the greedy piece, and as its runner-up
    assert (forks.values[:, 0] != forks.values[:, 1]).any()


def test_the_forced_end_is_never_forked(played):
    model, source, _, (greedy, _, forks) = played
    limits = source_limits(source, DECODING, model.max_length)
    assert (forks.time < limits[forks.row] - 1).all() and (forks.time < greedy.lengths[forks.row]).all()
    assert (forks.actions != PAD).all()
    last = greedy.lengths == limits
    assert (greedy.alternative_probs[last, limits[last] - 1] == 0.0).all()


def test_without_forks(played):
    model, source, references, (greedy, scores, _) = played
    rollout = ForkRollout(model, WordTokenizer(), REWARD, DECODING, ForkConfig(per_source=3, probability=0.99))
    again, same, forks = rollout.play(source, references, np.random.default_rng(0))
    np.testing.assert_array_equal(again.ids, greedy.ids)
    np.testing.assert_array_equal(same, scores)
    assert forks.row.shape == forks.time.shape == (0,)
    assert forks.actions.shape == forks.values.shape == (0, 2)


def test_translations_stay_within_the_models_positions():
    model, source = make_model(noise=0.5, positions=6), make_sources(4, longest=5)
    decoding = DecodingConfig(max_length_ratio=3.0, max_length_extra=20)
    rollout = ForkRollout(model, WordTokenizer(), REWARD, decoding, ForkConfig(per_source=2, probability=0.0))
    greedy, _, forks = rollout.play(source, REWARD.references(["a"] * 4), np.random.default_rng(0))
    assert greedy.ids.shape[1] <= 6 and np.isfinite(greedy.log_probs).all() and len(forks.row)


def test_choose_forks_keeps_its_promises():
    rng = np.random.default_rng(1)
    for forks in (1, 3, 20):
        probs = rng.uniform(0.0, 0.5, (50, 12)).astype(np.float32)
        lengths = rng.integers(1, 13, 50).astype(np.int32)
        row, time = choose_forks(probs, lengths, ForkConfig(per_source=forks, probability=0.2), rng)
        chosen = set(zip(row.tolist(), time.tolist(), strict=True))
        assert len(chosen) == len(row)
        assert row.dtype == time.dtype == np.int32
        eligible = (probs > 0.2) & (np.arange(12) < lengths[:, None])
        assert eligible[row, time].all()
        np.testing.assert_array_equal(np.bincount(row, minlength=50), np.minimum(eligible.sum(axis=1), forks))


def test_choose_forks_without_any():
    probs, lengths = np.full((3, 4), 0.1, np.float32), np.array([1, 4, 2], np.int32)
    row, time = choose_forks(probs, lengths, ForkConfig(probability=0.1), np.random.default_rng(0))
    assert row.shape == time.shape == (0,)


def test_one_fork_is_drawn_in_proportion_to_the_runner_up():
    draws, weights = 20_000, np.array([0.1, 0.2, 0.3, 0.4])
    probs = np.tile(np.array([*weights, 0.05, 0.9], np.float32), (draws, 1))
    _, time = choose_forks(
        probs, np.full(draws, 5), ForkConfig(per_source=1, probability=0.07), np.random.default_rng(2)
    )
    counts, expected = np.bincount(time, minlength=6), draws * weights / weights.sum()
    assert counts[4:].sum() == 0
    assert ((counts[:4] - expected) ** 2 / expected).sum() < CHI_SQUARE[3]


def test_uniform_forks_are_drawn_all_alike():
    draws, probs = 20_000, np.array([0.06, 0.2, 0.4, 0.04], np.float32)
    settings = ForkConfig(per_source=1, choice="uniform")
    _, time = choose_forks(np.tile(probs, (draws, 1)), np.full(draws, 4), settings, np.random.default_rng(4))
    counts = np.bincount(time, minlength=4)
    assert counts[3] == 0
    assert ((counts[:3] - draws / 3) ** 2 / (draws / 3)).sum() < CHI_SQUARE[2]


def test_two_forks_are_drawn_one_after_the_other_without_replacement():
    draws, w = 20_000, np.array([0.1, 0.3, 0.6])
    probs, settings = np.tile(w.astype(np.float32), (draws, 1)), ForkConfig(per_source=2, probability=0.0)
    _, time = choose_forks(probs, np.full(draws, 3), settings, np.random.default_rng(3))
    first, second = time.reshape(-1, 2).T
    counts = np.bincount(3 * first + second, minlength=9).reshape(3, 3)
    expected = draws * w[:, None] * w[None, :] / (1 - w[:, None])
    off = ~np.eye(3, dtype=bool)
    assert not counts[~off].any()
    assert ((counts - expected)[off] ** 2 / expected[off]).sum() < CHI_SQUARE[5]


@pytest.mark.parametrize("settings", [{}, {"min_length": 9}])
def test_limits_are_those_of_the_translator(settings):
    """Whatever bounds a translation bounds a rollout: a search is told the same limits of the same sources."""
    told = []

    class Search:
        max_length = 11

        def __call__(self, source, limits):
            told.append((source, limits))
            ids = np.full((len(source), 1, 1), EOS, np.int32)
            return Hypotheses(ids, np.ones((len(source), 1), int), *(np.zeros((2, len(source), 1), np.float32)))

    decoding = DecodingConfig(max_length_ratio=1.5, max_length_extra=4, **settings)
    words = SimpleNamespace(
        encode=lambda lines: [[5] * len(line.split()) for line in lines],
        decode=lambda ids: [""] * len(ids),
        pieces=lambda ids: [],
    )
    Translator(Search(), Tokenizers(words, words), decoding).translate(["a b c", "a", "a b c d e f g"])
    assert sum(len(limits) for _, limits in told) == 3
    for source, limits in told:
        np.testing.assert_array_equal(source_limits(source, decoding, 11), limits)


def test_shapes_are_few_on_jax(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert padded_length(11, 1024) == 11
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert [padded_length(n, 20) for n in (1, 8, 9, 17)] == [8, 8, 16, 20]


def test_shift_right():
    np.testing.assert_array_equal(shift_right(np.array([[5, 6, EOS], [7, EOS, PAD]])), [[BOS, 5, 6], [BOS, 7, EOS]])
