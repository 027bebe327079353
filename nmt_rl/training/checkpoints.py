"""Checkpoints: everything a killed stage needs to go on, in one file, replaced atomically and never unpickled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nmt_rl.errors import RunError


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint."""

    step: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one stage: `step-00001000.npz`, the newest two kept.

    Args:
        folder: made if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        """See the class docstring."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, step: int, arrays: Mapping[str, np.ndarray], meta: dict[str, Any]) -> None:
        """Write a checkpoint; raises RunError if a weight is not finite or the disk is full."""
        path = self.folder / f"step-{step:08d}.npz"
        save_arrays(path, {**arrays, "__meta__": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)})
        for old in self._paths()[:-2]:
            old.unlink()

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint, or None."""
        paths = self._paths()
        if not paths:
            return None
        arrays = load_arrays(paths[-1])
        meta = json.loads(arrays.pop("__meta__").tobytes())
        return Checkpoint(int(paths[-1].stem.removeprefix("step-")), arrays, meta)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.npz"))


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays into one .npz file, beside and renamed; raises RunError if the disk is full."""
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as file:
            np.savez(file, **dict(arrays))  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise RunError(f"{path} could not be written ({error}); what was saved before is kept") from error


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a .npz file."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def select_steps(scores: Mapping[int, float], count: int, which: Literal["best", "last"]) -> list[int]:
    """The last `count` steps, or those with the best (highest) scores, the earlier of two alike; oldest first."""
    order = sorted(scores) if which == "last" else sorted(scores, key=lambda step: (scores[step], -step))
    return sorted(order[-count:])


def mean_arrays(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """The mean of each array over files that hold the same names; that of equal arrays is that array."""
    sums: dict[str, np.ndarray] = {}
    types: dict[str, np.dtype] = {}
    for path in paths:
        for name, value in load_arrays(path).items():
            types[name] = value.dtype
            sums[name] = sums.get(name, 0.0) + value.astype(np.float64)
    return {name: (total / len(paths)).astype(types[name]) for name, total in sums.items()}
