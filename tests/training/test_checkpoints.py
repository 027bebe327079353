import numpy as np
import pytest

from nmt_rl.errors import RunError, UserError
from nmt_rl.training.checkpoints import Checkpoints, assign, load_arrays, mean_arrays, save_arrays

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


def spoilt(whole):
    """A checkpoint that is empty, cut or no checkpoint, and every kind of flipped bit."""
    yield from (b"", whole[:30], whole[: len(whole) // 2], whole[:-1], b"PK nonsense" * 50)
    for place in range(0, len(whole), 11):
        yield whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]


def test_a_damaged_checkpoint_is_passed_over_and_told(tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, ARRAYS, {"n": 3})
    checkpoints.save(6, ARRAYS, {"n": 6})
    path, told = tmp_path / "step-00000006.npz", 0
    for data in spoilt(path.read_bytes()):
        path.write_bytes(data)
        found = checkpoints.latest()
        if found.step == 6:  # A flag or a date in the archive, which changes nothing.
            assert found.meta == {"n": 6} and all((found.arrays[n] == a).all() for n, a in ARRAYS.items())
            continue
        assert (found.step, found.meta) == (3, {"n": 3})
        told += 1
        assert str(path) in caplog.messages[-1] and "of update 3, is used instead" in caplog.messages[-1]
    assert told > 40
    # The next one takes its place, whatever its number is.
    checkpoints.save(5, ARRAYS, {"n": 5})
    assert checkpoints.steps() == [3, 5] and checkpoints.latest().step == 5


def test_two_damaged_checkpoints(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (3, 6):
        checkpoints.save(step, ARRAYS, {})
        (tmp_path / f"step-{step:08d}.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"step-00000006\.npz is empty .*no other checkpoint is whole; .*--fresh"):
        checkpoints.latest()


def test_a_full_disk_keeps_what_was_saved_before(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, ARRAYS, {})

    def full(file, **arrays):
        file.write(b"PK")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(RunError, match=r"step-00000006\.npz could not be written \(No space left.* is kept"):
        checkpoints.save(6, ARRAYS, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003.npz"]


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="allow_pickle"):
        load_arrays(path)


class Variable:
    def __init__(self, *shape):
        self.shape, self.value = shape, None

    def assign(self, value):
        self.value = value


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"a": np.ones(2)}, "b is missing, where [3] is needed"),
        ({"a": np.ones(2), "b": np.ones(2)}, "b is of shape [2]"),
    ],
)
def test_arrays_of_another_model_change_nothing(arrays, found):
    variables = {"a": Variable(2), "b": Variable(3)}
    with pytest.raises(UserError) as error:
        assign(variables, arrays, "the file")
    assert str(error.value).startswith("the file does not fit the model: ") and found in str(error.value)
    assert variables["a"].value is None


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


def test_the_mean_of_different_models(tmp_path):
    save_arrays(tmp_path / "a.npz", {"x": np.ones(2)})
    save_arrays(tmp_path / "b.npz", {"x": np.ones(3)})
    with pytest.raises(UserError, match=r"b\.npz and .*a\.npz hold the weights of different models"):
        mean_arrays([tmp_path / "a.npz", tmp_path / "b.npz"])
