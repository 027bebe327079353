"""The model card: where a model comes from, in card.json."""

from __future__ import annotations

import time
from typing import Any

from nmt_rl.config import Config
from nmt_rl.corpus.prepared import Prepared
from nmt_rl.evaluation.environment import machine, versions


def model_card(
    config: Config, prepared: Prepared, stage: str, parameters: int, signature: str, result: dict[str, Any]
) -> dict[str, Any]:
    """Scores, versions, data hashes and machine of a model that a stage has finished.

    Args:
        config: the experiment.
        prepared: the corpus.
        stage: `pretrain` or `finetune`.
        parameters: number of weights.
        signature: sacreBLEU's, of the validation BLEU.
        result: of the stage.
    """
    return {
        "name": config.name,
        "languages": f"{config.corpus.source_language}-{config.corpus.target_language}",
        "stage": stage,
        "parameters": parameters,
        "signature": signature,
        "result": result,
        "data": prepared.hashes,
        "versions": versions(),
        "machine": machine(),
        "seed": config.seed,
        "date": time.strftime("%Y-%m-%d"),
    }
