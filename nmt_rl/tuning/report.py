"""What a search has found, as a table and as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt_rl.evaluation.plots import REFERENCE, TRAIN, VALID
from nmt_rl.storage.writing import write_text, written_file
from nmt_rl.tuning.search import Found


def write_table(path: Path, found: Sequence[Found], keys: Sequence[str]) -> None:
    """All trials, by tabs: number, state, BLEU, and the value of each key."""
    rows = [["trial", "state", "BLEU", *keys]]
    for each in found:
        bleu = "" if each.bleu is None else f"{each.bleu:.2f}"
        rows.append([str(each.number), each.state, bleu, *(str(each.values.get(key, "")) for key in keys)])
    write_text(path, "".join("\t".join(row) + "\n" for row in rows))


def plot_trials(path: Path, found: Sequence[Found]) -> None:
    """BLEU of the trials, the best one so far, and where trials were given up."""
    from matplotlib.figure import Figure

    whole = [each for each in found if each.bleu is not None]
    pruned = [each.number for each in found if each.state == "pruned"]
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes: Any = figure.subplots()
    scores = [each.bleu or 0.0 for each in whole]
    best = [max(scores[: place + 1]) for place in range(len(scores))]
    axes.plot([each.number for each in whole], scores, "o", color=TRAIN, label="trial")
    axes.step([each.number for each in whole], best, where="post", color=VALID, label="best so far")
    low = min(scores, default=0.0)
    if pruned:
        axes.plot(pruned, [low] * len(pruned), "x", color=REFERENCE, label="given up early")
    axes.set(xlabel="trial", ylabel="validation BLEU", title="Search")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    with written_file(path) as stream:
        stream.write(image.getvalue())
