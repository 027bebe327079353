"""The statistical aligner: its equations by hand, and texts whose alignment is known."""

import math

import numpy as np
import pytest

from nmt_rl.corpus.aligner import NULL, TENSION, Aligner, Lexicon, diagonal_prior, digamma, grow_diag_final_and


def test_the_prior_by_hand():
    """Of two pieces and one: |1/2 - 1| and |1 - 1| from the diagonal; a shorter pair beside it is padded with 0."""
    prior = diagonal_prior(np.array([2, 1]), np.array([1, 2]))
    far = math.exp(-TENSION * 0.5)
    np.testing.assert_allclose(prior[0, :, 0], [NULL, (1 - NULL) * far / (1 + far), (1 - NULL) / (1 + far)], rtol=1e-6)
    np.testing.assert_allclose(prior[0, :, 1], 0.0)
    np.testing.assert_allclose(prior[1], [[NULL, NULL], [1 - NULL, 1 - NULL], [0, 0]], rtol=1e-6)


def test_digamma_where_it_is_known():
    gamma = 0.5772156649015329
    known = {1.0: -gamma, 0.5: -gamma - 2 * math.log(2), 2.0: 1 - gamma, 0.01: -100.56088545786867}
    np.testing.assert_allclose(digamma(np.array(list(known))), list(known.values()), rtol=1e-8)


def links(*pairs, shape=(4, 4)):
    found = np.zeros((1, *shape), bool)
    for source, target in pairs:
        found[0, target, source] = True
    return found


def test_directions_are_joined_by_hand():
    """1-1 is in both; 2-2 beside it in one, its words still without; 0-1 is beside, too, but only its source word is
    without, which is enough; 3-0 is beside none and both its words are without: it comes last."""
    there, back = links((1, 1), (2, 2), (3, 0)), links((1, 1), (0, 1))
    np.testing.assert_array_equal(grow_diag_final_and(there, back), links((1, 1), (2, 2), (0, 1), (3, 0)))


def test_a_link_between_words_that_have_theirs_is_left_out():
    there, back = links((0, 0), (1, 1), (1, 0)), links((0, 0), (1, 1))
    np.testing.assert_array_equal(grow_diag_final_and(there, back), links((0, 0), (1, 1)))


def test_what_both_have_stays_and_what_neither_has_never_comes():
    rng = np.random.default_rng(1)
    there, back = (rng.random((50, 6, 7)) < 0.3 for _ in range(2))
    found = grow_diag_final_and(there, back)
    assert (found >= (there & back)).all() and (found <= (there | back)).all()
    np.testing.assert_array_equal(found, grow_diag_final_and(back, there))


def reordered(pairs, seed):
    """Sentences of 6 of 30 words, whose translations are other ids and have neighbours swapped: grids and links."""
    source = np.random.default_rng(seed).permuted(np.tile(np.arange(1, 31), (pairs, 1)), axis=1)[:, :6]
    order = [1, 0, 3, 2, 5, 4]
    known = np.broadcast_to(np.eye(6, dtype=bool)[order], (pairs, 6, 6))
    return source, source[:, order] + 100, known


def test_words_in_another_order_are_found_by_what_they_stand_beside():
    source, target, known = reordered(400, 1)
    found = Aligner([(source[:200], target[:200]), (source[200:], target[200:])])(source, target)
    assert (found == known).mean() > 0.999


def test_padding_and_company_change_no_alignment():
    source, target, _ = reordered(300, 1)
    source[::3, 4:], target[::3, 5:] = 0, 0
    aligner = Aligner([(source, target)])
    whole = aligner(source, target)
    for i in (0, 1, 2, 3):
        n, m = int((source[i] != 0).sum()), int((target[i] != 0).sum())
        np.testing.assert_array_equal(aligner(source[i : i + 1, :n], target[i : i + 1, :m])[0], whole[i, :m, :n])
        assert not whole[i, m:].any() and not whole[i, :, n:].any()


def test_probabilities_of_a_piece_are_at_most_one_and_unseen_pieces_follow_the_diagonal():
    source, target, _ = reordered(300, 1)
    lexicon = Lexicon.learnt([(source, target)])
    owners = lexicon.keys >> 32
    sums = np.bincount(owners, lexicon.probabilities[:-1])
    assert sums.max() <= 1.0 + 1e-9, "variational Bayes gives less than all"
    new = np.array([[501, 502, 503]])
    np.testing.assert_array_equal(lexicon.best(new, new + 100)[0].argmax(axis=1), [0, 1, 2])


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_pairs_of_one_piece(shape):
    grid = [np.arange(1, n + 1)[None] for n in shape]
    found = Aligner([(grid[0], grid[1] + 10)])(grid[0], grid[1] + 10)
    assert found.shape == (1, shape[1], shape[0])
