"""A stretch of text with markup in it, which is translated as a whole: plain words, and marks at places in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

BREAK = "br"
"""The element of HTML that breaks a line."""


class Token(NamedTuple):
    """A piece of a document as it stands there."""

    raw: str
    kind: Literal["text", "open", "close", "alone", "kept"]
    """`kept` is text that a translation must hold as it is: a placeholder, a URL, code."""
    name: str = ""
    """Of an element, by which `open` and `close` belong together."""
    text: str = ""
    """What a reader sees of `text` and `kept`."""


@dataclass
class Mark:
    """What must be in the translation exactly once: an element around words, or something between or among them."""

    start: int
    """Characters of the plain text before it."""
    end: int
    """Characters before its end; an element, and what is kept, can hold some."""
    raw: str
    """The opening tag, or all of what is no element."""
    close: str = ""
    """The closing tag of an element."""
    is_kept: bool = False
    """Its characters in the plain text are to be found in the translation."""
    inside: list[Mark] = field(default_factory=list)
    """Marks of an element, in their order."""

    @property
    def is_element(self) -> bool:
        """Whether it stands around something."""
        return bool(self.close)


@dataclass(frozen=True)
class Segment:
    """What is translated as a whole."""

    text: str
    """As a reader sees it, blanks of all kinds as they are in the document."""
    marks: tuple[Mark, ...]
    """Of the outermost level, in their order."""


def build(tokens: Sequence[Token]) -> Segment:
    """The segment of tokens. A tag without its partner, or whose partner stands inside another element, is alone."""
    partners = _partners(tokens)
    text, outermost = "", Mark(0, 0, "")
    stack = [outermost]
    for number, token in enumerate(tokens):
        if token.kind in ("text", "kept"):
            mark = Mark(len(text), len(text) + len(token.text), token.raw, is_kept=True)
            text += token.text
            if token.kind == "kept":
                stack[-1].inside.append(mark)
        elif token.kind == "open" and number in partners:
            mark = Mark(len(text), len(text), token.raw, tokens[partners[number]].raw)
            stack[-1].inside.append(mark)
            stack.append(mark)
        elif token.kind == "close" and number in partners.values():
            stack.pop().end = len(text)
        else:
            stack[-1].inside.append(Mark(len(text), len(text), token.raw))
            if token.name == BREAK and text and not text[-1].isspace():
                text += " "  # It parts words as a blank does.
    return Segment(text, tuple(outermost.inside))


def _partners(tokens: Sequence[Token]) -> dict[int, int]:
    """Which closing tag belongs to an opening one, both by their places."""
    found: dict[int, int] = {}
    stack: list[int] = []
    for number, token in enumerate(tokens):
        if token.kind == "open":
            stack.append(number)
        elif token.kind == "close":
            names = [tokens[place].name for place in stack]
            if token.name in names:
                at = len(names) - 1 - names[::-1].index(token.name)
                found[stack[at]] = number
                del stack[at:]  # What was opened since and is not closed is alone.
    return found
