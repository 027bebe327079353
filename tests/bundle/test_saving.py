"""A model folder appears whole, with hashes of what belongs together, and never takes the place of anything else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmt_rl.bundle import CARD, CONFIG, WEIGHTS, check_bundle, copy_bundle, load_bundle, must_be_new, save_bundle
from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.hashes import HASHES, read_hashes
from nmt_rl.storage.ownership import MARK, is_marked


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def bundle(tiny_run):
    return load_bundle(tiny_run.folder)


def save(bundle, folder, card):
    save_bundle(folder, bundle.config, bundle.tokenizers, bundle.model, card)


def test_saved_and_loaded(bundle, tmp_path):
    for name in ("one", "two"):  # the second one replaces the first
        save(bundle, tmp_path / "new", {"name": name})
    loaded = load_bundle(tmp_path / "new")
    for one, other in zip(loaded.model.get_weights(), bundle.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert loaded.card == {"name": "two"}
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_says_what_belongs_together(bundle, tmp_path):
    save(bundle, tmp_path / "new", {})
    assert read_hashes(tmp_path / "new").keys() == {CONFIG, WEIGHTS, CARD, "tokenizer.model"}
    assert is_marked(tmp_path / "new")
    for path in (tmp_path / "new").iterdir():
        assert path.suffix in (".yaml", ".json", ".h5", ".model") or path.name == MARK, "nothing is pickled"


def test_weights_that_are_not_finite_replace_nothing(tiny_run, tmp_path):
    spoilt = load_bundle(tiny_run.folder)
    save(spoilt, tmp_path / "model", {})
    before = contents(tmp_path)
    spoilt.model.embeddings.target_table.assign(spoilt.model.embeddings.target_table * np.nan)
    with pytest.raises(RunError, match="are not finite"):
        save(spoilt, tmp_path / "model", {})
    assert contents(tmp_path) == before and [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_replaces_nothing(tiny_run, tmp_path):
    """HDF5 itself would break the process when it ends, so another process tries it, with a limit like a small disk."""
    code = (
        "import pathlib, resource, sys; from nmt_rl.bundle import load_bundle, save_bundle; "
        "from nmt_rl.errors import RunError\nb = load_bundle(pathlib.Path(sys.argv[1])); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        "try:\n    save_bundle(pathlib.Path(sys.argv[2]), b.config, b.tokenizers, b.model, {})\n"
        "except RunError as error:\n    print(error)"
    )
    shutil.copytree(tiny_run.folder / "model", tmp_path / "model")
    before = contents(tmp_path)
    arguments = [sys.executable, "-c", code, str(tiny_run.folder), str(tmp_path / "model")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    expected = f"{tmp_path / 'model'} could not be written: File too large; what was there is kept\n"
    assert (done.returncode, done.stdout) == (0, expected), done.stderr
    assert contents(tmp_path) == before and [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_model_of_version_0_2_0_is_replaced_and_a_folder_of_somebody_is_not(bundle, old, tmp_path):
    save(bundle, old, {})
    check_bundle(old, full=True)
    assert (old / HASHES).exists()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "my.de").write_text("ein Hund\n")
    with pytest.raises(UserError, match="would be replaced, but nmt-rl did not make it"):
        save(bundle, tmp_path / "texts", {})
    (old / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"would be replaced, but notes.txt in it is not nmt-rl's"):
        save(bundle, old, {})
    assert (tmp_path / "texts" / "my.de").exists() and (old / "notes.txt").exists()


def test_a_copy_is_the_model_with_the_hashes(copy, old, tmp_path):
    copy_bundle(old, tmp_path / "new")
    check_bundle(tmp_path / "new", full=True)
    assert contents(tmp_path / "new").keys() == contents(old).keys() | {HASHES, MARK}
    (tmp_path / "new" / HASHES).unlink()  # As version 0.2.0 released it.
    copy_bundle(old, tmp_path / "new")
    check_bundle(tmp_path / "new", full=True)
    assert (tmp_path / "new" / HASHES).exists()


def test_a_copy_gets_hashes_in_place_of_damaged_ones(copy, tmp_path):
    copy_bundle(copy, tmp_path / "new")
    (tmp_path / "new" / HASHES).write_text("{")
    copy_bundle(copy, tmp_path / "new")
    check_bundle(tmp_path / "new", full=True)


def test_an_export_stays_with_its_model_and_goes_with_it(copy, tiny_run, tmp_path):
    copy_bundle(copy, tmp_path / "released")
    (tmp_path / "released" / "ctranslate2").mkdir()
    (tmp_path / "released" / "ctranslate2" / "model.bin").write_bytes(b"fast")
    before = (tmp_path / "released" / WEIGHTS).stat().st_ino
    copy_bundle(copy, tmp_path / "released")
    assert (tmp_path / "released" / WEIGHTS).stat().st_ino == before, "the same model is not written again"
    (copy / CARD).write_text(json.dumps({"name": "another result"}))
    copy_bundle(copy, tmp_path / "released")
    assert (tmp_path / "released" / "ctranslate2" / "model.bin").read_bytes() == b"fast"
    assert "another result" in (tmp_path / "released" / CARD).read_text()
    released = json.loads((tiny_run.folder / "model" / CARD).read_text())["stage"]
    other = {"pretrain": "finetune", "finetune": "pretrain"}[released]
    copy_bundle(tiny_run.folder / other / "model", tmp_path / "released")
    assert not (tmp_path / "released" / "ctranslate2").exists()


@pytest.mark.parametrize("spoil", [lambda p: p.unlink(), lambda p: p.write_bytes(p.read_bytes()[:-1])])
def test_a_damaged_model_replaces_no_good_one(copy, tmp_path, spoil):
    copy_bundle(copy, tmp_path / "released")
    before = contents(tmp_path / "released")
    spoil(copy / WEIGHTS)
    with pytest.raises(UserError, match=WEIGHTS):
        copy_bundle(copy, tmp_path / "released")
    assert contents(tmp_path / "released") == before


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs a file system where no folder can be made")
def test_a_new_folder_must_be_possible(tmp_path):
    (tmp_path / "file").touch()
    must_be_new(tmp_path / "deep" / "new")
    for path, what in {
        "file": "exists already",
        "file/x": f"cannot be written: {tmp_path / 'file'} is not a folder",
    }.items():
        with pytest.raises(UserError, match=f"output {tmp_path / path} {what}"):
            must_be_new(tmp_path / path)
    for path in ("/proc/new", tmp_path / "deep" / ("n" * 300)):
        with pytest.raises(UserError, match=f"output {path} cannot be written: (No such file|File name too long)"):
            must_be_new(Path(path))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
