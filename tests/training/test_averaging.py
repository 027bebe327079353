"""The mean of checkpoints is the mean of their weights, and a model folder like any other."""

import json
from pathlib import Path

import numpy as np
import pytest

from nmt_rl.bundle import load_bundle
from nmt_rl.errors import UserError
from nmt_rl.training.averaging import average_models, average_snapshots
from nmt_rl.training.checkpoints import load_arrays


def weights(folder):
    return load_bundle(folder).model.get_weights()


def test_the_mean_of_models(tiny_run, tmp_path):
    folders = [tiny_run.folder / stage / "model" for stage in ("pretrain", "finetune")]
    assert average_models(folders, tmp_path / "mean") == [str(folder) for folder in folders]
    for mean, a, b in zip(weights(tmp_path / "mean"), *map(weights, folders), strict=True):
        np.testing.assert_allclose(mean, (a + b) / 2, atol=1e-6)
    card = json.loads((tmp_path / "mean" / "card.json").read_text(encoding="utf-8"))
    assert card["result"] == {"averaged": [str(folder) for folder in folders], "valid": {}}


@pytest.mark.parametrize("which", ["last", "best"])
def test_the_mean_of_snapshots(tiny_run, tmp_path, which):
    """Both are kept, so last and best are the same two; of one, the best is the one with the smaller loss."""
    stage = tiny_run.folder / "pretrain"
    names = average_snapshots(stage, 2, which, tmp_path / "two")
    snapshots = [load_arrays(Path(name)) for name in names]
    assert len(names) == 2
    for variable in load_bundle(tmp_path / "two").model.trainable_variables:
        mean = (snapshots[0][variable.path] + snapshots[1][variable.path]) / 2
        np.testing.assert_allclose(np.asarray(variable.value), mean, atol=1e-6)
    events = [json.loads(line) for line in (tiny_run.folder / "metrics.jsonl").read_text().splitlines()]
    losses = {e["step"]: e["loss"] for e in events if (e["stage"], e["event"]) == ("pretrain", "valid")}
    kept = [int(Path(name).stem.removeprefix("weights-")) for name in names]
    expected = max(kept) if which == "last" else min(kept, key=losses.__getitem__)
    assert average_snapshots(stage, 1, which, tmp_path / "one") == [
        str(stage / "snapshots" / f"weights-{expected:08d}.npz")
    ]


def test_more_than_are_kept(tiny_run, tmp_path):
    with pytest.raises(
        UserError, match=r"keeps its last 2 validated checkpoints, fewer than 5; pretrain\.average keeps more"
    ):
        average_snapshots(tiny_run.folder / "pretrain", 5, "last", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_mean_of_equal_models_is_that_model(tiny_run, tmp_path):
    average_models([tiny_run.folder] * 3, tmp_path / "mean")
    for mean, one in zip(weights(tmp_path / "mean"), weights(tiny_run.folder), strict=True):
        np.testing.assert_array_equal(mean, one)


def test_what_is_no_stage(tiny_run, tmp_path):
    with pytest.raises(UserError, match="is not a finished stage"):
        average_snapshots(tiny_run.folder, 1, "last", tmp_path / "out")


def test_nothing_is_overwritten(tiny_run):
    model = tiny_run.folder / "pretrain" / "model"
    with pytest.raises(UserError, match="exists already"):
        average_models([model, model], model)


def test_names_beside_the_output_are_never_touched(tiny_run, tmp_path):
    for name in ("avg.old", "avg.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text(name)
    average_models([tiny_run.folder / stage / "model" for stage in ("pretrain", "finetune")], tmp_path / "avg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["avg", "avg.new", "avg.old"]
    assert [(tmp_path / name / "mine").read_text() for name in ("avg.old", "avg.new")] == ["avg.old", "avg.new"]
