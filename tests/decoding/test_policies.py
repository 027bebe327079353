"""Draws worked out by hand."""

import numpy as np
import pytest
from keras import ops

from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK
from nmt_rl.decoding.policies import (
    NEVER,
    best_piece,
    draw_boltzmann,
    draw_epsilon_greedy,
    free_pieces,
    largest,
    permitted_pieces,
    second_piece,
)

# Pieces by falling probability: 2, 0, 3, 1.
PROBABILITIES = np.array([0.3, 0.05, 0.5, 0.15], "float32")


def shares(draw, count=4000, pieces=4):
    """How often each piece is drawn by evenly spread uniforms."""
    uniforms = (np.arange(count, dtype="float32") + 0.5) / count
    drawn = ops.convert_to_numpy(draw(uniforms))
    return np.bincount(drawn, minlength=pieces) / count


def boltzmann(uniforms, **options):
    scores = np.log(np.tile(PROBABILITIES, (len(uniforms), 1))) + 1.7
    return draw_boltzmann(scores, np.asarray(uniforms, "float32"), **options)


@pytest.mark.jax
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.3, 0.05, 0.5, 0.15]),
        ({"top_k": 2}, [0.375, 0, 0.625, 0]),
        ({"top_k": 9}, [0.3, 0.05, 0.5, 0.15]),
        ({"top_p": 0.6}, [0.375, 0, 0.625, 0]),
        ({"top_p": 0.82}, [0.3 / 0.95, 0, 0.5 / 0.95, 0.15 / 0.95]),
        ({"top_p": 0.45}, [0, 0, 1, 0]),
        # The nucleus is one of all pieces: of the top 2, renormalised, the first alone would have 0.625.
        ({"top_k": 2, "top_p": 0.6}, [0.375, 0, 0.625, 0]),
        ({"top_k": 1, "top_p": 0.82}, [0, 0, 1, 0]),
    ],
)
def test_boltzmann_shares(options, expected):
    np.testing.assert_allclose(shares(lambda u: boltzmann(u, **options)), expected, atol=1e-3)


def test_boltzmann_inverts_the_distribution():
    assert ops.convert_to_numpy(boltzmann([0.29, 0.31, 0.34, 0.36, 0.84, 0.86])).tolist() == [0, 1, 1, 2, 2, 3]
    assert ops.convert_to_numpy(boltzmann([0.0, 0.62, 0.63, 0.999], top_p=0.6)).tolist() == [2, 2, 0, 0]


@pytest.mark.jax
def test_epsilon_greedy_takes_any_of_the_top_pieces_alike_and_no_forbidden_one():
    """Piece 3 is forbidden; of the others 0 is the best, and below epsilon 0.6 each of the top two has a half."""
    scores = np.tile(np.array([3.0, 1.0, 2.0, -1e9], np.float32), (6, 1))
    uniforms = np.array([0.0, 0.29, 0.31, 0.59, 0.61, 0.99], np.float32)
    best, epsilon = np.zeros(6, np.int32), np.full(6, 0.6, np.float32)
    found = ops.convert_to_numpy(draw_epsilon_greedy(scores, best, uniforms, epsilon, 2))
    assert found.tolist() == [0, 0, 2, 2, 0, 0]
    every = ops.convert_to_numpy(draw_epsilon_greedy(scores, best, uniforms, np.ones(6, np.float32)))
    assert every.tolist() == [0, 0, 0, 2, 2, 1]
    assert (ops.convert_to_numpy(draw_epsilon_greedy(scores, best, uniforms, np.zeros(6, np.float32))) == 0).all()


def test_best_and_second_piece():
    scores = np.array([[0.3, 0.05, 0.5, 0.15], [2.0, 1.0, 2.0, 1.0], [NEVER, NEVER, 3.0, NEVER]], "float32")
    largest, best = best_piece(scores)
    assert ops.convert_to_numpy(best).tolist() == [2, 0, 2]
    np.testing.assert_allclose(largest, [0.5, 2.0, 3.0])
    score, second = second_piece(scores, best)
    assert ops.convert_to_numpy(second).tolist() == [0, 2, 0]
    np.testing.assert_allclose(score, [0.3, 2.0, NEVER])


def test_specials_are_not_free():
    assert np.flatnonzero(free_pieces(9, False)[0] == NEVER).tolist() == [PAD, UNK, BOS]
    assert np.flatnonzero(free_pieces(9, True)[0] == NEVER).tolist() == [PAD, BOS]
    assert not free_pieces(9, True)[0, UNK:BOS].any()


@pytest.mark.jax
@pytest.mark.parametrize("pieces", [640, 1999])
@pytest.mark.parametrize("values", [3, 10**6])
def test_the_largest_are_those_of_a_sorted_vocabulary_and_of_equals_the_first(pieces, values):
    scores = np.random.default_rng(pieces).integers(0, values, (5, pieces)).astype("float32")
    found, where = (ops.convert_to_numpy(x) for x in largest(scores, 4))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(where, order)
    np.testing.assert_array_equal(found, np.take_along_axis(scores, order, axis=1))


def permitted(scores, last, allow_unknown):
    """The two best permitted pieces of each row and their scores."""
    found, pieces = (ops.convert_to_numpy(x) for x in permitted_pieces(scores, 2, np.array(last), allow_unknown))
    rows = (zip(*row, strict=True) for row in zip(pieces.tolist(), found.tolist(), strict=True))
    return [sorted((piece, score) for piece, score in row if score > NEVER / 2) for row in rows]


@pytest.mark.jax
def test_only_permitted_pieces_and_in_a_last_step_only_the_end():
    scores = np.array([[9.0, 9.0, 9.0, 1.0, -5.0, -6.0, 4.0]] * 2, "float32")
    assert {PAD, UNK, BOS} == {0, 1, 2} and EOS == 3
    both, end = permitted(scores, [False, True], allow_unknown=False)
    assert both == [(EOS, 1.0), (6, 4.0)]
    assert end == [(EOS, 1.0)]
    assert (UNK, 9.0) in permitted(scores, [False, True], allow_unknown=True)[0]
