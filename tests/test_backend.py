import os
import subprocess
import sys

import numpy as np
import pytest
from keras import ops

from nmt_rl.backend import compilation_cache, compile_fn, dimension, gather, gather_rows, hidden


def test_a_package_is_hidden_only_inside_and_only_if_nobody_has_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with hidden("wave", "json"):
        with pytest.raises(ImportError):
            import wave
        import json
    import wave

    assert json.loads(wave.__name__.replace("wave", "1")) == 1


@pytest.mark.jax
def test_gathered_is_what_numpy_indexes():
    values = np.arange(24, dtype="float32").reshape(2, 3, 4)
    of_rows, of_places, along = (compile_fn(f) for f in (gather_rows, gather, lambda x, i: gather(x, i, axis=2)))
    for first, second in (([2, 0], [1, 1]), ([1], [0]), ([], [])):
        index = np.array([first, second], "int32")
        assert np.array_equal(of_rows(values, index % 2), values[index % 2])
        assert np.array_equal(of_places(values, index), [values[0, index[0]], values[1, index[1]]])
        assert np.array_equal(along(values, index), [values[0][:, index[0]], values[1][:, index[1]]])


@pytest.mark.jax
def test_dimensions_are_those_of_each_call():
    fill = compile_fn(lambda x: ops.zeros((dimension(x, 1), dimension(x, 2) + 1)))
    assert [tuple(fill(np.zeros(shape, "float32")).shape) for shape in ((5, 2, 7), (1, 3, 7))] == [(2, 8), (3, 8)]


SLOW = """
import numpy
from nmt_rl.backend import compile_fn
from keras import ops

def sorted_products(x):
    for _ in range(20):
        x = ops.sort(ops.transpose(x) @ x)
    return x

compile_fn(sorted_products)(numpy.eye(9, dtype="float32"))
"""


def run_on_jax(script, **environment):
    pytest.importorskip("jax")
    optimized = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}  # Or there would be too little to keep.
    environment = {**os.environ, "KERAS_BACKEND": "jax", **optimized, **environment}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)


@pytest.mark.jax
def test_what_jax_compiles_is_kept_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")  # A fast machine is below any other.
    for _ in range(2):
        done = run_on_jax(SLOW)
        assert (done.returncode, done.stderr) == (0, "")
        kept = list(compilation_cache().glob("*-cache"))
        assert kept and compilation_cache().parent == tmp_path / "nmt-rl"


@pytest.mark.jax
def test_a_cache_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    done = run_on_jax(SLOW, XDG_CACHE_HOME=str(tmp_path / "file"))
    assert (done.returncode, done.stderr) == (0, "")
