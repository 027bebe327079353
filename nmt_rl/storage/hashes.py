"""What belongs together in a folder: names, sizes and SHA-256 of its files, written once and compared when it is read.

{"model.weights.h5": {"size": 41230, "sha256": "..."}, "tokenizer.model": {...}}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nmt_rl.errors import UserError
from nmt_rl.storage.reading import file_size, must_be, read_json
from nmt_rl.storage.writing import write_json

HASHES = "hashes.json"
"""The manifest of a folder."""
CHEAP = 2**28
"""Bytes whose hash takes well under a second."""
LIMIT = 2**24

Manifest = dict[str, dict[str, Any]]


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits; raises UserError if it cannot be read."""
    file_size(path)
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def folder_hashes(folder: Path, names: Iterable[str] | None = None) -> Manifest:
    """Sizes and hashes of files of a folder.

    Args:
        folder: the folder.
        names: paths within it; None: all files, those of folders in it included, but no hidden ones.

    Raises:
        UserError: if one is missing, empty or cannot be read.
    """
    if names is None:
        paths = [p.relative_to(folder) for p in folder.rglob("*") if p.is_file()]
        names = [p.as_posix() for p in paths if p.name != HASHES and not any(x.startswith(".") for x in p.parts)]
    return {name: {"size": file_size(folder / name), "sha256": file_hash(folder / name)} for name in sorted(names)}


def write_hashes(folder: Path, names: Iterable[str] | None = None) -> Manifest:
    """Write the manifest of a folder whose files are as they should be; see `folder_hashes`."""
    manifest = folder_hashes(folder, names)
    write_json(folder / HASHES, manifest)
    return manifest


def read_hashes(folder: Path) -> Manifest | None:
    """The manifest of a folder, or None if it has none (older versions wrote none).

    Raises:
        UserError: if there is one that is damaged.
    """
    path = folder / HASHES
    if not path.exists() and not path.is_symlink():
        return None
    manifest: Manifest = read_json(path, limit=LIMIT)
    for name, entry in manifest.items():
        must_be(entry, dict, f"{path}: {name}")
        must_be(entry.get("size"), int, f"{path}: size of {name}")
        must_be(entry.get("sha256"), str, f"{path}: sha256 of {name}")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{path} names {name}, which is outside of the folder")
    return manifest


def check_hashes(folder: Path, names: Iterable[str] | None = None, full: bool | None = None) -> bool:
    """Compare files of a folder with its manifest, if it has one: sizes always, contents as `full` says.

    Args:
        folder: the folder.
        names: which files; one that the manifest lacks is an error. None: all those of the manifest.
        full: contents, too; None: if their files together have at most `CHEAP` bytes.

    Returns:
        Whether there was something to compare with.

    Raises:
        UserError: for the first file that is missing, cannot be read, or is not as it was written.
    """
    manifest = read_hashes(folder)
    if manifest is None:
        return False
    chosen = sorted(manifest if names is None else names)
    for name in chosen:
        found = file_size(folder / name)
        if name not in manifest:
            raise UserError(f"{folder / name} does not belong to this folder: {HASHES} does not name it")
        if found != (size := manifest[name]["size"]):
            raise UserError(f"{folder / name} is damaged or another file: {found:,} bytes, where {size:,} were written")
    if full is None:
        full = sum(manifest[name]["size"] for name in chosen) <= CHEAP
    for name in chosen if full else ():
        if file_hash(folder / name) != manifest[name]["sha256"]:
            raise UserError(f"{folder / name} is damaged or of another folder: it is not what {HASHES} says of it")
    return True
