"""Checkpoints: everything a killed stage needs to go on, in one file, replaced atomically and never unpickled.

Every array in a file has a checksum (CRC-32), which is compared whenever it is read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.reading import file_size
from nmt_rl.storage.writing import written_file

if TYPE_CHECKING:
    import keras

logger = logging.getLogger("nmt_rl")


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint."""

    path: Path
    step: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]

    @property
    def snapshots(self) -> dict[int, float]:
        """Scores of the validated weights that are kept, by their updates; raises KeyError, TypeError or ValueError."""
        return {int(step): float(score) for step, score in dict(self.meta["progress"]["snapshots"]).items()}


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
        """Write a checkpoint and delete all but it and the one before; raises RunError if the disk is full.

        One of a later step was damaged, or it would have been gone on from.
        """
        path = self.folder / f"step-{step:08d}.npz"
        save_arrays(path, {**arrays, "__meta__": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)})
        kept = {step, *[s for s in self.steps() if s < step][-1:]}
        for other in self.steps():
            if other not in kept:
                self.delete(other)

    def delete(self, step: int) -> None:
        """Delete the checkpoint of an update."""
        self._path(step).unlink()

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None if there is none; one that is passed over is told.

        Raises:
            UserError: if all are damaged.
        """
        damage = ""
        for step in reversed(self.steps()):
            try:
                arrays = load_arrays(self._path(step))
                meta = json.loads(arrays.pop("__meta__").tobytes())
            except UserError as error:
                damage = damage or str(error)
            except (KeyError, ValueError):
                damage = damage or f"{self._path(step)} is no checkpoint"
            else:
                if damage:
                    logger.warning("%s; the checkpoint before, of update %d, is used instead", damage, step)
                return Checkpoint(self._path(step), step, arrays, meta)
        if damage:
            raise UserError(
                f"{damage}, and no other checkpoint is whole; the verb of the stage with --fresh starts it over"
            )
        return None

    def steps(self) -> list[int]:
        """Updates of which there is a checkpoint, in their order."""
        names = [path.stem.removeprefix("step-") for path in self.folder.glob("step-*.npz")]
        return sorted(int(name) for name in names if name.isdecimal())

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.npz"


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays into one .npz file, beside and renamed; raises RunError if the disk is full."""
    try:
        with written_file(path) as file:
            np.savez(file, **dict(arrays))  # type: ignore[arg-type]
    except OSError as error:
        size = sum(np.asarray(array).nbytes for array in arrays.values()) / 1e6
        reason = f"{error.strerror or error}; it takes {size:,.1f} MB"
        raise RunError(f"{path} could not be written ({reason}); what was saved before is kept") from error


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a .npz file; raises UserError if it is missing or damaged."""
    file_size(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array only")
            return {name: file[name] for name in file.files}
    except MemoryError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy fail in many ways
        raise UserError(f"{path} is damaged ({' '.join(str(error).split()) or type(error).__name__})") from None


def assign(variables: Mapping[str, keras.Variable], arrays: Mapping[str, np.ndarray], where: Path) -> None:
    """Set variables to the arrays of their names.

    Raises:
        UserError: if one is missing in `arrays`, read from `where`, or has another shape; no variable is changed then.
    """
    for name, variable in variables.items():
        shape = tuple(arrays[name].shape) if name in arrays else None
        if shape != tuple(variable.shape):
            found = f"of shape {list(shape)}" if shape is not None else "missing"
            raise UserError(
                f"{where} does not fit the model: {name} is {found}, where {list(variable.shape)} is needed; "
                "was it written with other settings or by another version?"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def select_steps(scores: Mapping[int, float], count: int, which: Literal["best", "last"]) -> list[int]:
    """The last `count` steps, or those with the best (highest) scores, the earlier of two alike; oldest first."""
    order = sorted(scores) if which == "last" else sorted(scores, key=lambda step: (scores[step], -step))
    return sorted(order[-count:])


def mean_arrays(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """The mean of each array over files that hold the same names; that of equal arrays is that array.

    Raises:
        UserError: if a file is missing, damaged or of another model.
    """
    sums: dict[str, np.ndarray] = {}
    types: dict[str, np.dtype] = {}
    for path in paths:
        arrays = load_arrays(path)
        if sums and {n: a.shape for n, a in arrays.items()} != {n: a.shape for n, a in sums.items()}:
            raise UserError(f"{path} and {paths[0]} hold the weights of different models")
        for name, value in arrays.items():
            types[name] = value.dtype
            sums[name] = sums.get(name, 0.0) + value.astype(np.float64)
    return {name: (total / len(paths)).astype(types[name]) for name, total in sums.items()}
