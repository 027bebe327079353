"""Signals that ask a process to end, as exceptions."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from nmt_rl.errors import Terminated

NAMES = ("SIGTERM", "SIGHUP")
"""What `kill`, schedulers, containers and closed terminals send."""


@contextlib.contextmanager
def raised_signals() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP raise Terminated, once; what follows is ignored, as terminals and schedulers repeat.

    A signal that was ignored before, such as by `nohup`, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]  # Windows has no SIGHUP.
    before = {number: signal.getsignal(number) for number in wanted}
    caught = [number for number, handler in before.items() if handler == signal.SIG_DFL]

    def end(number: int, _: FrameType | None) -> None:
        for each in caught:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(number)

    for number in caught:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)
