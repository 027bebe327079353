"""Searches against brute force, against a plain beam search in Python, and against each other."""

import itertools

import numpy as np
import pytest
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.config import LSTMConfig, TransformerConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK
from nmt_rl.decoding import loop
from nmt_rl.decoding.search import Generator, Searcher, length_penalty
from nmt_rl.models.build import build_model

VOCABULARY = 7
FREE = (EOS, 4, 5, 6)
SOURCES = np.array([[4, 5, 6, 4, 3, 0], [6, 3, 0, 0, 0, 0], [5, 5, 4, 6, 6, 3]], "int32")

TINY = {
    "transformer": TransformerConfig(
        width=8, heads=2, feed_forward=8, encoder_layers=1, decoder_layers=1, max_positions=32
    ),
    "lstm": LSTMConfig(units=8, embedding=8, attention_units=4, coverage=True, tie="all"),
}


def lively(kind):
    """A tiny model whose distributions are far from uniform and differ by source and prefix."""
    model = build_model(TINY[kind], VOCABULARY, VOCABULARY, seed=3)
    rng = np.random.default_rng(5)
    model.set_weights([w + rng.normal(0, 0.6, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def transformer():
    return lively("transformer")


@pytest.fixture(scope="module", params=["transformer", "lstm"])
def model(request):
    return lively(request.param)


@pytest.fixture(scope="module")
def beam_3(transformer):
    return Searcher(transformer, beam=3)


@pytest.fixture(scope="module")
def greedy(transformer):
    return Generator(transformer, runner_up=True)


@pytest.fixture(scope="module")
def sampler(transformer):
    return Generator(transformer)


@pytest.fixture(scope="module")
def tables(model):
    """Per source: log-probabilities [vocabulary] of the next piece after every prefix of at most 4 free pieces."""
    return next_log_probs(model)


def next_log_probs(model):
    longest = list(itertools.product(FREE[1:], repeat=4))
    target = np.array([[BOS, *prefix] for prefix in longest] * len(SOURCES), "int32")
    score = compile_fn(lambda source, target: ops.log_softmax(model.decode(target, model.encode(source)).logits), model)
    log_probs = score(np.repeat(SOURCES, len(longest), axis=0), target)
    log_probs = ops.convert_to_numpy(log_probs).reshape(len(SOURCES), len(longest), 5, VOCABULARY)
    return [{p[:n]: row[i, n] for i, p in enumerate(longest) for n in range(5)} for row in log_probs]


def all_hypotheses(table, limit):
    """Every hypothesis with its log-probability."""
    for length in range(limit):
        for pieces in itertools.product(FREE[1:], repeat=length):
            whole = (*pieces, EOS)
            yield whole, sum(table[whole[:n]][whole[n]] for n in range(len(whole)))


def plain_beam_search(table, limit, beam, alpha):
    """The definition in the docstring of Searcher, without early stopping, on lists."""
    live, done = [((), 0.0)], []
    for time in range(limit):
        free = [EOS] if time == limit - 1 else FREE
        grown = [((*p, v), total + table[p][v]) for p, total in live for v in free]
        grown = sorted(grown, key=lambda x: -x[1])[: 2 * beam]
        done += [(p, s / length_penalty(len(p), alpha)) for p, s in grown[:beam] if p[-1] == EOS]
        live = [x for x in grown if x[0][-1] != EOS][:beam]
    return sorted(done, key=lambda x: -x[1])[:beam]


def pieces_of(ids):
    return tuple(int(i) for i in ids if i != PAD)


def test_length_penalty_known_values():
    assert length_penalty(1.0, 0.6) == pytest.approx(1.0)
    assert length_penalty(7.0, 1.0) == pytest.approx(2.0)
    assert length_penalty(19.0, 0.5) == pytest.approx(2.0)
    assert length_penalty(30.0, 0.0) == 1.0


@pytest.mark.jax
def test_big_beam_finds_the_exhaustive_best(model, tables):
    found = Searcher(model, beam=27, alpha=1.0)(SOURCES, 4)
    for row, table in enumerate(tables):
        everything = sorted(all_hypotheses(table, 4), key=lambda x: -x[1] / length_penalty(len(x[0]), 1.0))
        best, totals = zip(*everything[:20], strict=True)
        lengths = np.array([len(pieces) for pieces in best])
        assert [pieces_of(ids) for ids in found.ids[row, :20]] == list(best)
        assert found.lengths[row, :20].tolist() == lengths.tolist()
        np.testing.assert_allclose(found.log_probs[row, :20], totals, atol=1e-4)
        np.testing.assert_allclose(found.scores[row, :20], totals / ((5 + lengths) / 6), atol=1e-4)


@pytest.mark.parametrize(("beam", "alpha"), [(2, 0.0), (3, 1.5)])
def test_narrow_beam_equals_the_plain_search(model, tables, beam, alpha):
    limits = np.array([5, 4, 3])
    found = Searcher(model, beam, alpha)(SOURCES, limits)
    for row, table in enumerate(tables):
        # Early stopping may leave out only what cannot be among the best `beam`, so all of them must be equal.
        expected = plain_beam_search(table, limits[row], beam, alpha)
        assert [pieces_of(ids) for ids in found.ids[row]] == [pieces for pieces, _ in expected]
        np.testing.assert_allclose(found.scores[row], [score for _, score in expected], atol=1e-4)


@pytest.mark.jax
def test_greedy_is_the_stepwise_argmax_with_runner_up(model, tables):
    limits = np.array([5, 3, 5])
    found = Generator(model, runner_up=True)(SOURCES, limits)
    for row, table in enumerate(tables):
        prefix = ()
        while EOS not in prefix:
            time = len(prefix)
            log_probs = table[prefix]
            ranked = sorted(FREE if time < limits[row] - 1 else [EOS], key=lambda v: -log_probs[v])
            prefix += (ranked[0],)
            assert found.log_probs[row, time] == pytest.approx(log_probs[ranked[0]], abs=1e-4)
            second = (ranked[1], np.exp(log_probs[ranked[1]])) if len(ranked) > 1 else (PAD, 0.0)
            assert found.runner_up[row, time] == second[0]
            assert found.runner_up_probs[row, time] == pytest.approx(second[1], abs=1e-4)
        assert pieces_of(found.ids[row]) == prefix
        assert found.lengths[row] == len(prefix)
        assert not found.ids[row, len(prefix) :].any() and not found.log_probs[row, len(prefix) :].any()


def test_beam_1_equals_greedy(transformer, sampler):
    best = Searcher(transformer, beam=1, alpha=1.0)(SOURCES, 8)
    greedy = sampler(SOURCES, 8)
    np.testing.assert_array_equal(best.ids[:, 0], greedy.ids)
    np.testing.assert_allclose(best.log_probs[:, 0], greedy.log_probs.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(best.scores[:, 0], best.log_probs[:, 0] / ((5 + greedy.lengths) / 6), rtol=1e-6)


@pytest.mark.jax
def test_batch_padding_and_order_change_nothing(greedy, beam_3):
    limits = np.array([9, 3, 6])
    for find in (greedy, beam_3):
        together = find(SOURCES, limits)
        turned = find(np.pad(SOURCES[::-1], ((0, 0), (0, 2))), limits[::-1])
        for row in range(3):
            alone = find(SOURCES[row : row + 1, : (SOURCES[row] != PAD).sum()], limits[row : row + 1])
            for other, at in ((turned, 2 - row), (alone, 0)):
                np.testing.assert_array_equal(together.lengths[row], other.lengths[at])
                width = together.lengths[row].max()
                np.testing.assert_array_equal(together.ids[row][..., :width], other.ids[at][..., :width])
                assert together.log_probs[row].sum() == pytest.approx(other.log_probs[at].sum(), abs=1e-4)


@pytest.mark.jax
@pytest.mark.parametrize("temperature", [None, 2.0])
def test_rows_that_leave_the_loop_early_change_nothing(model, monkeypatch, temperature):
    """24 rows of different length: the loop is left before its end; without that, the same comes out."""
    source, limits = np.resize(SOURCES, (24, SOURCES.shape[1])), np.resize([1, 2, 2, 3, 4, 9], 24)
    prefix, forced = np.full((24, 6), 4), np.resize([0, 1, 0, 2, 6], 24)
    loops = []
    for few in (2, 64):
        monkeypatch.setattr(loop, "FEW", few)
        generator = Generator(model, runner_up=True)
        keep = generator._keep
        generator._keep = lambda *args, keep=keep, few=few: (loops.append(few), keep(*args))[1]
        found = generator(source, limits, prefix, forced, temperature, seed=3)
        if few == 2:
            left = found
    assert loops.count(2) >= 1 and loops.count(64) == 0
    assert len(set(left.lengths.tolist())) > 2
    np.testing.assert_array_equal(left.ids, found.ids)
    np.testing.assert_array_equal(left.runner_up, found.runner_up)
    np.testing.assert_allclose(left.log_probs, found.log_probs, atol=1e-5)


@pytest.mark.jax
def test_sources_that_leave_the_beam_search_early_change_nothing(model, monkeypatch):
    """24 sources of different limits, a beam of 3: each keeps its own hypotheses and its own memory of the source."""
    source, limits = np.resize(SOURCES, (24, SOURCES.shape[1])), np.resize([1, 2, 2, 3, 4, 9], 24)
    prefix, forced = np.full((24, 6), 4), np.resize([0, 1, 0, 2, 6], 24)
    found, loops = {}, []
    for few in (2, 64):
        monkeypatch.setattr(loop, "FEW", few)
        searcher = Searcher(model, beam=3)
        keep = searcher._keep
        searcher._keep = lambda *args, keep=keep, few=few: (loops.append(few), keep(*args))[1]
        found[few] = searcher(source, limits, prefix, forced)
    assert loops.count(2) >= 1 and loops.count(64) == 0
    np.testing.assert_array_equal(found[2].ids, found[64].ids)
    np.testing.assert_allclose(found[2].log_probs, found[64].log_probs, atol=1e-4)


@pytest.mark.jax
def test_forced_prefix_then_free_generation(transformer, greedy, beam_3):
    free = greedy(SOURCES, 8)
    # The greedy sequence's own prefix changes nothing; another prefix is kept and continued greedily.
    again = greedy(SOURCES, 8, free.ids[:, :2], np.array([2, 0, 1]))
    np.testing.assert_array_equal(again.ids, free.ids)
    np.testing.assert_allclose(again.log_probs, free.log_probs, atol=1e-4)
    assert again.runner_up[0, 0] == PAD and again.runner_up_probs[0, 0] == 0
    prefix = np.array([[6, 5], [4, 0], [0, 0]])
    forced = greedy(SOURCES, 8, prefix, np.array([2, 1, 0]))
    searched = beam_3(SOURCES, 8, prefix, np.array([2, 1, 0]))
    for found in (forced.ids[:, None], searched.ids):
        assert (found[0, :, :2] == [6, 5]).all()
        assert (found[1, :, 0] == 4).all()
    assert pieces_of(forced.ids[2]) == pieces_of(free.ids[2])
    for row, table in enumerate(next_log_probs(transformer)):
        pieces = pieces_of(forced.ids[row])[:5]
        expected = [table[pieces[:n]][pieces[n]] for n in range(len(pieces))]
        np.testing.assert_allclose(forced.log_probs[row, : len(pieces)], expected, atol=1e-4)


def test_prefix_beyond_the_limit_is_kept_and_ended(greedy):
    found = greedy(SOURCES, 2, np.array([[4, 5, 6, 4]] * 3), np.array([4, 4, 1]))
    assert [pieces_of(ids) for ids in found.ids[:2]] == [(4, 5, 6, 4, EOS)] * 2
    assert found.lengths[2] == 2 and found.ids[2, 1] == EOS


def test_prefix_with_end_symbol_ends_the_row(greedy):
    found = greedy(SOURCES, 8, np.array([[4, EOS, 0]] * 3), np.array([2, 2, 2]))
    assert [pieces_of(ids) for ids in found.ids] == [(4, EOS)] * 3


def test_every_hypothesis_ends_and_holds_no_special_piece(greedy, beam_3, sampler):
    results = [greedy(SOURCES, 3).ids, beam_3(SOURCES, 3).ids.reshape(-1, 3)]
    results += [sampler(SOURCES, 3, temperature=5.0, seed=s).ids for s in range(20)]
    for ids in itertools.chain.from_iterable(results):
        pieces = pieces_of(ids)
        assert pieces[-1] == EOS and not set(pieces) & {PAD, BOS, UNK}
        assert EOS not in pieces[:-1] and not any(ids[len(pieces) :])


def test_fewer_hypotheses_than_the_beam_are_marked(beam_3):
    found = beam_3(SOURCES, 1)
    assert found.ids[:, 0, 0].tolist() == [EOS] * 3
    assert found.lengths.tolist() == [[1, 0, 0]] * 3
    assert np.isneginf(found.scores[:, 1:]).all() and np.isfinite(found.scores[:, 0]).all()


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
