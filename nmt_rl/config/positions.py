"""The table that `model.positions: sinusoidal` stands for: whoever computes with a Transformer needs the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def sinusoids(length: int, width: int) -> np.ndarray:
    """Position table float32 [length, width], sines then cosines (Vaswani et al., 2017, section 3.5)."""
    import numpy as np

    rates = np.exp(-np.log(10_000.0) * np.arange(width // 2) / max(1, width // 2 - 1))
    angles = np.arange(length)[:, None] * rates[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype("float32")
