"""How far a run is, told from its diary while another process writes it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nmt_rl.evaluation.metrics import LABELS
from nmt_rl.evaluation.plots import is_number


@dataclass(frozen=True)
class Status:
    """Where a stage that is not finished stands."""

    stage: str
    updates: int
    """Done, when the diary was last written."""
    of: int
    """At which it is finished, if nothing else ends it."""
    numbers: Mapping[str, float]
    """Of the last interval."""
    valid: Mapping[str, float]
    """Of the last validation; empty before the first."""
    best: tuple[int, float] | None
    """Update and score of the best validation."""
    metric: str
    """Of that score."""
    silent: float
    """Seconds since the diary was last written."""

    @property
    def left(self) -> float | None:
        """Seconds that the remaining updates take at the pace of the last interval, validations not counted."""
        pace = self.numbers.get("updates_per_second")
        return (self.of - self.updates) / pace if pace else None

    def text(self) -> str:
        """For the terminal."""
        lines = [f"{self.stage}: update {self.updates:,} of {self.of:,}, told {duration(self.silent)} ago"]
        if self.left is not None:
            lines[0] += f"; {duration(self.left)} to go"
        for name, numbers in (("last interval", self.numbers), ("last validation", self.valid)):
            if numbers:
                lines.append(f"  {name}: " + "  ".join(f"{key} {value:.4g}" for key, value in numbers.items()))
        if self.best is not None:
            lines.append(f"  best validation: {LABELS[self.metric]} {self.best[1]:.2f} at update {self.best[0]:,}")
        return "\n".join(lines)


NOT_TOLD = ("time", "step", "seconds", "training_seconds")


def stage_status(
    events: Sequence[Mapping[str, Any]], stage: str, updates: int, metric: str = "bleu", now: float | None = None
) -> Status:
    """Where a stage stands.

    Args:
        events: of metrics.jsonl.
        stage: `pretrain` or `finetune`.
        updates: at which it is finished.
        metric: by which a validation is the best.
        now: seconds since the epoch, if it is another time.
    """
    own = [event for event in events if event.get("stage") == stage and is_number(event.get("step"))]
    last = {str(event.get("event")): event for event in own}
    validated = [e for e in own if e.get("event") == "valid" and is_number(e.get(metric))]
    scores = [(int(e["step"]), float(e[metric])) for e in validated]
    told = max((float(event["time"]) for event in own if is_number(event.get("time"))), default=None)
    return Status(
        stage=stage,
        updates=max((int(event["step"]) for event in own), default=0),
        of=updates,
        numbers=_numbers(last.get("train", {})),
        valid=_numbers(last.get("valid", {})),
        best=max(scores, key=lambda score: score[1], default=None),
        metric=metric,
        silent=max(0.0, (time.time() if now is None else now) - told) if told is not None else 0.0,
    )


def _numbers(event: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in event.items() if name not in NOT_TOLD and is_number(value)}


def duration(seconds: float) -> str:
    """In the two largest units: 2 d 3 h, 4 h 5 min, 6 min 7 s, 8 s."""
    whole = round(seconds)
    sizes = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for (size, unit), (next_size, next_unit) in itertools.pairwise(sizes):
        if whole >= size:
            rest = whole % size // next_size
            return f"{whole // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{whole} s"
