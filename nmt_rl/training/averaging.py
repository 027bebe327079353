"""The mean of several checkpoints of one model, which often translates better than each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nmt_rl.bundle import bundle_folder, load_bundle, load_members, must_be_new, save_bundle, training_sections
from nmt_rl.errors import UserError
from nmt_rl.training.checkpoints import Checkpoints, assign, mean_arrays, select_steps


def average_models(folders: Sequence[Path], out: Path) -> list[str]:
    """Write a model folder with the mean of the weights of several.

    Args:
        folders: model folders of one architecture and tokenizer; settings and tokenizer are the first one's.
        out: where to; it must not exist.

    Returns:
        What was averaged.

    Raises:
        UserError: if a folder is no model, or does not fit the first, or `out` exists.
    """
    must_be_new(out)
    members = load_members(folders, "an average", one_architecture=True)
    first = next(members)
    sums = [weight.astype(np.float64) for weight in first.model.get_weights()]
    for bundle in members:
        sums = [total + weight for total, weight in zip(sums, bundle.model.get_weights(), strict=True)]
    first.model.set_weights([total / len(folders) for total in sums])
    names = [str(folder) for folder in folders]
    save_bundle(
        out,
        first.config,
        first.tokenizers,
        first.model,
        _card(first.card, names),
        training_sections(bundle_folder(folders[0])),
    )
    return names


def average_snapshots(stage: Path, count: int, which: Literal["last", "best"], out: Path) -> list[str]:
    """Write a model folder with the mean of validated checkpoints of a training stage.

    Args:
        stage: RUN/pretrain or RUN/finetune, finished.
        count: how many.
        which: the last, or those that validated best; a recipe's `average` says how many of both are kept.
        out: where to; it must not exist.

    Returns:
        What was averaged, oldest first.

    Raises:
        UserError: if the stage is not finished or keeps fewer, or `out` exists.
    """
    must_be_new(out)
    checkpoint = Checkpoints(stage / "checkpoints").latest() if (stage / "checkpoints").is_dir() else None
    if checkpoint is None or not (stage / "model").is_dir():
        raise UserError(f"{stage} is not a finished stage; give RUN/pretrain or RUN/finetune")
    try:
        scores = checkpoint.snapshots
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{checkpoint.path} is no checkpoint of this version ({error!r})") from error
    if (stage / "adapter").is_dir():
        raise UserError(f"{stage} has trained an adapter, whose checkpoints hold no model; give a stage that has none")
    bundle = load_bundle(stage / "model")
    settings = training_sections(stage / "model").get(stage.resolve().name, {})
    if count > (kept := min(settings.get("average", len(scores)), len(scores))):
        raise UserError(
            f"{stage} keeps its {which} {kept} validated checkpoints, fewer than {count}; "
            f"{stage.resolve().name}.average keeps more"
        )
    paths = [stage / "snapshots" / f"weights-{step:08d}.npz" for step in select_steps(scores, count, which)]
    # Of Q heads on a frozen model only the heads were trained, and kept.
    means = mean_arrays(paths)
    trained = [variable for variable in bundle.model.trainable_variables if variable.path in means]
    if len(trained) != len(means):
        raise UserError(f"{paths[0]} does not fit the model in {stage / 'model'}")
    assign({variable.path: variable for variable in trained}, means, paths[0])
    names = [str(path) for path in paths]
    save_bundle(
        out,
        bundle.config,
        bundle.tokenizers,
        bundle.model,
        _card(bundle.card, names),
        training_sections(stage / "model"),
    )
    return names


def _card(card: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Of the mean: its own validation scores are not known."""
    return {**card, "result": {"averaged": names, "valid": {}}}
