"""The one room that knows which backend Keras runs on.

Everything else is written in `keras.ops`. Importing it imports Keras and with it the backend.
"""

from nmt_rl.backend import loading  # First, for it loads Keras without its greetings.
from nmt_rl.backend.compiled import (
    Gradients,
    compile_accumulation,
    compile_fn,
    compile_update,
    in_chunks,
    recomputed,
)
from nmt_rl.backend.devices import (
    batch_parts,
    device_count,
    has_accelerator,
    limit_threads,
    multiplies_bfloat16,
    out_of_memory,
    runs_ahead,
    to_device,
    use_devices,
)
from nmt_rl.backend.host import call_host
from nmt_rl.backend.loading import check_backend, compilation_cache, is_jax, seeded
from nmt_rl.backend.scanning import scan
from nmt_rl.backend.shapes import dimension, gather, gather_rows

__all__ = [
    "Gradients",
    "batch_parts",
    "call_host",
    "check_backend",
    "compilation_cache",
    "compile_accumulation",
    "compile_fn",
    "compile_update",
    "device_count",
    "dimension",
    "gather",
    "gather_rows",
    "has_accelerator",
    "in_chunks",
    "is_jax",
    "limit_threads",
    "loading",
    "multiplies_bfloat16",
    "out_of_memory",
    "recomputed",
    "runs_ahead",
    "scan",
    "seeded",
    "to_device",
    "use_devices",
]
