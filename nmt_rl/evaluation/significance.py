"""Paired significance tests through sacreBLEU: bootstrap resampling and approximate randomization.

The numbers are those of `sacrebleu --paired-bs` or `--paired-ar` with `SACREBLEU_SEED=seed`, whatever the environment
says, but for two. Where a system's score equals the baseline's, sacreBLEU gives its smallest p-value; here it is 1. And
of the shuffles that give back the very difference that was observed (none exchanged, or all) sacreBLEU counts none;
here `exchange_share` is added, without which two systems that differ in one sentence would differ significantly.

sacreBLEU's bootstrap compares |d*|, of each resample, less the mean of all with |d|, which for a difference d that is
larger than its standard error is the share of one tail: a system that is better with p < 0.05 is so by a one-sided
test, and of equal systems about one pair in eight is called different. The randomization is two-sided, and so is the
bootstrap over seeds, of systems with several outputs (`pooling`). Of several systems each is tested against the first,
and p-values are corrected for their number, metric by metric (Holm, 1979).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import build_metrics, check_lines, reference_streams, warn_if_tokenised
from nmt_rl.evaluation.pooling import pooled_bootstrap, seed_outputs
from nmt_rl.evaluation.resampling import Kind, resample
from nmt_rl.evaluation.tables import align_columns, label

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

ONE_OUTPUT = "--test randomization exchanges translations of two outputs; of several seeds take --test bootstrap"
"""Why approximate randomization is refused."""


@dataclasses.dataclass(frozen=True)
class PairedScore:
    """One metric of one system under resampling, in percent."""

    score: float
    """On the test set itself; of several seeds, the mean of their scores."""
    mean: float | None
    """Over the resamples; None without any."""
    ci: float | None
    """Half the width of the 95 % confidence interval around the mean."""
    p_value: float | None
    """Against the baseline, None for the baseline; one-sided by the bootstrap of single outputs, else two-sided."""
    p_holm: float | None = None
    """The same, corrected for the number of systems (Holm, 1979)."""
    by_seed: tuple[float, ...] = ()
    """Scores of the seeds, if there are several."""


@dataclasses.dataclass(frozen=True)
class PairedSystem:
    """A system's scores by metric."""

    system: str
    metrics: dict[str, PairedScore]
    decoding: str = ""
    """How it translated, if that is known."""

    @property
    def seeds(self) -> int:
        """How many outputs it has."""
        return max([1, *(len(score.by_seed) for score in self.metrics.values())])

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

    @property
    def pooled(self) -> bool:
        """Whether any system has several seeds."""
        return any(system.seeds > 1 for system in self.systems)

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)

    def system(self, name: str) -> PairedSystem:
        """The system of that name; raises KeyError."""
        return {system.system: system for system in self.systems}[name]


def paired_test(
    systems: Mapping[str, Sequence[str] | Sequence[Sequence[str]]],
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

    If any system has outputs of several seeds, by the bootstrap over sentences and seeds of `pooling`. Memory: see
    `resampling.BYTES`.

    Args:
        systems: translations by name, one per line, or several such lists, one of each seed; the first is the baseline.
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
        UserError: if line counts differ, seed or samples are not positive, or outputs of several seeds are to be
            randomized.
    """
    for key, value in (("seed", seed), ("number of samples", samples)):
        if value < 1:
            raise UserError(f"the {key} of the paired test must be 1 or more, found {value}")
    streams = reference_streams(references)
    outputs = {name: seed_outputs(system) for name, system in systems.items()}
    for name, seeds in outputs.items():
        for number, hypotheses in enumerate(seeds, 1):
            called = name if len(seeds) == 1 else f"{name}, seed {number},"
            check_lines(called, hypotheses, reference_name, streams)
            warn_if_tokenised(called, hypotheses)
    built = build_metrics(streams, metrics, target_language, tokenize, lowercase)
    found = {name: _test(outputs, metric, kind, samples, seed) for name, metric in built.items()}
    return PairedTest(
        systems=tuple(
            PairedSystem(name, {m: found[m][1][index] for m in metrics}, (decodings or {}).get(name, ""))
            for index, name in enumerate(systems)
        ),
        test_set=test_set,
        lines=len(streams[0]),
        kind=kind,
        samples=samples,
        seed=seed,
        signatures={name: signature for name, (signature, _) in found.items()},
    )


def _test(
    outputs: Mapping[str, list[list[str]]], metric: Metric, kind: Kind, samples: int, seed: int
) -> tuple[str, list[PairedScore]]:
    """The metric's signature, and its scores of each system."""
    if all(len(seeds) == 1 for seeds in outputs.values()):
        single = {name: output for name, (output,) in outputs.items()}
        signature, results = resample(single, metric, kind, samples, seed)
        missed = [_missed(kind, single, name) for name in single]
        scores = [_paired_score(*each, results[0]) for each in zip(results, missed, strict=True)]
    elif kind == "randomization":
        raise UserError(ONE_OUTPUT)
    else:
        signature, pooled = pooled_bootstrap(outputs, metric, samples, seed)
        scores = [PairedScore(p.score, p.mean, p.ci, p.p_value, by_seed=p.by_seed) for p in pooled]
    corrected = holm([score.p_value for score in scores if score.p_value is not None])
    return signature, [
        scores[0],
        *(dataclasses.replace(score, p_holm=p) for score, p in zip(scores[1:], corrected, strict=True)),
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, so that any wrong finding among them is as improbable as p (Holm, 1979).

    Of m, the k-th smallest is multiplied by m + 1 - k, and is no less than a smaller one's, nor more than 1.
    """
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = least
    return corrected


def format_paired(result: PairedTest) -> str:
    """A plain text table of scores, 95 % intervals and p-values, followed by the signatures."""
    heads = [cell for name in result.signatures for cell in (label(name), "p")]
    rows = [["system", *heads, ""]]
    for system in result.systems:
        cells = [cell for score in system.metrics.values() for cell in (_interval(score), _p_cell(score))]
        rows.append([system_label(system), *cells, "baseline" if system is result.systems[0] else ""])
    what = "" if result.kind == "randomization" else "score (mean ± 95 % interval); "
    return "\n".join(
        [
            f"{result.test_set}, {result.lines:,} lines; {what}{tested(result)}",
            align_columns(rows),
            *(f"{label(name)} {signature}" for name, signature in result.signatures.items()),
            *seed_notes(result),
            *decoding_notes(result),
        ]
    )


def tested(result: PairedTest) -> str:
    """How p-values were made."""
    if result.kind == "randomization":
        how = f"p by approximate randomization, {result.samples:,} trials, two-sided"
    elif result.pooled:
        how = f"p by bootstrap over sentences and seeds, {result.samples:,} resamples, two-sided"
    else:
        how = f"p by paired bootstrap, {result.samples:,} resamples, one-sided as sacreBLEU's"
    others = len(result.systems) - 1
    return how if others < 2 else f"{how}, corrected for {others} comparisons with the baseline (Holm, 1979)"


def seed_notes(result: PairedTest) -> list[str]:
    """`SYSTEM, seed by seed: METRIC scores`, of each system that has several, and that all else is their mean."""
    notes = []
    for system in result.systems:
        if system.seeds > 1:
            scores = {label(m): ", ".join(f"{each:.2f}" for each in s.by_seed) for m, s in system.metrics.items()}
            notes.append(f"{system.system}, seed by seed: {'; '.join(f'{m} {s}' for m, s in scores.items())}")
    return [*notes, "all other numbers of several seeds are means over them"] if notes else []


def system_label(system: PairedSystem) -> str:
    """Its name, and how many seeds it has if there are several."""
    return system.system if system.seeds == 1 else f"{system.system}, {system.seeds} seeds"


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
    return "" if score.p_holm is None else format_p(score.p_holm).removeprefix("p ").removeprefix("= ")


def exchange_share(first: Sequence[str], second: Sequence[str]) -> float:
    """Share of the shuffles of two systems that exchange all of the k lines in which they differ, or none: 2^(1-k)."""
    return 2.0 ** (1 - max(1, sum(a != b for a, b in zip(first, second, strict=True))))


def _missed(kind: Kind, systems: Mapping[str, Sequence[str]], name: str) -> float:
    """What sacreBLEU's p-value of a system lacks."""
    return exchange_share(next(iter(systems.values())), systems[name]) if kind == "randomization" else 0.0


def _paired_score(result: Any, missed: float, baseline: Any) -> PairedScore:
    p_value = result.p_value
    if p_value is not None:
        p_value = 1.0 if result.score == baseline.score else min(p_value + missed, 1.0)
    mean, ci, p_value = (None if value is None else float(value) for value in (result.mean, result.ci, p_value))
    return PairedScore(float(result.score), mean, ci, p_value)
