"""Which folders nmt-rl made, and may replace or delete: those with its mark that hold nothing else."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Sequence
from pathlib import Path

from nmt_rl.errors import UserError

MARK = ".nmt-rl"
"""A file in every folder that nmt-rl made."""


def mark(folder: Path, kind: str) -> None:
    """Mark a folder that is being made; `kind` says what it is: corpus, pretrain, finetune, model."""
    (folder / MARK).write_text(json.dumps({"made by": "nmt-rl", "kind": kind}) + "\n", encoding="utf-8")


def is_marked(folder: Path) -> bool:
    """Whether nmt-rl made the folder."""
    return (folder / MARK).is_file()


def must_be_ours(folder: Path, names: Sequence[str], what: str) -> None:
    """Look before a folder is replaced or deleted.

    Args:
        folder: exists.
        names: patterns of what nmt-rl writes into it (of the entries of the folder itself).
        what: would happen to it: `be replaced`, `be deleted`.

    Raises:
        UserError: if nmt-rl did not make it, or it holds something else.
    """
    if folder.is_symlink() or not folder.is_dir() or not is_marked(folder):
        raise UserError(f"{folder} would {what}, but nmt-rl did not make it; move it away, or choose another folder")
    for path in sorted(folder.iterdir()):
        if path.name != MARK and not any(fnmatch.fnmatchcase(path.name, name) for name in names):
            raise UserError(f"{folder} would {what}, but {path.name} in it is not nmt-rl's; move that away first")
