"""Which training pairs are dropped, and why; exact removal of duplicates in constant memory."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import CleaningConfig
from nmt_rl.corpus.words import count_words
from nmt_rl.errors import UserError
from nmt_rl.storage.reading import must_be

log = logging.getLogger("nmt_rl")

Pair = tuple[str, str]

CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""Unicode category Cc other than tab."""
REPLACEMENT = "\ufffd"
"""What bytes that are not UTF-8 have become."""

PARTITIONS = 128
"""Files of hashes, all open at once: fewer than the smallest usual limit of open files (256)."""

EMPTY = "empty side"
CONTROL_CHARACTERS = "control characters"
NOT_UTF8 = "not UTF-8 (U+FFFD)"
TOO_SHORT = "too short"
TOO_LONG = "too long"
LENGTH_RATIO = "length ratio"
IDENTICAL = "identical sides"
DUPLICATE = "duplicate"
TOO_MANY_PIECES = "too many pieces"


@dataclass
class CleaningReport:
    """How many pairs were read and kept, and how many were dropped for each reason (the first that applies)."""

    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> int:
        """Pairs that are left."""
        return self.read - self.dropped.total()

    def add(self, other: CleaningReport) -> None:
        """Count what another report counts, too."""
        self.read += other.read
        self.dropped.update(other.dropped)

    def summary(self) -> str:
        """In one sentence."""
        dropped = f" (dropped: {self.reasons()}; see corpus.cleaning)" if self.dropped else ""
        return f"cleaning kept {self.kept:,} of {self.read:,} training pairs{dropped}"

    def reasons(self) -> str:
        """Each with its count, the most frequent first."""
        return ", ".join(f"{reason} {count:,}" for reason, count in self.dropped.most_common())

    def warn_if_most_went(self, pairs: int) -> None:
        """Say so on stderr if less than half of so many pairs are left."""
        if 2 * self.kept < pairs:
            log.warning("%s", self.summary())

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Put the counts into a UserError of what becomes of the pairs that are left, if any were dropped."""
        try:
            yield
        except UserError as error:
            if not self.dropped:
                raise
            most_went = 2 * self.kept < self.read
            parts = (self.summary(), str(error)) if most_went else (str(error), self.summary())
            raise UserError("; ".join(parts)) from error

    def to_json(self) -> dict[str, Any]:
        """A mapping for a JSON file."""
        return {"read": self.read, "kept": self.kept, "dropped": dict(self.dropped)}

    @classmethod
    def from_json(cls, tree: dict[str, Any], where: str) -> CleaningReport:
        """What `to_json` made; raises UserError, naming `where`, if it is something else."""
        dropped = must_be(tree.get("dropped"), dict, f"{where}: dropped")
        for reason, count in dropped.items():
            must_be(count, int, f"{where}: {reason}")
        return cls(must_be(tree.get("read"), int, f"{where}: read"), Counter(dropped))

    def __str__(self) -> str:
        """One line for the totals and one for each reason, the most frequent first."""
        lines = [f"{self.read:,} pairs read, {self.kept:,} kept"]
        return "\n".join(lines + [f"  {count:,} dropped: {reason}" for reason, count in self.dropped.most_common()])


def normalize_space(text: str) -> str:
    """The text without white space at its ends and with single spaces inside (every kind of Unicode white space)."""
    return " ".join(text.split())


def clean_pairs(pairs: Iterable[Pair], config: CleaningConfig, report: CleaningReport) -> Iterator[Pair]:
    """Pairs that pass, with normalised white space; every drop is counted in `report`. Duplicates are not looked at."""
    for source, target in pairs:
        report.read += 1
        clean = normalize_space(source), normalize_space(target)
        reason = _damage(source, target) if config.drop_control else None
        reason = reason or reason_to_drop(*clean, config)
        if reason is None:
            yield clean
        else:
            report.dropped[reason] += 1


def _damage(source: str, target: str) -> str | None:
    if REPLACEMENT in source or REPLACEMENT in target:
        return NOT_UTF8
    return CONTROL_CHARACTERS if CONTROL.search(source) or CONTROL.search(target) else None


def reason_to_drop(source: str, target: str, config: CleaningConfig) -> str | None:
    """Why a pair with normalised white space is dropped, or None."""
    if not source or not target:
        return EMPTY
    words = count_words(source), count_words(target)
    if min(words) < config.min_words:
        return TOO_SHORT
    if max(words) > config.max_words or max(len(source), len(target)) > config.max_characters:
        return TOO_LONG
    if (max(words) + 1) / (min(words) + 1) > config.max_ratio:
        return LENGTH_RATIO
    if config.drop_identical and source == target:
        return IDENTICAL
    return None


class DuplicateFinder:
    """Finds every pair that occurred before, exactly but for 128-bit hash collisions; a context manager.

    Hashes go to partition files by their first byte; each partition is resolved alone, so memory holds 1/128 of the
    hashes at a time, and the marks lie in a memory-mapped file.

    Args:
        folder: where the partition files are; created, emptied on exit but for the marks.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._paths = [folder / f"hashes.{i:02x}" for i in range(PARTITIONS)]
        self._files = [path.open("wb", buffering=16384) for path in self._paths]
        self._count = 0

    def add(self, source: str, target: str) -> None:
        """Note the next pair."""
        digest = hashlib.blake2b(f"{source}\n{target}".encode(), digest_size=16).digest()
        self._files[digest[0] % PARTITIONS].write(digest + self._count.to_bytes(8, "little"))
        self._count += 1

    def first_occurrences(self) -> NDArray[np.bool_]:
        """Bool [pairs added], memory-mapped: whether a pair is the first of its kind. Ends the adding."""
        path = self._folder / "first.bool"
        with path.open("wb") as stream:
            stream.truncate(max(1, self._count))
        repeated = np.memmap(path, np.bool_, mode="r+")
        for file, partition in zip(self._files, self._paths, strict=True):
            file.close()
            records = np.fromfile(partition, "<u8").reshape(-1, 3)
            records = records[np.lexsort((records[:, 2], records[:, 1], records[:, 0]))]
            same = (records[1:, :2] == records[:-1, :2]).all(axis=1)
            repeated[records[1:, 2][same]] = True
            partition.unlink()
        np.logical_not(repeated, out=repeated)
        repeated.flush()
        return repeated[: self._count]

    def __enter__(self) -> DuplicateFinder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for file, path in zip(self._files, self._paths, strict=True):
            file.close()
            path.unlink(missing_ok=True)
