"""The end of a stage that has trained an adapter: it is written beside the model, which is one like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmt_rl.bundle.adapters import save_adapter
from nmt_rl.config import Config, FullConfig, OnlyMemoryConfig
from nmt_rl.models.adapters import Adapt
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.training.validation import float32_twin


def keep_adapter(
    stage: Path, model: Seq2Seq, config: Config, adapt: Adapt, base: dict[str, Any], result: dict[str, Any]
) -> Seq2Seq:
    """Write STAGE/adapter, unless all weights were trained, or those of a memory of pairs.

    Args:
        stage: its folder.
        model: as it was trained.
        config: the experiment, its lengths tuned.
        adapt: what was trained.
        base: name and hash of the weights of the model that the stage started from.
        result: of the stage.

    Returns:
        The model to be written: one without an adapter.
    """
    if isinstance(adapt, FullConfig | OnlyMemoryConfig):  # The base need not have a memory.
        return model
    record = {
        "name": config.name,
        "adapt": adapt.model_dump(mode="json"),
        "base": {key: base[key] for key in ("name", "weights")},
        "decoding": config.decoding.model_dump(mode="json"),
        "result": result,
    }
    save_adapter(stage / "adapter", model, record)
    return float32_twin(model, config)
