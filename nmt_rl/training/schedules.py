"""Learning rates as pure functions of the update number."""

from __future__ import annotations

import math

from nmt_rl.config import OptimizerConfig


def learning_rate(config: OptimizerConfig, update: int, updates: int, scale: float = 1.0) -> float:
    """The rate of an update, linear warm-up included.

    Args:
        config: peak rate, schedule, warm-up.
        update: from 1.
        updates: of the whole training (cosine and wsd end there).
        scale: product of the plateau schedule's reductions.
    """
    peak, warmup = config.learning_rate, config.warmup
    if update < warmup:
        return peak * update / warmup
    if config.schedule == "inverse-sqrt":
        return inverse_sqrt(peak, update, warmup)
    if config.schedule == "cosine":
        return cosine(peak, update - warmup, max(1, updates - warmup), config.floor)
    if config.schedule == "wsd":
        return warmup_stable_decay(peak, update, updates, config.decay, config.floor)
    if config.schedule == "plateau":
        return max(config.floor, peak * scale)
    return peak


def inverse_sqrt(peak: float, update: int, warmup: int) -> float:
    """peak * sqrt(warmup / update): Noam's schedule (Vaswani et al., 2017, eq. 3) scaled to its peak."""
    return peak * math.sqrt(max(1, warmup) / max(1, update))


def cosine(peak: float, update: int, updates: int, floor: float) -> float:
    """Half a cosine from the peak down to the floor (Loshchilov and Hutter, 2017, eq. 5)."""
    share = min(1.0, update / updates)
    return floor + (peak - floor) * 0.5 * (1.0 + math.cos(math.pi * share))


def warmup_stable_decay(peak: float, update: int, updates: int, decay: float, floor: float) -> float:
    """The peak, then in the last share `decay` of the updates linearly down to the floor (Hu et al., 2024, eq. 1)."""
    left = (updates - update) / max(1.0, decay * updates)
    return floor + (peak - floor) * min(1.0, max(0.0, left))
