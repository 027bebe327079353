"""What a model is for, and by what it is judged."""

from __future__ import annotations

from typing import Any, Literal

TaskName = Literal["translation", "classification", "answers", "summaries"]
"""Translation; labels of texts; answers to questions; summaries of texts."""
METRICS: dict[TaskName, tuple[str, ...]] = {
    "translation": ("bleu", "chrf"),
    "classification": ("accuracy", "macro-f1"),
    "answers": ("exact", "f1"),
    "summaries": ("rouge-l",),
}
"""Of a task; by the first one it is validated, and the better model released."""
REWARDS: dict[TaskName, str] = {"classification": "accuracy", "answers": "f1", "summaries": "rouge-l"}
"""What a text of a task is worth in fine-tuning; of translations sentence BLEU."""


def with_task_defaults(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree of an experiment with the metrics of its task where it gives none."""
    task = tree.get("task", "translation")
    if task not in REWARDS:
        return tree
    filled = dict(tree)
    keys = {
        ("pretrain", "validation", "metric"): METRICS[task][0],
        ("finetune", "validation", "metric"): METRICS[task][0],
        ("finetune", "reward", "metrics"): {REWARDS[task]: 1.0},
    }
    for (stage, section, key), value in keys.items():
        whole = filled.get(stage, {})
        own = whole.get(section, {}) if isinstance(whole, dict) else None
        if isinstance(own, dict):
            filled[stage] = {**whole, section: {key: value, **own}}
    return filled
