import errno
import os
import subprocess
import sys

import pytest

from nmt_rl.backend.loading import _without_native_messages, check_backend, compilation_cache, hidden
from nmt_rl.errors import UserError


def test_a_package_is_hidden_only_inside_and_only_if_nobody_has_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with hidden("wave", "json"):
        with pytest.raises(ImportError):
            import wave
        import json
    import wave

    assert json.loads(wave.__name__.replace("wave", "1")) == 1


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


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """Keras' folder of settings, with nothing said by the environment."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["torch", "TensorFlow", "numpy", "jax "])
def test_a_backend_that_is_none_of_ours(keras_home, monkeypatch, name):
    ours = "tensorflow (pip install tensorflow) or jax (pip install 'nmt-rl[jax]')"
    (keras_home / "keras.json").write_text(f'{{"backend": "{name}"}}')
    with pytest.raises(UserError) as error:
        check_backend()
    assert str(error.value) == f"{keras_home}/keras.json names the backend {name!r}; set KERAS_BACKEND to {ours}"
    (keras_home / "keras.json").write_text('{"backend": "tensorflow"}')
    check_backend()
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(UserError) as error:
        check_backend()
    assert str(error.value) == f"KERAS_BACKEND names the backend {name!r}; set KERAS_BACKEND to {ours}"


def test_a_backend_that_is_not_installed(keras_home, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError) as error:
        check_backend()
    expected = "which is not installed: pip install tensorflow, or set KERAS_BACKEND=jax"
    assert str(error.value) == f"Keras' default names the backend tensorflow, {expected}"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(
        UserError, match=r"which is not installed: pip install 'nmt-rl\[jax\]', or set KERAS_BACKEND=ten"
    ):
        check_backend()


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json", "\xff"])
def test_keras_settings_that_name_no_backend(keras_home, text):
    (keras_home / "keras.json").write_text(text, encoding="latin-1")
    check_backend()


def test_keras_settings_that_keras_cannot_read_are_named(tmp_path):
    (tmp_path / "keras.json").write_text("[]")
    done = subprocess.run(
        [sys.executable, "-c", "import nmt_rl.backend"],
        env={**os.environ, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert f"UserError: Keras cannot be loaded (its settings are in {tmp_path / 'keras.json'}): " in done.stderr


VERBS = """
import sys
from nmt_rl.cli.main import main

model, recipe, text, chain = sys.argv[1:]
texts, keras = ["--source", text, "--reference", text], ["--engine", "keras"]
for words in (
    ["translate", model, "-i", text, *keras], ["score", model, "--source", text, "--target", text],
    ["evaluate", model, *texts, *keras],
    ["compare", model, text, *texts, *keras], ["average", model, model, "-o", "average"],
    ["remember", model, "--source", text, "--target", text, "-o", "memory"],
    ["choose", model, "-i", text, "--choices", text], ["inspect", model, "--source", text, "--html", "page.html"],
    ["pretrain", recipe, "--out", "run"], ["run", recipe, "--out", "run"],
    ["chain", chain, "--out", "chain"],
    ["info", model], ["evaluate", "--hypothesis", text, *texts],
):
    sys.argv[1:] = ["-q", *words]
    try:
        main()
    except SystemExit as end:
        print(words[0], end.code, file=sys.stderr)
"""


CHAIN = """\
name: tiny chain
corpus: {{source_language: de, target_language: en}}
pretrain: {{start: {run}, updates: 2}}
chain:
  domains:
    - {{name: old, train: {text}/train, valid: {text}/valid, test: {text}/test}}
    - {{name: new, train: {text}/train, valid: {text}/valid, test: {text}/test}}
"""


def test_every_verb_that_needs_a_backend_says_so_before_it_does_anything(
    tiny_run, tiny_corpus, tmp_path, tmp_path_factory
):
    """And those that need none work without."""
    chain = tmp_path_factory.mktemp("chain") / "chain.yaml"
    chain.write_text(CHAIN.format(run=tiny_run.folder, text=tiny_corpus))
    words = [sys.executable, "-c", VERBS, tiny_run.folder / "model", tiny_run.recipe, tiny_corpus / "test.de", chain]
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tmp_path)
    error = "nmt-rl: error: KERAS_BACKEND names the backend 'torch'; set KERAS_BACKEND to tensorflow (pip install "
    lines = done.stderr.splitlines()
    failed, worked = lines[:-2], lines[-2:]
    assert all(line.startswith(error) for line in failed[::2]), done.stderr
    verbs = ("translate", "score", "evaluate", "compare", "average", "remember", "choose", "inspect", "pretrain", "run")
    verbs += ("chain",)
    assert failed[1::2] == [f"{verb} 2" for verb in verbs]
    assert worked == ["info 0", "evaluate 0"] and list(tmp_path.iterdir()) == []


def test_nothing_is_hidden_where_stderr_is_closed(monkeypatch):
    def closed(descriptor):
        raise OSError(errno.EBADF, "Bad file descriptor")

    before = os.fstat(2)
    with _without_native_messages():
        assert os.path.samestat(os.fstat(2), os.stat(os.devnull))  # noqa: PTH116
    monkeypatch.setattr(os, "dup", closed)
    with _without_native_messages():
        assert os.path.samestat(os.fstat(2), before)
