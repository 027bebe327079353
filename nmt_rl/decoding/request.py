"""What is asked of a translator besides its model's own settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig

EngineName = Literal["keras", "ctranslate2"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Request:
    """How to translate; the default is as the model's own settings say."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the decoding section that replace the model's."""
    banned: Sequence[str] = ()
    """Phrases that no translation may contain."""
    engine: EngineName = "keras"
    """Keras, or CTranslate2 for one model that was exported to it (then Keras is not loaded)."""
    precision: Precision | None = None
    """Of Keras' matrix products, see `build_model`; None: float32."""

    def summary(self, settings: DecodingConfig) -> str:
        """How a model translates, by its own settings after the overrides, in few words."""
        banned = ", ".join(json.dumps(phrase, ensure_ascii=False) for phrase in self.banned)
        notes = {f"never {banned}": banned, f"{self.precision}": self.precision not in (None, "float32")}
        return ", ".join([settings.summary(), *(note for note, applies in notes.items() if applies)])


AS_CONFIGURED = Request()
"""Nothing besides them."""
