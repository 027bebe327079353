"""Weights as colours: tables with numbers, and small pictures (SVG) of many heads or of a memory over time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nmt_rl.evaluation.insights import HeatMap
from nmt_rl.evaluation.markup import escape

STYLE = """
:root { --heat: #6ea3dc; }
@media (prefers-color-scheme: dark) { :root { --heat: #2b629f; } }
body { max-width: 76rem; }
.heat th, .heat td { padding: .1rem .3rem; border: 1px solid var(--line); text-align: center; font-size: .85rem; }
.heat th { font-weight: 400; }
.heat thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; vertical-align: bottom; }
.heat thead td { border: 0; }
.heat tbody th { position: sticky; left: 0; background: var(--page); text-align: right; }
.heat caption { white-space: nowrap; }
.heat.steps thead th { writing-mode: horizontal-tb; transform: none; text-align: center; }
.heat small { display: block; }
.w small { color: inherit; }
.w { background: color-mix(in srgb, var(--heat) var(--w), transparent); min-width: 1.7rem; }
.heads { display: flex; flex-wrap: wrap; gap: .4rem 1.6rem; align-items: flex-start; }
.heads figure { margin: .5rem 0; max-width: 100%; }
svg { display: block; }
svg text { fill: var(--ink); font: 11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
svg .ground { fill: var(--box); stroke: var(--line); }
svg .cells { fill: var(--accent); }
svg .end { stroke: var(--ink); stroke-dasharray: 3 2; }
@media print {
  .w, svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .heads figure { break-inside: avoid; }
}
"""
LEAST = 0.005
"""Weights below are not drawn: they would be 0 in two digits."""
LETTER, LINE = 6.7, 14.0
"""Pixels of a character and of a line of labels."""
SMALL = 7.0
"""Pixels of a cell of one head among many."""
TICKS = 16
"""Slots that get a number each; of more, only some."""


def heat_table(values: NDArray[np.floating], rows: Sequence[str], columns: Sequence[str], caption: str = "") -> str:
    """Weights [rows, columns] as coloured cells, with per cent in them; `caption` is HTML."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(heat_cell, row))}</tr>'
        for name, row in zip(rows, values, strict=True)
    )
    title = f"<caption>{caption}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table class="heat">{title}<thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def heat_cell(weight: float, text: str | None = None) -> str:
    """One cell; without `text`, HTML, it holds the weight in per cent, if that is not 0."""
    shown = (f"{100 * weight:.0f}" if weight >= LEAST else "") if text is None else text
    return f'<td class="w" style="--w:{_percent(weight)}%">{shown}</td>' if weight >= LEAST else f"<td>{shown}</td>"


def head_pictures(found: HeatMap) -> str:
    """Every head of a layer as a small picture: rows downwards, columns to the right, numbers under the pointer."""
    many = len(found.values) > 1
    pictures = []
    for head, values in enumerate(found.values, start=1):
        picture = _picture(values, found.rows, found.columns, (SMALL, SMALL))
        pictures.append(_figure(picture, f"head {head}" if many else ""))
    return side_by_side(pictures)


def time_pictures(found: HeatMap) -> str:
    """Every head of a memory: time to the right, slots downwards; a line stands where the source ends."""
    many, pictures = len(found.values) > 1, []
    for head, values in enumerate(found.values, start=1):
        labels = found.columns
        if labels == tuple(map(str, range(len(labels)))) and len(labels) > TICKS:
            step = -(-len(labels) // TICKS)
            labels = tuple(name if n % step == 0 else "" for n, name in enumerate(labels))
        picture = _picture(values.T, found.columns, found.rows, (LINE, LINE), (labels, found.rows), found.read)
        pictures.append(_figure(picture, f"{found.name}, head {head}" if many else found.name))
    return "".join(pictures)


def side_by_side(figures: Iterable[str]) -> str:
    """Figures beside each other, as many as there is room for."""
    return f'<div class="heads">{"".join(figures)}</div>'


def _figure(picture: str, caption: str) -> str:
    under = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><div class="scroll">{picture}</div>{under}</figure>'


def _picture(
    values: NDArray[np.floating],
    rows: Sequence[str],
    columns: Sequence[str],
    cell: tuple[float, float],
    labels: tuple[Sequence[str], Sequence[str]] | None = None,
    end: int = 0,
) -> str:
    """An SVG of weights [rows, columns].

    Args:
        values: in [0, 1].
        rows, columns: what they are, in the tips of cells.
        cell: its width and height in pixels.
        labels: what is written beside the rows and above the columns; None: nothing.
        end: a line stands before this column; 0: none.
    """
    (wide, high), (left, top) = cell, (0.0, 0.0)
    if labels is not None:
        left, top = (4 + LETTER * max(map(_width, names), default=0) for names in labels)
    size = f"{left + wide * len(columns):.0f}", f"{top + high * len(rows):.0f}"
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" role="img">']
    for row, name in enumerate(labels[0] if labels else ()):
        parts.append(
            f'<text x="{left - 4:.0f}" y="{top + high * (row + 0.8):.1f}" text-anchor="end">{escape(name)}</text>'
        )
    for column, name in enumerate(labels[1] if labels else ()):
        x, y = left + wide * (column + 0.75), top - 4
        parts.append(f'<text transform="translate({x:.1f} {y:.1f}) rotate(-90)">{escape(name)}</text>')
    parts.append(f'<g transform="translate({left:.0f} {top:.0f})">')
    parts.append(f'<rect class="ground" width="{wide * len(columns):.0f}" height="{high * len(rows):.0f}"/>')
    parts.append(f'<g class="cells">{"".join(_cells(values, rows, columns, cell))}</g>')
    if end:
        parts.append(f'<line class="end" x1="{wide * end:.0f}" x2="{wide * end:.0f}" y2="{high * len(rows):.0f}"/>')
    return "".join([*parts, "</g></svg>"])


def _cells(
    values: NDArray[np.floating], rows: Sequence[str], columns: Sequence[str], cell: tuple[float, float]
) -> Iterable[str]:
    wide, high = cell
    size = f'width="{wide:g}" height="{high:g}"'
    for row, column in np.argwhere(values >= LEAST):
        weight = float(values[row, column])
        tip = f"{rows[row]} · {columns[column]}: {weight:.2f}"
        place = f'x="{wide * column:g}" y="{high * row:g}"'
        yield f'<rect {place} {size} fill-opacity="{weight:.2f}"><title>{escape(tip)}</title></rect>'


def _width(text: str) -> int:
    """Columns of a terminal, or letters of one width."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _percent(weight: float) -> str:
    return f"{100 * min(weight, 1.0):.0f}"
