"""Processor seconds and peak memory of updates of the LSTM of multi30k-de-en-lstm, for every kind of attention.

    python scripts/measure_hard_attention.py

Batches are 64 pairs of 16 and 15 random pieces of 8,000; each kind in a process of its own, on one thread. What is
compiled in the first two updates is not counted; what is left of it in the memory is.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import resource
import time
from typing import Any

KINDS: dict[str, Any] = {
    "soft": None,
    "score": "score",
    "score, learned baseline": {"type": "score", "baseline": "learned"},
    "marginal, 4 positions": {"type": "marginal", "positions": 4},
    "marginal, 16 positions": {"type": "marginal", "positions": 16},
    "variational": "variational",
    "variational, 4 positions enumerated": {"type": "variational", "samples": 0, "positions": 4},
}
PAIRS, SOURCE, TARGET, VOCABULARY = 64, 16, 15, 8000
WARM, TIMED = 2, 6


def measure(hard: Any) -> tuple[float, float, int]:
    """Seconds of an update, peak memory in GB, and parameters."""
    import numpy as np

    from nmt_rl.config import LSTMConfig, OptimizerConfig
    from nmt_rl.models.build import build_model
    from nmt_rl.training.learner import Learner
    from nmt_rl.training.losses import CrossEntropy

    rng = np.random.default_rng(0)
    source, target = (rng.integers(4, VOCABULARY, (PAIRS, n)).astype("int32") for n in (SOURCE, TARGET))
    positions = np.arange(PAIRS * TARGET, dtype="int32")
    target_in = np.concatenate([np.full((PAIRS, 1), 2, "int32"), target[:, :-1]], axis=1)
    batch = {"source": source, "target_in": target_in, "positions": positions, "labels": target.reshape(-1)}
    config = LSTMConfig(embedding=256, units=512, tie="all", hard=hard)
    model = build_model(config, VOCABULARY, VOCABULARY, seed=1)
    learner = Learner(model, CrossEntropy(0.1), OptimizerConfig(schedule="constant", warmup=0))
    for _ in range(WARM):
        learner.update([batch], 1e-3)
    began = time.process_time()
    for _ in range(TIMED):
        learner.update([batch], 1e-3)
    seconds = (time.process_time() - began) / TIMED
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, model.count_params()


def main() -> None:
    """Print a line for every kind."""
    print("| attention | parameters | CPU seconds per update | peak memory, GB |\n| --- | --- | --- | --- |")
    for name, hard in KINDS.items():
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            seconds, memory, parameters = pool.submit(measure, hard).result()
        print(f"| {name} | {parameters:,} | {seconds:.2f} | {memory:.2f} |", flush=True)


if __name__ == "__main__":
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
