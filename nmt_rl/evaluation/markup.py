"""What pages are made of: style, escaping, tables, figures, texts with their differences marked."""

from __future__ import annotations

import base64
import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from nmt_rl.evaluation.examples import Example, Examples, Marked
from nmt_rl.evaluation.tables import label

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5d646d; --line: #d9dde2; --page: #ffffff; --box: #f5f6f8;
  --accent: #2f6099; --old: #fbe0d3; --new: #d5ecd8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #a2a9b3; --line: #3a4048; --page: #16181b; --box: #1f2327;
    --accent: #8fbcec; --old: #5c3220; --new: #1f4a2a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 58rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .7rem; padding-top: .6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .5rem 0; }
.soft, caption, dt, figcaption { color: var(--soft); }
.lead { font-size: 1.1rem; padding: .7rem 1rem; background: var(--box); border-left: 4px solid var(--accent);
  border-radius: 0 6px 6px 0; margin: 1rem 0; }
.scroll { overflow-x: auto; margin: .8rem 0; overflow-wrap: normal; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.scores { width: 100%; }
caption { text-align: left; padding-bottom: .4rem; }
caption strong { color: var(--ink); }
th, td { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap;
  vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; }
.facts td { text-align: left; white-space: normal; }
td small { display: block; color: var(--soft); }
.released td:first-child { font-weight: 700; }
.signatures, pre { font: .8rem/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.signatures { color: var(--soft); margin: .2rem 0 1.2rem; overflow-wrap: normal; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; display: block; background: #fff; border-radius: 6px; }
figcaption { font-size: .9rem; margin-top: .3rem; }
.example { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem; margin: .8rem 0;
  break-inside: avoid; }
dl { display: grid; grid-template-columns: 7.5rem 1fr; gap: .3rem .8rem; margin: .3rem 0; }
dd { margin: 0; }
.example dd { white-space: pre-wrap; }
.example header { font-size: .85rem; color: var(--soft); }
mark { color: inherit; border-radius: 3px; text-decoration: underline; text-underline-offset: 3px; }
mark.old { background: var(--old); text-decoration-style: dotted; }
mark.new { background: var(--new); }
pre { background: var(--box); padding: .8rem; border-radius: 6px; overflow-x: auto; overflow-wrap: normal; }
summary { cursor: pointer; color: var(--accent); }
@media (max-width: 34rem) {
  th, td { padding-right: .6rem; }
  figure img.panels { width: 40rem; max-width: none; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .45rem; }
  .wide { display: none; }
}
@media print {
  :root { --ink: #000; --soft: #444; --line: #bbb; --page: #fff; --box: #f2f2f2; --old: #f6ddd0; --new: #d8ecd9; }
  body { max-width: none; font-size: 10pt; padding: 0; }
  figure, table, .lead { break-inside: avoid; }
  figure img { width: auto; max-width: 100%; max-height: 15cm; }
  h2, h3 { break-after: avoid; }
  mark { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
PANEL = 800
"""Pixels; a wider picture has several panels beside each other, which a phone scrolls and does not shrink."""


def whole_page(title: str, body: Iterable[str], style: str = "") -> str:
    """A page without scripts or outside files, of the parts that are not empty; `style` is added to that of all."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def escape(text: object) -> str:
    """Text for HTML; characters that a page cannot hold (control characters, lone surrogates) become U+FFFD."""
    clean = "".join(
        "\ufffd" if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t" else character
        for character in str(text)
    )
    return html.escape(clean, quote=True)


def signatures_html(signatures: Mapping[str, str]) -> str:
    """The metrics' signatures, which may break after a bar, so that they fit a phone and still copy as one string."""
    lines = (f"{label(name)} {escape(text).replace('|', '|<wbr>')}" for name, text in signatures.items())
    return f'<p class="signatures">{"<br>".join(lines)}</p>'


def figure_html(caption: str, png: bytes) -> str:
    """A PNG within the page, and its caption."""
    data = base64.b64encode(png).decode("ascii")
    kind = ' class="panels"' if int.from_bytes(png[16:20], "big") > PANEL else ""  # Where PNG says how wide it is.
    return (
        f'<figure><div class="scroll"><img{kind} alt="{escape(caption)}" src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def marked(pieces: Marked, kind: str) -> str:
    """A text with its differing pieces marked as `old` or `new`."""
    if not any(text for text, _ in pieces):
        return '<span class="soft">(empty)</span>'
    return "".join(_mark(text, kind) if differs else escape(text) for text, differs in pieces)


def _mark(text: str, kind: str) -> str:
    """Mark the words, not the blanks around them."""
    words = text.strip()
    before, _, after = text.partition(words) if words else (text, "", "")
    return f'{escape(before)}<mark class="{kind}">{escape(words)}</mark>{escape(after)}'


def fact_rows(kind: str, facts: Iterable[tuple[str, str]]) -> str:
    """A table of names and values, of CSS class `kind`."""
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts)
    return f'<div class="scroll"><table class="{kind}"><tbody>{rows}</tbody></table></div>'


def score_table(caption: str, head: Sequence[str], rows: Iterable[str]) -> str:
    """A table over the whole width; caption and rows are HTML."""
    cells = "".join(f"<th>{name}</th>" for name in head)
    return (
        f'<div class="scroll"><table class="scores"><caption>{caption}</caption><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def example_groups(
    examples: Examples,
    intro: str,
    names: tuple[str, str],
    languages: tuple[str, str],
    heading: str = "Example translations",
) -> str:
    """The section of examples: gains, losses, a random draw.

    Args:
        examples: of two systems, or of one.
        intro: where they come from.
        names: of the systems.
        languages: codes of source and target.
        heading: of the section.
    """
    if examples.gained or examples.lost:
        intro += " Marked: where the two translations differ."
    parts = [f"<h2>{escape(heading)}</h2>", f'<p class="soft">{escape(intro)}</p>']
    groups = (
        ("Largest gains", examples.gained),
        ("Largest losses", examples.lost),
        ("Drawn at random", examples.drawn),
    )
    for heading, group in groups:
        if group:
            parts.append(f"<h3>{heading}</h3>")
            parts += [_example(example, names, languages) for example in group]
    return "\n".join(parts)


def _example(example: Example, names: tuple[str, str], languages: tuple[str, str]) -> str:
    source, target = map(escape, languages)
    rows = [("source", source, escape(example.source))] if example.source else []
    rows += [
        ("reference", target, escape(example.reference)),
        (f"{escape(names[0])} {example.first_bleu:.0f}", target, marked(example.first, "old")),
    ]
    if example.second is not None:
        rows.append((f"{escape(names[1])} {example.second_bleu:.0f}", target, marked(example.second, "new")))
    items = "".join(f'<dt>{name}</dt><dd lang="{lang}" dir="auto">{text}</dd>' for name, lang, text in rows)
    return f'<div class="example"><header>line {example.line:,}</header><dl>{items}</dl></div>'
