"""The cleaned training text on disk, in parts that are made once, by several processes, whatever comes between."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import CleaningConfig
from nmt_rl.corpus.cleaning import DUPLICATE, CleaningReport, DuplicateFinder, Pair, clean_pairs
from nmt_rl.corpus.lines import read_own_lines
from nmt_rl.corpus.overlap import HeldOut
from nmt_rl.corpus.pair_progress import pair_progress
from nmt_rl.corpus.processes import in_order
from nmt_rl.storage.reading import must_be, read_json
from nmt_rl.storage.writing import write_json, written_file

PART = 50_000
"""Pairs of the raw text that are cleaned together, and later encoded together."""


class CleanText:
    """The training text after cleaning: parts `00000.text` (source and target lines by turns) with a report each.

    Args:
        folder: where it is, or will be; parts that are there already are not made again.
    """

    def __init__(self, folder: Path) -> None:
        """See the class docstring."""
        self.folder = folder
        self.report = CleaningReport()
        self.sizes: list[int] = []
        """Pairs of each part."""
        self.sources: list[int] = []
        """Of which source each part is."""
        self._first: NDArray[np.bool_] | None = None

    def write(self, raw: Sequence[Iterable[Pair]], cleaning: CleaningConfig, processes: int, total: int | None) -> None:
        """Clean the text of some sources, read one time, into parts; `total` pairs of it if that is known."""
        self.folder.mkdir(exist_ok=True)
        finished, known, done = self.folder / "finished.json", self._known(), 0

        def calls() -> Iterator[tuple[Path, list[Pair], CleaningConfig]]:
            for source in known or ():
                self.sources.append(source)
                yield self._part(len(self.sources) - 1), [], cleaning
            for source, pairs in enumerate(raw) if known is None else ():
                iterator = iter(pairs)
                while part := list(itertools.islice(iterator, PART)):
                    self.sources.append(source)
                    yield self._part(len(self.sources) - 1), part, cleaning

        with pair_progress("cleaned", total) as tell:
            for report in in_order(clean_part, calls(), processes):
                self.report.add(report)
                self.sizes.append(report.kept)
                done += report.read
                tell(done)
        write_json(finished, {"sources": self.sources})

    @property
    def is_finished(self) -> bool:
        """Whether the whole text was read and cleaned, now or before."""
        return self._known() is not None

    def _known(self) -> list[int] | None:
        """The sources of all parts, if all are there: a text that was read to its end need not be read again."""
        path = self.folder / "finished.json"
        if not path.exists():
            return None
        found = read_json(path).get("sources")
        if not isinstance(found, list):  # Of a version that did not tell sources apart.
            return None
        sources = [must_be(source, int, f"{path}: sources") for source in found]
        return sources if all(self._part(n).with_suffix(".json").exists() for n in range(len(sources))) else None

    def mark_duplicates(self, held_out: HeldOut, drop: bool) -> None:
        """Look at all pairs in their order: for held-out ones, and, to `drop` them, for those that occurred before."""
        with DuplicateFinder(self.folder) as duplicates, pair_progress("compared", sum(self.sizes)) as tell:
            for number, (source, target) in enumerate(held_out.watched(self._all()), start=1):
                if drop:
                    duplicates.add(source, target)
                if number % PART == 0:
                    tell(number)
            if drop:
                self._first = duplicates.first_occurrences()
                repeated = len(self._first) - int(np.count_nonzero(self._first))
                self.report.dropped.update({DUPLICATE: repeated} if repeated else {})

    def read(self) -> Iterator[Pair]:
        """The pairs that are left."""
        return self._all() if self._first is None else itertools.compress(self._all(), self._first)

    def parts(self) -> Iterator[tuple[Path, NDArray[np.bool_] | None]]:
        """Each part's file, and which of its pairs are left; None: all."""
        ends = list(itertools.accumulate(self.sizes))
        for number, (size, end) in enumerate(zip(self.sizes, ends, strict=True)):
            yield self._part(number), None if self._first is None else self._first[end - size : end]

    def _all(self) -> Iterator[Pair]:
        return itertools.chain.from_iterable(read_part(self._part(number)) for number in range(len(self.sizes)))

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:05d}.text"


def clean_part(path: Path, pairs: list[Pair], cleaning: CleaningConfig) -> CleaningReport:
    """Clean some pairs into a file and put the report beside it, last; nothing is done if it is there."""
    beside = path.with_suffix(".json")
    if beside.exists():
        return CleaningReport.from_json(read_json(beside), str(beside))
    report = CleaningReport()
    with written_file(path) as file:
        for pair in clean_pairs(pairs, cleaning, report):
            file.write(("\n".join(pair) + "\n").encode())
    write_json(beside, report.to_json())
    return report


def read_part(path: Path) -> Iterator[Pair]:
    """The pairs of a part."""
    lines = read_own_lines(path)
    return zip(lines, lines, strict=True)
