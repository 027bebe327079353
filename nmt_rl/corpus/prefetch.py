"""An iterator that runs ahead in a thread."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds to wait for a thread that was told to stop."""


class Prefetcher(Generic[T]):
    """Runs an iterator in a background thread, at most `depth` items ahead; a context manager.

    Iterating it gives the items in order; an exception of the iterator is raised where its item would have been.
    """

    def __init__(self, items: Iterable[T], depth: int = 4) -> None:
        self._queue: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._finished = False
        self._held: list[tuple[str, T | BaseException | None]] = []
        self._thread = threading.Thread(target=self._run, args=(items,), name="prefetch", daemon=True)
        self._thread.start()

    def _run(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                if not self._put("item", item):
                    return
            self._put("end", None)
        except BaseException as error:  # the consumer's thread raises it
            self._put("error", error)

    def _put(self, kind: str, value: T | BaseException | None) -> bool:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put((kind, value), timeout=0.1)
                return True
        return False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._finished or self._stop.is_set():
            raise StopIteration
        kind, value = self._held.pop() if self._held else self._queue.get()
        if kind == "item":
            return value  # type: ignore[return-value]
        self._finished = True
        if isinstance(value, BaseException):
            raise value
        raise StopIteration

    def arrived(self, most: int) -> list[T]:
        """The next items that are there, at most so many, after waiting for the first of them; none at the end."""
        found: list[T] = list(itertools.islice(self, 1))
        while 0 < len(found) < most and not self._held:
            try:
                kind, value = self._queue.get_nowait()
            except queue.Empty:
                break
            if kind == "item":
                found.append(value)  # type: ignore[arg-type]
            else:
                self._held.append((kind, value))
        return found

    def close(self) -> None:
        """Stop the thread and wait for it; not for one that is waiting for its own input."""
        self._stop.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._thread.join(timeout=PATIENCE)

    def __enter__(self) -> Prefetcher[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()
