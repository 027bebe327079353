"""Scores of systems as tables: plain text, Markdown, LaTeX, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from nmt_rl.errors import printable
from nmt_rl.evaluation.metrics import LABELS, MetricScore, Scores, SentenceScores

Format = Literal["text", "markdown", "latex", "json"]


def format_scores(scores: Sequence[Scores], kind: Format = "text") -> str:
    """One row per system and test set, then signatures and how systems translated; JSON: a list of all."""
    if kind == "json":
        return json.dumps([s.to_json() for s in scores], indent=2, ensure_ascii=False)
    names = list(scores[0].metrics)
    labels = [label(name) for name in names]
    rows = [["system", *labels, "length ratio", "lines", "test set"]]
    for s in scores:
        cells = [_cell(s.metrics[name]) for name in names]
        rows.append([s.system, *cells, f"{s.length_ratio:.3f}", f"{s.lines:,}", s.test_set])
    notes = [f"{label(name)} {s.metrics[name].signature}" for s in scores for name in names]
    notes = list(dict.fromkeys([*notes, *(f"{s.system}: {s.decoding}" for s in scores if s.decoding)]))
    if kind == "markdown":
        return "\n".join([_markdown(rows), "", *(f"`{note}`  " for note in notes)])
    if kind == "latex":
        return "\n".join([_latex(rows), *(f"% {note}" for note in notes)])
    return "\n".join([align_columns(rows), *notes])


def format_sentences(tables: Sequence[SentenceScores], kind: Literal["text", "json"] = "text") -> Iterator[str]:
    """One line for each sentence: columns divided by tabs, below their names; or JSON objects."""
    if kind == "text":
        yield "\t".join(["system", "test set", "line", *map(label, tables[0].metrics)])
    for table in tables:
        columns, signatures = zip(*table.metrics.values(), strict=True)
        for line, scores in enumerate(zip(*columns, strict=True), 1):
            each = list(map(MetricScore, scores, signatures))
            if kind == "text":
                yield "\t".join([printable(table.system), printable(table.test_set), str(line), *map(_cell, each)])
                continue
            metrics = {
                name: {"value": score.value, "signature": score.signature}
                for name, score in zip(table.metrics, each, strict=True)
            }
            row = {"system": table.system, "test_set": table.test_set, "line": line, "metrics": metrics}
            yield json.dumps(row, ensure_ascii=False)


def sentence_notes(tables: Sequence[SentenceScores]) -> list[str]:
    """Signatures, and how systems translated: what stands below a table, for a list without room for it."""
    notes = [f"{label(name)} {signature}" for table in tables for name, (_, signature) in table.metrics.items()]
    return list(dict.fromkeys([*notes, *(f"{table.system}: {table.decoding}" for table in tables if table.decoding)]))


def label(name: str) -> str:
    """How a metric is printed."""
    return LABELS.get(name, name.upper())


def align_columns(rows: Sequence[Sequence[str]]) -> str:
    """Cells padded to columns: first and last column to the left, numbers between them to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _cell(score: MetricScore) -> str:
    # COMET's scale ends at about 1, those of the others at 100.
    value = f"{score.value:.4f}" if score.signature.startswith("model:") else f"{score.value:.2f}"
    return with_interval(value, score.ci)


def with_interval(value: str, ci: float | None) -> str:
    """A printed score, and half the width of its confidence interval if there is one."""
    return value if ci is None else f"{value} ± {ci:.2f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = (["".join("\\|" if c == "|" else c for c in cell) for cell in row] for row in rows)
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_LATEX = {**{c: "\\" + c for c in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
_LATEX |= {"^": r"\textasciicircum{}", "±": r"$\pm$"}


def _latex(rows: Sequence[Sequence[str]]) -> str:
    """A tabular in the style of booktabs."""
    head, *body = (" & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in row) + r" \\" for row in rows)
    columns = "l" + "r" * (len(rows[0]) - 2) + "l"
    begin, end = rf"\begin{{tabular}}{{{columns}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", end])
