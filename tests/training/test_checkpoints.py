import numpy as np
import pytest

from nmt_rl.errors import RunError
from nmt_rl.training.checkpoints import Checkpoints, load_arrays, mean_arrays, save_arrays

ARRAYS = {"learner/0": np.array([[1.5, -0.0]], "float32"), "replay/ids": np.arange(3), "seed": np.uint32([1, 2**31])}


def test_round_trip(tmp_path):
    checkpoints = Checkpoints(tmp_path / "new" / "folder")
    assert checkpoints.latest() is None
    meta = {"progress": {"best": float("-inf"), "snapshots": {"4": 0.1}}, "name": "ü"}
    checkpoints.save(12, ARRAYS, meta)
    found = Checkpoints(tmp_path / "new" / "folder").latest()
    assert (found.step, found.meta) == (12, meta)
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].tobytes() == array.tobytes()


def test_the_newest_two_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (5, 9, 10, 1000):
        checkpoints.save(step, ARRAYS, {"step": step})
    assert checkpoints.latest().step == 1000
    assert len(list(tmp_path.iterdir())) == 2


def test_a_half_written_file_is_ignored(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, ARRAYS, {})
    whole = (tmp_path / "step-00000003.npz").read_bytes()
    (tmp_path / "step-00000006.npz.new").write_bytes(whole[: len(whole) // 2])
    assert checkpoints.latest().step == 3
    checkpoints.save(6, ARRAYS, {})
    assert checkpoints.latest().step == 6


def test_a_full_disk_keeps_what_was_saved_before(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, ARRAYS, {})

    def full(file, **arrays):
        file.write(b"PK")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(RunError, match=r"step-00000006\.npz could not be written .*No space left.* is kept"):
        checkpoints.save(6, ARRAYS, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003.npz"]


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load_arrays(path)


def test_arrays_with_slashes_in_their_names(tmp_path):
    save_arrays(tmp_path / "a.npz", {"a/b/kernel": np.ones(2)})
    assert load_arrays(tmp_path / "a.npz")["a/b/kernel"].tolist() == [1.0, 1.0]


def test_the_mean_by_hand_and_of_equal_arrays_to_the_last_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=1000).astype("float32")
    for name, last in (("a", 1.0), ("b", 2.0), ("c", 6.0)):
        save_arrays(tmp_path / f"{name}.npz", {"same": values, "mean": np.float32([last])})
    means = mean_arrays([tmp_path / f"{name}.npz" for name in "abc"])
    np.testing.assert_array_equal(means["same"], values)
    assert means["mean"].tolist() == [3.0] and means["mean"].dtype == np.float32
