import keras
import numpy as np
import pytest

from nmt_rl.errors import UserError
from nmt_rl.training.snapshots import Snapshots


@pytest.fixture
def snapshots(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name="dense")])
    return Snapshots(tmp_path / "snapshots", model)


def save(snapshots, step, value):
    snapshots.model.set_weights([np.float32([[value]])])
    snapshots.save(step)


def test_the_mean_is_loaded(snapshots):
    for step, value in ((2, 1.0), (4, 3.0)):
        save(snapshots, step, value)
    snapshots.load_mean([2, 4])
    assert snapshots.model.get_weights()[0] == 2.0
    snapshots.load_mean([2])
    assert snapshots.model.get_weights()[0] == 1.0


def test_what_one_of_two_checkpoints_names_is_kept(snapshots):
    for named, expected in (({2}, {2}), ({4}, {2, 4}), ({4, 6}, {4, 6})):
        save(snapshots, max(named), 1.0)
        snapshots.keep(named)
        assert {int(path.stem[-8:]) for path in snapshots.folder.iterdir()} == expected


def test_damage_is_told(snapshots):
    save(snapshots, 2, 1.0)
    assert snapshots.damage(2) is None
    path = next(snapshots.folder.iterdir())
    path.write_bytes(path.read_bytes()[:50])
    assert snapshots.damage(2).startswith(f"{path} is damaged")
    with pytest.raises(UserError, match=r"weights-00000004\.npz is missing"):
        snapshots.load_mean([4])
