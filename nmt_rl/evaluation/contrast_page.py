"""The contrast of systems as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nmt_rl.evaluation.contrast import FACTORS, REPEATED, Bucket, Change, Contrast, change_sentence, factor_cells
from nmt_rl.evaluation.markup import escape, example_groups, figure_html, score_table, signatures_html, whole_page
from nmt_rl.evaluation.plots import buckets_png, changes_png
from nmt_rl.evaluation.significance import (
    PairedScore,
    PairedTest,
    decoding_notes,
    format_p,
    seed_notes,
    system_label,
    tested,
)
from nmt_rl.evaluation.tables import label, with_interval


def render_contrast(result: PairedTest, found: Contrast, languages: tuple[str, str], date: str) -> str:
    """The whole page: scores and test, sentences, lengths, words, examples.

    Args:
        result: the paired test of the systems.
        found: in what they differ.
        languages: codes of source and target, empty if they are not known.
        date: of the page.
    """
    names = [system.system for system in result.systems]
    title, what = f"{', '.join(names[1:])} against {names[0]}", f"{result.test_set}, {result.lines:,} lines"
    lengths = buckets_png(found.by_length, names, "words of the reference", "BLEU (%)")
    frequencies = buckets_png(found.by_frequency, names, "frequency in the reference", "F1 (%)")
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(what)}; {escape(date)}</p>',
        "<h2>Scores</h2>",
        _scores(result),
        signatures_html(result.signatures),
        *(f'<p class="soft">{escape(note)}</p>' for note in (*seed_notes(result), *decoding_notes(result))),
        _factors(found, names),
        "<h2>Sentences</h2>",
        *(_changes(change, name, names[0]) for change, name in zip(found.changes, names[1:], strict=True)),
        "<h2>Lengths and words</h2>",
        figure_html("Corpus BLEU by the length of the reference", lengths),
        _buckets("BLEU by words of the reference", "sentences", found.by_length, names),
        figure_html("F1 of words by their frequency in the reference, rare ones to the left", frequencies),
        _buckets("F1 by frequency of the word", "words", found.by_frequency, names),
        _wordings(found, names),
    ]
    for change, name in zip(found.changes, names[1:], strict=True):
        heading = "Example translations" if len(names) == 2 else f"Example translations: {name}"
        intro = f"From {what}; numbers are sentence BLEU{'; of several seeds, the first is shown' * result.pooled}."
        body.append(example_groups(change.examples, intro, (names[0], name), languages, heading))
    return whole_page(title, body)


def _changes(change: Change, name: str, baseline: str) -> str:
    figure = f"Changes of sentence BLEU, {name} less {baseline}; lines that did not change are left out"
    sentence = escape(change_sentence(change, name, baseline))
    return f'<p class="lead">{sentence}.</p>\n{figure_html(figure, changes_png(change.changes))}'


def _row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _scores(result: PairedTest) -> str:
    caption = f"{escape(tested(result))}, seed {result.seed}"
    head = ["system", *(label(name) for name in result.signatures)]
    rows = (_row([escape(system_label(s)), *map(_score, s.metrics.values())]) for s in result.systems)
    return score_table(caption, head, rows)


def _score(score: PairedScore) -> str:
    cell = with_interval(f"{score.score:.2f}", score.ci)
    return cell if score.p_holm is None else f"{cell}<small>{escape(format_p(score.p_holm))}</small>"


def _factors(found: Contrast, names: Sequence[str]) -> str:
    rows = (_row([escape(name), *factor_cells(own)]) for name, own in zip(names, found.factors, strict=True))
    return score_table("What BLEU is made of: precisions of n-grams in %, brevity penalty", ["", *FACTORS], rows)


def _buckets(caption: str, unit: str, buckets: Sequence[Bucket], names: Sequence[str]) -> str:
    rows = (_row([escape(b.name), f"{b.size:,}", *(f"{score:.2f}" for score in b.scores)]) for b in buckets)
    return score_table(escape(caption), ["", unit, *map(escape, names)], rows)


def _wordings(found: Contrast, names: Sequence[str]) -> str:
    sides = zip(("reference", *names), (found.reference, *found.systems), strict=True)
    rows = (_row([escape(n), f"{w.words:,}", f"{w.length_ratio:.3f}", f"{w.repetitions:.2f}"]) for n, w in sides)
    head = ["", "words", "length ratio", f"repeated {REPEATED}-grams per 1,000 words"]
    return score_table("How the texts are worded", head, rows)
