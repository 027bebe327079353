"""Bootstrap over sentences and seeds, of systems that were trained with several seeds.

A system's score is the mean of its outputs' corpus scores, one output of each seed. A resample draws sentences, the
same for all systems (Koehn, 2004), and of a system with S seeds, on its own, S - 1 of its scores with replacement: so
many, because the variance of their mean is then that of the mean of S scores, s²/S (Rao and Wu, 1988); of S of them it
would be too small by (S - 1)/S. Where seeds differ only as sentences do, the resamples vary more than the score (Owen,
2007), and p-values are larger than they need be. A system with one output varies by its sentences alone.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nmt_rl.evaluation.metrics import reference_streams

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

CHUNK = 2**22
"""Sentences drawn at a time."""


@dataclasses.dataclass(frozen=True)
class Pooled:
    """One metric of one system, in percent."""

    by_seed: tuple[float, ...]
    """Corpus scores of the outputs."""
    mean: float
    """Over the resamples."""
    ci: float
    """Half the width of the 95 % confidence interval around the mean."""
    p_value: float | None
    """Two-sided, against the first system, which has none."""

    @property
    def score(self) -> float:
        """The mean of the outputs' scores."""
        return statistics.fmean(self.by_seed)


def seed_outputs(system: Sequence[str] | Sequence[Sequence[str]]) -> list[list[str]]:
    """One output, or one of each seed, as a list of outputs."""
    return reference_streams(system)


def pooled_bootstrap(
    systems: Mapping[str, Sequence[Sequence[str]]], metric: Metric, samples: int, seed: int
) -> tuple[str, list[Pooled]]:
    """The metric's signature, and each system's scores, interval and p-value against the first system.

    Args:
        systems: outputs by name, one of each seed, with one translation per line.
        metric: with cached references.
        samples: resamples of the bootstrap.
        seed: of the sampling, at least 1; sentences are those that sacreBLEU draws with it.
    """
    counts = [len(outputs) for outputs in systems.values()]
    made: Any = metric
    matches = [np.array(made._extract_corpus_statistics(o, None)) for outputs in systems.values() for o in outputs]
    scores = np.array([made._compute_score_from_stats(each.sum(0).tolist()).score for each in matches])
    resampled = np.split(_resampled_scores(made, matches, samples, seed), np.cumsum(counts)[:-1], axis=1)
    means = [_mean_of_seeds(each, (seed, index)) for index, each in enumerate(resampled)]
    found = []
    for index, own in enumerate(np.split(scores, np.cumsum(counts)[:-1])):
        p_value = two_sided(means[index] - means[0]) if index else None
        found.append(Pooled(tuple(own.tolist()), float(means[index].mean()), _half_width(means[index]), p_value))
    return str(metric.get_signature()), found


def two_sided(differences: np.ndarray) -> float:
    """Twice the smaller tail of B resampled differences beyond 0: 2 min(1 + #{d <= 0}, 1 + #{d >= 0}) / (B + 1).

    Args:
        differences: of shape [B].
    """
    tail = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return min(1.0, 2 * (1 + tail) / (1 + len(differences)))


def _resampled_scores(metric: Any, matches: Sequence[np.ndarray], samples: int, seed: int) -> np.ndarray:
    """Corpus scores of every output on the resamples, which are the same for all: [samples, outputs]."""
    lines, rng = len(matches[0]), np.random.default_rng(seed)
    columns, whole = np.hstack(matches).astype(float), matches[0].dtype.kind == "i"
    rows, at_once = [], max(1, CHUNK // lines)
    for start in range(0, samples, at_once):
        size = min(at_once, samples - start)
        drawn = rng.choice(lines, size=(size, lines)) + lines * np.arange(size)[:, None]
        sums = np.bincount(drawn.ravel(), minlength=size * lines).reshape(size, lines).astype(float) @ columns
        sums = sums.reshape(size, len(matches), -1)
        for resample in (sums.astype(int) if whole else sums).tolist():
            rows.append([metric._compute_score_from_stats(output).score for output in resample])
    return np.array(rows)


def _mean_of_seeds(scores: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """[samples, seeds] -> [samples]: the mean of seeds - 1 scores of each resample, drawn with replacement."""
    samples, seeds = scores.shape
    if seeds == 1:
        return scores[:, 0]
    drawn = np.random.default_rng(seed).integers(seeds, size=(samples, seeds - 1))
    return np.take_along_axis(scores, drawn, axis=1).mean(axis=1)


def _half_width(means: np.ndarray) -> float:
    """Of the interval without a fortieth of the resamples on either side, as sacreBLEU has it."""
    ordered, outside = np.sort(means), len(means) // 40
    return float(ordered[len(means) - outside - 1] - ordered[outside]) / 2
