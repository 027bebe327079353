"""What is asked of a translator besides its model's own settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nmt_rl.corpus.languages import tagged_language

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig

EngineName = Literal["auto", "keras", "ctranslate2"]
Precision = Literal["float32", "bfloat16"]
Quantization = Literal["float32", "int8", "int16", "float16"]


@dataclass(frozen=True)
class Request:
    """How to translate; the default is as the model's own settings say."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the decoding section that replace the model's."""
    banned: Sequence[str] = ()
    """Phrases that no translation may contain."""
    prefixes: bool = False
    """Whether translations will be asked for that begin with given text."""
    scores: bool = False
    """Whether scores will be looked at; without, those of CTranslate2 may be off by what it shares of UNK's."""
    engine: EngineName = "auto"
    """CTranslate2, Keras, or the first where it finds what the second would."""
    quantization: Quantization | None = None
    """Type of the matrices that CTranslate2 computes with; None: float32."""
    precision: Precision | None = None
    """Of Keras' matrix products, see `build_model`; None: float32."""
    threads: int | None = None
    """Most processor threads; None: the engine's own default."""
    tag: str = ""
    """What every source begins with, such as `<2de>`."""
    through: str = ""
    """The tag of another language, into which sources are translated first, and from there by `tag`."""
    glossary: Path | None = None
    """Terms whose translations are written behind them."""
    memory: Path | None = None
    """Of pairs that the model remembers."""
    force_terms: bool = False
    """These are not written, but the translations hold them."""

    def target_language(self, own: str) -> str:
        """Code of the language that is translated into: what the tag asks for, or the model's own."""
        return tagged_language(self.tag) or own

    def summary(self, settings: DecodingConfig) -> str:
        """How a model translates, by its own settings after the overrides, in few words."""
        banned = ", ".join(json.dumps(phrase, ensure_ascii=False) for phrase in self.banned)
        types = {str(kind): kind not in (None, "float32") for kind in (self.quantization, self.precision)}
        # By choice it may find others than Keras; of itself it does not.
        notes = {
            f"tag {self.tag}": self.tag,
            f"through {self.through}": self.through,
            f"{'forced ' * self.force_terms}glossary {self.glossary}": self.glossary is not None,
        }
        notes |= {f"memory {self.memory}": self.memory is not None}
        notes |= {f"never {banned}": banned, "CTranslate2": self.engine == "ctranslate2"}
        notes |= types
        return ", ".join([settings.summary(), *(note for note, applies in notes.items() if applies)])


AS_CONFIGURED = Request()
"""Nothing besides them."""
