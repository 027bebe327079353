"""Signals that ask a process to end wait until a stage can be saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(BaseException):
    """A signal came where something may be broken off."""


class Interruption:
    """Inside, SIGINT, SIGTERM and SIGHUP are noted only; who uses it ends at the next good place, then calls `deliver`.

    A second Ctrl-C acts at once. What was ignored before, such as SIGHUP by `nohup`, stays so.
    """

    def __init__(self) -> None:
        """See the class docstring."""
        self.signal: int | None = None
        self._before: dict[int, Any] = {}
        self._may_break = False

    def __enter__(self) -> Interruption:
        """Begin to note."""
        self.signal = None
        if threading.current_thread() is threading.main_thread():
            wanted = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]  # Windows has no SIGHUP.
            self._before = {n: signal.getsignal(n) for n in wanted if signal.getsignal(n) != signal.SIG_IGN}
            for number in self._before:
                signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Whoever cared for signals before does so again."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:
            return
        self.signal = number
        if signal.SIGINT in self._before:
            signal.signal(signal.SIGINT, self._before[signal.SIGINT])
        if self._may_break:
            self._may_break = False
            raise Interrupted

    @contextlib.contextmanager
    def breaking(self) -> Iterator[None]:
        """A block that may be broken off anywhere: a signal ends it with Interrupted, at once if it came before."""
        self._may_break = True
        try:
            if self.signal is not None:
                raise Interrupted
            yield
        finally:
            self._may_break = False

    def deliver(self) -> None:
        """Send the signal that was noted, if any, again, to whoever cared for it before."""
        if self.signal is not None:
            signal.raise_signal(self.signal)
