"""The report of a run: report.html, the plots as PNG files, and metrics.json."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from nmt_rl.evaluation.comparison import (
    FINETUNED,
    PRETRAINED,
    Comparison,
    SplitScores,
    released_sentence,
    score_split,
    signed,
)
from nmt_rl.evaluation.examples import choose_examples
from nmt_rl.evaluation.metrics import LABELS
from nmt_rl.evaluation.page import render_page
from nmt_rl.evaluation.plots import calibration_png, finetuning_png, pretraining_png, read_events
from nmt_rl.evaluation.significance import PairedTest, format_p
from nmt_rl.evaluation.tables import format_scores
from nmt_rl.storage.writing import write_json, write_text, written_file


@dataclasses.dataclass(frozen=True)
class Report:
    """What was written, for the terminal."""

    path: Path
    """Of report.html."""
    sentence: str
    """Which model is released, and by how much it is better."""
    splits: tuple[SplitScores, ...]
    """Validation first."""

    def text(self) -> str:
        """The score tables as plain text, with signatures, ended by the sentence."""
        parts = []
        for split in self.splits:
            parts.append(f"{split.title[0].upper()}{split.title[1:]} ({split.decoding})\n{format_scores(split.scores)}")
            if split.paired:
                parts[-1] += f"\n{_difference(split, split.paired)}"
        return "\n\n".join([*parts, self.sentence])


def write_report(run: Path, comparison: Comparison) -> Report:
    """Score the translations and write report.html, its figures as PNG files and metrics.json into a run.

    Args:
        run: folder of the run; its metrics.jsonl gives the learning curves.
        comparison: translations and facts.

    Raises:
        UserError: if the line counts of translations and references differ.
        ValueError: if the released model is the fine-tuned one but there are no translations of it.
    """
    translated = [comparison.validation, *comparison.further, *([comparison.test] if comparison.test else [])]
    if comparison.released == "finetuned" and comparison.validation.finetuned is None:
        raise ValueError("the fine-tuned model is released, but the validation set has no translations of it")
    splits = tuple(score_split(translations, comparison) for translations in translated)
    curves = _write_curves(run, splits[0], comparison.metrics[0])
    calibration = calibration_png(comparison.q.get("calibration", ()))
    _write_figure(run / "calibration.png", calibration)
    shown = translated[-1] if comparison.test else comparison.validation
    language = shown.target_language or comparison.target_language
    examples = choose_examples(shown.texts(), language, seed=comparison.seed)
    write_json(run / "metrics.json", _numbers(comparison, splits))
    page = render_page(comparison, splits, curves, calibration, examples, splits[translated.index(shown)])
    write_text(run / "report.html", page)
    return Report(run / "report.html", released_sentence(comparison, splits[0]), splits)


def _write_curves(run: Path, validation: SplitScores, metric: str) -> list[tuple[str, bytes]]:
    events, pretrained = read_events(run / "metrics.jsonl"), validation.of(PRETRAINED).values[metric]
    drawn = (
        ("pretraining.png", "Pretraining, over updates", pretraining_png(events, metric)),
        ("finetuning.png", "Fine-tuning, over updates", finetuning_png(events, pretrained, metric)),
    )
    for file, _, png in drawn:
        _write_figure(run / file, png)
    return [(caption, png) for _, caption, png in drawn if png is not None]


def _write_figure(path: Path, png: bytes | None) -> None:
    if png is None:
        # A figure of an earlier report would contradict this one.
        path.unlink(missing_ok=True)
        return
    with written_file(path) as stream:
        stream.write(png)


def _difference(split: SplitScores, paired: PairedTest) -> str:
    """One line for the terminal: gains and p-values of the fine-tuned model."""
    old, new, tested = split.of(PRETRAINED).values, split.of(FINETUNED).values, paired.system(FINETUNED)
    gains = (
        f"{LABELS[name]} {signed(new[name] - old[name])} ({format_p(score.p_value)})"
        for name, score in tested.metrics.items()
    )
    return (
        f"fine-tuned against pretrained: {', '.join(gains)}; "
        f"one-sided paired bootstrap, {paired.samples:,} resamples, seed {paired.seed}"
    )


def _numbers(comparison: Comparison, splits: tuple[SplitScores, ...]) -> dict[str, object]:
    return {
        "name": comparison.name,
        "source_language": comparison.source_language,
        "target_language": comparison.target_language,
        "released": comparison.released,
        "choice": dataclasses.asdict(comparison.choice) if comparison.choice else None,
        "scores": {split.title: split.to_json() for split in splits},
        "bleu_gain": {
            split.title: split.of(FINETUNED).bleu - split.of(PRETRAINED).bleu
            for split in splits
            if split.paired and "bleu" in split.of(FINETUNED).metrics
        },
        "cleaning": dict(comparison.cleaning),
        "seed": comparison.seed,
        "date": comparison.date,
        "wall_seconds": dict(comparison.wall_seconds),
        "q": dict(comparison.q),
        "versions": dict(comparison.versions),
        "machine": dict(comparison.machine),
    }
