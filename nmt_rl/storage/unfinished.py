"""Folders of what is done of a long work, from which the same work goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt_rl.storage.ownership import mark, must_be_ours
from nmt_rl.storage.reading import read_json
from nmt_rl.storage.writing import write_json, written_folder

BEGUN = "begun.json"
"""What the work depends on."""


def begin(folder: Path, kind: str, names: Sequence[str], record: dict[str, Any]) -> bool:
    """Make the folder of a work, unless it is there; one of another work is replaced. Whether there was one.

    Args:
        folder: where it is.
        kind: of the folder, see `ownership.mark`.
        names: what else may be in it, see `ownership.must_be_ours`.
        record: all that the work depends on, as JSON.

    Raises:
        UserError: if nmt-rl did not make what stands there, or it holds something else.
    """
    delete(folder, names, unless=record)
    if folder.exists():
        return True
    with written_folder(folder) as made:
        mark(made, kind)
        write_json(made / BEGUN, record)
    return False


def delete(folder: Path, names: Sequence[str], unless: dict[str, Any] | None = None) -> None:
    """Delete the folder of a work, if there is one, but not of the work that `unless` records; UserError as `begin`."""
    if not folder.exists() and not folder.is_symlink():
        return
    must_be_ours(folder, (BEGUN, *names), "be deleted")
    begun = folder / BEGUN
    if unless is None or not begun.exists() or read_json(begun) != json.loads(json.dumps(unless)):
        shutil.rmtree(folder)
