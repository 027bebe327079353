"""Parts of a text worked on by several processes, their results in order and in bounded memory."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from nmt_rl.errors import RunError

T = TypeVar("T")

MOST = 16
"""Processes that are used unless more are asked for: one reads for all, and is the limit then."""
ALONE = 2
"""Calls that are made before processes are started, which takes longer than a small text."""


def usable_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(function: Callable[..., T], calls: Iterable[tuple[Any, ...]], processes: int) -> Iterator[T]:
    """Results of function(*call), in the order of the calls; at most two calls for each process are under way.

    Args:
        function: of a module, as are its arguments' types; the first calls are made in this process.
        calls: arguments of each call; read as results are taken.
        processes: 1: all calls are made in this process.

    Raises:
        RunError: if a process is killed, such as by the system for want of memory.
    """
    calls = iter(calls)
    for call in itertools.islice(calls, ALONE if processes > 1 else None):
        yield function(*call)
    first = next(calls, None)
    if first is None:
        return
    pending: deque[Future[T]] = deque()
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (os.getpid(),))
    try:
        for call in itertools.chain([first], calls):
            pending.append(pool.submit(function, *call))
            if len(pending) >= 2 * processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise RunError(
            "prepare: one of its processes was killed, for want of memory perhaps; the same command goes on, with "
            "--processes 1 in one process"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int) -> None:
    """In each process: Ctrl-C is the parent's business, and without a parent there is no work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
