"""Resampled scores through sacreBLEU: bootstrap and approximate randomization."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric
    from sacrebleu.significance import Result

Kind = Literal["bootstrap", "randomization"]

BYTES = 128
"""Of one line in one resample, at most: sacreBLEU holds all resamples of a metric's statistics at once."""


def resample(
    systems: Mapping[str, Sequence[str]], metric: Metric, kind: Kind, samples: int, seed: int
) -> tuple[str, list[Result]]:
    """sacreBLEU's signature and its results of each system: score, mean, interval, and p-value against the first.

    A single system has no p-value. Unlike `corpus_score` this bears resamples that score exactly 0.

    Args:
        systems: translations by name.
        metric: with cached references.
        kind: bootstrap (Koehn, 2004) or randomization (Riezler and Maxwell, 2005), which gives no intervals.
        samples: resamples of the bootstrap, or trials of the randomization.
        seed: of the sampling, at least 1.
    """
    from sacrebleu.significance import PairedTest

    named: list[tuple[str, Sequence[str]]] = [(name, list(hypotheses)) for name, hypotheses in systems.items()]
    with _sacrebleu_seed(seed):
        test = PairedTest(named, {"": metric}, None, {"bootstrap": "bs", "randomization": "ar"}[kind], samples)
        signatures, scores = test()
    ((name, signature),) = signatures.items()  # By sacreBLEU's own name of the metric.
    results: Any = scores[name]
    return str(signature), list(results)


def check_resamples(samples: int, lines: int) -> None:
    """Raise a UserError if so many resamples of so many lines do not fit into this machine's memory."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return
    needed, memory = samples * lines * BYTES, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        needs = f"{samples:,} resamples of {lines:,} lines need {needed / 2**30:,.0f} GiB of memory"
        raise UserError(f"{needs}, but this machine has {memory / 2**30:,.0f}; 1,000 resamples are usual")


@contextlib.contextmanager
def _sacrebleu_seed(seed: int) -> Iterator[None]:
    """sacreBLEU takes the seed from the environment only."""
    before = os.environ.get("SACREBLEU_SEED")
    os.environ["SACREBLEU_SEED"] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SACREBLEU_SEED"]
        else:
            os.environ["SACREBLEU_SEED"] = before
