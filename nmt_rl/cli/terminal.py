"""Translating what is typed: a hint, and a prompt for every line."""

from __future__ import annotations

import logging
import sys
from typing import IO, Any, cast

HINT = (
    "Type a sentence and press Enter; Ctrl-D on an empty line ends. (nmt-rl translate MODEL -i FILE translates a file.)"
)
PROMPT = "> "


def is_typed() -> bool:
    """Whether standard input is a terminal, where somebody may be waiting for words."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def prompted(sink: IO[bytes]) -> IO[bytes]:
    """The same stream, with a hint on stderr now, and a prompt there now and after every flush; none with --quiet."""
    if not logging.getLogger("nmt_rl").isEnabledFor(logging.INFO):
        return sink
    print(HINT, file=sys.stderr)
    prompt = _Prompt(sink)
    prompt.ask()
    return cast("IO[bytes]", prompt)


class _Prompt:
    def __init__(self, sink: IO[bytes]) -> None:
        self.sink = sink

    def ask(self) -> None:
        print(PROMPT, end="", file=sys.stderr, flush=True)

    def write(self, data: bytes) -> int:
        return self.sink.write(data)

    def flush(self) -> None:
        self.sink.flush()
        self.ask()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sink, name)
