import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

from nmt_rl.bundle import WEIGHTS, bundle_folder, load_bundle, read_bundle_config, save_bundle
from nmt_rl.errors import UserError

SOURCE, TARGET = np.array([[5, 9, 3]], "int32"), np.array([[2, 7]], "int32")


def logits(bundle):
    return np.asarray(bundle.model.decode(TARGET, bundle.model.encode(SOURCE)).logits)


@pytest.fixture
def copy(tiny_run, tmp_path):
    """A model folder that a test may spoil."""
    return shutil.copytree(tiny_run.folder / "model", tmp_path / "copy")


def message(folder):
    with pytest.raises(UserError) as error:
        load_bundle(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_moved_folder_gives_the_same_numbers(tiny_run, copy):
    moved = copy.rename(copy.with_name("with space and ü"))
    first, second = load_bundle(tiny_run.folder / "model"), load_bundle(moved)
    np.testing.assert_array_equal(logits(first), logits(second))
    assert first.config == second.config and first.card == second.card
    assert first.tokenizers.source.encode(["alter hund"]) == second.tokenizers.source.encode(["alter hund"])


def test_saved_and_loaded(tiny_run, tmp_path):
    bundle = load_bundle(tiny_run.folder)
    for parameters in (1, 2):  # the second one replaces the first
        save_bundle(tmp_path / "new", bundle.config, bundle.tokenizers, bundle.model, {"parameters": parameters})
    loaded = load_bundle(tmp_path / "new")
    np.testing.assert_array_equal(logits(loaded), logits(bundle))
    assert loaded.card == {"parameters": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_full_disk_while_weights_are_written_is_an_error_of_the_system(tiny_run, tmp_path):
    """HDF5 itself would break the process when it ends, so another process tries it, with a limit like a small disk."""
    code = (
        "import pathlib, resource, sys; from nmt_rl.bundle import load_bundle, save_weights; "
        "model = load_bundle(pathlib.Path(sys.argv[1])).model; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "try:\n    save_weights(pathlib.Path(sys.argv[2]), model)\nexcept OSError as error:\n    print(error.filename)"
    )
    path = tmp_path / WEIGHTS
    done = subprocess.run([sys.executable, "-c", code, str(tiny_run.folder), str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{path}\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_stands_for_its_model(tiny_run):
    assert bundle_folder(tiny_run.folder) == bundle_folder(tiny_run.folder / "model") == tiny_run.folder / "model"


def test_the_card_says_where_a_model_comes_from(tiny_run):
    config, card = read_bundle_config(tiny_run.folder)
    assert (config.name, card["languages"], card["seed"]) == ("tiny", "de-en", 3)
    assert {"bleu", "loss", "chrf"} <= card["result"]["valid"].keys()
    assert card["data"].keys() == {"train", "valid", "test"}
    assert {"python", "keras", "numpy"} <= card["versions"].keys()
    assert "nrefs:1" in card["signature"]


def test_no_folder(tmp_path):
    text = message(tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'} does not exist" in text and "RUN/model" in text


def test_a_folder_without_a_model(tmp_path):
    (tmp_path / "notes.txt").touch()
    text = message(tmp_path)
    assert f"{tmp_path} holds no model ({WEIGHTS} is missing; found notes.txt)" in text


@pytest.mark.parametrize("name", ["config.yaml", "card.json", "tokenizer.model"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    text = message(copy)
    assert str(copy) in text and name in text


def test_a_card_that_is_no_json(copy):
    (copy / "card.json").write_text("{")
    assert f"{copy / 'card.json'} cannot be read" in message(copy)


def test_weights_of_another_model(copy):
    path = copy / "config.yaml"
    path.write_text(path.read_text().replace("width: 8", "width: 16"))
    assert f"{copy / WEIGHTS} does not fit {path}" in message(copy)


def test_weights_of_another_depth(copy):
    path = copy / "config.yaml"
    path.write_text(path.read_text().replace("encoder_layers: 1", "encoder_layers: 2"))
    assert f"{copy / WEIGHTS} does not fit {path}" in message(copy)


def test_weights_that_are_no_weights(copy):
    (copy / WEIGHTS).write_bytes(b"PK nonsense")
    assert f"{copy / WEIGHTS}" in message(copy)


def test_nothing_in_a_bundle_is_pickled(tiny_run):
    for path in (tiny_run.folder / "model").iterdir():
        assert path.suffix in (".yaml", ".json", ".h5", ".model")
    json.loads((tiny_run.folder / "model" / "card.json").read_text())


def test_an_lstm_of_a_version_that_computed_otherwise_is_refused(copy):
    card = json.loads((copy / "card.json").read_text())
    card["versions"]["nmt-rl"] = "0.1.0"
    (copy / "card.json").write_text(json.dumps(card))
    load_bundle(copy)  # a Transformer: as ever
    config = yaml.safe_load((copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(yaml.safe_dump({**config, "model": {"type": "lstm"}}))
    assert "made by nmt-rl 0.1.0, whose LSTMs did not scale embeddings; train it again" in message(copy)


def test_loading_a_model_imports_no_module_of_its_reward(tiny_run, copy):
    """A model folder of somebody else must not run code."""
    path = copy / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["finetune"]["reward"] = {"metrics": {"no_such_module_here:reward": 1.0}}
    path.write_text(yaml.safe_dump(config))
    np.testing.assert_array_equal(logits(load_bundle(copy)), logits(load_bundle(tiny_run.folder / "model")))
