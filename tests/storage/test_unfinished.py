import pytest

from nmt_rl.errors import UserError
from nmt_rl.storage.unfinished import begin, delete

NAMES = ("*.part",)


def test_the_same_work_goes_on_and_another_one_starts_over(tmp_path):
    folder = tmp_path / "work"
    assert not begin(folder, "work", NAMES, {"n": (1, 2)})
    (folder / "0.part").write_text("done")
    assert begin(folder, "work", NAMES, {"n": (1, 2)})
    assert (folder / "0.part").read_text() == "done"
    assert not begin(folder, "work", NAMES, {"n": (1, 3)})
    assert not (folder / "0.part").exists()
    delete(folder, NAMES)
    delete(folder, NAMES)
    assert not folder.exists()


def test_what_is_not_ours_stays(tmp_path):
    folder = tmp_path / "work"
    begin(folder, "work", NAMES, {})
    (folder / "mine.txt").write_text("mine")
    for change in (lambda: begin(folder, "work", NAMES, {"other": 1}), lambda: delete(folder, NAMES)):
        with pytest.raises(UserError, match=r"work would be deleted, but mine\.txt in it is not nmt-rl's"):
            change()
    assert (folder / "mine.txt").read_text() == "mine"
