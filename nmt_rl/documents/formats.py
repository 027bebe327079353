"""Documents as what is translated of them and what is not: lines with placeholders, HTML, XLIFF."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nmt_rl.documents.segment import Segment, Token, build
from nmt_rl.documents.tokens import TAG, cut, line_tokens, name_of, tag_token, text_tokens

Markup = Literal["placeholders", "html", "xliff"]
Part = str | Segment
"""Of a document: text that stays as it is, or a segment that is translated."""

INLINE = frozenset(
    ("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "br", "cite", "data", "del", "dfn", "em", "font", "i", "img")
    + ("input", "ins", "label", "mark", "q", "rb", "rp", "rt", "ruby", "s", "small", "span", "strike", "strong")
    + ("sub", "sup", "time", "tt", "u", "wbr")
)
"""Elements of HTML that stand in the flow of a sentence; all others divide segments."""
EMPTY = frozenset(["br", "img", "input", "wbr"])
OPAQUE = frozenset(["script", "style", "pre", "textarea", "svg", "math", "template", "noscript", "iframe", "object"])
"""Elements that nothing is translated of."""
CODE = frozenset(["code", "kbd", "samp", "var"])
"""Elements in the flow of a sentence that are kept as they are."""
NO = re.compile(r"""\btranslate\s*=\s*["']?no\b|\bclass\s*=\s*["'][^"']*\bnotranslate\b""", re.IGNORECASE)

CONTENT = frozenset(["bpt", "ept", "ph", "it"])
"""Elements of XLIFF whose content is the code of another format."""


@dataclass(frozen=True)
class Document:
    """What a format makes of a text."""

    parts: list[Part]
    escaped: bool
    """Whether text in segments is to be escaped when it is written."""


def read_document(text: str, markup: Markup) -> Document:
    """Cut a document into what is translated and what is not; joined again it is the text."""
    read: dict[Markup, Callable[[str], Iterator[Part]]] = {
        "placeholders": _read_lines,
        "html": _read_html,
        "xliff": _read_xliff,
    }
    return Document(list(read[markup](text)), markup != "placeholders")


def _read_lines(text: str) -> Iterator[Part]:
    for line in text.splitlines(keepends=True):
        body = line.rstrip("\r\n")
        yield from _segment(list(line_tokens(body)))
        yield line[len(body) :]


def _segment(tokens: Sequence[Token]) -> Iterator[Part]:
    """A segment between the blanks around it; what holds no letter is no text."""
    raw = "".join(token.raw for token in tokens)
    if not any(token.kind == "text" and any(map(str.isalpha, token.text)) for token in tokens):
        yield raw
        return
    first = next(i for i, token in enumerate(tokens) if token.raw.strip())
    last = next(i for i in range(len(tokens) - 1, -1, -1) if tokens[i].raw.strip())
    kept = list(tokens[first : last + 1])
    before = "".join(token.raw for token in tokens[:first])
    behind = "".join(token.raw for token in tokens[last + 1 :])
    if kept[0].kind == "text":
        raw = kept[0].raw.lstrip()
        before += kept[0].raw[: len(kept[0].raw) - len(raw)]
        kept[0] = kept[0]._replace(raw=raw, text=kept[0].text.lstrip())
    if kept[-1].kind == "text":
        raw = kept[-1].raw.rstrip()
        behind = kept[-1].raw[len(raw) :] + behind
        kept[-1] = kept[-1]._replace(raw=raw, text=kept[-1].text.rstrip())
    yield before
    yield build(kept)
    yield behind


def _read_html(text: str) -> Iterator[Part]:
    held: list[Token] = []
    parts = _with_opaque(list(cut(text, TAG)))
    for raw, kind in parts:
        name = name_of(raw) if kind == "tag" else ""
        if kind == "text":
            held.extend(text_tokens(raw))
        elif kind == "code":
            held.append(Token(raw, "kept", text="".join(t.text for t in text_tokens(TAG.sub("", raw)))))
        elif kind == "tag" and (name in INLINE or raw.startswith("<!--")):
            held.append(tag_token(raw, alone=name in EMPTY))
        else:
            yield from _segment(held)
            held = []
            yield raw
    yield from _segment(held)


def _with_opaque(parts: Sequence[tuple[str, bool]]) -> Iterator[tuple[str, Literal["text", "tag", "code", "opaque"]]]:
    """Elements that are not translated, as one part each."""
    at = 0
    while at < len(parts):
        raw, is_tag = parts[at]
        name = name_of(raw) if is_tag else ""
        closed = raw.endswith("/>") or raw.startswith("</") or name in EMPTY
        if is_tag and not closed and (name in OPAQUE or name in CODE or NO.search(raw)):
            end = _end_of(parts, at, name)
            whole = "".join(part for part, _ in parts[at:end])
            yield whole, "code" if name in CODE or name in INLINE else "opaque"
            at = end
        else:
            yield raw, "tag" if is_tag else "text"
            at += 1


def _end_of(parts: Sequence[tuple[str, bool]], at: int, name: str) -> int:
    """Behind the closing tag of an element that opens at a part; all of the rest if there is none."""
    depth = 0
    for number in range(at, len(parts)):
        raw, is_tag = parts[number]
        if is_tag and name_of(raw) == name and not raw.endswith("/>"):
            depth += -1 if raw.startswith("</") else 1
            if not depth:
                return number + 1
    return len(parts)


SOURCE = re.compile(
    r"(<source\b[^>]*?>)(.*?)(</source\s*>)(\s*)(<target\b[^>]*?/>|<target\b[^>]*?>(.*?)</target\s*>)?", re.DOTALL
)
UNIT = re.compile(r"<(?:trans-unit|unit|group|file)\b[^>]*>")


def _read_xliff(text: str) -> Iterator[Part]:
    """Units that have no translation yet get one; those that have, and those that say translate="no", stay."""
    at = 0
    units = [(unit.start(), unit[0]) for unit in UNIT.finditer(text)]
    begins = [start for start, _ in units]
    for found in SOURCE.finditer(text):
        opening, content, closing, blank, target, translated = found.groups()
        place = bisect.bisect(begins, found.start())
        if (translated or "").strip() or (place and NO.search(units[place - 1][1])):
            continue
        yield text[at : found.start()] + opening + content + closing + (blank or "")
        begun = re.match(r"<target\b[^>]*?(?=\s*/?>)", target or "")
        yield f"{begun[0]}>" if begun else "<target>"
        yield from _segment(list(_xliff_tokens(content)))
        yield "</target>" + ("" if target else blank)
        at = found.end()
    yield text[at:]


def _xliff_tokens(content: str) -> Iterator[Token]:
    parts = list(cut(content, TAG))
    at = 0
    while at < len(parts):
        raw, is_tag = parts[at]
        if is_tag and name_of(raw) in CONTENT and not raw.endswith("/>") and not raw.startswith("</"):
            end = _end_of(parts, at, name_of(raw))
            yield Token("".join(part for part, _ in parts[at:end]), "alone", name_of(raw))
            at = end
            continue
        if is_tag:
            yield tag_token(raw)
        else:
            yield from text_tokens(raw)
        at += 1
