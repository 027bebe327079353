"""How far the translation of a file is, on a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from nmt_rl.corpus.lines import count_lines
from nmt_rl.corpus.pair_progress import progress_bar
from nmt_rl.storage.streams import STANDARD, read_again


@contextlib.contextmanager
def line_progress(path: Path) -> Iterator[Callable[[int], None]]:
    """A function to be told the number of lines done, which draws a bar on stderr.

    It does nothing where stderr is no terminal, with --quiet, or for a stream, whose length nobody knows. Standard
    input (`-`) may be a file, too; nothing of it may have been read. Raises UserError if the file cannot be read.
    """
    quiet = not logging.getLogger("nmt_rl").isEnabledFor(logging.INFO)
    if quiet or not sys.stderr.isatty() or not _is_file(path):
        yield lambda lines: None
        return
    with read_again() if path == STANDARD else contextlib.nullcontext():
        total = count_lines(path)
    with progress_bar("lines", total) as tell:
        yield tell


def _is_file(path: Path) -> bool:
    """Whether the text is a file, which has a length."""
    if path == STANDARD:
        return sys.stdin is not None and stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
    return path.is_file()
