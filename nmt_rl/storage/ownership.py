"""Which folders nmt-rl made, and may replace or delete: those with its mark that hold nothing else."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt_rl.errors import UserError

MARK = ".nmt-rl"
"""A file in every folder that nmt-rl made."""
RUN = "run"
"""Kind of the folder of a run; those of its parts have their names."""


def mark(folder: Path, kind: str) -> None:
    """Mark a folder that is being made; `kind` says what it is: corpus, pretrain, finetune, model."""
    (folder / MARK).write_text(json.dumps({"made by": "nmt-rl", "kind": kind}) + "\n", encoding="utf-8")


def is_marked(folder: Path) -> bool:
    """Whether nmt-rl made the folder."""
    return (folder / MARK).is_file()


def kind_of(folder: Path) -> str | None:
    """What a marked folder is, or None."""
    try:
        return str(json.loads((folder / MARK).read_text(encoding="utf-8"))["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def must_be_ours(folder: Path, names: Sequence[str], what: str) -> None:
    """Look before a folder is replaced or deleted.

    Args:
        folder: exists.
        names: patterns of what nmt-rl writes into it: `train` is an entry with all that is in it, `train/` a folder
            whose entries have patterns of their own, such as `train/*.npy`.
        what: would happen to it: `be replaced`, `be deleted`.

    Raises:
        UserError: if nmt-rl did not make it, or it holds something else.
    """
    if folder.is_symlink() or not folder.is_dir() or not is_marked(folder):
        raise UserError(f"{folder} would {what}, but nmt-rl did not make it; move it away, or choose another folder")
    for name in strangers(folder, names):
        raise UserError(f"{folder} would {what}, but {name} in it is not nmt-rl's; move that away first")


def strangers(folder: Path, names: Sequence[str], above: str = "") -> Iterator[str]:
    """Paths of what lies in a folder and matches no pattern; see `must_be_ours`."""
    for path in sorted(folder.iterdir()):
        name = above + path.name
        if path.name.startswith(MARK) or _matches(name, names):
            continue
        if path.is_dir() and not path.is_symlink() and _matches(f"{name}/", names):
            yield from strangers(path, names, f"{name}/")
        else:
            yield name


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(name.count("/") == p.count("/") and fnmatch.fnmatchcase(name, p) for p in patterns)
