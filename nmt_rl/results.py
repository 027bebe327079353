"""RUN/pretrain/result.json and RUN/finetune/result.json, which mark a stage as finished."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from nmt_rl.bundle import WEIGHTS
from nmt_rl.config import FinetuneConfig, PretrainConfig
from nmt_rl.config.stages import have_grown, limits
from nmt_rl.config.task import METRICS
from nmt_rl.errors import UserError
from nmt_rl.storage.reading import must_be, read_json
from nmt_rl.storage.writing import write_json

logger = logging.getLogger("nmt_rl")


def read_result(stage: Path) -> dict[str, Any] | None:
    """The result of a stage's folder, or None if it is not finished; raises UserError if it is damaged."""
    path = stage / "result.json"
    if not path.exists():
        return None
    try:
        result: dict[str, Any] = read_json(path)
        must_be(result.get("updates"), int, f"{path}: updates")
        must_be(result.get("seconds"), float, f"{path}: seconds")
        for name in ("valid", *(["before"] if stage.name == "finetune" else [])):
            scores = must_be(result.get(name), dict, f"{path}: {name}")
            metrics = next((own for own in METRICS.values() if own[0] in scores), METRICS["translation"])
            for score in (*metrics, "length_ratio"):
                must_be(scores.get(score), float, f"{path}: {name}.{score}")
        must_be(result.get("q", {}), dict, f"{path}: q")
    except UserError as error:
        raise UserError(
            f"{error}; delete it, then nmt-rl {stage.name} ends the stage again from its last checkpoint"
        ) from None
    return result


def finished(stage: Path, settings: PretrainConfig | FinetuneConfig) -> dict[str, Any] | None:
    """The result of a stage that has nothing more to do.

    Returns:
        None if it has not ended, if its updates, minutes or patience have grown since, or if its model is missing.

    Raises:
        UserError: if the result is damaged, or the stage would have to go on and has no checkpoint.
    """
    result = read_result(stage)
    if result is None:
        return None
    weights = stage / "model" / WEIGHTS
    if not weights.is_file():
        reason = f"{weights} is missing"
    elif have_grown(result.get("limits"), limits(settings)):
        reason = f"{stage.name} was finished at update {result['updates']} and may be longer now"
    else:
        logger.info("%s is finished already (%s)", stage.name, stage / "result.json")
        return result
    if not any((stage / "checkpoints").glob("step-*.npz")):
        raise UserError(
            f"{reason}, but {stage / 'checkpoints'} holds no checkpoint; nmt-rl {stage.name} --fresh starts it over"
        )
    logger.info("%s: it goes on from its last checkpoint", reason)
    return None


def write_result(stage: Path, settings: PretrainConfig | FinetuneConfig, result: dict[str, Any]) -> None:
    """Mark a stage as finished."""
    write_json(stage / "result.json", {**result, "limits": limits(settings)})
