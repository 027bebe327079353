"""The report as one HTML page without scripts or outside files."""

from __future__ import annotations

import base64
import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nmt_rl.evaluation.comparison import Comparison, SplitScores, released_sentence, signed
from nmt_rl.evaluation.examples import Example, Examples, Marked
from nmt_rl.evaluation.significance import PairedScore, format_p

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
figure img { width: 100%; max-width: 920px; height: auto; display: block; background: #fff; border-radius: 6px; }
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
  figure img { width: 40rem; max-width: none; }
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


def render_page(
    comparison: Comparison,
    splits: Sequence[SplitScores],
    figures: Sequence[tuple[str, bytes]],
    examples: Examples,
    examples_of: SplitScores,
) -> str:
    """The whole page.

    Args:
        comparison: what the report is about.
        splits: scores, validation first.
        figures: caption and PNG of each learning curve.
        examples: chosen translations.
        examples_of: the split they come from.
    """
    languages = f"{comparison.source_language} → {comparison.target_language}"
    title = f"{comparison.name}: {languages}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(comparison.date)}</p>',
        f'<p class="lead">{escape(released_sentence(comparison.released, splits[0]))}</p>',
        "<h2>Scores</h2>",
        *(_score_table(split, comparison.released) for split in splits),
        "<h2>Learning curves</h2>",
        *(_figure(caption, png) for caption, png in figures),
        "" if figures else '<p class="soft">The run logged no training events.</p>',
        _examples(examples, examples_of, comparison),
        _cleaning(comparison.cleaning),
        _setting(comparison),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
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


def _score_table(split: SplitScores, released: str) -> str:
    first = split.scores[0]
    caption = (
        f"<strong>{escape(split.split.capitalize())}</strong>: {escape(first.test_set)}, {first.lines:,} lines, "
        f"{escape(split.decoding)}"
    )
    head = ["model", "BLEU", "chrF", "length ratio"]
    rows = []
    for index, scores in enumerate(split.scores):
        paired = split.paired.systems[index] if split.paired else None
        kept = (released == "pretrained") == (index == 0)
        cells = [
            escape(scores.system) + (" <small>released</small>" if kept else ""),
            _score_cell(scores.bleu, first.bleu, paired.bleu if paired else None),
            _score_cell(scores.chrf, first.chrf, paired.chrf if paired else None),
            f"{scores.length_ratio:.3f}",
        ]
        rows.append(f"<tr{' class=released' if kept else ''}>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>")
    signed_by = split.paired or first
    return (
        f'<div class="scroll"><table class="scores"><caption>{caption}</caption><thead><tr>'
        + "".join(f"<th>{name}</th>" for name in head)
        + f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{_note(split)}"
        + f'<p class="signatures">BLEU {_signature(signed_by.bleu_signature)}<br>'
        + f"chrF {_signature(signed_by.chrf_signature)}</p>"
    )


def _note(split: SplitScores) -> str:
    """How p-value and interval were made, and what the validation set's are worth."""
    if split.paired is None:
        return ""
    note = f"p: paired bootstrap, {split.paired.resamples:,} resamples, seed {split.paired.seed}."
    if split.split == "validation":
        note += " Models were chosen on this set, so its p-value is optimistic; cite one from a test set."
    wide = '<span class="wide">± half the width of the 95 % confidence interval.</span>'
    return f'<p class="soft">{note} {wide}</p>'


def _signature(signature: str) -> str:
    """May break after a bar, so that it fits a phone and still copies as one string."""
    return escape(signature).replace("|", "|<wbr>")


def _score_cell(score: float, baseline: float, paired: PairedScore | None) -> str:
    if paired is None:
        return f"{score:.2f}"
    cell = f'{score:.2f}<span class="wide"> ± {paired.ci:.2f}</span>'
    if paired.p_value is None:
        return cell
    return f"{cell}<small>{signed(score - baseline)}, {escape(format_p(paired.p_value))}</small>"


def _figure(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><div class="scroll"><img alt="{escape(caption)}" src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _examples(examples: Examples, split: SplitScores, comparison: Comparison) -> str:
    first = split.scores[0]
    intro = f"From {first.test_set} ({split.split}, {split.decoding}); numbers are sentence BLEU."
    if split.paired:
        intro += " Marked: where the two translations differ."
    parts = ["<h2>Example translations</h2>", f'<p class="soft">{escape(intro)}</p>']
    groups = (
        ("Largest gains", examples.gained),
        ("Largest losses", examples.lost),
        ("Drawn at random", examples.drawn),
    )
    for heading, group in groups:
        if group:
            parts.append(f"<h3>{heading}</h3>")
            parts += [_example(example, comparison) for example in group]
    return "\n".join(parts)


def _example(example: Example, comparison: Comparison) -> str:
    source, target = escape(comparison.source_language), escape(comparison.target_language)
    rows = [
        ("source", source, escape(example.source)),
        ("reference", target, escape(example.reference)),
        (f"pretrained {example.pretrained_bleu:.0f}", target, _marked(example.pretrained, "old")),
    ]
    if example.finetuned is not None:
        rows.append((f"fine-tuned {example.finetuned_bleu:.0f}", target, _marked(example.finetuned, "new")))
    items = "".join(f'<dt>{name}</dt><dd lang="{lang}" dir="auto">{text}</dd>' for name, lang, text in rows)
    return f'<div class="example"><header>line {example.line:,}</header><dl>{items}</dl></div>'


def _marked(pieces: Marked, kind: str) -> str:
    if not any(text for text, _ in pieces):
        return '<span class="soft">(empty)</span>'
    return "".join(_mark(text, kind) if differs else escape(text) for text, differs in pieces)


def _mark(text: str, kind: str) -> str:
    """Mark the words, not the blanks around them."""
    words = text.strip()
    before, _, after = text.partition(words) if words else (text, "", "")
    return f'{escape(before)}<mark class="{kind}">{escape(words)}</mark>{escape(after)}'


def _cleaning(counts: Mapping[str, Any]) -> str:
    if not counts:
        return ""
    return "<h2>Corpus cleaning</h2>\n" + _rows("counts", _flatten(counts))


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
    parts = ["<h2>How these numbers were made</h2>", _rows("facts", facts)]
    if comparison.config:
        parts.append(
            f"<details><summary>The whole configuration</summary><pre>{escape(comparison.config)}</pre></details>"
        )
    return "\n".join(parts)


def _rows(kind: str, facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts)
    return f'<div class="scroll"><table class="{kind}"><tbody>{rows}</tbody></table></div>'


def format_duration(seconds: float) -> str:
    """`48 s`, `12 min 5 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
