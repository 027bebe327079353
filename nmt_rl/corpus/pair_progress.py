"""How far a pass over a text is: a bar with ETA on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator

log = logging.getLogger("nmt_rl")

SECONDS = 30.0
"""Between two lines."""


@contextlib.contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A function to be told how many of `total` are done, which draws a bar on stderr; None: nobody knows how many."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = (what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), "ETA", TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def pair_progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A function to be told how many pairs are done; `what` is what is done to them, `total` how many there are."""
    if sys.stderr.isatty() and log.isEnabledFor(logging.INFO):
        with progress_bar(what, total) as tell:
            yield tell
        return
    began = told = time.monotonic()

    def tell_line(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < SECONDS:
            return
        told, rate = now, done / (now - began)
        of = f" of {total:,}" if total else ""
        eta = f", ETA {(total - done) / rate / 60:.1f} min" if total else ""
        log.info("%s %s%s pairs, %s pairs/s%s", what, f"{done:,}", of, f"{rate:,.0f}", eta)

    yield tell_line
