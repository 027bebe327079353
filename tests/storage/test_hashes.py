"""What was written together is known again."""

import json

import pytest

from nmt_rl.errors import UserError
from nmt_rl.storage import hashes
from nmt_rl.storage.hashes import HASHES, check_hashes, file_hash, read_hashes, write_hashes


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "weights").write_bytes(b"abc")
    (tmp_path / "deep" / "vocabulary").write_bytes(b"words")
    (tmp_path / ".nmt-rl").write_bytes(b"mark")
    return tmp_path


def test_the_manifest_names_sizes_and_hashes(folder):
    manifest = write_hashes(folder)
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert file_hash(folder / "weights") == sha
    assert manifest["weights"] == {"size": 3, "sha256": sha} and manifest.keys() == {"weights", "deep/vocabulary"}
    assert read_hashes(folder) == json.loads((folder / HASHES).read_text()) == manifest
    assert check_hashes(folder) and check_hashes(folder, ["weights"], full=True)


def test_a_folder_without_a_manifest_is_taken_as_it_is(folder):
    assert read_hashes(folder) is None and not check_hashes(folder, ["gone"])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"ab", "weights is damaged or another file: 2 bytes, where 3 were written"),
        (b"abcd", "weights is damaged or another file: 4 bytes, where 3 were written"),
        (b"abd", f"weights is damaged or of another folder: it is not what {HASHES} says of it"),
        (b"", r"weights is empty \(0 bytes\)"),
        (None, "weights is missing"),
    ],
)
def test_changes_are_found(folder, data, what):
    write_hashes(folder)
    (folder / "weights").unlink()
    if data is not None:
        (folder / "weights").write_bytes(data)
    with pytest.raises(UserError, match=what):
        check_hashes(folder)


def test_only_sizes_are_compared_where_contents_are_dear(folder, monkeypatch):
    write_hashes(folder)
    (folder / "weights").write_bytes(b"abd")
    monkeypatch.setattr(hashes, "CHEAP", 7)
    check_hashes(folder)
    with pytest.raises(UserError, match="damaged"):
        check_hashes(folder, full=True)
    with pytest.raises(UserError, match="damaged"):
        check_hashes(folder, ["weights"])


def test_a_file_that_is_not_named_does_not_belong(folder):
    write_hashes(folder, ["weights"])
    with pytest.raises(UserError, match="vocabulary does not belong to this folder"):
        check_hashes(folder, ["deep/vocabulary"])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ("[1]", "should hold a mapping, found a list"),
        ('{"weights": 3}', "weights should hold a mapping, found the number 3"),
        ('{"weights": {"size": "3"}}', "size of weights should hold a number, found the text '3'"),
        ('{"weights": {"size": 3}}', "sha256 of weights should hold a text, found nothing"),
        ('{"../x": {"size": 3, "sha256": "0"}}', "outside of the folder"),
    ],
)
def test_a_damaged_manifest_is_named(folder, text, what):
    (folder / HASHES).write_text(text)
    with pytest.raises(UserError, match=f"{HASHES}.* {what}"):
        check_hashes(folder)
