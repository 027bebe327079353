"""Which folder is meant, and every kind of damage by its name; nothing heavy is loaded for that."""

import errno
import json
import shutil
from pathlib import Path

import pytest
import yaml

from nmt_rl.bundle import CARD, CONFIG, WEIGHTS, bundle_folder, check_bundle, must_be_text, read_bundle_config
from nmt_rl.errors import UserError
from nmt_rl.storage.hashes import HASHES

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def refused(function, *args):
    with pytest.raises(UserError) as error:
        function(*args)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_run_stands_for_its_model(tiny_run):
    assert bundle_folder(tiny_run.folder) == bundle_folder(tiny_run.folder / "model") == tiny_run.folder / "model"


def test_the_card_says_where_a_model_comes_from(tiny_run):
    config, card = read_bundle_config(tiny_run.folder)
    assert (config.name, card["languages"], card["seed"]) == ("tiny", "de-en", 3)
    assert {"bleu", "loss", "chrf"} <= card["result"]["valid"].keys()
    assert card["data"].keys() == {"train", "valid", "test"}
    assert {"python", "keras", "numpy"} <= card["versions"].keys()
    assert "nrefs:1" in card["signature"]


def test_what_is_no_model_folder_is_told_as_what_it_is(tiny_run, tmp_path):
    text = tmp_path / "my text.de"
    text.write_text("ein Hund\n")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "model.bin").touch()
    (tmp_path / "run" / "corpus").mkdir(parents=True)
    model = tiny_run.folder / "model"
    archive = Path(shutil.make_archive(str(tmp_path / "model"), "gztar", tmp_path / "run"))
    run = "give RUN/model of a finished run"
    for path, what in {
        tmp_path / "nowhere": f"model folder {tmp_path / 'nowhere'} does not exist; {run}",
        tmp_path / "gone": f"model folder {tmp_path / 'gone'} is a link to nowhere, which does not exist",
        text: f"{text} is a file, not a model folder; {run}",
        text / "model": f"model folder {text / 'model'} does not exist; {run}",
        model / WEIGHTS: f"{model / WEIGHTS} is a file of a model folder; give the folder, {model}",
        archive: f"{archive} is an archive, not a model folder; unpack it, and give the folder that was in it",
        tmp_path / "export": f"{tmp_path / 'export'} is a model of CTranslate2; give the model folder that it was "
        "exported from",
        tmp_path / "run": f"{tmp_path / 'run'} holds no model yet: its training is not finished; the command that "
        "began it goes on with it",
        tmp_path: f"{tmp_path} holds no model ({WEIGHTS} is missing; found export, gone, model.tar.gz, my text.de, "
        f"run); {run}",
    }.items():
        assert refused(bundle_folder, path) == what
    assert refused(bundle_folder, text, "-i") == f"{text} is a file, not a model folder; did you mean -i '{text}'?"


def test_a_folder_without_permission(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.lstat", refuse)
    assert refused(bundle_folder, tmp_path) == f"model folder {tmp_path} cannot be read: permission denied"


def test_a_model_where_a_text_is_wanted(tiny_run, tmp_path):
    assert refused(must_be_text, "-i", tmp_path / "nowhere", tiny_run.folder) == (
        f"-i {tiny_run.folder} is a model folder, not a text file; a MODEL stands without -i"
    )
    assert refused(must_be_text, "--source", tmp_path) == f"--source {tmp_path} is a folder, not a text file"


@pytest.mark.parametrize("name", [CONFIG, CARD, WEIGHTS, "tokenizer.model", HASHES])
@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
        (lambda path: path.write_bytes(POINTER), "is a pointer of Git LFS"),
        (lambda path: (path.unlink(), path.symlink_to("gone")), "is a link to gone, which does not exist"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "is a device, not a file"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder, not a file"),
    ],
)
def test_every_file_and_every_damage_is_named(copy, message, name, damage, what):
    damage(copy / name)
    assert f"{copy / name} {what}" in message(copy)


@pytest.mark.parametrize("name", [CONFIG, "tokenizer.model", WEIGHTS, HASHES])
def test_a_missing_file_is_named(copy, message, name):
    (copy / name).unlink()
    assert message(copy).startswith(f"{copy / name} is missing")


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.model"])
def test_a_flipped_bit_and_a_cut_are_found(copy, name):
    data = bytearray((copy / name).read_bytes())
    (copy / name).write_bytes(data[:-100])
    assert "is damaged or another file" in refused(check_bundle, copy)
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    assert refused(check_bundle, copy).startswith(f"{copy / name} is damaged or of another folder")


def test_a_folder_without_a_card_has_an_empty_one(copy):
    (copy / CARD).unlink()
    assert read_bundle_config(copy)[1] == {}


@pytest.mark.parametrize(
    ("card", "what"),
    [
        ("{", " line 1 is not valid JSON: Expecting property name enclosed in double quotes; it seems to be cut off"),
        ("[]", " should hold a mapping, found an empty list"),
        ('{"parameters": "many"}', ": parameters should hold a number, found the text 'many'"),
        ('{"versions": ["0.2.0"]}', ": versions should hold a mapping, found a list"),
        ('{"versions": {"keras": 3}}', ": versions.keras should hold a text, found the number 3"),
        ('{"data": {"train": null}}', ": data.train should hold a text, found nothing"),
        ('{"result": {"valid": {"bleu": "high"}}}', ": result.valid.bleu should hold a number, found the text 'high'"),
        ('{"result": {"valid": 3}}', ": result.valid should hold a mapping, found the number 3"),
    ],
)
def test_a_card_that_is_none(copy, card, what):
    (copy / CARD).write_text(card)
    assert refused(read_bundle_config, copy) == f"{copy / CARD}{what}"


def test_settings_of_decoding_may_be_edited_and_those_of_the_weights_not(copy):
    path = copy / CONFIG
    text, tree = path.read_text(), yaml.safe_load(path.read_text())
    tree["decoding"]["beam"] = 7
    path.write_text(yaml.safe_dump(tree))
    assert read_bundle_config(copy)[0].decoding.beam == 7
    cut = text[: text.index("decoding:")]
    heads, language = text.replace("heads: 2", "heads: 4"), text.replace("target_language: en", "target_language: fr")
    for changed in (cut, heads, language):
        path.write_text(changed)
        assert f"{path} is not that of the weights" in refused(read_bundle_config, copy)


def test_a_folder_of_version_0_2_0_is_taken_as_it_is(old):
    config, card = read_bundle_config(old)
    check_bundle(old)
    assert config.name == "tiny" and card == json.loads((old / CARD).read_text())


def test_settings_of_version_0_2_0_that_are_cut_off(old):
    """Those that are missing have defaults, with which the model would translate otherwise."""
    path = old / CONFIG
    path.write_text(path.read_text().partition("decoding:")[0])
    assert refused(read_bundle_config, old) == f"{path} is cut off: it has no section evaluation"
