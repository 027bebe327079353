"""Learning curves from the events in metrics.jsonl, and bars of two systems, as PNG images."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from nmt_rl.evaluation.metrics import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nmt_rl.evaluation.contrast import Bucket

Event = Mapping[str, Any]

TRAIN, VALID, REFERENCE = "#3b6ea8", "#c2571a", "#666666"
SYSTEMS = (TRAIN, VALID, "#4d8b4a", "#8a5aa8", "#b59a1f", "#4aa5a5")
"""Colours of the systems of a comparison, the baseline first."""
LABEL = 40
"""Characters of a label that fit a panel."""
LARGEST = 1e30
"""What an axis can show."""


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel of the fine-tuning figure: a key of one kind of event over updates."""

    event: str
    key: str
    title: str
    label: str


EXPLAINED = ("q_beyond", "value_explained")
"""Keys of explained variances: before its first update V is drawn at random, and its is far below 0."""
PANELS = (
    Panel("train", "return", "Return", "return (0 to 1)"),
    Panel("train", "sample_return", "Return of samples", "return (0 to 1)"),
    Panel("train", "td_error", "TD error", "TD error (0 to 1)"),
    Panel("train", "value_explained", "What V explains", "share of the variance of its targets"),
    Panel("valid", "q_correlation", "Q on validation forks", "correlation with the truth"),
    Panel("valid", "q_beyond", "Q beyond logits and position", "explained variance"),
    Panel("valid", "kl", "Distance from the prior", "KL (nats per piece)"),
    Panel("valid", "entropy", "Policy entropy", "entropy (nats per piece)"),
    Panel("valid", "length_ratio", "Length ratio", "hypothesis / reference"),
    Panel("train", "updates_per_second", "Speed", "updates per second"),
)


def score_panel(metric: str) -> Panel:
    """That of a metric of validation."""
    return Panel("valid", metric, f"Validation {LABELS[metric]}", f"{LABELS[metric]}, greedy (%)")


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events of a metrics.jsonl; none if there is no file, and without lines that are unfinished or damaged."""
    if not path.is_file():
        return []
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def curve(events: Sequence[Event], stage: str, event: str, key: str) -> tuple[list[float], list[float]]:
    """Updates and finite values of one key, sorted by update.

    A resumed run repeats the updates after its last checkpoint; the later value counts.
    """
    points = {}
    for entry in events:
        if entry.get("stage") != stage or entry.get("event") != event:
            continue
        step, value = entry.get("step"), entry.get(key)
        if is_number(step) and is_number(value):
            points[float(step)] = float(value)
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def pretraining_png(events: Sequence[Event], metric: str = "bleu") -> bytes | None:
    """Training and validation loss beside a metric of validation, over updates; None if there is nothing to draw."""
    train = curve(events, "pretrain", "train", "loss")
    valid = curve(events, "pretrain", "valid", "loss")
    scores = curve(events, "pretrain", "valid", metric)
    panels = [bool(train[0] or valid[0]), bool(scores[0])]
    if not any(panels):
        return None
    figure, axes = _figure(sum(panels))
    if panels[0]:
        axis = axes[0]
        if train[0]:
            axis.plot(*train, color=TRAIN, linewidth=1.2, label="training")
        if valid[0]:
            axis.plot(*valid, color=VALID, marker="o", markersize=3.5, label="validation")
        _finish(axis, "Loss", "cross-entropy (nats per piece)")
    if panels[1]:
        _validation_scores(axes[-1], scores)
        _finish(axes[-1], score_panel(metric).title, score_panel(metric).label)
    return _png(figure)


def finetuning_png(events: Sequence[Event], pretrained: float | None = None, metric: str = "bleu") -> bytes | None:
    """The panels of fine-tuning that have events, over updates; None if there is nothing to draw.

    Args:
        events: of metrics.jsonl.
        pretrained: greedy validation score of the pretrained model, in percent, drawn as a dashed line where the
            events have no validation at update 0 (which may be on fewer sentences, and then is what compares).
        metric: of that score.
    """
    curves = [(panel, curve(events, "finetune", panel.event, panel.key)) for panel in (score_panel(metric), *PANELS)]
    curves = [(panel, points) for panel, points in curves if points[0]]
    if not curves:
        return None
    figure, axes = _figure(len(curves))
    for axis, (panel, points) in zip(axes, curves, strict=True):
        if panel.key == metric:
            if points[0][0] == 0:
                pretrained = points[1][0]
            if pretrained is not None:
                _level(axis, pretrained, f"pretrained {pretrained:.2f}")
            _validation_scores(axis, points)
        elif panel.event == "train":
            _smoothed(axis, points)
        else:
            axis.plot(*points, color=VALID, marker="o", markersize=3.5)
        if panel.key in EXPLAINED:
            axis.set_ylim(bottom=max(axis.get_ylim()[0], -1.0))
        if panel.key == "length_ratio":
            _level(axis, 1.0, "as long as the reference")
        _finish(axis, panel.title, panel.label)
    return _png(figure)


def calibration_png(bins: Sequence[Mapping[str, Any]]) -> bytes | None:
    """The true differences of forks over those that Q predicts, with standard errors; None if nothing can be drawn.

    Args:
        bins: with `predicted`, `true` and `error`, which may be None.
    """
    from matplotlib.ticker import MaxNLocator

    points = [(each.get("predicted"), each.get("true"), each.get("error") or 0.0) for each in bins]
    points = [point for point in points if all(map(is_number, point))]
    if not points:
        return None
    predicted, true, errors = zip(*points, strict=True)
    figure, (axis,) = _figure(1)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axis.errorbar(predicted, true, errors, color=TRAIN, marker="o", markersize=3.5, linewidth=0, elinewidth=1.2)
    ends = (min(predicted), max(predicted))
    axis.plot(ends, ends, color=REFERENCE, linestyle="--", linewidth=1.2, label="exact")
    axis.axhline(0.0, color=REFERENCE, linewidth=0.8)
    axis.margins(y=0.2)  # Room for the legend.
    _style(axis, "Calibration of Q", "predicted difference (0 to 1)", "true difference")
    return _png(figure)


def changes_png(changes: Sequence[float]) -> bytes:
    """How many sentences changed by how much; 0 is left out."""
    figure, (axis,) = _figure(1)
    changed = [change for change in changes if change]
    axis.hist(changed, bins=range(-100, 101, 5), color=TRAIN)
    axis.axvline(0.0, color=REFERENCE, linewidth=0.8)
    _style(axis, f"{len(changed):,} sentences changed", "change of sentence BLEU", "sentences")
    return _png(figure)


def buckets_png(buckets: Sequence[Bucket], names: Sequence[str], what: str, value: str) -> bytes:
    """For each bucket a bar of every system."""
    figure, (axis,) = _figure(1)
    width = 0.8 / len(names)
    for system, name in enumerate(names):
        left = [place - 0.4 + (system + 0.5) * width for place in range(len(buckets))]
        heights = [bucket.scores[system] for bucket in buckets]
        axis.bar(left, heights, width=width, color=SYSTEMS[system % len(SYSTEMS)], label=_label(name))
    highest = max((max(bucket.scores) for bucket in buckets), default=0.0)
    axis.set_xticks(range(len(buckets)), [bucket.name for bucket in buckets])
    two = len(names) == 2
    _style(axis, f"By {what}", what, value, legend=two)
    if two:
        axis.set_ylim(top=1.25 * highest or 1.0)  # Room for the legend.
    else:
        figure.set_figheight(figure.get_figheight() + 0.2 * len(names))
        figure.legend(loc="outside lower center", frameon=False, fontsize=8.5)
    return _png(figure)


def chain_png(matrices: Mapping[str, Sequence[Sequence[float]]], domains: Sequence[str], label: str) -> bytes:
    """A panel for each domain: scores on its test set after each step of a chain, a curve for each way.

    Args:
        matrices: of each way, [step, domain].
        domains: their names.
        label: the metric's.
    """
    figure, axes = _figure(len(domains))
    for place, (axis, domain) in enumerate(zip(axes, domains, strict=True)):
        axis.axvline(place, color=REFERENCE, linestyle=":", linewidth=1.2)
        for number, (way, matrix) in enumerate(matrices.items()):
            scores = [row[place] for row in matrix]
            colour = SYSTEMS[number % len(SYSTEMS)]
            axis.plot(range(len(domains)), scores, color=colour, marker="o", markersize=4, label=_label(way))
        axis.set_xticks(range(len(domains)), [_label(name) for name in domains])
        _style(axis, f"On {_label(domain).strip()}", "after", f"{label} (%)", legend=place == 0)
    return _png(figure)


def _label(text: str) -> str:
    """A label that fits, the end of a long path, and that matplotlib prints as it is.

    It hides what has `_` in front, and reads formulas between dollars.
    """
    text = text if len(text) <= LABEL else f"…{text[1 - LABEL :]}"
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value of JSON is a number that can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    """Panels in two columns; the object interface of matplotlib needs no display and keeps no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(panels, 2)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(4.6 * columns, 3.0 * rows), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(panels)]


def _finish(axis: Axes, title: str, label: str) -> None:
    """Of a curve over updates."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.ticklabel_format(axis="y", useOffset=False)
    axis.set_xlim(left=0)
    _style(axis, title, "updates", label)


def _style(axis: Axes, title: str, across: str, up: str, legend: bool = True) -> None:
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axis.set_xlabel(across, fontsize=9)
    axis.set_ylabel(up, fontsize=9)
    axis.tick_params(labelsize=9, length=3, color="#999999")
    axis.grid(color="#e4e4e4", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#999999")
    if legend and axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8.5)


def _validation_scores(axis: Axes, points: tuple[list[float], list[float]]) -> None:
    """The curve, its best point marked."""
    steps, values = points
    best = max(range(len(values)), key=values.__getitem__)
    axis.plot(steps, values, color=VALID, marker="o", markersize=3.5)
    label = f"best {values[best]:.2f} at update {steps[best]:,.0f}"
    axis.plot(steps[best], values[best], color=VALID, marker="*", markersize=13, linestyle="none", label=label)


def _smoothed(axis: Axes, points: tuple[list[float], list[float]]) -> None:
    """Every value pale, their running mean over a twentieth of the curve in full colour."""
    steps, values = points
    window = max(1, len(values) // 20)
    if window == 1:
        axis.plot(steps, values, color=TRAIN)
        return
    axis.plot(steps, values, color=TRAIN, alpha=0.3, linewidth=0.8)
    means = [sum(values[max(0, i + 1 - window) : i + 1]) / min(i + 1, window) for i in range(len(values))]
    axis.plot(steps, means, color=TRAIN, linewidth=1.6, label=f"mean of the last {window} values")


def _level(axis: Axes, value: float, label: str) -> None:
    axis.axhline(value, color=REFERENCE, linestyle="--", linewidth=1.2, label=label)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
