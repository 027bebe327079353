"""How far a stage is; and on stderr a bar with tokens per second and ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nmt_rl.evaluation.metrics import LABELS

logger = logging.getLogger("nmt_rl")

DASHBOARD = {
    "loss": "loss",
    "return": "return",
    "sample_return": "sample return",
    "td_error": "TD error",
    "length_ratio": "length",
    **{f"valid_{metric}": name for metric, name in LABELS.items()},
    "tokens_per_second": "tokens/s",
    "updates_per_second": "updates/s",
}
"""What a terminal shows of an interval, and how it is called there."""


@dataclass
class Progress:
    """How far a stage has come; part of every checkpoint."""

    step: int = 0
    seconds: float = 0.0
    """Validation counted."""
    training_seconds: float = 0.0
    """Validation not counted."""
    processor_seconds: float = 0.0
    """Of training, all threads together: what it cost, whatever else the machine did."""
    tokens: float = 0.0
    best: float = -np.inf
    best_step: int = 0
    stalled: int = 0
    """Validations since the best one."""
    scale: float = 1.0
    """Of the plateau schedule."""
    since_drop: int = 0
    """Stalled validations since the plateau schedule last lowered the rate."""
    snapshots: dict[int, float] = field(default_factory=dict)
    """Validated weights that are kept: step -> score."""
    valid_score: float | None = None
    """By a metric of text, of the last validation."""
    skipped: int = 0
    """Updates that changed nothing, as their gradient was not finite."""
    due: bool = False
    """The weights are to be validated before the next update: a signal came first."""
    before: dict[str, float] | None = None
    """Numbers of the weights before the first update, if the stage measured them."""

    def told(self) -> dict[str, Any]:
        """What a stage's result says of it."""
        times = ("seconds", "training_seconds", "processor_seconds")
        return {"updates": self.step, **{name: round(getattr(self, name), 1) for name in times}}


class ProgressLine:
    """Shows how a stage goes.

    Args:
        stage: its name.
        updates: at which it is finished.
    """

    def __init__(self, stage: str, updates: int) -> None:
        """See the class docstring."""
        self.stage = stage
        self._start: tuple[float, float, int] | None = None
        self._latest = (time.monotonic(), 0.0, 0)
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")]
            columns += [
                TextColumn("{task.fields[info]}"),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
            ]
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(stage, total=updates, info="")
            self._bar.start()

    def update(self, step: int, tokens: float) -> None:
        """One update is done; `tokens` counts all target tokens so far."""
        self._latest = (time.monotonic(), tokens, step)
        if self._start is None:
            self._start = self._latest
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def speed(self) -> float:
        """Target tokens per second since the first update of this process."""
        return self._rate(1)

    def pace(self) -> float:
        """Updates per second since the first update of this process."""
        return self._rate(2)

    def _rate(self, index: int) -> float:
        if self._start is None or self._latest[0] <= self._start[0]:
            return 0.0
        return (self._latest[index] - self._start[index]) / (self._latest[0] - self._start[0])

    def log(self, step: int, numbers: Mapping[str, float], better: bool | None = None) -> None:
        """Print the numbers of an interval, or of a validation if `better` says whether it is the best one yet.

        On a terminal an interval's numbers stand beside the bar, those of DASHBOARD that there are.
        """
        if better is None and self._bar is not None:
            shown = (f"{label} {numbers[name]:.3g}" for name, label in DASHBOARD.items() if name in numbers)
            self._bar.update(self._task, info="  ".join(shown))
            return
        what = "" if better is None else " valid" + (" (best)" if better else "")
        logger.info("%s %d%s  %s", self.stage, step, what, "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()))

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
