"""Tables and learning curves of comparisons that compare_methods.py made.

Usage: python scripts/make_results.py results.json [results.json ...] [-o docs/fine-tuning-results.md]

Writes one table per system, one over all systems, and the trials to the Markdown file; the same results without blanks
as results/SYSTEM.json beside it, from which it can be written again, and the learning curves as results/SYSTEM.png.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison import DECODINGS, read_json, write_json

Row = Mapping[str, Any]
"""Of a system by one way of decoding: what comparison_results.set_table makes."""

HEADS = ("BLEU", "n-gram precisions", "brevity penalty", "better / worse / same", "p")
COMMON = ("precision=", "optimizer.schedule=", "optimizer.warmup=")


def slug(name: str) -> str:
    """Name of a system's files."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def shown_p(p: float) -> str:
    """Three decimals; bold where it is below 0.05."""
    text = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"**{text}**" if p < 0.05 else text


def gain(row: Row, baseline: Row, metric: str = "bleu") -> float:
    """Difference of the scores as they are printed."""
    return round(row[metric]["score"], 2) - round(baseline[metric]["score"], 2)


def signed(difference: float) -> str:
    """Two decimals with their sign."""
    return f"{difference + 0.0:+.2f}" if round(difference, 2) else "±0.00"


def cells(row: Row, baseline: Row) -> list[str]:
    """Below HEADS: of one system and way of decoding, beside the pretrained model."""
    score = f"{row['bleu']['score']:.2f}"
    factors = [" ".join(f"{each:.1f}" for each in row["precisions"]), f"{row['brevity_penalty']:.3f}"]
    if row is baseline:
        return [score, *factors, "", ""]
    sentences = " / ".join(f"{row['sentences'][kind]:,}" for kind in ("better", "worse", "same"))
    return [f"{score} ({signed(gain(row, baseline))})", *factors, sentences, p_cell(row)]


def p_cell(row: Row) -> str:
    """Corrected p-values of BLEU, first against the pretrained model, then against other methods by name."""
    p_values = {name: shown_p(p["holm"]) for name, p in row["bleu"].get("p", {}).items()}
    return "; ".join(p if name == "pretrained" else f"{name}: {p}" for name, p in p_values.items())


def system_table(decodings: Mapping[str, Mapping[str, Row]]) -> str:
    """Of one test set: a row for each system, the ways of decoding side by side."""
    heads = ["method", *(f"{how}: {head}" if head == "BLEU" else head for how in decodings for head in HEADS)]
    names = list(next(iter(decodings.values())))
    rows = [
        [name, *(cell for own in decodings.values() for cell in cells(own[name], own["pretrained"]))] for name in names
    ]
    return markdown(heads, rows)


def sets_table(tables: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> str:
    """Gains of every method on each test set by every metric, with corrected p-values against the pretrained model."""
    from nmt_rl.evaluation.tables import label

    heads, columns = ["method"], []
    for table in tables:
        for metric in metrics:
            for how, rows in table["decodings"].items():
                heads.append(f"{table['test']}, {how}: {label(metric)}")
                columns.append((metric, rows))
    body = []
    for name in columns[0][1]:
        row = [name]
        for metric, rows in columns:
            own, baseline = rows[name], rows["pretrained"]
            p = own[metric].get("p", {}).get("pretrained")
            told = f" ({shown_p(p['holm'])})" if p else ""
            row.append(f"{signed(gain(own, baseline, metric))}{told}" if p else f"{own[metric]['score']:.2f}")
        body.append(row)
    return markdown(heads, body)


def whole(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table of all test sets as one, or of the only one."""
    found: Mapping[str, Any] = results["tables"][-1]
    return found


def pooled_table(systems: Sequence[Mapping[str, Any]]) -> str:
    """Gains in BLEU over the pretrained models, of every system and their mean; bold: corrected p below 0.05."""
    methods = list(dict.fromkeys(name for results in systems for name in results["methods"]))
    heads = ["method", *(f"{results['system']}: greedy / beam 5" for results in systems), "mean"]
    rows = []
    for method in methods:
        row = [method]
        gains: dict[str, list[float]] = {how: [] for how in DECODINGS}
        for results in systems:
            told = []
            for how, own in whole(results)["decodings"].items() if method in results["methods"] else ():
                gains[how].append(gain(own[method], own["pretrained"]))
                bold = "**" if own[method]["bleu"]["p"]["pretrained"]["holm"] < 0.05 else ""
                told.append(f"{bold}{signed(gains[how][-1])}{bold}")
            row.append(" / ".join(told))
        rows.append([*row, " / ".join(signed(statistics.fmean(each)) for each in gains.values())])
    return markdown(heads, rows)


def trials_table(methods: Mapping[str, Any]) -> str:
    """Every trial with its settings, updates, processor minutes and validation BLEU; the chosen one is bold."""
    rows = []
    for name, method in methods.items():
        for place, trial in enumerate(method["trials"]):
            settings = " ".join(f"`{each}`" for each in trial["settings"] if not each.startswith(("method=", *COMMON)))
            bleu = f"{trial['bleu']:.2f}"
            minutes = f"{trial['processor_seconds'] / 60:.1f}"
            told = f"**{bleu}**" if place == method["chosen"] else bleu
            rows.append([name, settings, str(trial["updates"]), minutes, told, f"{trial['word_reward']:g}"])
    return markdown(["method", "settings", "updates", "CPU minutes", "validation BLEU", "word reward"], rows)


def mean_curve(curves: Sequence[Sequence[Sequence[float]]]) -> list[tuple[float, float, float, float]]:
    """Minutes, and mean, lowest and highest BLEU over the seeds, of their first, second, ... validations."""
    points = []
    for at in zip(*curves, strict=True):
        bleu = [each[1] for each in at]
        points.append((statistics.fmean(each[0] for each in at), statistics.fmean(bleu), min(bleu), max(bleu)))
    return points


def draw_curves(methods: Mapping[str, Any], title: str, path: Path) -> None:
    """Greedy validation BLEU over processor minutes: the mean of the seeds, in a band from lowest to highest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    for place, (name, method) in enumerate(methods.items()):
        minutes, mean, low, high = zip(*mean_curve(method["curves"]), strict=True)
        axis.plot(minutes, mean, color=f"C{place}", marker="o", markersize=3, label=name)
        axis.fill_between(minutes, low, high, color=f"C{place}", alpha=0.12, linewidth=0)
    axis.set_title(title, loc="left", fontsize=11)
    axis.set_xlabel("processor minutes of fine-tuning")
    axis.set_ylabel("BLEU, greedy, validation (%)")
    axis.grid(color="#e4e4e4")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    figure.savefig(path)


def caption(results: Mapping[str, Any]) -> str:
    """How a system's numbers were made."""
    table, machine, length = whole(results), results["machine"], results["pretrained"]["length"]
    return (
        f"{', '.join(each['test'] for each in results['tables'] if each['test'] != 'all')}, {table['lines']:,} lines; "
        f"{len(results['seeds'])} seeds, {results['budget_minutes']:g} CPU minutes each; word reward and length "
        f"penalty of every model tuned on validation (pretrained: {length['word_reward']:g} and "
        f"{length['length_penalty']:g}); "
        f"p two-sided, bootstrap over sentences and seeds, {results['resamples']:,} resamples, Holm over the table. "
        f"`{table['signatures']['bleu']}`; {machine['processor']}, one thread, {results['hours']:g} hours, "
        f"{results['date']}, nmt-rl {results['versions']['nmt-rl']}.\n"
    )


def section(results: Mapping[str, Any]) -> str:
    """Of one system."""
    metrics = list(whole(results)["signatures"])
    parts = [f"## {results['system']}\n", caption(results), system_table(whole(results)["decodings"])]
    parts += ["By test set and metric (p in brackets):\n", sets_table(results["tables"], metrics)]
    parts.append(f"![Validation BLEU over processor minutes](results/{slug(results['system'])}.png)\n")
    common = [s for s in next(iter(results["methods"].values()))["trials"][0]["settings"] if s.startswith(COMMON)]
    shared = " ".join(f"`{each}`" for each in common)
    parts.append(f"Trials, {results['trial_minutes']:g} CPU minutes, seed {results['seeds'][0]}, all with {shared}:\n")
    return "\n".join([*parts, trials_table(results["methods"])])


def document(systems: Sequence[Mapping[str, Any]]) -> str:
    """The whole Markdown file."""
    head = "# Results of fine-tuning\n\nMade by `scripts/make_results.py` of runs of `scripts/compare_methods.py`.\n"
    pooled = ["## All systems\n", "BLEU over the pretrained model; bold: p < 0.05.\n", pooled_table(systems)]
    return "\n".join([head, *pooled, *map(section, systems)])


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description="Tables of comparisons; see the head of this file.")
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/fine-tuning-results.md"))
    arguments = parser.parse_args()
    systems = [read_json(path) for path in arguments.results]
    folder = arguments.output.parent / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for results in systems:
        write_json(folder / f"{slug(results['system'])}.json", results, indent=None)
        draw_curves(results["methods"], results["system"], folder / f"{slug(results['system'])}.png")
    arguments.output.write_text(document(systems), encoding="utf-8")


if __name__ == "__main__":
    main()
