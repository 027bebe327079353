"""The standard streams, so that all of what is written arrives and all of what is sent is read.

Python drops what a non-blocking or unbuffered stream takes only in part, and takes a non-blocking stream that has
nothing yet for one that has ended.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from nmt_rl.errors import RunError, UserError, printable

STANDARD = Path("-")
"""What names standard input or output."""
CLOSED_PIPE = 141
"""Exit code of a filter whose reader has gone: 128 + SIGPIPE, what a shell reports for `yes | head -1`."""
ONCE = "standard input can be read only once; name files for the other texts"
_given: list[TextIO] = []
"""Standard input, once somebody reads it."""


class Writer(io.RawIOBase):
    """A binary stream that writes all it is given, waiting for a slow reader.

    Args:
        stream: what it writes to, raw or buffered; it stays open.
        name: what errors call it.

    Raises:
        RunError: by `write` and `flush`, if not all can be written.
        SystemExit: by the same, with CLOSED_PIPE, if the reader of a pipe has gone.
    """

    def __init__(self, stream: Any, name: str) -> None:
        self._stream = stream
        self._name = name

    def write(self, data: Any) -> int:
        """Write all of some bytes; their number."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        with self._errors():
            while rest:
                written = self._stream.write(rest)
                if written is None:
                    _wait(self._stream, "POLLOUT")
                rest = rest[written or 0 :]
        return size

    def flush(self) -> None:
        """Pass on what a buffered stream holds."""
        if not self.closed:
            with self._errors():
                self._stream.flush()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise SystemExit(CLOSED_PIPE) from None
        except OSError as error:
            raise RunError(f"{self._name} could not be written: {error.strerror or error}") from error

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        """The descriptor."""
        return int(self._stream.fileno())


class _Messages(Writer):
    """Standard error: what cannot be written there is lost, and the work goes on."""

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        with contextlib.suppress(OSError):
            yield


class _Reader(io.RawIOBase):
    """A raw binary stream, waiting for a slow writer."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readinto(self, buffer: Any) -> int:
        while (size := self._stream.readinto(buffer)) is None:
            _wait(self._stream, "POLLIN")
        return int(size)

    def readable(self) -> bool:
        return True


def _wait(stream: Any, event: str) -> None:
    poll = select.poll()  # Windows has none, nor streams that do not block.
    poll.register(stream.fileno(), getattr(select, event))
    poll.poll()


def _raw(stream: TextIO) -> Any:
    """What is below the buffers of a text stream."""
    return getattr(stream.buffer, "raw", stream.buffer)


def from_home(path: str | Path) -> Path:
    """The path with the `~` that it begins with spelled out, if there is such a user; shells do not see them all."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def input_name(path: Path) -> str:
    """What messages, tables and pages call an input: names may hold bytes that are no characters."""
    return "standard input" if path == STANDARD else printable(str(path))


def standard_input() -> BinaryIO:
    """Standard input for reading bytes.

    Raises:
        UserError: if the shell has closed it (`<&-`), or somebody reads it already.
    """
    if sys.stdin is None:
        raise UserError("standard input is closed; name a file instead")
    if _given and _given[0] is sys.stdin:
        raise UserError(ONCE)
    _given[:] = [sys.stdin]
    return io.BufferedReader(_Reader(_raw(sys.stdin)))


@contextlib.contextmanager
def read_again() -> Iterator[None]:
    """What is read of standard input inside, if it is a file, can be read once more."""
    place = os.lseek(sys.stdin.fileno(), 0, os.SEEK_CUR)
    try:
        yield
    finally:
        os.lseek(sys.stdin.fileno(), place, os.SEEK_SET)
        _given.clear()


def standard_output() -> Writer:
    """Standard output for writing bytes; raises UserError if the shell has closed it (`>&-`)."""
    if sys.stdout is None:
        raise UserError("standard output is closed; send it somewhere, such as > FILE")
    if isinstance(sys.stdout.buffer, Writer):
        return sys.stdout.buffer
    sys.stdout.flush()
    return Writer(_raw(sys.stdout), "standard output")


@contextlib.contextmanager
def whole_streams() -> Iterator[None]:
    """Inside, whatever anybody prints is written by a Writer: to standard output as UTF-8, or the command fails.

    Descriptors that the shell has closed lead to nowhere, so that no file that is opened later gets their numbers.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    if sys.stdout is not None:
        # Of names that are not UTF-8, the escapes are also JSON's.
        sys.stdout = _text(standard_output(), "utf-8")
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    else:
        sys.stderr = _text(_Messages(_raw(sys.stderr), "standard error"), sys.stderr.encoding)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _text(writer: Writer, encoding: str) -> TextIO:
    return io.TextIOWrapper(writer, encoding, errors="backslashreplace", write_through=True)  # type: ignore[type-var]
