"""Greedy decoding and sampling against every continuation scored, with and without prefixes."""

import numpy as np
import pytest
from lively import FREE, SOURCES, VOCABULARY, forced_log_probs, lively, next_log_probs, pieces_of

from nmt_rl.config import TransformerConfig
from nmt_rl.corpus.tokenizer import EOS, PAD, UNK
from nmt_rl.decoding import loop, task
from nmt_rl.decoding.generator import Generator
from nmt_rl.models.build import build_model


@pytest.mark.jax
def test_alternatives_are_the_next_best_of_every_step(transformer):
    """Of sources of other lengths, too; PAD where fewer are permitted."""
    generator, tables = Generator(transformer, alternatives=3), next_log_probs(transformer)
    for limit in (4, 3):
        found = generator(SOURCES, limit)
        np.testing.assert_array_equal(found.best, found.ids)
        for row, table in enumerate(tables):
            for time in range(found.lengths[row]):
                scores = table[tuple(found.ids[row, :time].tolist())]
                ranked = sorted(FREE, key=lambda piece: -scores[piece])[1:4] if time < limit - 1 else [PAD] * 3
                assert found.alternatives[row, time].tolist() == ranked
                probs = [np.exp(scores[piece]) if piece != PAD else 0.0 for piece in ranked]
                np.testing.assert_allclose(found.alternative_probs[row, time], probs, atol=1e-4)


@pytest.mark.jax
def test_greedy_is_the_stepwise_argmax_with_runner_up(model, tables):
    limits = np.array([5, 3, 5])
    found = Generator(model, alternatives=1)(SOURCES, limits)
    for row, table in enumerate(tables):
        prefix = ()
        while EOS not in prefix:
            time = len(prefix)
            log_probs = table[prefix]
            ranked = sorted(FREE if time < limits[row] - 1 else [EOS], key=lambda v: -log_probs[v])
            prefix += (ranked[0],)
            assert found.log_probs[row, time] == pytest.approx(log_probs[ranked[0]], abs=1e-4)
            second = (ranked[1], np.exp(log_probs[ranked[1]])) if len(ranked) > 1 else (PAD, 0.0)
            assert found.alternatives[row, time].tolist() == [second[0]]
            assert found.alternative_probs[row, time, 0] == pytest.approx(second[1], abs=1e-4)
        assert pieces_of(found.ids[row]) == prefix
        assert found.lengths[row] == len(prefix)
        assert not found.ids[row, len(prefix) :].any() and not found.log_probs[row, len(prefix) :].any()


@pytest.mark.jax
@pytest.mark.parametrize("temperature", [None, 2.0])
def test_rows_that_leave_the_loop_early_change_nothing(model, monkeypatch, temperature):
    """24 rows of different length: the loop is left before its end; without that, the same comes out."""
    source, limits = np.resize(SOURCES, (24, SOURCES.shape[1])), np.resize([1, 3, 2, 4, 6, 8], 24)
    prefix, forced = np.full((24, 4), 4), np.resize([0, 1, 0, 0, 4], 24)
    project, later = model.project, -3.0 * np.eye(VOCABULARY, dtype="float32")[EOS]
    monkeypatch.setattr(model, "project", lambda states: project(states) + later)
    loops = []
    for few in (2, 64):
        monkeypatch.setattr(loop, "FEW", few)
        generator = Generator(model, alternatives=1)
        for policy, keep in generator._keeps.items():
            generator._keeps[policy] = lambda *args, keep=keep, few=few: (loops.append(few), keep(*args))[1]
        found = generator(source, limits, prefix, forced, temperature, seed=3)
        if few == 2:
            left = found
    assert loops.count(2) >= 1 and loops.count(64) == 0
    assert len(set(left.lengths.tolist())) > 2
    np.testing.assert_array_equal(left.ids, found.ids)
    np.testing.assert_array_equal(left.alternatives, found.alternatives)
    np.testing.assert_allclose(left.log_probs, found.log_probs, atol=1e-5)


def test_one_generator_is_greedy_and_samples(transformer, monkeypatch):
    """Rows of different length leave both loops early."""
    monkeypatch.setattr(loop, "FEW", 2)
    source, limits = np.resize(SOURCES, (24, SOURCES.shape[1])), np.resize([1, 3, 2, 4, 6, 8], 24)
    generator = Generator(transformer)
    found = [generator(source, limits, temperature=t, seed=3).ids for t in (None, 2.0, None)]
    np.testing.assert_array_equal(found[0], found[2])
    assert found[1].shape != found[0].shape or (found[1] != found[0]).any()


def test_a_transformer_with_one_head():
    """One head could be any number of them, for a graph that leaves dimensions open."""
    settings = TransformerConfig(width=4, heads=1, feed_forward=4, encoder_layers=1, decoder_layers=1, max_positions=16)
    found = Generator(build_model(settings, VOCABULARY, VOCABULARY, seed=1))(SOURCES, 3)
    assert found.lengths.min() >= 1


def test_prefix_beyond_the_limit_is_kept_and_ended(greedy):
    found = greedy(SOURCES, 2, np.array([[4, 5, 6, 4]] * 3), np.array([4, 4, 1]))
    assert [pieces_of(ids) for ids in found.ids[:2]] == [(4, 5, 6, 4, EOS)] * 2
    assert found.lengths[2] == 2 and found.ids[2, 1] == EOS


def test_prefix_with_end_symbol_ends_the_row(greedy):
    found = greedy(SOURCES, 8, np.array([[4, EOS, 0]] * 3), np.array([2, 2, 2]))
    assert [pieces_of(ids) for ids in found.ids] == [(4, EOS)] * 3


def test_unknown_is_chosen_only_when_allowed():
    model = lively("transformer")
    project, favour = model.project, 50.0 * np.eye(VOCABULARY, dtype="float32")[UNK]
    model.project = lambda states: project(states) + favour
    assert (Generator(model, allow_unknown=True)(SOURCES, 5).ids[:, :4] == UNK).all()
    assert UNK not in Generator(model)(SOURCES, 5).ids


@pytest.mark.jax
def test_sampling_is_repeatable_and_follows_the_distribution(transformer, sampler):
    source = np.repeat(SOURCES[:1], 4000, axis=0)
    first = sampler(source, 3, temperature=1.5, seed=11)
    np.testing.assert_array_equal(first.ids, sampler(source, 3, temperature=1.5, seed=11).ids)
    assert (first.ids[:50] != sampler(source, 3, temperature=1.5, seed=12).ids[:50]).any()
    log_probs = next_log_probs(transformer)[0][()]
    expected = np.exp(log_probs[list(FREE)] / 1.5)
    expected /= expected.sum()
    seen = np.array([(first.ids[:, 0] == v).mean() for v in FREE])
    np.testing.assert_allclose(seen, expected, atol=4 * np.sqrt(0.25 / 4000))
    # log_probs are the model's, not those of the heated distribution.
    np.testing.assert_allclose(first.log_probs[:, 0], log_probs[first.ids[:, 0]], atol=1e-4)


def test_top_k_and_temperature_limit_the_draws(transformer, greedy):
    top_2 = Generator(transformer, top_k=2)
    source = np.repeat(SOURCES[:1], 300, axis=0)
    log_probs = next_log_probs(transformer)[0][()]
    best = sorted(FREE, key=lambda v: -log_probs[v])[:2]
    heat = np.repeat([50.0, 0.001], 150)
    found = top_2(source, 4, temperature=heat, seed=1)
    assert set(found.ids[:150, 0].tolist()) == set(best)
    cold = greedy(SOURCES[:1], 4).ids[0]
    assert (found.ids[150:, : len(cold)] == cold).all()


def test_current_weights_are_used():
    model = lively("transformer")
    generator = Generator(model)
    before = generator(SOURCES, 6).log_probs
    model.set_weights([w * 0.5 for w in model.get_weights()])
    assert not np.allclose(before[:, 0], generator(SOURCES, 6).log_probs[:, 0])


@pytest.mark.parametrize(("limit", "temperature"), [(0, None), (3, 0.0)])
def test_bad_arguments(sampler, limit, temperature):
    with pytest.raises(ValueError, match="must be"):
        sampler(SOURCES, limit, temperature=temperature)


def plain_greedy(table, prefix, limit):
    """Stepwise argmax behind a prefix, on a dictionary; with every piece's log-probability."""
    pieces = tuple(prefix)
    while EOS not in pieces:
        last = len(pieces) >= limit - 1
        pieces += (EOS if last else max(FREE, key=lambda v: table[pieces][v]),)
    return pieces, [table[pieces[:n]][pieces[n]] for n in range(len(pieces))]


PREFIXES = [(), (5,), (4, 6, 5, 4), (6, 6), (EOS,), (5, 4, 4), (4, EOS), (6, 5), (4,)]
LIMITS = [5, 2, 1, 5, 5, 4, 3, 3, 1]


@pytest.mark.jax
def test_prefixes_of_any_length_are_continued_as_step_by_step(model, tables):
    """27 rows: every source with every prefix; some leave no room but for EOS, some are complete."""
    rows = np.repeat(np.arange(3), len(PREFIXES))
    lengths = np.resize([len(prefix) for prefix in PREFIXES], 27)
    prefix = np.resize(np.array([(*p, 5, 5, 5, 5)[:4] for p in PREFIXES]), (27, 4))
    limits, generator = np.resize(LIMITS, 27), Generator(model)
    found = generator(SOURCES[rows], limits, prefix, lengths)
    for i, row in enumerate(rows):
        pieces, log_probs = plain_greedy(tables[row], prefix[i, : lengths[i]].tolist(), limits[i])
        assert pieces_of(found.ids[i]) == pieces
        assert found.lengths[i] == len(pieces)
        np.testing.assert_allclose(found.log_probs[i, : len(pieces)], log_probs, atol=1e-4)
        assert not found.log_probs[i, len(pieces) :].any()
    for i in (2, 5, 13):
        alone = generator(SOURCES[rows[i : i + 1]], limits[i : i + 1], prefix[i : i + 1], lengths[i : i + 1])
        assert pieces_of(alone.ids[0]) == pieces_of(found.ids[i])


@pytest.mark.jax
def test_forks_are_continued_like_prefixes(model):
    """Several forks of one translation, one of another, none of the third, in any order."""
    generator = Generator(model, alternatives=1)
    ids = np.array([[4, 5, 6, 4, EOS], [5, 6, 6, EOS, PAD], [6, 4, EOS, PAD, PAD]])
    rows, times, pieces = np.array([2, 0, 0, 2, 0, 2]), np.array([0, 4, 0, 2, 2, 1]), np.array([5, 6, EOS, 5, 5, EOS])
    limits = np.array([9, 3, 9, 4, 9, 9])
    prefix = np.array([[5, 0, 0, 0, 0], [4, 5, 6, 4, 6], [EOS, 0, 0, 0, 0], [6, 4, 5, 0, 0], [4, 5, 5, 0, 0]])
    prefix = np.vstack([prefix, [6, EOS, 0, 0, 0]])
    forked = generator.continue_from(SOURCES, ids, rows, times, pieces, limits)
    expected = generator(SOURCES[rows], limits, prefix, times + 1)
    np.testing.assert_array_equal(forked.ids, expected.ids)
    np.testing.assert_array_equal(forked.lengths, expected.lengths)
    np.testing.assert_array_equal(forked.alternatives, expected.alternatives)
    np.testing.assert_allclose(forked.alternative_probs, expected.alternative_probs, atol=1e-5)
    given = np.arange(forked.ids.shape[1]) <= times[:, None]
    np.testing.assert_allclose(forked.log_probs, np.where(given, 0, expected.log_probs), atol=1e-4)
    assert np.abs(forked.log_probs).max() > 0.1
    none = np.zeros(0, "int32")
    assert generator.continue_from(SOURCES, ids, none, none, none, 9).ids.shape == (0, 1)


@pytest.mark.jax
def test_long_sequences_outgrow_the_first_cache():
    """No end before the limit, so the loop goes on with more room several times."""
    model = lively("transformer")
    project, never_end = model.project, -50.0 * np.eye(VOCABULARY, dtype="float32")[EOS]
    model.project = lambda states: project(states) + never_end
    limits = np.array([3 * task.ROOM + 2, 3 * task.ROOM, 5])
    prefix, lengths = np.array([[4, 5, 4], [0, 0, 0], [6, 0, 0]]), np.array([3, 0, 1])
    found = Generator(model)(SOURCES, limits, prefix, lengths)
    assert found.lengths.tolist() == limits.tolist()
    np.testing.assert_allclose(found.log_probs, forced_log_probs(model, SOURCES, found.ids), atol=1e-4)


def test_a_sample_goes_on_as_it_was_behind_its_own_prefix(model):
    generator, options = Generator(model), {"temperature": 3.0, "seed": 4}
    source = np.repeat(SOURCES, 5, axis=0)
    whole = generator(source, 9, **options)
    lengths = np.minimum(np.resize([0, 1, 2, 4], 15), whole.lengths)
    again = generator(source, 9, whole.ids, lengths, **options)
    np.testing.assert_array_equal(again.ids, whole.ids)
    np.testing.assert_allclose(again.log_probs, whole.log_probs, atol=1e-4)
    assert len({pieces_of(ids) for ids in whole.ids}) > 6


def test_epsilon_0_is_greedy_and_1_is_not(transformer, sampler, greedy):
    found = [sampler(SOURCES, 9, epsilon=epsilon, seed=2).ids.tolist() for epsilon in (0.0, 1.0)]
    assert found[0] == greedy(SOURCES, 9).ids.tolist() != found[1]
    with pytest.raises(ValueError, match="exclude each other"):
        sampler(SOURCES, 9, epsilon=0.1, temperature=1.0)
    with pytest.raises(ValueError, match=r"epsilon must be in \[0, 1\], found 1.5"):
        sampler(SOURCES, 9, epsilon=1.5)


def test_a_small_nucleus_is_greedy(transformer, greedy):
    found = Generator(transformer, top_p=1e-4)(SOURCES, 6, temperature=3.0, seed=1)
    np.testing.assert_array_equal(found.ids, greedy(SOURCES, 6).ids)
