"""Paired significance tests through sacreBLEU: bootstrap resampling and approximate randomization.

The numbers are those of `sacrebleu --paired-bs` or `--paired-ar` with `SACREBLEU_SEED=seed`, whatever the environment
says, but for two. Where a system's score equals the baseline's, sacreBLEU gives its smallest p-value; here it is 1. And
of the shuffles that give back the very difference that was observed (none exchanged, or all) sacreBLEU counts none;
here `exchange_share` is added, without which two systems that differ in one sentence would differ significantly.

sacreBLEU's bootstrap compares |d*|, of each resample, less the mean of all with |d|, which for a difference d that is
larger than its standard error is the share of one tail: a system that is better with p < 0.05 is so by a one-sided
test, and of equal systems about one pair in eight is called different. The randomization is two-sided. Of several
systems each is tested against the first alone: p-values are not corrected for their number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import build_metrics, check_lines, reference_streams, warn_if_tokenised
from nmt_rl.evaluation.resampling import Kind, resample
from nmt_rl.evaluation.tables import align_columns, label

UNCORRECTED = "each against the baseline, not corrected for the number of systems"
"""What the p-values of several systems are."""


@dataclasses.dataclass(frozen=True)
class PairedScore:
    """One metric of one system under resampling, in percent."""

    score: float
    """On the test set itself."""
    mean: float | None
    """Over the resamples; None without any."""
    ci: float | None
    """Half the width of the 95 % confidence interval around the mean."""
    p_value: float | None
    """Against the baseline, None for the baseline; of the bootstrap one-sided, of the randomization two-sided."""


@dataclasses.dataclass(frozen=True)
class PairedSystem:
    """A system's scores by metric."""

    system: str
    metrics: dict[str, PairedScore]
    decoding: str = ""
    """How it translated, if that is known."""

    @property
    def bleu(self) -> PairedScore:
        """Of BLEU."""
        return self.metrics["bleu"]

    @property
    def chrf(self) -> PairedScore:
        """Of chrF; raises KeyError if it was not asked for."""
        return self.metrics["chrf"]


@dataclasses.dataclass(frozen=True)
class PairedTest:
    """Systems on one test set, the baseline first; the signatures hold seed and number of resamples or trials."""

    systems: tuple[PairedSystem, ...]
    test_set: str
    lines: int
    kind: Kind
    samples: int
    """Resamples of the bootstrap, or trials of the randomization."""
    seed: int
    signatures: dict[str, str]
    """By metric."""

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)

    def system(self, name: str) -> PairedSystem:
        """The system of that name; raises KeyError."""
        return {system.system: system for system in self.systems}[name]


def paired_test(
    systems: Mapping[str, Sequence[str]],
    references: Sequence[str] | Sequence[Sequence[str]],
    *,
    test_set: str,
    kind: Kind = "bootstrap",
    metrics: Sequence[str] = ("bleu", "chrf"),
    samples: int = 1000,
    seed: int = 12345,
    target_language: str = "",
    tokenize: str | None = None,
    lowercase: bool = False,
    reference_name: str = "reference",
    decodings: Mapping[str, str] | None = None,
) -> PairedTest:
    """Test each system's difference from the first one: bootstrap (Koehn, 2004) or randomization (Riezler and Maxwell).

    Memory: see `resampling.BYTES`.

    Args:
        systems: translations by name, one per line; the first is the baseline.
        references: one reference per line, or several such lists.
        test_set: name the scores are reported under.
        kind: which test; the randomization shuffles the two systems' translations (Riezler and Maxwell, 2005), and
            gives no intervals.
        metrics: of `metrics.LABELS`.
        samples: of the test, at least 1.
        seed: of the sampling, at least 1 (sacreBLEU takes 0 for "unseeded").
        target_language, tokenize, lowercase, reference_name: as in `metrics.corpus_scores`.
        decodings: how systems translated, by name, where that is known.

    Raises:
        UserError: if line counts differ, or seed or samples are not positive.
    """
    for key, value in (("seed", seed), ("number of samples", samples)):
        if value < 1:
            raise UserError(f"the {key} of the paired test must be 1 or more, found {value}")
    streams = reference_streams(references)
    for name, hypotheses in systems.items():
        check_lines(name, hypotheses, reference_name, streams)
        warn_if_tokenised(name, hypotheses)
    built = build_metrics(streams, metrics, target_language, tokenize, lowercase)
    found = {name: resample(systems, metric, kind, samples, seed) for name, metric in built.items()}
    scores = {name: results for name, (_, results) in found.items()}
    return PairedTest(
        systems=tuple(
            PairedSystem(
                name,
                {m: _paired_score(scores[m][index], scores[m][0], _missed(kind, systems, name)) for m in metrics},
                (decodings or {}).get(name, ""),
            )
            for index, name in enumerate(systems)
        ),
        test_set=test_set,
        lines=len(streams[0]),
        kind=kind,
        samples=samples,
        seed=seed,
        signatures={name: signature for name, (signature, _) in found.items()},
    )


def format_paired(result: PairedTest) -> str:
    """A plain text table of scores, 95 % intervals and p-values, followed by the signatures."""
    heads = [cell for name in result.signatures for cell in (label(name), "p")]
    rows = [["system", *heads, ""]]
    for system in result.systems:
        cells = [cell for score in system.metrics.values() for cell in (_interval(score), _p_cell(score))]
        rows.append([system.system, *cells, "baseline" if system is result.systems[0] else ""])
    what = f"score (mean ± 95 % interval, {result.samples:,} resamples); p one-sided, as sacreBLEU's"
    if result.kind == "randomization":
        what = f"approximate randomization, {result.samples:,} trials; p two-sided"
    what += f", {UNCORRECTED}" if len(result.systems) > 2 else ""
    return "\n".join(
        [
            f"{result.test_set}, {result.lines:,} lines; {what}",
            align_columns(rows),
            *(f"{label(name)} {signature}" for name, signature in result.signatures.items()),
            *decoding_notes(result),
        ]
    )


def decoding_notes(result: PairedTest) -> list[str]:
    """`SYSTEM: how it translated`, of each system of which that is known."""
    return [f"{system.system}: {system.decoding}" for system in result.systems if system.decoding]


def format_p(p_value: float | None) -> str:
    """`p = 0.012`, `p < 0.001`, or `baseline` for the system that has no p-value."""
    if p_value is None:
        return "baseline"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _interval(score: PairedScore) -> str:
    return f"{score.score:.2f}" + ("" if score.mean is None else f" ({score.mean:.2f} ± {score.ci:.2f})")


def _p_cell(score: PairedScore) -> str:
    return "" if score.p_value is None else format_p(score.p_value).removeprefix("p ").removeprefix("= ")


def exchange_share(first: Sequence[str], second: Sequence[str]) -> float:
    """Share of the shuffles of two systems that exchange all of the k lines in which they differ, or none: 2^(1-k)."""
    return 2.0 ** (1 - max(1, sum(a != b for a, b in zip(first, second, strict=True))))


def _missed(kind: Kind, systems: Mapping[str, Sequence[str]], name: str) -> float:
    """What sacreBLEU's p-value of a system lacks."""
    return exchange_share(next(iter(systems.values())), systems[name]) if kind == "randomization" else 0.0


def _paired_score(result: Any, baseline: Any, missed: float) -> PairedScore:
    p_value = result.p_value
    if p_value is not None:
        p_value = 1.0 if result.score == baseline.score else min(p_value + missed, 1.0)
    values = (None if value is None else float(value) for value in (result.mean, result.ci, p_value))
    return PairedScore(float(result.score), *values)
