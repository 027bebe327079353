"""From which text a corpus was prepared, and whether the sources are still the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nmt_rl.config import CorpusConfig, SourceSpec
from nmt_rl.corpus.sources import hub_split, source_files
from nmt_rl.errors import UserError
from nmt_rl.storage.hashes import CHEAP, file_hash

Record = dict[str, Any]
"""Of one source, JSON: its `spec`, the `folder` that relative paths started from, and its `files` with `path`, `size`
in bytes, `modified` in nanoseconds, `sha256`; files are null where only the spec is known."""

PATHS = ("source", "target", "alignment", "prefix", "tsv")
"""Keys of a spec that only say where the text lies."""


class Change(NamedTuple):
    """What is no longer as it was."""

    kind: Literal["settings", "text", "gone"]
    """Another source was given; the same source has other text; or it cannot be found any more."""
    split: str
    words: str


def record_sources(config: CorpusConfig) -> dict[str, list[Record]]:
    """The sources of every split as they are now; raises UserError for a file that is not there."""
    return {split: [record_source(spec, config, split) for spec in specs] for split, specs in _splits(config)}


def changes(records: dict[str, list[Record]], config: CorpusConfig, contents: bool = False) -> Iterator[Change]:
    """How the sources of a configuration differ from recorded ones, the first difference of every split.

    Args:
        records: what `record_sources` found.
        config: the sources now. Text that lies elsewhere now is the same text.
        contents: read files of moderate size even where neither size nor time differ.

    Raises:
        UserError: if another source is given, which is not there.
    """
    new = dict(_splits(config))
    for split in sorted(new.keys() | records.keys()):
        old, specs = records.get(split, []), new.get(split, ())
        if len(old) != len(specs):
            yield Change("settings", split, f"corpus.{split} had {len(old)} sources, now {len(specs)}")
            continue
        both = zip(old, specs, strict=True)
        yield from filter(None, [next(filter(None, (_change(o, n, config, split, contents) for o, n in both)), None)])


def _splits(config: CorpusConfig) -> list[tuple[str, tuple[SourceSpec, ...]]]:
    return [("train", config.train), *((split, (spec,)) for split, spec in config.held_out.items())]


def record_source(spec: SourceSpec, config: CorpusConfig, split: str) -> Record:
    """A source of one split as it is now; raises UserError for a file that is not there."""
    files = _files(spec, config, split)
    return {
        "spec": spec.model_dump(mode="json"),
        "folder": str(Path.cwd()),
        "files": [_file(path) for path in files],
    }


def _files(spec: SourceSpec, config: CorpusConfig, split: str) -> list[Path]:
    """What a source is read from, its alignments last; raises UserError for a file that is not there."""
    alignments = [Path(name) for name in spec.alignment]
    if missing := [path for path in alignments if not path.exists()]:
        raise UserError(f"{missing[0]} does not exist")
    return [*source_files(spec, config, hub_split(split)), *alignments]


def _file(path: Path) -> Record:
    status = path.stat()
    digest = file_hash(path) if status.st_size else ""
    return {"path": str(path.resolve()), "size": status.st_size, "modified": status.st_mtime_ns, "sha256": digest}


def _change(old: Record, spec: SourceSpec, config: CorpusConfig, split: str, contents: bool) -> Change | None:
    new = spec.model_dump(mode="json")
    same_place = _place(old["spec"], old["folder"]) == _place(new, None) or _place(old["spec"], "") == _place(new, "")
    other = Change("settings", split, f"corpus.{split} was {_words(old['spec'])}, now {_words(new)}")
    if _kind(old["spec"]) != _kind(new):
        return other
    if old["files"] is None:  # Of nmt-rl 0.2.0, which recorded no files.
        return None if same_place else other
    try:
        files = _files(spec, config, split)
    except UserError as error:
        if same_place:
            return Change("gone", split, str(error))
        raise
    if len(files) != len(old["files"]):
        return other
    for path, was in zip(files, old["files"], strict=True):
        if words := _difference(path, was, contents):
            return Change("text", split, words) if same_place else other
    return None


def _kind(spec: Record) -> Record:
    """What a source is, wherever it lies and however it is called; two files are two files however they are named."""
    kept = {k: v for k, v in spec.items() if v and k not in (*PATHS, "hub", "name", "streaming", "weight")}
    hub = spec.get("hub")
    return {**kept, "tsv": bool(spec.get("tsv")), "hub": hub if hub and not Path(hub).is_dir() else bool(hub)}


def _place(spec: Record, folder: str | None) -> list[Any]:
    """Where the text lies: paths in their shortest form, absolute unless `folder` is empty."""
    found: list[Any] = []
    for key in (*PATHS, "hub"):
        value = spec.get(key)
        paths = value if isinstance(value, list) else [value] if value else []
        found.append([os.path.normpath(p if folder == "" else Path(folder or Path.cwd()) / p) for p in paths])
    return found


def _words(spec: Record) -> str:
    return ", ".join(f"{k} {' '.join(v) if isinstance(v, list) else v}" for k, v in spec.items() if v and k != "weight")


def _difference(path: Path, was: Record, contents: bool) -> str | None:
    status = path.stat()
    now = (status.st_size, status.st_mtime_ns)
    untouched = now == (was["size"], was["modified"])
    if untouched and (not contents or status.st_size > CHEAP):
        return None
    if status.st_size == was["size"] and (not status.st_size or file_hash(path) == was["sha256"]):
        return None
    if untouched:
        return f"{path} has changed: neither its size nor its time, but what it holds"
    return f"{path} has changed: {_size_and_time(was['size'], was['modified'])}, now {_size_and_time(*now)}"


def _size_and_time(size: int, modified: int) -> str:
    return f"{size:,} bytes of {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(modified / 1e9))}"
