"""The model card: where a model comes from, in card.json."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from typing import Any

import keras

from nmt_rl import __version__
from nmt_rl.config import Config
from nmt_rl.corpus.prepare import Prepared


def model_card(config: Config, prepared: Prepared, stage: str, result: dict[str, Any]) -> dict[str, Any]:
    """Scores, versions, data hashes and machine of a model that a stage has finished."""
    return {
        "name": config.name,
        "languages": f"{config.corpus.source_language}-{config.corpus.target_language}",
        "stage": stage,
        "result": result,
        "data": prepared.hashes,
        "versions": versions(),
        "machine": machine(),
        "seed": config.seed,
        "date": time.strftime("%Y-%m-%d"),
    }


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    names = ["keras", keras.backend.backend(), "numpy", "sentencepiece", "sacrebleu"]
    return {"nmt-rl": __version__, "python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


def machine() -> str:
    """Processor and number of cores, in words."""
    import os

    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
