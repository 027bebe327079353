from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_rl.rl.ngrams import clipped_matches


def test_by_hand():
    # 0 1 0 1 against 0 1 1: unigrams 1 of two 0s, two 1s; bigrams 01 once (twice against once); no trigram
    matches = clipped_matches([[0, 1, 0, 1], [5]], [[0, 1, 1], [5, 5]], 3)
    np.testing.assert_array_equal(matches, [[3, 1, 0], [1, 0, 0]])


def test_pairs_do_not_mix():
    np.testing.assert_array_equal(clipped_matches([[1, 2], [3]], [[3], [1, 2]], 2), [[0, 0], [0, 0]])


def test_nothing_to_match():
    assert clipped_matches([], [], 4).shape == (0, 4)
    np.testing.assert_array_equal(clipped_matches([[], [1]], [[1], []], 2), [[0, 0], [0, 0]])


rows = st.lists(st.sampled_from([0, 1, 2, 2**31 - 1]), max_size=9)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(rows, rows), max_size=5), st.integers(1, 6))
def test_agrees_with_counting(pairs, order):
    matches = clipped_matches([a for a, _ in pairs], [b for _, b in pairs], order)
    for (ours, theirs), row in zip(pairs, matches, strict=True):
        for n, found in enumerate(row, start=1):
            counts = [Counter(tuple(x[i : i + n]) for i in range(len(x) - n + 1)) for x in (ours, theirs)]
            assert found == (counts[0] & counts[1]).total()
