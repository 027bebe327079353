"""The one module that knows which backend Keras runs on.

Everything else is written in `keras.ops`. Importing this module imports Keras and with it the backend.
"""

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nmt_rl.errors import UserError

BACKENDS = {"tensorflow": "tensorflow", "jax": "'nmt-rl[jax]'"}
"""Their names, and what pip installs them by."""
BFLOAT16_FLAGS = frozenset(("amx_bf16", "avx512_bf16", "bf16"))
"""Of processors that multiply in bfloat16, Intel's and AMD's and ARM's."""


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


def has_accelerator() -> bool:
    """Whether there is a device that is no CPU."""
    if is_jax():
        import jax

        return jax.default_backend() != "cpu"
    import tensorflow as tf

    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())


def multiplies_bfloat16() -> bool:
    """Whether products in bfloat16 are computed by hardware: on accelerators, and on CPUs that have AMX or the like.

    In software they take several times as long as in float32.
    """
    return has_accelerator() or not BFLOAT16_FLAGS.isdisjoint(processor_flags().split())


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


if is_jax():
    _keep_compiled()


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


def compile_fn(function: Callable[..., Any], *models: keras.Model) -> Callable[..., Any]:
    """Compile a function of arrays that reads the variables of `models` but changes none.

    Args:
        function: takes and returns pytrees of tensors; reads the models through closure.
        models: every model or layer whose variables the function reads; their current values are used at each call.

    Returns:
        A function of NumPy arrays or tensors that returns tensors. One trace serves all shapes on TensorFlow; JAX
        compiles once per shape.
    """
    if is_jax():
        return _compile_jax(function, models)
    return _compile_tensorflow(function)


def compile_update(learner: keras.Model) -> Callable[[Any], dict[str, Any]]:
    """One step of Keras' trainer: a function of a batch (pytree of NumPy arrays) that returns the step's numbers.

    Keras itself traces for the first shapes it sees and again for others. A resumed run sees other shapes first than an
    uninterrupted one, and graphs for other shapes round otherwise; so on TensorFlow one trace serves all shapes.

    Args:
        learner: a compiled model, with an optimizer that is built.
    """
    if is_jax() or learner.run_eagerly:
        return lambda batch: learner.train_on_batch(batch, return_dict=True)
    return _compile_tensorflow(lambda batch: learner.train_step((batch,)))


def compile_accumulation(learner: keras.Model) -> tuple[Callable[[Any], tuple[Any, Any]], Callable[[Any], None]]:
    """The two halves of an update, for one that is made of several batches.

    Args:
        learner: a compiled model whose outputs are scalars, of which `loss` is minimised; its optimizer is built.

    Returns:
        A function of a batch that returns the learner's outputs and the gradients of its scaled loss, a list; and one
        that has the optimizer apply such gradients.
    """
    if is_jax():
        return _accumulation_jax(learner)
    import tensorflow as tf

    def gradients(batch: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            outputs = learner(batch, training=True)
            loss = learner.optimizer.scale_loss(outputs["loss"])
        weights = [v.value for v in learner.trainable_variables]
        found = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return outputs, [tf.convert_to_tensor(gradient) for gradient in found]

    def apply(gradients: Any) -> None:
        learner.optimizer.apply(gradients, learner.trainable_variables)

    if learner.run_eagerly:
        return gradients, apply
    return _compile_tensorflow(gradients), tf.function(apply, autograph=False)


def _accumulation_jax(learner: keras.Model) -> tuple[Callable[[Any], tuple[Any, Any]], Callable[[Any], None]]:
    import jax

    optimizer = learner.optimizer

    def scaled(weights: Any, others: Any, state: Any, batch: Any) -> tuple[Any, Any]:
        outputs, others = learner.stateless_call(weights, others, batch, training=True)
        with keras.StatelessScope(state_mapping=zip(optimizer.variables, state, strict=True)):
            return optimizer.scale_loss(outputs["loss"]), (outputs, others)

    compiled, applied = jax.jit(jax.grad(scaled, has_aux=True)), jax.jit(optimizer.stateless_apply)

    def values(variables: Any) -> list[Any]:
        return [v.value for v in variables]

    def assign(variables: Any, new: Any) -> None:
        for variable, value in zip(variables, new, strict=True):
            variable.assign(value)

    def gradients(batch: Any) -> tuple[Any, Any]:
        others = learner.non_trainable_variables
        state = (values(learner.trainable_variables), values(others), values(optimizer.variables))
        found, (outputs, after) = compiled(*state, batch)
        assign(others, after)  # Such as the seeds of dropout.
        return outputs, found

    def apply(gradients: Any) -> None:
        weights = learner.trainable_variables
        new, state = applied(values(optimizer.variables), gradients, values(weights))
        assign([*weights, *optimizer.variables], [*new, *state])

    return gradients, apply


def _compile_tensorflow(function: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    compiled: Any = None

    def call(*args: Any) -> Any:
        nonlocal compiled
        tensors = keras.tree.map_structure(tf.convert_to_tensor, args)
        if compiled is None:
            # All dimensions but widths are left open, so that one trace serves all shapes.
            specs = keras.tree.map_structure(_open_spec, tensors)
            compiled = tf.function(function, input_signature=specs, autograph=False)
        return compiled(*tensors)

    return call


def _open_spec(tensor: Any) -> Any:
    """Widths stay known: the last dimension of three or more, unless it holds ids."""
    import tensorflow as tf

    rank = tensor.shape.rank
    if rank < 3 or not tensor.dtype.is_floating:
        return tf.TensorSpec([None] * rank, tensor.dtype)
    return tf.TensorSpec([None] * (rank - 1) + [tensor.shape[-1]], tensor.dtype)


def _compile_jax(function: Callable[..., Any], models: tuple[keras.Model, ...]) -> Callable[..., Any]:
    import jax

    variables = [v for model in models for v in model.variables]

    @jax.jit
    def pure(values: list[Any], args: tuple[Any, ...]) -> Any:
        with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
            return function(*args)

    def call(*args: Any) -> Any:
        return pure([v.value for v in variables], keras.tree.map_structure(jax.numpy.asarray, args))

    return call


def dimension(x: Any, axis: int) -> Any:
    """Size of one axis of a tensor: an int where it is known, else an int32 [] tensor.

    `ops.shape` takes all open dimensions apart, and each costs TensorFlow five operations, which have to be traced.
    """
    known = x.shape[axis]
    if known is not None:
        return known
    import tensorflow as tf

    return tf.shape(x)[axis]


def gather_rows(values: Any, index: Any) -> Any:
    """values[index]: [*index, ...] of values [rows, ...] and int32 indices of any shape that are not negative.

    Without `ops.take`'s question whether they are, which costs TensorFlow ten operations to trace and to run.
    """
    if is_jax():
        return keras.ops.take(values, index, axis=0)
    import tensorflow as tf

    return tf.gather(values, index)


def gather(values: Any, index: Any, axis: int = 1) -> Any:
    """values[b, ..., index[b, i], ...], each row of a batch with its own indices, which are not negative.

    Args:
        values: [batch, ...].
        index: int32 [batch, i].
        axis: of `values` that is indexed, at least 1.
    """
    if is_jax():
        import jax

        return jax.vmap(lambda row, places: jax.numpy.take(row, places, axis=axis - 1))(values, index)
    import tensorflow as tf

    return tf.gather(values, index, axis=axis, batch_dims=1)


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that the memory of the processor or the device does not suffice."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error) or "OOM when alloc" in str(error)


def limit_threads(threads: int) -> None:
    """Use this many CPU threads; must be called before the first tensor is made.

    Raises:
        UserError: under JAX, which takes the processors that it may use.
    """
    if is_jax():
        raise UserError("JAX has no number of threads; limit the processors it may use, such as by 'taskset -c 0'")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
