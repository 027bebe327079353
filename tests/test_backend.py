import os
import subprocess
import sys

import pytest

from nmt_rl.backend import compilation_cache, hidden


def test_a_package_is_hidden_only_inside_and_only_if_nobody_has_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with hidden("wave", "json"):
        with pytest.raises(ImportError):
            import wave
        import json
    import wave

    assert json.loads(wave.__name__.replace("wave", "1")) == 1


@pytest.mark.jax
def test_what_jax_compiles_is_kept_in_the_users_cache(tmp_path, monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    script = (
        "import numpy; from keras import ops; from nmt_rl.backend import compile_fn; compile_fn(ops.sort)(numpy.eye(9))"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert compilation_cache().parent == tmp_path / "nmt-rl" and list(compilation_cache().iterdir())


@pytest.mark.jax
def test_a_cache_that_cannot_be_made_is_done_without(tmp_path):
    pytest.importorskip("jax")
    (tmp_path / "file").touch()
    environment = {**os.environ, "KERAS_BACKEND": "jax", "XDG_CACHE_HOME": str(tmp_path / "file")}
    done = subprocess.run(
        [sys.executable, "-c", "import nmt_rl.backend"], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
