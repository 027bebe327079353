import numpy as np
import pytest

from nmt_rl.config import BatchConfig
from nmt_rl.corpus.batches import (
    Batch,
    bucket_lengths,
    collate,
    divided,
    ordered_batches,
    pad_mode,
    pad_source,
    side_widths,
)
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD


def test_bucket_lengths():
    lengths = np.array([1, 8, 9, 16, 17, 32, 33])
    assert bucket_lengths(lengths, (8, 16)).tolist() == [8, 8, 16, 16, 32, 32, 48]


@pytest.mark.parametrize(("backend", "mode"), [("jax", "buckets"), ("tensorflow", "longest"), (None, "longest")])
def test_auto_padding(backend, mode, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if backend:
        monkeypatch.setenv("KERAS_BACKEND", backend)
    assert pad_mode(BatchConfig()) == pad_mode(BatchConfig(type="packed", pad="longest")) == mode


def test_pad_source():
    assert pad_source([[5, 6], []]).tolist() == [[5, 6, EOS], [EOS, PAD, PAD]]
    assert pad_source([[5]], width=4).tolist() == [[5, EOS, PAD, PAD]]


@pytest.mark.parametrize(
    ("longest", "widest", "widths"),
    [
        ((5, 30), 8, (16, 32)),  # The shorter side is one bucket below.
        ((30, 5), 8, (32, 16)),
        ((20, 30), 8, (32, 32)),
        ((5, 6), 32, (16, 32)),  # Planned for more.
        ((3, 4), 8, (8, 8)),
        ((5, 18), 8, (16, 20)),  # A model of 20 positions.
        ((33, 70), 8, (64, 96)),  # Beyond the last bucket are its multiples.
    ],
)
def test_widths_of_both_sides(longest, widest, widths):
    most = 20 if widths[1] == 20 else 96
    assert side_widths(longest, widest, BatchConfig(buckets=(8, 16, 32), max_length=most)) == widths


def test_collate_by_hand():
    source = (np.array([5, 6, 7], np.int32), np.array([2, 0, 1]))
    target = (np.array([8, 9, 8], np.int32), np.array([1, 2, 0]))
    batch = collate(source, target, np.array([4, 2, 3]), rows=3, widths=(6, 5), row_of=np.array([0, 0, 2]))
    assert batch.source.tolist() == [[5, 6, EOS, EOS, PAD, PAD], [PAD] * 6, [7, EOS, PAD, PAD, PAD, PAD]]
    assert batch.target_in.tolist() == [[BOS, 8, BOS, 9, 8], [PAD] * 5, [BOS, PAD, PAD, PAD, PAD]]
    assert batch.target_out.tolist() == [[8, EOS, 9, 8, EOS], [PAD] * 5, [EOS, PAD, PAD, PAD, PAD]]
    assert batch.indices.tolist() == [4, 2, 3]


@pytest.mark.parametrize("pad", ["longest", "buckets"])
@pytest.mark.parametrize("kind", ["tokens", "sentences"])
def test_ordered_batches_hold_every_pair_once_shortest_first(kind, pad):
    cfg = BatchConfig(type=kind, size=200 if kind == "tokens" else 16, pad=pad, buckets=(8, 16, 32))
    rng = np.random.default_rng(2)
    source, target = ([[9] * n for n in rng.integers(0, 40, 50)] for _ in range(2))
    found = list(ordered_batches(source, target, cfg))
    order = [i for b in found for i in b.indices if i >= 0]
    assert sorted(order) == list(range(50))
    longest = [max(len(source[i]), len(target[i])) for i in order]
    assert longest == sorted(longest)
    for batch in found:
        for row, i in enumerate(batch.indices):
            assert (batch.source[row] == 9).sum() == (0 if i < 0 else len(source[i]))


def test_a_divided_batch_is_whole():
    rows = np.arange(6, dtype=np.int32)[:, None]
    parts = divided(Batch(rows, rows + 10, rows + 20, np.arange(6) * 2), 3)
    assert [part.source[:, 0].tolist() for part in parts] == [[0, 3], [1, 4], [2, 5]]
    assert [part.target_in[:, 0].tolist() for part in parts] == [[10, 13], [11, 14], [12, 15]]
    assert [part.target_out[:, 0].tolist() for part in parts] == [[20, 23], [21, 24], [22, 25]]
    assert [part.indices.tolist() for part in parts] == [[0, 6], [2, 8], [4, 10]]
    packed = divided(Batch(rows, rows, rows, np.arange(9)), 2)  # Nine pairs in six rows.
    assert [len(part.indices) for part in packed] == [9, 0]
