"""Searches against brute force, against a plain beam search in Python, and against each other."""

import itertools

import numpy as np
import pytest
from keras import ops
from lively import FREE, SOURCES, forced_log_probs, lively, next_log_probs, pieces_of

from nmt_rl.config import DecodingConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK
from nmt_rl.decoding import loop, task
from nmt_rl.decoding.hypotheses import Prefix
from nmt_rl.decoding.penalties import length_penalty
from nmt_rl.decoding.search import Searcher


@pytest.fixture(scope="module")
def beam_3(transformer):
    return Searcher(transformer, DecodingConfig(beam=3))


def all_hypotheses(table, limit):
    """Every hypothesis with its log-probability."""
    for length in range(limit):
        for pieces in itertools.product(FREE[1:], repeat=length):
            whole = (*pieces, EOS)
            yield whole, sum(table[whole[:n]][whole[n]] for n in range(len(whole)))


def plain_beam_search(table, limit, settings):
    """The definition in the docstring of Searcher on lists; exact stopping needs none."""
    live, done, beam = [((), 0.0)], [], settings.beam
    penalty = (settings.length_penalty, settings.length_normalization)
    for time in range(limit):
        free = [EOS] if time == limit - 1 else FREE
        grown = [((*p, v), total + table[p][v]) for p, total in live for v in free]
        grown = sorted(grown, key=lambda x: -x[1])[: 2 * beam]
        done += [(p, s / length_penalty(len(p), *penalty)) for p, s in grown[:beam] if p[-1] == EOS]
        live = [x for x in grown if x[0][-1] != EOS][:beam]
        if settings.stopping == "early" and len(done) >= beam:
            break
    return sorted(done, key=lambda x: -x[1])[:beam]


@pytest.mark.jax
def test_big_beam_finds_the_exhaustive_best(model, tables):
    found = Searcher(model, DecodingConfig(beam=27, stopping="exact"))(SOURCES, 4)
    for row, table in enumerate(tables):
        everything = sorted(all_hypotheses(table, 4), key=lambda x: -x[1] / len(x[0]))
        best, totals = zip(*everything[:20], strict=True)
        lengths = np.array([len(pieces) for pieces in best])
        assert [pieces_of(ids) for ids in found.ids[row, :20]] == list(best)
        assert found.lengths[row, :20].tolist() == lengths.tolist()
        np.testing.assert_allclose(found.log_probs[row, :20], totals, atol=1e-4)
        np.testing.assert_allclose(found.scores[row, :20], totals / lengths, atol=1e-4)


def rewarded(table, reward):
    """A table of log-probabilities after a word reward."""
    found = {}
    for prefix, row in table.items():
        weights = np.exp(row) * np.where(np.arange(len(row)) == EOS, np.exp(-reward), 1)
        found[prefix] = np.log(weights / weights.sum())
    return found


@pytest.mark.jax
@pytest.mark.parametrize("reward", [-0.7, 0.9])
def test_searches_find_the_best_after_a_word_reward(model, tables, reward):
    big, greedy = (
        Searcher(model, DecodingConfig(beam=beam, stopping=stopping, word_reward=reward))(SOURCES, 4)
        for beam, stopping in ((27, "exact"), (1, "early"))
    )
    for row, table in enumerate(rewarded(table, reward) for table in tables):
        everything = sorted(all_hypotheses(table, 4), key=lambda x: -x[1] / len(x[0]))
        best, totals = zip(*everything[:20], strict=True)
        assert [pieces_of(ids) for ids in big.ids[row, :20]] == list(best)
        np.testing.assert_allclose(big.log_probs[row, :20], totals, atol=1e-4)
        ((path, total),) = plain_beam_search(table, 4, DecodingConfig(beam=1, length_penalty=0))
        assert pieces_of(greedy.ids[row, 0]) == path
        assert greedy.log_probs[row, 0] == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("settings", [{"beam": 1}, {"beam": 4}, {"beam": 4, "diverse_groups": 2}])
def test_a_large_word_reward_reaches_the_limit_and_a_negative_one_ends_at_once(transformer, settings):
    for reward, length in ((90.0, 6), (-90.0, 1)):
        found = Searcher(transformer, DecodingConfig(word_reward=reward, **settings))(SOURCES, 6)
        assert (found.lengths[:, 0] == length).all()


def bigrams(pieces):
    return list(itertools.pairwise(pieces))


@pytest.mark.parametrize(
    ("settings", "banned", "allowed"),
    [
        ({"no_repeat_ngram": 2}, (), lambda pieces: len(set(bigrams(pieces))) == len(bigrams(pieces))),
        ({"no_repeat_ngram": 1}, (), lambda pieces: len(set(pieces)) == len(pieces)),
        ({}, [[5, 4], [6]], lambda pieces: 6 not in pieces and (5, 4) not in bigrams(pieces)),
    ],
)
def test_the_best_of_what_is_allowed(model, tables, settings, banned, allowed):
    """A beam of all hypotheses finds the best that hold no repetition or no banned phrase; scores are the model's."""
    settings = DecodingConfig(beam=27, stopping="exact", **settings)
    found = Searcher(model, settings, banned=banned)(SOURCES, 4)
    for row, table in enumerate(tables):
        fine = [x for x in all_hypotheses(table, 4) if allowed(x[0])]
        best = sorted(fine, key=lambda x: -x[1] / len(x[0]))[:8]
        assert [pieces_of(ids) for ids in found.ids[row, : len(best)]] == [pieces for pieces, _ in best]
        np.testing.assert_allclose(found.log_probs[row, : len(best)], [total for _, total in best], atol=1e-4)
    greedy = Searcher(model, settings.model_copy(update={"beam": 1}), banned=banned)(SOURCES, 9)
    assert all(allowed(pieces_of(ids)) for ids in greedy.ids[:, 0])


@pytest.mark.parametrize("stopping", ["early", "exact"])
@pytest.mark.parametrize(("beam", "alpha", "kind"), [(2, 0.0, "gnmt"), (3, 1.5, "gnmt"), (3, 0.7, "average")])
def test_narrow_beam_equals_the_plain_search(model, tables, beam, alpha, kind, stopping):
    settings = DecodingConfig(beam=beam, length_penalty=alpha, length_normalization=kind, stopping=stopping)
    limits = np.array([5, 4, 3])
    found = Searcher(model, settings)(SOURCES, limits)
    for row, table in enumerate(tables):
        # Exact stopping may leave out only what cannot be among the best `beam`, so all of them must be equal.
        expected = plain_beam_search(table, limits[row], settings)
        count = len(expected)
        assert [pieces_of(ids) for ids in found.ids[row, :count]] == [pieces for pieces, _ in expected]
        np.testing.assert_allclose(found.scores[row, :count], [score for _, score in expected], atol=1e-4)
        assert np.isneginf(found.scores[row, count:]).all()


def plain_diverse_search(table, limit, settings):
    """Diverse beam search (early stopping) on lists: groups in turn, a piece said before costs `diversity`."""
    width = settings.beam // settings.diverse_groups
    groups = [([((), 0.0)], []) for _ in range(settings.diverse_groups)]
    for time in range(limit):
        free, said = [EOS] if time == limit - 1 else FREE, []
        for number, (live, done) in enumerate(groups):
            if len(done) < width:
                grown = [((*p, v), total + table[p][v]) for p, total in live for v in free]
                grown = sorted(grown, key=lambda x: settings.diversity * said.count(x[0][-1]) - x[1])[: 2 * width]
                done += [x for x in grown[:width] if x[0][-1] == EOS]
                live = [x for x in grown if x[0][-1] != EOS][:width]
                groups[number] = (live, done)
            said += [p[-1] for p, _ in live]
    best = (sorted(((p, s / len(p)) for p, s in done), key=lambda x: -x[1])[:width] for _, done in groups)
    return sorted(itertools.chain.from_iterable(best), key=lambda x: -x[1])


@pytest.mark.jax
@pytest.mark.parametrize(("beam", "groups", "diversity"), [(4, 2, 0.7), (3, 3, 2.0)])
def test_diverse_groups_equal_the_plain_search(transformer, beam, groups, diversity):
    settings = DecodingConfig(beam=beam, diverse_groups=groups, diversity=diversity)
    found = Searcher(transformer, settings)(SOURCES, 5)
    for row, table in enumerate(next_log_probs(transformer)):
        expected = plain_diverse_search(table, 5, settings)
        assert [pieces_of(ids) for ids in found.ids[row, : len(expected)]] == [pieces for pieces, _ in expected]
        np.testing.assert_allclose(found.scores[row, : len(expected)], [score for _, score in expected], atol=1e-4)


@pytest.mark.jax
def test_coverage_penalty_finds_the_best_with_it(model, tables):
    settings = DecodingConfig(beam=27, stopping="exact", coverage_penalty=0.5)
    search = Searcher(model, settings)
    found = search(SOURCES, 4)
    wider = search(np.pad(SOURCES, ((0, 0), (0, 2))), 4)
    np.testing.assert_allclose(wider.scores, found.scores, atol=1e-4)
    everything = [list(all_hypotheses(table, 4)) for table in tables]
    for row, hypotheses in enumerate(everything):
        target = np.array([([BOS, *pieces] + [PAD] * 4)[:4] for pieces, _ in hypotheses], "int32")
        source = np.repeat(SOURCES[row : row + 1], len(target), axis=0)
        attention = ops.convert_to_numpy(model.decode(target, model.encode(source)).attention)
        scores = {}
        for (pieces, total), weights in zip(hypotheses, attention, strict=True):
            covered = np.minimum(weights[: len(pieces), SOURCES[row] != PAD].sum(axis=0), 1)
            scores[pieces] = total / len(pieces) + 0.5 * np.log(covered).sum()
        best = sorted(scores, key=lambda pieces: -scores[pieces])[:10]
        np.testing.assert_allclose(found.scores[row, :10], [scores[pieces] for pieces in best], atol=1e-4)
        assert pieces_of(found.ids[row, 0]) == best[0]


def test_beam_1_equals_greedy(transformer, sampler):
    best = Searcher(transformer, DecodingConfig(beam=1))(SOURCES, 8)
    greedy = sampler(SOURCES, 8)
    np.testing.assert_array_equal(best.ids[:, 0], greedy.ids)
    np.testing.assert_allclose(best.log_probs[:, 0], greedy.log_probs.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(best.scores[:, 0], best.log_probs[:, 0] / greedy.lengths, rtol=1e-6)


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
def test_sources_that_leave_the_beam_search_early_change_nothing(model, monkeypatch):
    """24 sources of different limits, a beam of 3: each keeps its own hypotheses and its own memory of the source."""
    source, limits = np.resize(SOURCES, (24, SOURCES.shape[1])), np.resize([1, 2, 2, 3, 4, 8], 24)
    prefix, forced = np.full((24, 6), 4), np.resize([0, 1, 0, 2, 6], 24)
    found, loops = {}, []
    for few in (2, 64):
        monkeypatch.setattr(loop, "FEW", few)
        searcher = Searcher(model, DecodingConfig(beam=3))
        keep = searcher._keep
        searcher._keep = lambda *args, keep=keep, few=few: (loops.append(few), keep(*args))[1]
        found[few] = searcher(source, limits, Prefix(prefix, forced))
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
    assert again.alternatives[0, 0, 0] == PAD and again.alternative_probs[0, 0, 0] == 0
    prefix = np.array([[6, 5], [4, 0], [0, 0]])
    forced = greedy(SOURCES, 8, prefix, np.array([2, 1, 0]))
    searched = beam_3(SOURCES, 8, Prefix(prefix, np.array([2, 1, 0])))
    for found in (forced.ids[:, None], searched.ids):
        assert (found[0, :, :2] == [6, 5]).all()
        assert (found[1, :, 0] == 4).all()
    assert pieces_of(forced.ids[2]) == pieces_of(free.ids[2])
    for row, table in enumerate(next_log_probs(transformer)):
        pieces = pieces_of(forced.ids[row])[:5]
        expected = [table[pieces[:n]][pieces[n]] for n in range(len(pieces))]
        np.testing.assert_allclose(forced.log_probs[row, : len(pieces)], expected, atol=1e-4)


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


@pytest.mark.jax
def test_long_hypotheses_outgrow_the_first_cache():
    """Ends are unlikely, so the loop goes on with more room; hypotheses are at different times."""
    model = lively("transformer")
    project, later = model.project, -4.0 * np.eye(7, dtype="float32")[EOS]
    model.project = lambda states: project(states) + later
    limits = np.array([2 * task.ROOM + 4, 2 * task.ROOM, 5])
    prefix, lengths = np.array([[4, 5, 4, 4], [0, 0, 0, 0], [6, 0, 0, 0]]), np.array([4, 0, 1])
    searcher = Searcher(model, DecodingConfig(beam=3, length_penalty=2.0, stopping="exact"))
    found = searcher(SOURCES, limits, Prefix(prefix, lengths))
    assert found.lengths.max() > task.ROOM + 4
    for hypothesis in range(3):
        scores = forced_log_probs(model, SOURCES, found.ids[:, hypothesis])
        np.testing.assert_allclose(found.log_probs[:, hypothesis], scores.sum(axis=1), atol=1e-3)


def test_prefix_with_end_symbol_is_the_only_hypothesis(beam_3, transformer):
    prefix = Prefix(np.array([[4, EOS, 0], [5, 6, 0], [EOS, 0, 0]]), np.array([2, 2, 1]))
    found = beam_3(SOURCES, 8, prefix)
    assert [pieces_of(found.ids[row, 0]) for row in (0, 2)] == [(4, EOS), (EOS,)]
    assert found.lengths[[0, 2]].tolist() == [[2, 0, 0], [1, 0, 0]]
    table = next_log_probs(transformer)[0]
    assert found.log_probs[0, 0] == pytest.approx(table[()][4] + table[(4,)][EOS], abs=1e-4)
    np.testing.assert_allclose(found.scores[0, 0], found.log_probs[0, 0] / 2)
    assert (found.lengths[1] > 2).all()
