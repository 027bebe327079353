import pytest

from nmt_rl.errors import UserError
from nmt_rl.storage.ownership import mark, must_be_ours


def test_only_marked_folders_without_anything_else_are_ours(tmp_path):
    with pytest.raises(UserError, match="nmt-rl did not make it"):
        must_be_ours(tmp_path, ["*"], "be deleted")
    mark(tmp_path, "corpus")
    (tmp_path / "prepared.json").touch()
    must_be_ours(tmp_path, ["*.json"], "be deleted")
    (tmp_path / "my text.de").touch()
    with pytest.raises(UserError, match=r"would be replaced, but my text\.de in it is not nmt-rl's"):
        must_be_ours(tmp_path, ["*.json"], "be replaced")


def test_a_link_is_never_ours(tmp_path):
    (tmp_path / "there").mkdir()
    mark(tmp_path / "there", "corpus")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(UserError, match="did not make it"):
        must_be_ours(tmp_path / "link", ["*"], "be deleted")


def test_folders_in_it_are_looked_into(tmp_path):
    mark(tmp_path, "corpus")
    (tmp_path / "train").mkdir()
    for name in ("train/source.npy", "train/.nmt-rl-x3f9", "all/of/it"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    must_be_ours(tmp_path, ["train/", "train/*.npy", "all"], "be deleted")
    with pytest.raises(UserError, match="but train in it"):
        must_be_ours(tmp_path, ["*.npy", "all"], "be deleted")
    (tmp_path / "train" / "text.de").touch()
    with pytest.raises(UserError, match=r"but train/text\.de in it is not nmt-rl's"):
        must_be_ours(tmp_path, ["train/", "train/*.npy", "all"], "be deleted")
