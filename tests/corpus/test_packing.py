import numpy as np

from nmt_rl.corpus.packing import first_fit


def test_first_fit_by_hand():
    # Row 0: 5+3 of 8; the second does not fit on its target side; the fourth fits behind the second.
    lengths = np.array([[5, 2, 3, 6], [4, 5, 4, 3]])
    assert first_fit(lengths, 8).tolist() == [0, 1, 0, 1]


def test_no_row_is_overfull_and_no_row_was_opened_without_need():
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 30, (2, 400))
    row = first_fit(lengths, 40)
    held = np.stack([np.bincount(row, side) for side in lengths])
    assert held.max() <= 40
    for pair in range(400):  # What was in each earlier row when the pair came.
        for other in range(row[pair]):
            before = lengths[:, :pair][:, row[:pair] == other].sum(axis=1)
            assert (before + lengths[:, pair] > 40).any()


def test_of_no_pairs():
    assert first_fit(np.zeros((2, 0), np.int64), 8).tolist() == []
