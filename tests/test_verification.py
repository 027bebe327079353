"""A run and a model are read whole, and what changed is named."""

import shutil

import pytest
from older import corpus_without_hashes, without_hashes

from nmt_rl.errors import UserError
from nmt_rl.verification import verify

FILES = [
    "corpus/train/source.tokens.npy",
    "corpus/valid.source",
    "corpus/test.source",
    "pretrain/model/model.weights.h5",
    "finetune/model/tokenizer.model",
    "model/card.json",
]


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("ctranslate2"))


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_good_run_and_a_good_model(run, command):
    result = command("verify", run, run / "model")
    assert result.code == 0 and "damaged" not in result.out
    for name in (*FILES, "pretrain/snapshots/weights-00000024.npz"):
        assert f"same      {run / name}\n" in result.out
    assert result.out.count(f"{run / 'model' / 'model.weights.h5'}\n") == 4


@pytest.mark.parametrize("name", [*FILES, "pretrain/snapshots/weights-00000024.npz", "finetune/result.json"])
def test_a_flipped_bit_is_found(run, command, name):
    flip(run / name) if not name.endswith("result.json") else (run / name).write_text("{")
    result = command("verify", run)
    assert result.code == 1 and f"damaged   {run / name}" in result.out
    assert " checks found damage" in result.err and result.err.count("\n") == 1


def test_a_missing_file_is_found(run, command):
    (run / "model" / "tokenizer.model").unlink()
    result = command("verify", run / "model")
    assert result.code == 1 and f"damaged   {run / 'model' / 'tokenizer.model'} is missing\n" in result.out


@pytest.mark.parametrize("folder", ["corpus", "model", "pretrain/model"])
def test_hashes_that_are_missing_are_damage(run, command, folder):
    (run / folder / "hashes.json").unlink()
    result = command("verify", run)
    assert result.code == 1
    assert f"damaged   {run / folder / 'hashes.json'} is missing" in result.out


def test_a_folder_of_somebody_is_no_run(tmp_path):
    """Its corpus is not to be deleted, as a damaged one of a run is."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "pretrain").mkdir()
    with pytest.raises(UserError, match=f"{tmp_path} holds no model"):
        list(verify(tmp_path))


@pytest.mark.parametrize("folder", ["model", "finetune/model"])
def test_a_model_that_is_missing_is_damage(run, command, folder):
    shutil.rmtree(run / folder)
    assert f"damaged   model folder {run / folder} does not exist" in command("verify", run).out


def test_what_is_no_run_is_told_before_others_are_read(tiny_run, command):
    result = command("verify", tiny_run.folder, "nowhere")
    assert (result.code, result.out) == (2, "") and "nowhere does not exist" in result.err


def test_settings_may_be_edited(run):
    path = run / "model" / "config.yaml"
    path.write_text(path.read_text().replace("beam: 2", "beam: 3"))
    states = {each.path: each.state for each in verify(run / "model")}
    assert states[path] == "edited" and "damaged" not in states.values()


def test_a_corpus_of_version_0_2_0_is_compared_with_what_it_was_prepared_from(run):
    corpus_without_hashes(run / "corpus")
    assert "damaged" not in {each.state for each in verify(run)}
    text, tokens = run / "corpus" / "test.target", run / "corpus" / "train" / "source.tokens.npy"
    text.write_text(text.read_text().replace("dog", "cat", 1))
    tokens.write_bytes(tokens.read_bytes()[:-3])
    damaged = [each.path for each in verify(run) if each.state == "damaged"]
    assert damaged == [run / "corpus" / "train", run / "corpus" / "test.source"]


def test_a_model_of_version_0_2_0_is_read(run):
    without_hashes(run / "model")
    assert {each.state for each in verify(run / "model")} == {"readable"}
