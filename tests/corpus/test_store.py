import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_rl.corpus import store
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus
from nmt_rl.errors import UserError

SENTENCE = st.lists(st.integers(0, 999), max_size=6)
PAIRS = st.lists(st.tuples(SENTENCE, SENTENCE), max_size=12)


def write(folder, pairs, chunk=5, size=1000):
    with CorpusWriter(folder, size, size) as writer:
        for start in range(0, len(pairs), chunk):
            part = pairs[start : start + chunk]
            writer.append([s for s, _ in part], [t for _, t in part])
    return EncodedCorpus.open(folder)


@settings(max_examples=30, deadline=None)
@given(pairs=PAIRS, chunk=st.integers(1, 7))
def test_round_trip(tmp_path_factory, pairs, chunk):
    corpus = write(tmp_path_factory.mktemp("store") / "train", pairs, chunk)
    assert len(corpus) == len(pairs)
    assert [(corpus.source(i).tolist(), corpus.target(i).tolist()) for i in range(len(corpus))] == pairs
    assert corpus.source_lengths.tolist() == [len(s) for s, _ in pairs]
    assert corpus.target_lengths.tolist() == [len(t) for _, t in pairs]
    assert corpus.header["target_tokens"] == sum(len(t) for _, t in pairs)


@pytest.mark.parametrize(("size", "dtype"), [(65536, np.uint16), (65537, np.uint32)])
def test_width_of_tokens(size, dtype, tmp_path):
    corpus = write(tmp_path / "train", [([size - 1], [0])], size=size)
    assert corpus.sides[0].tokens.dtype == dtype
    assert corpus.source(0).tolist() == [size - 1]
    assert corpus.source(0).dtype == np.int32


def test_gather_any_order_with_repeats_and_empty(tmp_path):
    corpus = write(tmp_path / "train", [([1, 2], []), ([], [7]), ([3, 4, 5], [8])])
    flat, lengths = corpus.sides[0].gather(np.array([2, 1, 0, 2]))
    assert flat.tolist() == [3, 4, 5, 1, 2, 3, 4, 5]
    assert lengths.tolist() == [3, 0, 2, 3]
    assert corpus.sides[0].gather(np.array([], np.int64))[0].tolist() == []


def test_load_and_lengths_across_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CHUNK", 2)
    corpus = write(tmp_path / "train", [([i] * i, [i + 1] * (5 - i)) for i in range(6)])
    chosen = np.array([5, 0, 3, 3, 1])
    assert corpus.lengths(chosen).tolist() == [[5, 0, 3, 3, 1], [0, 5, 2, 2, 4]]
    source, target = corpus.load(chosen)
    assert [source.gather(np.array([i]))[0].tolist() for i in range(5)] == [[i] * i for i in chosen]
    assert target.lengths(np.arange(5)).tolist() == [0, 5, 2, 2, 4]
    assert len(corpus.load(np.array([], np.int64))[0].tokens) == 0


def test_hash_depends_on_content_not_on_chunks(tmp_path):
    pairs = [([1, 2], [3]), ([4], [5, 6]), ([7], [8])]
    same = {write(tmp_path / str(chunk), pairs, chunk).header["sha256"] for chunk in (1, 2, 3)}
    moved = write(tmp_path / "moved", [([1], [3]), ([2, 4], [5, 6]), ([7], [8])]).header["sha256"]
    assert len(same) == 1 and moved not in same


def test_a_failed_writer_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), CorpusWriter(tmp_path / "train", 10, 10) as writer:
        writer.append([[3]], [[4]])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_release_keeps_the_data_readable(tmp_path):
    corpus = write(tmp_path / "train", [([1, 2], [3])])
    corpus.release()
    assert corpus.source(0).tolist() == [1, 2]


def test_release_reaches_the_memory_maps(tmp_path):
    """Pages must really leave the process: resident file pages drop after reading a large corpus."""
    resident = _resident_file_kilobytes()
    if resident is None:
        pytest.skip("needs /proc/self/status")
    corpus = write(tmp_path / "train", [([5] * 1_000_000, [6] * 1_000_000)] * 4)
    before = _resident_file_kilobytes()
    total = sum(int(corpus.source(i).sum()) + int(corpus.target(i).sum()) for i in range(4))
    touched = _resident_file_kilobytes()
    corpus.release()
    assert total == 4 * 11_000_000
    assert touched - before > 10_000
    assert _resident_file_kilobytes() - before < 5_000


def _resident_file_kilobytes():
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssFile"))
    except (OSError, StopIteration):
        return None


def test_a_missing_corpus(tmp_path):
    with pytest.raises(UserError, match=r"corpus\.json is missing"):
        EncodedCorpus.open(tmp_path)


@pytest.mark.parametrize("name", ["corpus.json", "source.tokens.npy", "source.offsets.npy", "target.offsets.npy"])
def test_a_damaged_file_is_named(name, tmp_path):
    write(tmp_path / "train", [([1, 2], [3]), ([4], [5, 6])])
    path = tmp_path / "train" / name
    whole = path.read_bytes()
    for size in (0, 5, len(whole) // 2, len(whole) - 8):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match="train") as error:
            EncodedCorpus.open(tmp_path / "train")
        assert "\n" not in str(error.value)
    for place in range(0, min(len(whole), 128), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            EncodedCorpus.open(tmp_path / "train")
        except UserError as error:
            assert "train" in str(error)


@pytest.mark.parametrize("array", [np.zeros(1, np.uint16), np.zeros((3, 1), np.uint16), np.zeros(3), np.uint16(3)])
def test_tokens_that_are_others(array, tmp_path):
    write(tmp_path / "train", [([1, 2], [3]), ([4], [5, 6])])
    np.save(tmp_path / "train" / "source.tokens.npy", array)
    with pytest.raises(UserError, match=r"train.* is damaged"):
        EncodedCorpus.open(tmp_path / "train")


def test_index_out_of_range(tmp_path):
    corpus = write(tmp_path / "train", [([1], [2])])
    for i in (-1, 1):
        with pytest.raises(IndexError):
            corpus.target(i)
    assert json.loads((tmp_path / "train" / "corpus.json").read_text())["pairs"] == 1
