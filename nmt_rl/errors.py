"""The ways a command can end badly."""

from __future__ import annotations

import signal
import unicodedata


class UserError(Exception):
    """Wrong input: one sentence naming file, line or key, what was found and what would be right (exit 2)."""


class RunError(Exception):
    """The run itself failed (NaN loss, full disk): one sentence with what was kept and how to go on (exit 1)."""


class Terminated(SystemExit):
    """Another process, the system or a closed terminal asked this one to end (exit 128 + the signal's number).

    It is raised wherever the main thread is, as KeyboardInterrupt is; blocks that save or tidy do so on its way out.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)


def printable(text: str) -> str:
    """A text that steers no terminal: control characters, ends of lines and marks of direction are escaped."""
    return "".join(repr(c)[1:-1] if _steers(c) else c for c in text)


def printable_lines(text: str) -> str:
    """As `printable`, of each line of a text."""
    return "\n".join(map(printable, text.split("\n")))


def _steers(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in (
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    )  # fmt: skip
