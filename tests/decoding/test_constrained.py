"""Beam search with phrases: they stand there, scores are the model's, and without any it is plain."""

import itertools

import numpy as np
import pytest
from lively import FREE, SOURCES, pieces_of

from nmt_rl.config import DecodingConfig
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.decoding.constrained import ConstrainedSearcher
from nmt_rl.decoding.search import Searcher

pytestmark = pytest.mark.jax


def by_row(*phrases):
    """Phrases of each row of SOURCES, by what its source is."""
    table = {tuple(row): each for row, each in zip(SOURCES.tolist(), phrases, strict=True)}
    return lambda row: table.get(tuple(row[: SOURCES.shape[1]].tolist()), [])


def holds(pieces, phrase):
    return any(list(pieces[n : n + len(phrase)]) == phrase for n in range(len(pieces)))


def test_without_phrases_it_is_beam_search(model):
    settings = DecodingConfig(beam=3)
    plain = Searcher(model, settings)(SOURCES, 6)
    found = ConstrainedSearcher(model, settings, lambda row: [])(SOURCES, 6)
    for mine, theirs in zip(found, plain, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)


def test_a_big_beam_finds_the_best_of_all_that_hold_the_phrases(model, tables):
    wanted = [[[FREE[1], FREE[2]]] for _ in SOURCES]
    settings = DecodingConfig(beam=32, stopping="exact")
    found = ConstrainedSearcher(model, settings, by_row(*wanted))(SOURCES, 2)
    for row, table in enumerate(tables):
        every = [
            ((*pieces, EOS), sum(table[(*pieces, EOS)[:n]][(*pieces, EOS)[n]] for n in range(len(pieces) + 1)))
            for length in range(4)
            for pieces in itertools.product(FREE[1:], repeat=length)
            if holds(pieces, wanted[row][0])
        ]
        best, total = max(every, key=lambda x: x[1] / len(x[0]))
        assert pieces_of(found.ids[row, 0]) == best
        np.testing.assert_allclose(found.log_probs[row, 0], total, atol=1e-4)


@pytest.mark.parametrize("beam", [2, 5])
def test_every_hypothesis_holds_all_phrases(model, beam):
    first, second, third = FREE[1:4]
    wanted = [[[first, second], [third]] if n % 2 else [[third, third, first]] for n in range(len(SOURCES))]
    found = ConstrainedSearcher(model, DecodingConfig(beam=beam), by_row(*wanted))(SOURCES, 3)
    for row, phrases in enumerate(wanted):
        texts = [pieces_of(ids) for ids, length in zip(found.ids[row], found.lengths[row], strict=True) if length]
        assert texts
        assert all(holds(text, phrase) for text in texts for phrase in phrases)
