"""What a report is about: the pretrained and the fine-tuned model's translations, and their scores."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from nmt_rl.evaluation.environment import machine, versions
from nmt_rl.evaluation.examples import Texts
from nmt_rl.evaluation.metrics import LABELS, Scores, corpus_scores
from nmt_rl.evaluation.significance import PairedTest, format_p, paired_test

PRETRAINED, FINETUNED = "pretrained", "fine-tuned"


@dataclasses.dataclass(frozen=True)
class Translations:
    """One split in both models' words; all lists have one entry per line."""

    split: Literal["validation", "further validation", "test"]
    test_set: str
    """Name the scores are reported under."""
    decoding: str
    """How the text was translated, such as `greedy` or `beam 5`."""
    sources: Sequence[str]
    references: Sequence[str]
    pretrained: Sequence[str]
    finetuned: Sequence[str] | None = None
    """None if there is no fine-tuned model."""
    target_language: str = ""
    """Its code, if it is not the comparison's: what a tag asks for."""

    def texts(self) -> Texts:
        """The same, as examples are chosen from."""
        return Texts(self.sources, self.references, self.pretrained, self.finetuned)

    def systems(self) -> dict[str, Sequence[str]]:
        """The translations by the model's name, the pretrained one first."""
        both = {PRETRAINED: self.pretrained}
        return both if self.finetuned is None else {**both, FINETUNED: self.finetuned}


@dataclasses.dataclass(frozen=True)
class Choice:
    """By which scores the released model was chosen."""

    lines: int
    """The first lines of the validation set."""
    pretrained: float
    """By the metric of the task, in percent, greedy."""
    finetuned: float


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All that the report needs besides the run's metrics.jsonl."""

    name: str
    """Of the experiment."""
    source_language: str
    target_language: str
    released: Literal["pretrained", "finetuned"]
    """The model that was released."""
    validation: Translations
    metrics: Sequence[str] = ("bleu", "chrf")
    """All that are told, that of the task first."""
    choice: Choice | None = None
    """How it was chosen; None: on the whole validation set, or without a fine-tuned model."""
    further: Sequence[Translations] = ()
    """Of other validation sets."""
    test: Translations | None = None
    config: str = ""
    """The resolved experiment as YAML."""
    cleaning: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Counts by name; may be nested."""
    seed: int = 1
    wall_seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Seconds by stage."""
    q: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the fine-tuned model's Q predicts, as in the stage's result; empty if it has none."""
    resamples: int = 1000
    """Of the paired bootstrap."""
    bootstrap_seed: int = 12345
    versions: Mapping[str, str] = dataclasses.field(default_factory=versions)
    machine: Mapping[str, str] = dataclasses.field(default_factory=machine)
    date: str = dataclasses.field(default_factory=_now)


@dataclasses.dataclass(frozen=True)
class SplitScores:
    """One split's scores: one entry per model, and the paired test if there are two."""

    split: str
    decoding: str
    scores: tuple[Scores, ...]
    paired: PairedTest | None

    @property
    def title(self) -> str:
        """Which split it is; of further validation sets, which of them."""
        return self.split if self.split in ("validation", "test") else f"{self.split} {self.scores[0].test_set}"

    def of(self, system: str) -> Scores:
        """The scores of `pretrained` or `fine-tuned`; raises KeyError."""
        return {scores.system: scores for scores in self.scores}[system]

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)


def score_split(translations: Translations, comparison: Comparison) -> SplitScores:
    """Score one split of a comparison; raises UserError if line counts differ."""
    systems = translations.systems()
    options: dict[str, Any] = {
        "test_set": translations.test_set,
        "target_language": translations.target_language or comparison.target_language,
        "metrics": comparison.metrics,
        "reference_name": f"the reference of {translations.test_set}",
    }
    return SplitScores(
        translations.split,
        translations.decoding,
        tuple(corpus_scores(texts, translations.references, system=name, **options) for name, texts in systems.items()),
        paired_test(
            systems, translations.references, samples=comparison.resamples, seed=comparison.bootstrap_seed, **options
        )
        if len(systems) > 1
        else None,
    )


def released_sentence(comparison: Comparison, validation: SplitScores) -> str:
    """One sentence: which model is released, on what it was chosen, and what it scores on validation."""
    finetuned, choice = comparison.released == "finetuned", comparison.choice
    name, other = (FINETUNED, PRETRAINED) if finetuned else (PRETRAINED, FINETUNED)
    metric, lines = comparison.metrics[0], validation.of(name).lines
    label, score = LABELS[metric], validation.of(name).values[metric]
    sentence = f"The released model is the {name} one: {score:.2f} {label} on validation"
    if validation.paired is None:
        return f"{sentence}."
    if choice is not None and choice.lines < lines:
        ours, theirs = (choice.finetuned, choice.pretrained) if finetuned else (choice.pretrained, choice.finetuned)
        chosen = f"chosen on the first {choice.lines:,} lines of validation ({ours:.2f} {label} against {theirs:.2f})"
        sentence = f"The released model is the {name} one, {chosen}: {score:.2f} {label} on all {lines:,}"
    test = format_p(validation.paired.system(FINETUNED).metrics[metric].p_value)
    rival = validation.of(other).values[metric]
    return f"{sentence}, against {rival:.2f} for the {other} one ({signed(score - rival)}, {test})."


def signed(difference: float) -> str:
    """A difference of scores with its sign, two decimals: `+1.20`, `−0.30`, `±0.00`."""
    text = f"{abs(difference):.2f}"
    if float(text) == 0:
        return f"±{text}"
    return f"+{text}" if difference > 0 else f"−{text}"
