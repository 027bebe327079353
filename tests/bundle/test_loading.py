import json
import shutil

import h5py
import numpy as np
import pytest
import yaml

from nmt_rl.bundle import CARD, CONFIG, WEIGHTS, load_bundle, load_ensemble, load_members
from nmt_rl.errors import UserError

SOURCE, TARGET = np.array([[5, 9, 3]], "int32"), np.array([[2, 7]], "int32")


def logits(bundle):
    return np.asarray(bundle.model.decode(TARGET, bundle.model.encode(SOURCE)).logits)


def test_a_moved_folder_gives_the_same_numbers(tiny_run, copy):
    moved = copy.rename(copy.with_name("with space and ü"))
    first, second = load_bundle(tiny_run.folder / "model"), load_bundle(moved)
    np.testing.assert_array_equal(logits(first), logits(second))
    assert first.config == second.config and first.card == second.card
    assert first.tokenizers.source.encode(["alter hund"]) == second.tokenizers.source.encode(["alter hund"])


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("encoder_layers: 2", "arrays, the model"),
        ("decoder_layers: 2", "arrays, the model"),
        ("width: 16", "arrays, the model"),
        ("width: 60000", "bytes, but the model"),
        ("encoder_layers: 900", "bytes, but the model"),
    ],
)
def test_weights_of_another_model(old, message, wrong, what):
    """The file may hold less or more than the model of the settings; more was taken without a word."""
    key = wrong.split(":")[0]
    edit(old / CONFIG, f"{key}: {yaml.safe_load((old / CONFIG).read_text())['model'][key]}", wrong)
    text = message(old)
    assert text.startswith(f"{old / WEIGHTS} does not fit {old / CONFIG}: it has ") and what in text


def test_weights_with_more_layers_than_the_settings(old, message):
    with h5py.File(old / WEIGHTS, "r+") as file:
        file.copy("encoder/__layer", file, "encoder/__layer_1")
    assert f"{old / WEIGHTS} does not fit {old / CARD}: it has " in message(old)
    (old / CARD).unlink()
    assert f"{old / WEIGHTS} does not fit {old / CONFIG}: it has " in message(old)


def test_weights_of_another_size_than_the_card_says(old, message):
    card = json.loads((old / CARD).read_text())
    (old / CARD).write_text(json.dumps(card | {"parameters": card["parameters"] + 1}))
    said = card["parameters"]
    assert message(old) == f"{old / WEIGHTS} does not fit {old / CARD}: it has {said:,} weights, not {said + 1:,}"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(old, message, value):
    with h5py.File(old / WEIGHTS, "r+") as file:
        file["encoder/__layer/wide/vars/0"][0, :2] = value
    text = message(old)
    assert text.startswith(f"{old / WEIGHTS} is damaged: 2 of the 64 weights of ") and text.endswith(" are not finite")


@pytest.mark.parametrize("structure", [b"TREE", b"HEAP", b"SNOD", b"\x01\x00\x03\x00"])
def test_damaged_structures_of_old_weights(old, message, structure):
    """Of a file without a hash only its structure tells."""
    data = (old / WEIGHTS).read_bytes()
    place = data.index(structure, 100)
    (old / WEIGHTS).write_bytes(data[:place] + b"\xff" * 8 + data[place + 8 :])
    assert message(old).startswith(f"{old / WEIGHTS} is damaged: ")


def test_old_weights_that_are_cut_or_something_else(old, message):
    data = (old / WEIGHTS).read_bytes()
    for cut in (5, 700, len(data) - 9):
        (old / WEIGHTS).write_bytes(data[:cut])
        assert message(old).startswith(str(old / WEIGHTS))
    assert message(old) == f"{old / WEIGHTS} is damaged: it is cut off"
    (old / WEIGHTS).write_bytes(b"PK nonsense" * 5000)
    assert message(old) == f"{old / WEIGHTS} is no file of weights (HDF5)"


def test_a_tokenizer_of_another_size(old, message, tiny_run):
    with h5py.File(old / WEIGHTS, "r+") as file:
        table = file["embeddings/vars/0"][:-1]
        del file["embeddings/vars/0"]
        file["embeddings/vars/0"] = table
    assert "does not fit" in message(old)


def test_an_lstm_of_a_version_that_computed_otherwise_is_refused(old, message):
    card = json.loads((old / "card.json").read_text())
    card["versions"]["nmt-rl"] = "0.1.0"
    (old / "card.json").write_text(json.dumps(card))
    load_bundle(old)  # a Transformer: as ever
    config = yaml.safe_load((old / "config.yaml").read_text())
    (old / "config.yaml").write_text(yaml.safe_dump({**config, "model": {"type": "lstm"}}))
    assert "made by nmt-rl 0.1.0, whose LSTMs did not scale embeddings; train it again" in message(old)


def test_loading_a_model_imports_no_module_of_its_reward(tiny_run, copy):
    """A model folder of somebody else must not run code."""
    path = copy / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["finetune"]["reward"] = {"metrics": {"no_such_module_here:reward": 1.0}}
    path.write_text(yaml.safe_dump(config))
    np.testing.assert_array_equal(logits(load_bundle(copy)), logits(load_bundle(tiny_run.folder / "model")))


def test_models_of_opposite_directions_do_not_go_together(tiny_run, old, monkeypatch):
    """One vocabulary serves both, so nothing else would tell; and it is told before anything is loaded."""
    edit(old / CONFIG, "source_language: de", "source_language: en")
    edit(old / CONFIG, "target_language: en", "target_language: de")
    first = tiny_run.folder / "model"
    monkeypatch.setattr("nmt_rl.models.build.build_model", None)
    for load, what in ((load_ensemble, "an ensemble"), (lambda paths: list(load_members(paths, "an average")), "an a")):
        with pytest.raises(UserError) as error:
            load([first, old])
        assert str(error.value).startswith(f"{what}")
        assert f"models of the same languages, but {old} and {first} translate en-de and de-en" in str(error.value)


def test_models_of_one_language_in_two_regions_go_together(tiny_run, old):
    edit(old / CONFIG, "target_language: en", "target_language: en-GB")
    assert len(list(load_members([tiny_run.folder, old], "an average", one_architecture=True))) == 2


def test_other_architectures_make_no_average(tiny_run, old):
    edit(old / CONFIG, "heads: 2", "heads: 4")
    with pytest.raises(UserError, match="an average needs one architecture"):
        list(load_members([tiny_run.folder, old], "an average", one_architecture=True))


def test_other_tokenizers_make_no_ensemble(tiny_run, copy, old):
    shutil.copy(tiny_run.folder / "model" / "tokenizer.model", old / "tokenizer.model")
    with (old / "tokenizer.model").open("ab") as stream:
        stream.write(b"\x12\x00")  # An empty trainer specification, merged with the one before.
    with pytest.raises(UserError, match="an ensemble needs one tokenizer"):
        load_ensemble([tiny_run.folder, old])
