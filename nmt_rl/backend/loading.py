"""Keras, loaded quietly with the backend that the user wants."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt_rl.errors import UserError

BACKENDS = {"tensorflow": "tensorflow", "jax": "'nmt-rl[jax]'"}
"""Their names, and what pip installs them by."""


def check_backend() -> None:
    """Raise a UserError if Keras is told to use a backend that is not installed or not one of ours."""
    name, teller = os.environ.get("KERAS_BACKEND"), "KERAS_BACKEND"
    if not name:
        name, teller = _configured()
    if name not in BACKENDS:
        ours = " or ".join(f"{name} (pip install {package})" for name, package in BACKENDS.items())
        raise UserError(f"{teller} names the backend {name!r}; set KERAS_BACKEND to {ours}")
    if importlib.util.find_spec(name) is None:
        other = next(other for other in BACKENDS if other != name)
        raise UserError(
            f"{teller} names the backend {name}, which is not installed: pip install {BACKENDS[name]}, or set "
            f"KERAS_BACKEND={other}"
        )


def _configured() -> tuple[Any, str]:
    """The backend of Keras' own file of settings, where there is one, and what names it."""
    path = _settings()
    try:
        return json.loads(path.read_bytes())["backend"], str(path)
    except (OSError, ValueError, KeyError, TypeError):  # Keras reports what it cannot do without.
        return "tensorflow", "Keras' default"


def _settings() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()) / "keras.json"


@contextlib.contextmanager
def _without_native_messages() -> Iterator[None]:
    """TensorFlow's libraries greet on file descriptor 2 before any log level applies; translations have to be quiet."""
    try:
        saved = os.dup(2)
    except OSError:  # It is closed.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def hidden(*packages: str) -> Iterator[None]:
    """Packages that TensorFlow and Keras import only where they are installed, for objects they never get from here.

    Importing them takes a fifth to a quarter of the import of Keras, and whoever translates five lines waits for that.
    """
    absent = [name for name in packages if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Attention on a source of one piece is a softmax over one score, and right.
warnings.filterwarnings("ignore", message="You are using a softmax over axis", category=UserWarning)
check_backend()
try:
    with _without_native_messages(), hidden("pandas", "matplotlib"):
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow

            tensorflow.config.list_physical_devices()
            tensorflow.get_logger().setLevel("ERROR")
except Exception as error:  # Of whatever kind the libraries raise that do not fit together.
    told = f" (its settings are in {_settings()})" if _settings().exists() else ""
    raise UserError(f"Keras cannot be loaded{told}: {str(error).strip().partition(chr(10))[0]}") from error
keras.config.set_floatx("float32")  # Whatever Keras' file of settings says for other projects.


def processor_flags() -> str:
    """What Linux says the first processor can do; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return ""


def compilation_cache() -> Path:
    """Folder in the user's cache for what was compiled on this kind of processor; others may be unable to run it."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    flags = processor_flags() or platform.processor()
    return home / "nmt-rl" / f"jax-{hashlib.sha256(flags.encode()).hexdigest()[:12]}"


def _keep_compiled() -> None:
    """Let JAX keep on disk what it compiles, for the next start, unless the user has said where it should."""
    import jax

    if getattr(jax.config, "jax_compilation_cache_dir", None) is not None:
        return
    try:
        folder = compilation_cache()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home.
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    jax.config.update("jax_compilation_cache_max_size", 2**28)


def is_jax() -> bool:
    """Whether Keras runs on JAX."""
    return keras.backend.backend() == "jax"


def _join_hosts() -> None:
    """Become one of several processes that train together, if the environment says so: see docs/wmt14.md."""
    address = os.environ.get("NMT_RL_COORDINATOR")
    if not address:
        return
    import jax

    try:
        if address == "auto":
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(address, int(os.environ["NMT_RL_PROCESSES"]), int(os.environ["NMT_RL_PROCESS"]))
    except (KeyError, ValueError) as error:
        raise UserError(
            f"NMT_RL_COORDINATOR is {address}: NMT_RL_PROCESSES must be the number of processes, and NMT_RL_PROCESS "
            f"that of this one, from 0 ({error})"
        ) from error


if is_jax():
    _keep_compiled()
    _join_hosts()
elif os.environ.get("NMT_RL_COORDINATOR"):
    raise UserError("NMT_RL_COORDINATOR: several hosts need JAX; set KERAS_BACKEND=jax")


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Layers made inside draw the same weights and dropout masks for the same seed, whatever was drawn before.

    Keras' layers take their seeds from Python's generator. `keras.utils.set_random_seed` would import TensorFlow under
    JAX, too.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
