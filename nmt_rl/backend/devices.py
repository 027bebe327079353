"""What computes: processors and accelerators, and what they can do."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from nmt_rl.backend.loading import is_jax, processor_flags
from nmt_rl.errors import UserError

BFLOAT16_FLAGS = frozenset(("amx_bf16", "avx512_bf16", "bf16"))
"""Of processors that multiply in bfloat16, Intel's and AMD's and ARM's."""

_distribution: Any = None
"""On JAX, of the devices in use. Keras keeps it for each thread alone, and batches are made by another one than the
models."""
_names: list[str] = []
"""On TensorFlow, of the devices in use, if they are several."""


def has_accelerator() -> bool:
    """Whether there is a device that is no CPU."""
    if is_jax():
        import jax

        return jax.default_backend() != "cpu"
    import tensorflow as tf

    return any(device.device_type != "CPU" for device in tf.config.list_physical_devices())


def multiplies_bfloat16() -> bool:
    """Whether products in bfloat16 are computed by hardware: on accelerators, and on CPUs that have AMX or the like.

    In software they take several times as long as in float32.
    """
    return has_accelerator() or not BFLOAT16_FLAGS.isdisjoint(processor_flags().split())


def runs_ahead() -> bool:
    """Whether updates are begun before those before them are computed, so that nothing may be waited for in between."""
    return is_jax() and has_accelerator()


def use_devices(wanted: int | str) -> int:
    """Divide updates among devices, from the next model on; how many they are.

    On JAX variables are on all of them, and what is computed of a batch is divided by its rows (data parallel): the
    numbers are those of one device, but for rounding. On TensorFlow each computes gradients of batches of its own,
    which whoever makes an update has divided into `batch_parts`; variables are on the first.

    Args:
        wanted: how many, or `all`.

    Raises:
        UserError: if there are not so many.
    """
    global _distribution, _names
    names = available_devices()
    count = len(names) if wanted == "all" else int(wanted)
    if count > len(names):
        raise UserError(f"devices {wanted}: there are {len(names)} ({', '.join(names)}); give devices all, or fewer")
    if is_jax():
        _distribution = keras.distribution.DataParallel(devices=names[:count]) if count > 1 else None
        keras.distribution.set_distribution(_distribution)
    else:
        _names = names[:count] if count > 1 else []
    return count


def available_devices() -> list[str]:
    """Names of the accelerators, or of the processors if there is no accelerator."""
    if is_jax():
        return list(keras.distribution.list_devices())
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]


def device_count() -> int:
    """Devices that updates are divided among."""
    return len(device_names()) if _distribution is None else int(_distribution.device_mesh.shape[0])


def device_names() -> list[str | None]:
    """On TensorFlow, of the devices in use; None where it chooses itself."""
    return [*_names] or [None]


def batch_parts() -> int:
    """Into how many batches one is to be divided before an update, one for each device: 1 on JAX, which divides it."""
    return len(device_names())


def describe_devices() -> str:
    """What computes, in words."""
    if is_jax():
        import jax

        kinds = [device.device_kind for device in jax.devices()]
        return f"{len(kinds)} x {kinds[0]}"
    import tensorflow as tf

    kinds = [device.device_type for device in tf.config.list_physical_devices()]
    return f"{len(kinds)} x {kinds[-1]}"


def device_memory() -> float | None:
    """Most memory of the first device that was used so far, GiB; None where it does not tell, as CPUs do not."""
    if not is_jax():
        return None
    import jax

    used = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return None if used is None else float(used) / 2**30


def to_device(batch: Any, read: bool = False) -> Any:
    """A pytree of NumPy arrays on its way to the devices, where that goes on beside the computing.

    Arrays are divided by their first axis if it can be divided by the number of devices; others are on all of them.

    Args:
        batch: the arrays.
        read: what is computed of them will be read here, which divided among several hosts it could not be.
    """
    if _distribution is None and not runs_ahead():
        return batch
    import jax

    if _distribution is None:
        return jax.device_put(batch)
    mesh = _distribution.device_mesh.backend_mesh
    count, axis, whole = mesh.size, mesh.axis_names[0], read and jax.process_count() > 1

    def placed(x: Any) -> Any:
        if isinstance(x, jax.Array):  # It was computed there.
            return x
        divided = not whole and x.ndim > 0 and x.shape[0] > 0 and x.shape[0] % count == 0
        spec = jax.sharding.PartitionSpec(axis) if divided else jax.sharding.PartitionSpec()
        sharding = jax.sharding.NamedSharding(mesh, spec)
        if jax.process_count() == 1:
            return jax.device_put(x, sharding)
        # Every host has the whole batch; `device_put` would ask the others whether it is the same, in any order.
        return jax.make_array_from_callback(np.shape(x), sharding, lambda index: np.asarray(x)[index])

    return jax.tree.map(placed, batch)


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
