"""What a model looks at, as one HTML page without scripts or outside files."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nmt_rl.evaluation.heatmaps import STYLE, head_pictures, heat_cell, heat_table, side_by_side, time_pictures
from nmt_rl.evaluation.insights import Alternative, Insights, Sentence, Step
from nmt_rl.evaluation.markup import escape, whole_page

NEAREST = 6
"""Neighbours of a piece that are listed."""
MEMORY_NOTE = (
    "Time to the right: the source is read up to the dashed line, then the translation is written. The memory is shown "
    "as it is after each piece was read, or just before the piece above was written."
)


def render_insights(found: Insights) -> str:
    """The whole page."""
    title = f"{found.model}: {' → '.join(found.languages)}"
    what = f"What the model looks at. Translations: {found.how}."
    body = [f"<h1>{escape(title)}</h1>", f'<p class="soft">{escape(what)}</p>']
    for sentence in found.sentences:
        body += _sentence(sentence, found)
    if not found.sentences:
        body.append('<p class="soft">There is no line with text.</p>')
    return whole_page(title, body, STYLE)


def _sentence(sentence: Sentence, found: Insights) -> Iterable[str]:
    yield f"<h2>Line {sentence.line:,}</h2>"
    source, target = map(escape, found.languages)
    each = np.exp(sentence.log_prob / len(sentence.steps))
    numbers = f"log-probability {sentence.log_prob:.2f}; a piece has a probability of {each:.3f} (geometric mean)"
    yield (
        f'<div class="example"><dl><dt>{source}</dt><dd lang="{source}" dir="auto">{escape(sentence.source)}</dd>'
        f'<dt>{target}</dt><dd lang="{target}" dir="auto">{escape(sentence.target)}</dd></dl>'
        f"<header>{numbers}</header></div>"
    )
    if sentence.attention is not None:
        values = sentence.attention.mean().values[0]
        caption = "Attention on the source (columns) for each piece of the translation, %"
        yield "<h3>Attention</h3>" + heat_table(values, sentence.attention.rows, sentence.attention.columns, caption)
    for layer in sentence.heads:
        yield f"<details><summary>{escape(layer.name)}</summary>{head_pictures(layer)}</details>"
    if sentence.memory:
        yield f'<h3>Memory</h3><p class="soft">{escape(MEMORY_NOTE)}</p>'
        yield side_by_side(map(time_pictures, sentence.memory))
    yield f"<h3>Pieces and their alternatives</h3>{_steps(sentence.steps, found.values)}"
    if sentence.pairs:
        yield _remembered(sentence)


def _steps(steps: tuple[Step, ...], values: str) -> str:
    """A row for each piece."""
    value, memory = steps[0].value is not None, any(step.neighbours for step in steps)
    best = max(len(step.best) for step in steps)
    columns = ["chosen", *["V"] * value, *["memory, %"] * memory, *(f"{n}." for n in range(1, best + 1))]
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    rows = "".join(_step(step, memory) for step in steps)
    caption = "Probabilities in %, of the piece that stands there and of the most probable ones."
    if values:
        caption += f" {values} ▲: of those shown, the largest."
    return (
        f'<p class="soft">{escape(caption)}</p><div class="scroll"><table class="heat steps">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _step(step: Step, memory: bool) -> str:
    shown = [step.chosen, *step.best]
    first = max((each.advantage for each in shown if each.advantage is not None), default=None)
    value = f"<td>{step.value:.4f}</td>" if step.value is not None else ""
    remembered = heat_cell(step.remembered) if memory else ""
    cells = "".join(
        heat_cell(each.probability, _alternative(each, first, each.piece == step.chosen.piece)) for each in step.best
    )
    return f'<tr><th scope="row">{_alternative(step.chosen, first, True)}</th>{value}{remembered}{cells}</tr>'


def _alternative(each: Alternative, largest: float | None, chosen: bool) -> str:
    """A piece with its probability and what it is worth."""
    name = f"<strong>{escape(each.piece)}</strong>" if chosen else escape(each.piece)
    lines = [f"<small>{100 * each.probability:.1f}</small>"]
    if each.q is not None:
        lines.append(f"<small>Q {each.q:.4f}</small>")
    if each.advantage is not None:
        first = " ▲" if largest is not None and each.advantage >= largest else ""
        lines.append(f"<small>A {each.advantage:+.4f}{first}</small>")
    return name + "".join(lines)


def _remembered(sentence: Sentence) -> str:
    """Shares of remembered pairs in every piece, the pairs, and the nearest states."""
    numbers = [number for number, _, _ in sentence.pairs]
    shares = np.zeros((len(numbers), len(sentence.steps)))
    for time, step in enumerate(sentence.steps):
        for near in step.neighbours:
            shares[numbers.index(near.pair), time] += near.share
    pieces = [step.chosen.piece for step in sentence.steps]
    caption = "Share of each remembered pair in what is said at each piece, %"
    rows = "".join(
        f"<tr><td>{number}</td><td>{escape(source)}</td><td>{escape(target)}</td></tr>"
        for number, source, target in sentence.pairs
    )
    pairs = f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'
    table = heat_table(shares, list(map(str, numbers)), pieces, caption)
    return f"<h3>What is remembered</h3>{table}{pairs}{_nearest(sentence)}"


def _nearest(sentence: Sentence) -> str:
    rows = []
    for step in sentence.steps:
        cells = "".join(
            heat_cell(near.share, f"{escape(near.piece)}<small>{near.distance:.2f}</small><small>{near.pair}</small>")
            for near in step.neighbours[:NEAREST]
        )
        rows.append(f'<tr><th scope="row">{escape(step.chosen.piece)}</th>{cells}</tr>')
    caption = "The nearest states: the piece that followed, the squared distance, the pair; coloured by their share"
    return (
        f'<details><summary>Neighbours of every piece</summary><div class="scroll"><table class="heat">'
        f"<caption>{caption}</caption><tbody>{''.join(rows)}</tbody></table></div></details>"
    )
