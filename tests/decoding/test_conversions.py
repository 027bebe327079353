"""A model is converted for CTranslate2 once, and again when it, or the conversion, is another."""

import json
import multiprocessing
import os
import subprocess
import sys

import h5py
import pytest
from exportable import LINES, SMALL, save_model
from older import without_hashes

from nmt_rl.bundle import read_bundle_config
from nmt_rl.config import LSTMConfig, TransformerConfig
from nmt_rl.decoding import conversions
from nmt_rl.decoding.conversions import conversion, export_ctranslate2
from nmt_rl.decoding.request import Request
from nmt_rl.decoding.translator import Translator
from nmt_rl.errors import RunError, UserError


@pytest.fixture
def model(tokenizers, translator, tmp_path, monkeypatch):
    """A model folder, and an empty cache of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return save_model(tmp_path / "model", tokenizers, translator.config)


def convert(folder, quantization, word_reward=0.0):
    return conversion(folder, read_bundle_config(folder)[0].model, quantization, word_reward)


def texts(folder, engine):
    return [t.text for t in Translator.from_folders([folder], Request(engine=engine)).translate(LINES)]


def test_a_conversion_is_made_once_and_again_for_other_weights(model, tokenizers, translator):
    first = convert(model, "float32")
    made = (first / "model.bin").stat().st_mtime_ns
    assert first == model / "ctranslate2" / "float32" == convert(model, "float32")
    assert (first / "model.bin").stat().st_mtime_ns == made
    before = texts(model, "ctranslate2")
    # As when a stage has gone on: other weights in the same folder, which still holds the conversion.
    architecture = TransformerConfig(**SMALL | {"feed_forward": 16})
    other = save_model(model.with_name("other"), tokenizers, translator.config, architecture)
    for path in other.iterdir():
        path.replace(model / path.name)
    assert texts(model, "ctranslate2") == texts(model, "keras") != before


@pytest.mark.parametrize("change", ["vocabulary", "flipped", "truncated", "missing", "empty"])
def test_a_damaged_conversion_is_made_anew(model, change):
    expected = texts(model, "ctranslate2")
    folder = convert(model, "float32")
    (vocabulary,) = folder.glob("*vocabulary.json")
    data = (folder / "model.bin").read_bytes()
    if change == "vocabulary":
        vocabulary.write_text(json.dumps(json.loads(vocabulary.read_text())[:-1]))
    elif change == "missing":
        (folder / "model.bin").unlink()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 64]) + data[middle + 1 :]
        (folder / "model.bin").write_bytes({"flipped": flipped, "truncated": data[:-9], "empty": b""}[change])
    assert texts(model, "ctranslate2") == expected
    assert (folder / "model.bin").read_bytes() == data


def test_where_the_model_folder_is_read_only_the_cache_serves(model, monkeypatch, tmp_path):
    whole = conversions.written_folder

    def read_only(path, replaceable=None):
        if model in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, replaceable)

    monkeypatch.setattr(conversions, "written_folder", read_only)
    folder = convert(model, "int8")
    assert folder.parent == tmp_path / "cache" / "nmt-rl" / "ctranslate2" and folder.name.endswith("-int8")
    assert convert(model, "int8") == folder
    with pytest.raises(UserError, match="ctranslate2/int8 cannot be written: Permission denied; give another folder"):
        export_ctranslate2(model, "int8")


def test_a_folder_of_the_users_own_is_left_alone(model, tmp_path):
    own = model / "ctranslate2" / "float32"
    own.mkdir(parents=True)
    (own / "thesis.txt").write_text("mine")
    assert convert(model, "float32").is_relative_to(tmp_path / "cache")
    with pytest.raises(UserError, match="would be replaced, but nmt-rl did not make it"):
        export_ctranslate2(model)
    assert [path.name for path in own.iterdir()] == ["thesis.txt"]


def test_without_any_place_keras_serves_or_the_reason_is_told(model, monkeypatch, caplog):
    (model / "ctranslate2").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    with pytest.raises(RunError, match=r"no place to convert .*model for CTranslate2 \(.*Not a directory"):
        texts(model, "ctranslate2")
    with caplog.at_level("INFO", "nmt_rl"):
        assert texts(model, "auto") == texts(model, "keras")
    assert caplog.messages[0].startswith("Keras translates: there is no place to convert")


def test_several_processes_convert_at_once(model):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        folders = pool.starmap(conversion, [(model, TransformerConfig(**SMALL), "float32")] * 3)
    assert set(folders) == {model / "ctranslate2" / "float32"}
    assert [path.name for path in (model / "ctranslate2").iterdir()] == ["float32"]
    assert texts(model, "ctranslate2") == texts(model, "keras")


def test_a_word_reward_has_a_conversion_of_its_own(model):
    plain = convert(model, "float32")
    made = (plain / "model.bin").stat().st_mtime_ns
    found = {
        (reward, engine): [
            t.text
            for t in Translator.from_folders([model], Request({"word_reward": reward}, engine=engine)).translate(LINES)
        ]
        for reward in (0.0, 0.5, -3.0)
        for engine in ("keras", "ctranslate2")
    }
    assert all(found[reward, "keras"] == found[reward, "ctranslate2"] for reward in (0.0, 0.5, -3.0))
    assert found[0.0, "keras"] != found[-3.0, "keras"]
    names = {"float32", "float32-word-reward-0.5", "float32-word-reward--3.0"}
    assert {path.name for path in (model / "ctranslate2").iterdir()} == names
    assert (plain / "model.bin").stat().st_mtime_ns == made


def test_several_processes_convert_with_a_word_reward_at_once(model):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = pool.starmap(conversion, [(model, TransformerConfig(**SMALL), "float32", 0.5)] * 2)
    assert set(folders) == {model / "ctranslate2" / "float32-word-reward-0.5"}


def test_an_export_carries_the_word_reward_of_the_model(tokenizers, translator, tmp_path, command):
    settings = translator.config.model_copy(update={"word_reward": 0.5})
    folder = save_model(tmp_path / "model", tokenizers, settings)
    done = command("export", folder, "-o", tmp_path / "out")
    assert done.out.startswith(f"{tmp_path / 'out'}: float32, word reward 0.5, ")
    origin = json.loads((tmp_path / "out" / "converted.json").read_text())
    assert (origin["quantization"], origin["word_reward"]) == ("float32", 0.5)
    assert (tmp_path / "out" / "model.bin").read_bytes() == (convert(folder, "float32", 0.5) / "model.bin").read_bytes()


def test_int8_is_smaller_and_beside_float32(model, tokenizers, translator):
    architecture = TransformerConfig(**SMALL | {"width": 64})
    folder = save_model(model.with_name("wide"), tokenizers, translator.config, architecture)
    sizes = {kind: (export_ctranslate2(folder, kind) / "model.bin").stat().st_size for kind in ("float32", "int8")}
    assert sizes["int8"] < 0.6 * sizes["float32"]
    request = Request(engine="ctranslate2", quantization="int8")
    assert Translator.from_folders([folder], request).translate(["Hund"])[0].nbest


def test_weights_that_do_not_fit_the_configuration_are_refused(model):
    text = (model / "config.yaml").read_text().removeprefix("format: 2\n")  # of a version that wrote no hashes
    without_hashes(model)
    for old, new, why in (
        ("encoder_layers: 2", "encoder_layers: 1", "has encoder/__layer_1/.*, too"),
        ("encoder_layers: 2", "encoder_layers: 3", "has no encoder/__layer_2/self_qkv/vars/0"),
        ("feed_forward: 8", "feed_forward: 16", r"encoder/__layer/narrow/vars/0 is \[8, 8\], not \[16, 8\]"),
    ):
        assert old in text
        (model / "config.yaml").write_text(text.replace(old, new))
        with pytest.raises(UserError, match=f"does not fit config.yaml: .*{why}"):
            convert(model, "float32")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(model, value):
    without_hashes(model)
    with h5py.File(model / "model.weights.h5", "r+") as file:
        file["encoder/__layer/wide/vars/1"][3] = value
    with pytest.raises(UserError, match="is damaged: weights of encoder/__layer/wide/vars/1 are not finite"):
        convert(model, "float32")
    assert not list(model.glob("ctranslate2/*"))


def test_damaged_weights_of_older_versions_are_refused(model):
    without_hashes(model)
    path = model / "model.weights.h5"
    data = path.read_bytes()
    place = data.index(b"SNOD")
    for spoilt in (data[:-9], data[:place] + b"\xff" * 8 + data[place + 8 :], b"PK" + data):
        path.write_bytes(spoilt)
        with pytest.raises(UserError, match=f"^{path} is "):
            convert(model, "float32")


def test_what_ctranslate2_does_not_run_is_not_exported(tokenizers, translator, tmp_path):
    for architecture, why in (
        (TransformerConfig(**SMALL, q_heads={"kind": "dueling"}), "no Q heads"),
        (LSTMConfig(embedding=4, units=4, attention_units=4), "runs Transformers only, but .*model is of type lstm"),
    ):
        folder = save_model(tmp_path / "model", tokenizers, translator.config, architecture)
        with pytest.raises(UserError, match=why):
            export_ctranslate2(folder)


def test_the_commands_and_no_keras_while_converting_and_translating(model, command, tmp_path):
    done = command("export", model, "--quantization", "int8", "-o", tmp_path / "out")
    assert done.code == 0 and done.out.startswith(f"{tmp_path / 'out'}: int8, ")
    assert command("export", model, "-o", tmp_path / "out").code == 0, "an export may replace one"
    (tmp_path / "own").mkdir()
    refused = command("export", model, "-o", tmp_path / "own")
    assert refused.code == 2 and "nmt-rl did not make it" in refused.err and not list((tmp_path / "own").iterdir())
    (tmp_path / "in").write_text("ein Hund\n\nHimmel\n", encoding="utf-8")
    code = (
        "import sys; from nmt_rl.cli.main import main\n"
        f"sys.argv = ['nmt-rl', 'translate', r'{model}', '-i', r'{tmp_path / 'in'}']\n"
        "try: main()\nfinally: print({'keras', 'tensorflow'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    converted = f"{model / 'ctranslate2' / 'float32'}: converted for CTranslate2, once\n"
    assert done.stdout.count("\n") == 3 and done.stderr == converted + "set()\n"
