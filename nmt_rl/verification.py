"""Whether the files of a run, a model folder, an adapter or a memory are as they were written."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from nmt_rl.bundle import CONFIG, WEIGHTS, bundle_folder, check_weights, open_bundle
from nmt_rl.corpus.prepared import check_corpus, checked_split, is_prepared, read_record
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.errors import UserError
from nmt_rl.retrieval.record import RECORD
from nmt_rl.storage.hashes import HASHES, check_hashes, read_hashes
from nmt_rl.storage.ownership import RUN, kind_of
from nmt_rl.storage.reading import file_size, read_json

HASHED = ("adapter", "memory")
"""Kinds of folders all of whose files have hashes."""


@dataclass(frozen=True)
class Finding:
    """What is known of a file or a folder."""

    path: Path
    state: Literal["same", "readable", "edited", "damaged"]
    """`same` as it was written, by a hash or a checksum; `readable`: there was none, but it is what it should be;
    `edited`: a config.yaml with other settings of decoding or training."""
    damage: str = ""
    """What is wrong, in a sentence that names it."""


def verify(path: Path) -> Iterator[Finding]:
    """Read every file of a run, a model folder, an adapter or a memory that can be checked, whatever its size.

    Raises:
        UserError: if it is none of them.
    """
    if kind_of(path) == RUN or is_prepared(path):  # 0.2.0 left no mark.
        return _verify_run(path)
    if kind_of(path) in HASHED or (path / RECORD).is_file():
        return _verify_hashed(path, always=True)
    return _verify_model(bundle_folder(path))


def _verify_run(path: Path) -> Iterator[Finding]:
    stages = [path / stage for stage in ("pretrain", "finetune") if (path / stage).is_dir()]
    if (path / "corpus").is_dir():
        yield from _verify_corpus(path / "corpus")
    for stage in stages:
        for arrays in sorted([*stage.glob("checkpoints/*.npz"), *stage.glob("snapshots/*.npz")]):
            yield _finding(arrays, "same", partial(_check_archive, arrays))
        for record in sorted(stage.glob("*.json")):
            yield _finding(record, "readable", partial(read_json, record))
    for stage in stages:
        if (stage / "adapter").is_dir():
            yield from _verify_hashed(stage / "adapter")
    finished = [stage for stage in stages if (stage / "result.json").exists()]
    for folder in (*stages, path):
        if (folder / "model").is_dir() or folder in finished or (folder == path and finished):
            yield from _verify_model(folder / "model")


def _check_archive(path: Path) -> None:
    """Compare the arrays of a .npz file with their checksums; raises UserError."""
    file_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # zipfile and zlib fail in many ways.
        raise UserError(f"{path} is damaged: {error or type(error).__name__}") from error
    if damaged is not None:
        raise UserError(f"{path} is damaged: {damaged} has another checksum than was written")


def _verify_corpus(folder: Path) -> Iterator[Finding]:
    """The manifest's files; those that may change in a run have their hash in prepared.json."""
    hashed = list(_verify_hashed(folder))
    yield from hashed
    yield _finding(folder / "train", "readable", partial(EncodedCorpus.open, folder / "train"))
    record = _finding(folder / "prepared.json", "readable", partial(read_record, folder))
    yield record
    if record.state == "readable":
        known, names = read_record(folder), {each.path.name for each in hashed}
        if not hashed and (manifest := _finding(folder / HASHES, "same", partial(check_corpus, folder, known))).damage:
            yield manifest
        for split in sorted(known["hashes"]):
            if split != "train" and f"{split}.source" not in names:
                yield _finding(folder / f"{split}.source", "same", partial(checked_split, folder, split, known))


def _verify_model(folder: Path) -> Iterator[Finding]:
    opened = _finding(folder, "readable", partial(open_bundle, folder))
    for each in _verify_hashed(folder):
        edited = each.path.name == CONFIG and each.state == "damaged" and opened.state == "readable"
        yield Finding(each.path, "edited") if edited else each
    yield opened
    yield _finding(folder / WEIGHTS, "readable", partial(check_weights, folder / WEIGHTS))
    for export in sorted(folder.glob(f"*/**/{HASHES}")):
        yield from _verify_hashed(export.parent)


def _verify_hashed(folder: Path, always: bool = False) -> Iterator[Finding]:
    """Every file that the folder's manifest names; none if version 0.2.0 wrote it, without one, unless it `always` has
    one."""
    try:
        names = read_hashes(folder)
    except UserError as error:
        yield Finding(folder / HASHES, "damaged", str(error))
        return
    if names is None and always:
        yield Finding(folder / HASHES, "damaged", f"{folder / HASHES} is missing")
    for name in names or ():
        yield _finding(folder / name, "same", partial(check_hashes, folder, [name], full=True))


def _finding(path: Path, state: Literal["same", "readable"], check: Callable[[], object]) -> Finding:
    try:
        check()
    except UserError as error:
        return Finding(path, "damaged", str(error))
    return Finding(path, state)
