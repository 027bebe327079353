"""The report as one HTML page without scripts or outside files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nmt_rl.evaluation.comparison import (
    FINETUNED,
    PRETRAINED,
    Comparison,
    SplitScores,
    released_sentence,
    signed,
)
from nmt_rl.evaluation.examples import Examples
from nmt_rl.evaluation.markup import (
    escape,
    example_groups,
    fact_rows,
    figure_html,
    score_table,
    signatures_html,
    whole_page,
)
from nmt_rl.evaluation.metrics import LABELS
from nmt_rl.evaluation.plots import is_number
from nmt_rl.evaluation.significance import PairedScore, format_p


def render_page(
    comparison: Comparison,
    splits: Sequence[SplitScores],
    curves: Sequence[tuple[str, bytes]],
    calibration: bytes | None,
    examples: Examples,
    examples_of: SplitScores,
) -> str:
    """The whole page.

    Args:
        comparison: what the report is about.
        splits: scores, validation first.
        curves: caption and PNG of each figure of learning curves.
        calibration: of Q, as PNG, if there is one.
        examples: chosen translations.
        examples_of: the split they come from.
    """
    languages = f"{comparison.source_language} → {comparison.target_language}"
    title = f"{comparison.name}: {languages}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(comparison.date)}</p>',
        f'<p class="lead">{escape(released_sentence(comparison, splits[0]))}</p>',
        "<h2>Scores</h2>",
        *(_score_table(split, comparison) for split in splits),
        "<h2>Learning curves</h2>",
        *(figure_html(caption, png) for caption, png in curves),
        "" if curves else '<p class="soft">The run logged no training events.</p>',
        _q(comparison.q, calibration),
        _examples(examples, examples_of, comparison),
        _cleaning(comparison.cleaning),
        _setting(comparison),
    ]
    return whole_page(title, body)


def _score_table(split: SplitScores, comparison: Comparison) -> str:
    first = split.scores[0]
    caption = (
        f"<strong>{escape(split.split.capitalize())}</strong>: {escape(first.test_set)}, {first.lines:,} lines, "
        f"{escape(split.decoding)}"
    )
    head = ["model", *(LABELS[name] for name in first.metrics), "length ratio"]
    rows = []
    for index, scores in enumerate(split.scores):
        paired = split.paired.systems[index] if split.paired else None
        kept = (comparison.released == "pretrained") == (index == 0)
        cells = [
            escape(scores.system) + (" <small>released</small>" if kept else ""),
            *(
                _score_cell(value, first.values[name], paired.metrics[name] if paired else None)
                for name, value in scores.values.items()
            ),
            f"{scores.length_ratio:.3f}",
        ]
        rows.append(f"<tr{' class=released' if kept else ''}>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>")
    signatures = split.paired.signatures if split.paired else {n: m.signature for n, m in first.metrics.items()}
    return f"{score_table(caption, head, rows)}{_note(split, comparison)}" + signatures_html(signatures)


def _note(split: SplitScores, comparison: Comparison) -> str:
    """How p-value and interval were made, and what the validation set's are worth."""
    if split.paired is None:
        return ""
    note = f"p: one-sided paired bootstrap, {split.paired.samples:,} resamples, seed {split.paired.seed}."
    if split.split == "validation":
        lines = "" if comparison.choice is None else f"the first {comparison.choice.lines:,} lines of "
        note += f" Models were chosen on {lines}this set, so its p-value is optimistic; cite one from a test set."
    wide = '<span class="wide">± half the width of the 95 % confidence interval.</span>'
    return f'<p class="soft">{note} {wide}</p>'


def _score_cell(score: float, baseline: float, paired: PairedScore | None) -> str:
    if paired is None:
        return f"{score:.2f}"
    cell = f'{score:.2f}<span class="wide"> ± {paired.ci:.2f}</span>'
    if paired.p_value is None:
        return cell
    return f"{cell}<small>{signed(score - baseline)}, {escape(format_p(paired.p_value))}</small>"


Q_FACTS = {
    "sentences": ("sentences", "{:,}"),
    "forks": ("forks", "{:,}"),
    "explained": ("explained variance", "{:.3f}"),
    "explained_scaled": ("explained variance after the best slope", "{:.3f}"),
    "explained_beyond": ("explained beyond logits and position", "{:.3f}"),
    "correlation": ("correlation", "{:.3f}"),
    "sign_agreement": ("sign agreement, ties of the returns left out", "{:.3f}"),
    "preferred": ("forks where Q prefers the other piece", "{:.1%}"),
    "gain": ("mean true gain of taking it there (BLEU, 0 to 1)", "{:+.4f}"),
}
"""Names and formats of numbers of `Comparison.q`."""


def _q(q: Mapping[str, Any], calibration: bytes | None) -> str:
    """What Q predicts; nothing without a Q."""
    facts = [(name, form.format(q[key])) for key, (name, form) in Q_FACTS.items() if is_number(q.get(key))]
    if not facts:
        return ""
    if isinstance(q.get("gain_interval"), Sequence):
        facts.append(("95 % interval of that gain", " to ".join(f"{end:+.4f}" for end in q["gain_interval"])))
    intro = (
        "Differences of Q between the piece of a greedy translation and another one, beside the true ones, on forks of "
        "validation sentences that the pretrained model played."
    )
    caption = "Calibration: forks in bins of equal count, with standard errors"
    figure = figure_html(caption, calibration) if calibration is not None else ""
    return f'<h2>What Q predicts</h2>\n<p class="soft">{escape(intro)}</p>{fact_rows("facts", facts)}{figure}'


def _examples(examples: Examples, split: SplitScores, comparison: Comparison) -> str:
    first = split.scores[0]
    intro = f"From {first.test_set} ({split.split}, {split.decoding}); numbers are sentence BLEU."
    languages = (comparison.source_language, comparison.target_language)
    return example_groups(examples, intro, (PRETRAINED, FINETUNED), languages)


def _cleaning(counts: Mapping[str, Any]) -> str:
    if not counts:
        return ""
    return "<h2>Corpus cleaning</h2>\n" + fact_rows("counts", _flatten(counts))


def _flatten(counts: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in counts.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{name}: ")
        else:
            yield name, f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _setting(comparison: Comparison) -> str:
    facts = [("seed", str(comparison.seed)), ("date", comparison.date)]
    facts += [(f"wall time, {stage}", format_duration(spent)) for stage, spent in comparison.wall_seconds.items()]
    if len(comparison.wall_seconds) > 1:
        facts.append(("wall time, total", format_duration(sum(comparison.wall_seconds.values()))))
    facts += [*comparison.machine.items(), *comparison.versions.items()]
    parts = ["<h2>How these numbers were made</h2>", fact_rows("facts", facts)]
    if comparison.config:
        parts.append(
            f"<details><summary>The whole configuration</summary><pre>{escape(comparison.config)}</pre></details>"
        )
    return "\n".join(parts)


def format_duration(seconds: float) -> str:
    """`48 s`, `12 min 5 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
