"""What binds a training stage that has begun, and what may change while it runs or when it is to go on."""

from __future__ import annotations

import math
from typing import Any

from nmt_rl.config.experiment import first_difference
from nmt_rl.config.finetuning import FinetuneConfig
from nmt_rl.config.training import PretrainConfig

LENGTH = ("updates", "minutes", "validation.patience")
"""What ends a stage. A larger one lets it go on, even one that is finished."""
LOGGING = ("log_every", "checkpoint_every", "validation.every", "validation.minutes")
"""When something is written; no weight depends on it."""
COURSE = (
    *(
        f"optimizer.{name}"
        for name in (
            "learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay", "schedule", "warmup", "decay", "floor",
            "plateau_factor", "plateau_patience", "clip_norm", "accumulate",
        )
    ),
    *(f"batch.{name}" for name in ("type", "size", "packed_length", "pool", "sort", "pad", "buckets")),
    "average", "devices", "actors", "ahead",
    "method.value_learning_rate", "method.baseline_learning_rate", "method.q.learning_rate",
)  # fmt: skip
"""How a stage goes on from where it is; people change it in a running job. What is left binds: weights, the state of
the optimizer or of the episodes, or the meaning of scores depend on it."""
VALIDATED = (
    "max_length_ratio", "max_length_extra", "min_length", "max_source_length", "no_repeat_ngram", "repetition_penalty",
    "word_reward",
)  # fmt: skip
"""Of `decoding`: how validation, and the rollouts of fine-tuning, translate."""

SECTIONS = {"pretrain": ("seed", "model", "tokenizer", "pretrain"), "finetune": ("finetune",)}


def limits(settings: PretrainConfig | FinetuneConfig) -> dict[str, float | None]:
    """What ends a stage; part of its result."""
    return {"updates": settings.updates, "minutes": settings.minutes, "patience": settings.validation.patience}


def have_grown(before: Any, now: dict[str, float | None]) -> bool:
    """Whether a stage that ended by limits may be longer now; results of nmt-rl 0.2.0 do not say what ended it."""
    if not isinstance(before, dict):
        return False
    return any((value or math.inf) > (before.get(name) or math.inf) for name, value in now.items())


def stage_difference(stage: str, old: dict[str, Any], new: dict[str, Any], finished: bool) -> str | None:
    """`key was OLD, now NEW` for the first setting that a begun stage is bound to and that has changed, or None.

    Args:
        stage: `pretrain` or `finetune`.
        old: the experiment it was begun with, as JSON; keys that another version did not know bind nothing.
        new: the experiment that is asked for.
        finished: nothing that changes the weights has any effect then, and nothing more is translated.
    """
    free = LOGGING if finished else (*LOGGING, *LENGTH, *COURSE)
    sections = [*SECTIONS[stage], *([] if finished else ["decoding"])]
    trees = [{name: tree.get(name) for name in sections} for tree in (old, new)]
    for tree in trees:
        for key in free:
            tree[stage] = _without(tree[stage], key.split("."))
        if "decoding" in tree:
            tree["decoding"] = {k: v for k, v in (tree["decoding"] or {}).items() if k in VALIDATED}
    return first_difference(shared(*trees), shared(*reversed(trees)))


def shared(tree: Any, other: Any) -> Any:
    """The tree with the keys only that the other one has as well."""
    if not isinstance(tree, dict) or not isinstance(other, dict):
        return tree
    return {key: shared(value, other[key]) for key, value in tree.items() if key in other}


def _without(tree: Any, path: list[str]) -> Any:
    if not isinstance(tree, dict) or path[0] not in tree:
        return tree
    rest = {key: value for key, value in tree.items() if key != path[0]}
    return rest if len(path) == 1 else {**rest, path[0]: _without(tree[path[0]], path[1:])}
