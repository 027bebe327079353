"""What a chain of domains came to: matrix.json, matrix.png and report.html, and tables for the terminal."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt_rl.evaluation.markup import escape, fact_rows, figure_html, score_table, whole_page
from nmt_rl.evaluation.metrics import LABELS
from nmt_rl.evaluation.plots import chain_png
from nmt_rl.evaluation.tables import align_columns
from nmt_rl.evaluation.transfer import Matrix, backward_transfer, final_mean, forgetting, forward_transfer
from nmt_rl.storage.writing import write_json, write_text, written_file

HEAD = ("way", "mean of the last", "forgetting", "backward transfer", "forward transfer", "minutes")
TERMS = (
    ("mean of the last", "of the last model, over all domains"),
    ("forgetting", "best score before the end minus the last one, mean over all domains but the last "
     "(Chaudhry et al., 2018); small is good"),
    ("backward transfer", "last score minus that when the domain was just learnt, mean over all but the last "
     "(Lopez-Paz and Ranzato, 2017); below 0: forgotten"),
    ("forward transfer", "score just before a domain is learnt minus that of the model at the start, mean over the "
     "domains that are learnt after another (Lopez-Paz and Ranzato, 2017); above 0: the others have helped"),
)  # fmt: skip


@dataclass(frozen=True)
class WayScores:
    """One way through a chain."""

    way: str
    matrix: Matrix
    """See `evaluation.transfer`."""
    minutes: float
    """Of all its training."""

    def sums(self) -> dict[str, float | None]:
        """The numbers of HEAD, by their names."""
        of = (final_mean, forgetting, backward_transfer, forward_transfer)
        values = [*(function(self.matrix) for function in of), self.minutes]
        return dict(zip(HEAD[1:], values, strict=True))


@dataclass(frozen=True)
class ChainScores:
    """All ways through a chain."""

    name: str
    metric: str
    """Name of the metric of all scores."""
    domains: Sequence[str]
    ways: Sequence[WayScores]
    signatures: Sequence[str]
    """Of the scores, each once."""
    decodings: Sequence[str]
    """How models translated, each once."""

    def text(self) -> str:
        """The matrices and their sums as plain text."""
        tables = []
        for way in self.ways:
            rows = [[f"{way.way}: after", *self.domains]]
            rows += [[name, *map(_number, row)] for name, row in zip(self.domains, way.matrix, strict=True)]
            tables.append(align_columns([[*row, ""] for row in rows]))
        sums = [list(HEAD), *([way.way, *map(_number, way.sums().values())] for way in self.ways)]
        notes = [f"{LABELS[self.metric]} {signature}" for signature in self.signatures]
        return "\n\n".join([*tables, "\n".join([align_columns([[*row, ""] for row in sums]), *notes])])


def write_chain(folder: Path, scores: ChainScores) -> None:
    """Write matrix.json, matrix.png and report.html into the folder of a chain."""
    tree = {
        "name": scores.name,
        "date": datetime.date.today().isoformat(),
        "metric": scores.metric,
        "signatures": list(scores.signatures),
        "decodings": list(scores.decodings),
        "domains": list(scores.domains),
        "ways": {way.way: {"matrix": [list(row) for row in way.matrix], **_keys(way)} for way in scores.ways},
    }
    png = chain_png({way.way: way.matrix for way in scores.ways}, scores.domains, LABELS[scores.metric])
    write_json(folder / "matrix.json", tree)
    with written_file(folder / "matrix.png") as stream:
        stream.write(png)
    write_text(folder / "report.html", _page(scores, png))


def _keys(way: WayScores) -> dict[str, float | None]:
    return {name.replace(" ", "_"): value for name, value in way.sums().items()}


def _page(scores: ChainScores, png: bytes) -> str:
    label = LABELS[scores.metric]
    sums = {way.way: way.sums() for way in scores.ways}
    best = max(sums, key=lambda name: sums[name]["mean of the last"] or 0.0)
    least = min(sums, key=lambda name: sums[name]["forgetting"] or 0.0)
    value = sums[best]["mean of the last"]
    lead = f"{best} ends with the highest mean over all domains, {value:.2f} {label}"
    if len(sums) > 1:
        also = "it also" if least == best else least
        lead += f"; {also} forgets least, {sums[least]['forgetting']:.2f}"
    rows = [
        f"<tr{' class=released' if name == best else ''}><td>{escape(name)}</td>"
        + "".join(f"<td>{_number(value)}</td>" for value in own.values())
        + "</tr>"
        for name, own in sums.items()
    ]
    body = [
        f"<h1>{escape(scores.name)}</h1>",
        f'<p class="soft">{datetime.date.today().isoformat()}</p>',
        f'<p class="lead">{escape(lead)}.</p>',
        "<h2>What is kept, and what is passed on</h2>",
        score_table(f"<strong>{escape(label)}</strong>, sums of the matrices", HEAD, rows),
        fact_rows("facts", TERMS),
        "<h2>The matrices</h2>",
        figure_html(f"{label} on the test set of each domain, after each step; dotted: where it is learnt", png),
        *(_matrix(way, scores) for way in scores.ways),
        '<p class="signatures">'
        + "<br>".join(escape(f"{label} {text}").replace("|", "|<wbr>") for text in scores.signatures)
        + f"<br>{escape('; '.join(scores.decodings))}</p>",
    ]
    return whole_page(scores.name, body)


def _matrix(way: WayScores, scores: ChainScores) -> str:
    """A table whose cells are the darker, the nearer they are to the best of their domain by any way."""
    ends = [
        [end(row[j] for other in scores.ways for row in other.matrix) for end in (min, max)]
        for j in range(len(scores.domains))
    ]
    rows = []
    for i, row in enumerate(way.matrix):
        cells = []
        for j, value in enumerate(row):
            low, high = ends[j]
            shade = 0.5 * (value - low) / (high - low) if high > low else 0.0
            shown = f"<strong>{_number(value)}</strong>" if i == j else _number(value)
            cells.append(f'<td style="background: rgba(77, 139, 74, {shade:.2f})">{shown}</td>')
        rows.append(f"<tr><td>{escape(scores.domains[i])}</td>{''.join(cells)}</tr>")
    caption = f"<strong>{escape(way.way)}</strong>: after each domain (rows), on the test set of each (columns)"
    return score_table(caption, ["after", *map(escape, scores.domains)], rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
