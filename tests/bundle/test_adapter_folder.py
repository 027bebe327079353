"""Adapters as they are kept, and put into their base again."""

import json
import shutil

import numpy as np
import pytest

from nmt_rl.bundle import load_bundle


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, tiny_run, tiny_recipe):
    """A copy of the tiny run whose pretrained model was fine-tuned by an adapter."""
    from nmt_rl.config import load_config
    from nmt_rl.experiment import finetune_stage

    run = tmp_path_factory.mktemp("adapted") / "run"
    shutil.copytree(tiny_run.folder, run)
    changes = ["finetune.adapt={type: lora, rank: 2}", "finetune.optimizer.learning_rate=0.05", "finetune.updates=3"]
    finetune_stage(load_config(str(tiny_recipe), changes), run, fresh=True)
    return run


def weights(folder):
    return load_bundle(folder).model.get_weights()


def test_the_base_with_the_adapter_is_the_model_of_the_stage(command, adapted, tmp_path):
    found = command("merge", adapted / "pretrain/model", adapted / "finetune/adapter", "-o", tmp_path / "merged")
    assert found.code == 0, found.err
    base, stage, merged = (
        weights(f) for f in (adapted / "pretrain/model", adapted / "finetune/model", tmp_path / "merged")
    )
    for one, other in zip(stage, merged, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    changed = [not np.array_equal(a, b) for a, b in zip(base, merged, strict=True)]
    assert any(changed) and not all(changed)
    assert command("verify", tmp_path / "merged").code == 0
    assert "tiny" in command("info", tmp_path / "merged").out
    again = command("merge", adapted / "pretrain/model", adapted / "finetune/adapter", "-o", tmp_path / "merged")
    assert again.code == 2 and "exists already" in again.err


def test_an_adapter_is_small_and_is_verified_with_its_run(command, adapted):
    folder = adapted / "finetune" / "adapter"
    assert (folder / "adapter.npz").stat().st_size < (adapted / "finetune/model/model.weights.h5").stat().st_size
    assert "adapter/adapter.npz" in command("verify", adapted).out


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "hashes.json").unlink(), "hashes.json is missing"),
        (lambda folder: (folder / "adapter.npz").write_bytes(b"x"), "adapter.npz is damaged"),
        (lambda folder: (folder / "adapter.json").unlink(), "is no adapter"),
    ],
)
def test_a_damaged_adapter_is_named(command, adapted, tmp_path, spoil, words):
    folder = tmp_path / "adapter"
    shutil.copytree(adapted / "finetune" / "adapter", folder)
    spoil(folder)
    found = command("merge", adapted / "pretrain/model", folder, "-o", tmp_path / "out")
    assert found.code == 2 and words in found.err and not (tmp_path / "out").exists()


def test_checkpoints_of_an_adapter_are_not_averaged(command, adapted, tmp_path):
    found = command("average", adapted / "finetune", "--last", 2, "-o", tmp_path / "out")
    assert found.code == 2 and "has trained an adapter" in found.err


def test_an_adapter_of_another_base_is_refused(command, adapted, tmp_path):
    found = command("merge", adapted / "finetune/model", adapted / "finetune/adapter", "-o", tmp_path / "out")
    assert found.code == 2 and "belongs to another model" in found.err and "'tiny'" in found.err


def test_the_stage_goes_on_with_its_adapter(command, adapted, tiny_recipe, tmp_path):
    """One more update of a copy, from the checkpoint: A and B are in it."""
    run = tmp_path / "run"
    shutil.copytree(adapted, run)
    changes = ("finetune.adapt={type: lora, rank: 2}", "finetune.optimizer.learning_rate=0.05", "finetune.updates=4")
    sets = [word for change in changes for word in ("--set", change)]
    found = command("finetune", tiny_recipe, "--out", run, *sets)
    assert found.code == 0, found.err
    assert json.loads((run / "finetune/result.json").read_text())["updates"] == 4
    other = command("finetune", tiny_recipe, "--out", run, *sets[:-2], "--set", "finetune.adapt=bias")
    assert other.code == 2 and "finetune.adapt" in other.err
