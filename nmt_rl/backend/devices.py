"""What computes: processors and accelerators, and what they can do."""

from __future__ import annotations

from typing import Any

from nmt_rl.backend.loading import is_jax, processor_flags
from nmt_rl.errors import UserError

BFLOAT16_FLAGS = frozenset(("amx_bf16", "avx512_bf16", "bf16"))
"""Of processors that multiply in bfloat16, Intel's and AMD's and ARM's."""


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


def to_device(batch: Any) -> Any:
    """A pytree of NumPy arrays on its way to the device, where that goes on beside the computing."""
    if not runs_ahead():
        return batch
    import jax

    return jax.device_put(batch)


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
