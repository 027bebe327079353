"""Weights that were validated, kept until a stage knows which were the best."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import keras
import numpy as np

from nmt_rl.errors import UserError
from nmt_rl.training.checkpoints import assign, load_arrays, mean_arrays, save_arrays


class Snapshots:
    """The snapshots of one stage: `weights-00001000.npz`.

    Args:
        folder: made if it does not exist.
        model: whose trainable weights they hold.
    """

    def __init__(self, folder: Path, model: keras.Model) -> None:
        """See the class docstring."""
        self.folder, self.model = folder, model
        folder.mkdir(parents=True, exist_ok=True)
        self.named: set[int] = set()
        """Those that the last checkpoint names."""

    def save(self, step: int) -> None:
        """Write the model's weights; raises RunError if the disk is full."""
        save_arrays(self._path(step), {name: np.asarray(v.value) for name, v in self._variables().items()})

    def load_mean(self, steps: Iterable[int]) -> None:
        """Set the model to the mean of snapshots; raises UserError if one is missing, damaged or of another model."""
        paths = [self._path(step) for step in steps]
        assign(self._variables(), mean_arrays(paths), self.folder)

    def damage(self, step: int) -> str | None:
        """What is wrong with a snapshot, in words; None if nothing is."""
        try:
            load_arrays(self._path(step))
        except UserError as error:
            return str(error)
        return None

    def keep(self, steps: Collection[int]) -> None:
        """Call it with what a checkpoint names: all others go, but for those that the checkpoint before named.

        What one of the two checkpoints names must be there when a stage goes on from it.
        """
        kept = {self._path(step) for step in {*steps, *self.named}}
        for path in self.folder.glob("weights-*.npz"):
            if path not in kept:
                path.unlink()
        self.named = set(steps)

    def _variables(self) -> dict[str, keras.Variable]:
        return {variable.path: variable for variable in self.model.trainable_variables}

    def _path(self, step: int) -> Path:
        return self.folder / f"weights-{step:08d}.npz"
