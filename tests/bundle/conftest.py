import shutil

import pytest
from older import without_hashes

from nmt_rl.bundle import load_bundle
from nmt_rl.errors import UserError


@pytest.fixture
def copy(tiny_run, tmp_path):
    """A model folder that a test may spoil."""
    return shutil.copytree(tiny_run.folder / "model", tmp_path / "copy", ignore=shutil.ignore_patterns("ctranslate2"))


@pytest.fixture
def old(copy):
    """One as version 0.2.0 wrote it: without hashes and without a mark."""
    without_hashes(copy)
    return copy


@pytest.fixture
def message():
    """The one sentence that loading a folder ends with."""

    def call(folder):
        with pytest.raises(UserError) as error:
            load_bundle(folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    return call
