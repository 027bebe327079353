"""Markup cut into tokens: of lines with placeholders, of HTML and of XML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from nmt_rl.documents.segment import Token

TAG = re.compile(
    r"""<!--.*?--\s*>|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<![^>]*>|</?[A-Za-z](?:[^<>"']|"[^"]*"|'[^']*')*>""", re.DOTALL
)
"""A comment, a declaration, or the tag of an element."""
NAME = re.compile(r"</?\s*([A-Za-z][^\s/>]*)")
PLACEHOLDER = re.compile(
    r"""
    https?://[^\s<>"']+[^\s<>"'.,;:!?)\]] | www\.[^\s<>"']+[^\s<>"'.,;:!?)\]]  # addresses of pages
    | [\w.+-]+@[\w-]+\.[\w.-]*\w                                         # and of people
    | \$?\{\{?[^{}\s]*\}?\}                                              # {name} ${name} {{name}} {0} {}
    | %(?:\d+\$)?[-+\#0]*\d*(?:\.\d+)?(?:hh|h|ll|l|z|j|t)?[sdiuoxXfFeEgGcp@]\b  # %s %1$s %5.2f %ld
    | %(?:\d+\$)?s | %\([^)]+\)[sdf] | %\d+\b(?!\s*%) | \$\d+            # %s %(name)s %1 $1
    | \\[ntr]                                                            # \n \t
    """,
    re.VERBOSE,
)
"""What programs put something in place of, or what must stay as it is for another reason."""
ENTITY = re.compile(r"&(?:#\d+|#x[0-9A-Fa-f]+|[A-Za-z]\w*);")
IN_LINES = re.compile(f"{PLACEHOLDER.pattern} | {ENTITY.pattern.replace('#', chr(92) + '#')}", re.VERBOSE)
"""Where entities are no characters, but stay as they are, too."""


def name_of(tag: str) -> str:
    """Of an element, in small letters; empty of what is none."""
    found = NAME.match(tag)
    return found[1].lower() if found else ""


def tag_token(raw: str, alone: bool = False) -> Token:
    """The token of a tag."""
    name = name_of(raw)
    if alone or not name or raw.endswith("/>"):
        return Token(raw, "alone", name)
    return Token(raw, "close" if raw.startswith("</") else "open", name)


def line_tokens(line: str) -> Iterator[Token]:
    """Of a line of any text: tags, placeholders, and what is between them, as it stands there."""
    for raw, is_tag in cut(line, TAG):
        if is_tag:
            yield tag_token(raw)
        else:
            for text, is_kept in cut(raw, IN_LINES):
                yield Token(text, "kept" if is_kept else "text", text=text)


def text_tokens(raw: str) -> Iterator[Token]:
    """Of text between tags of HTML or XML: placeholders, and what is between them, entities resolved."""
    for part, is_kept in cut(raw, PLACEHOLDER):
        yield Token(part, "kept" if is_kept else "text", text=html.unescape(part))


def cut(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    """The text in order, in parts that match, and in those that do not."""
    at = 0
    for found in pattern.finditer(text):
        if found.start() > at:
            yield text[at : found.start()], False
        yield found[0], True
        at = found.end()
    if at < len(text):
        yield text[at:], False
