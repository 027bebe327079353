"""How far the translation of a file is, on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from nmt_rl.corpus.lines import open_binary


@contextlib.contextmanager
def line_progress(path: Path | None) -> Iterator[Callable[[int], None]]:
    """A function to be told the number of lines done, which draws a bar on stderr.

    Without a path (standard input, whose length nobody knows), or where stderr is no terminal, it does nothing.
    """
    if path is None or not path.is_file() or not sys.stderr.isatty():
        yield lambda lines: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with open_binary(path) as stream:
        total = sum(1 for _ in stream)
    with Progress(
        "lines", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task("lines", total=total)
        yield lambda lines: bar.update(task, completed=lines)
