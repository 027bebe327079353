"""Phrases that hypotheses must hold: how far they are, and which of them a beam keeps, by hand."""

import numpy as np
import pytest
from keras import ops

from nmt_rl.decoding.constraints import allocated, bank, next_pieces, progress
from nmt_rl.decoding.policies import NEVER

pytestmark = pytest.mark.jax
PHRASES = [[5, 6, 5, 7], [8, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("ids", "met", "begun", "pieces", "following"),
    [
        ([], [False, False, True], [0, 0, 0], 0, [5, 8, 0]),
        ([9, 5], [False, False, True], [1, 0, 0], 1, [6, 8, 0]),
        # The end may be the middle of a phrase in two ways; the longer counts.
        ([5, 6, 5], [False, False, True], [3, 0, 0], 3, [7, 8, 0]),
        # What was begun and left is lost, but for what it still ends with.
        ([5, 6, 5, 6], [False, False, True], [2, 0, 0], 2, [5, 8, 0]),
        ([5, 6, 9], [False, False, True], [0, 0, 0], 0, [5, 8, 0]),
        ([8, 5, 6], [False, True, True], [2, 0, 0], 3, [5, 0, 0]),
        ([5, 6, 5, 7, 8, 9], [True, True, True], [0, 0, 0], 5, [0, 0, 0]),
    ],
)
def test_progress_by_hand(ids, met, begun, pieces, following):
    padded = np.array([ids + [8] * (9 - len(ids))], "int32")  # What stands behind the step does not count.
    phrases = np.array([PHRASES], "int32")
    found = progress(padded, len(ids), phrases)
    assert ops.convert_to_numpy(found[0]).tolist() == [met]
    assert np.where(met, 0, ops.convert_to_numpy(found[1])[0]).tolist() == begun
    assert ops.convert_to_numpy(bank(*found, phrases)).tolist() == [pieces]
    assert ops.convert_to_numpy(next_pieces(*found, phrases)).tolist() == [following]


def test_a_beam_is_shared_out_among_banks():
    worth = np.array([[-1.0, -2.0, -3.0, -4.0, -9.0, NEVER]], "float32")
    banks = np.array([[0, 0, 0, 1, 2, 3]], "int32")
    # The fullest bank's only candidate, the best of the other banks, then what the others do not fill.
    assert ops.convert_to_numpy(allocated(worth, banks, 6)).tolist() == [[4, 0, 3, 1, 2, 5]]


def test_candidates_of_one_bank_come_by_worth():
    worth = np.array([[-3.0, -1.0, -1.0, -2.0]], "float32")
    assert ops.convert_to_numpy(allocated(worth, np.ones((1, 4), "int32"), 3)).tolist() == [[1, 2, 3]]
