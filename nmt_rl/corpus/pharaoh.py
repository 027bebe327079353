"""Word alignments in text files, as Pharaoh and its successors wrote them: `0-0 1-2`, a line for each pair."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt_rl.corpus.lines import count_lines, read_lines
from nmt_rl.errors import UserError

Pair = tuple[str, str]
WordLinks = list[tuple[int, int]]
"""Numbers of a source word and of a target word that belong together, from 0."""
LINK = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


def parse_links(line: str, words: tuple[int, int], where: str) -> WordLinks:
    """The links of a line.

    Args:
        line: `0-0 1-2`, source before target; may be blank.
        words: how many there are on either side.
        where: file and line, for messages.

    Raises:
        UserError: for what is no link, or one of a word that is not there.
    """
    links = []
    for entry in line.split():
        match = LINK.fullmatch(entry)
        if match is None:
            raise UserError(
                f"{where}: {entry!r} is no link of two words; one is written 0-0, source before target, from 0"
            )
        link = (int(match[1]), int(match[2]))
        for number, count, side in zip(link, words, ("source", "target"), strict=True):
            if number >= count:
                raise UserError(
                    f"{where}: {entry} is beyond the {side} line, which has {count} word{'s' * (count != 1)} between "
                    "blanks, counted from 0"
                )
        links.append(link)
    return links


def with_links(pairs: Iterator[Pair], files: Sequence[str], limited: bool) -> Iterator[tuple[Pair, WordLinks]]:
    """Each pair of a source, and its links.

    Args:
        pairs: of the source.
        files: of its alignments, read one after the other.
        limited: there may be more lines than pairs.

    Raises:
        UserError: as `parse_links`, and for files with fewer or more lines than there are pairs.
    """
    number, lines = -1, ((file, n, line) for file in files for n, line in enumerate(read_lines(Path(file)), start=1))
    for number, pair in enumerate(pairs):
        found = next(lines, None)
        if found is None:
            more = number + 1 + sum(1 for _ in pairs)
            raise UserError(f"{_named(files)} {number} lines, but there are {more} pairs; line n aligns pair n")
        file, n, line = found
        yield pair, parse_links(line, (len(pair[0].split()), len(pair[1].split())), f"{file} line {n}")
    if not limited and next(lines, None) is not None:
        total = sum(count_lines(Path(file)) for file in files)
        raise UserError(f"{_named(files)} {total} lines, but there are {number + 1} pairs; line n aligns pair n")


def _named(files: Sequence[str]) -> str:
    return f"{files[0]} has" if len(files) == 1 else f"{' and '.join(files)} have"
