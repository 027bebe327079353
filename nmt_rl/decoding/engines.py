"""Which engine translates: CTranslate2 where it finds what Keras would, and several times as fast; else Keras."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt_rl.config import TransformerConfig
from nmt_rl.errors import RunError, UserError

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig, ModelDescription
    from nmt_rl.decoding.request import Request

log = logging.getLogger("nmt_rl")


def choose_conversion(
    folders: Sequence[Path], config: ModelDescription, settings: DecodingConfig, request: Request
) -> Path | None:
    """The folder that CTranslate2 shall translate with, or None if Keras shall.

    With engine `auto`, a line on stderr says why CTranslate2 does not.

    Args:
        folders: of the models that translate together.
        config: of the first.
        settings: of decoding, with what the request replaces.
        request: what is asked for.

    Raises:
        UserError: for what `check_engine` raises it.
        RunError: if CTranslate2 is asked for by name, and there is no place to convert the model.
    """
    why = check_engine(folders, config, settings, request)
    if why is None:
        from nmt_rl.decoding.conversions import conversion

        try:
            return conversion(folders[0], config.model, request.quantization or "float32", settings.word_reward)
        except RunError as error:
            if request.engine == "ctranslate2":
                raise
            why = str(error)
            _refuse_what_is_named(request, why)
    if request.engine == "auto":
        log.info("Keras translates: %s", why)
    return None


def check_engine(
    folders: Sequence[Path], config: ModelDescription, settings: DecodingConfig, request: Request
) -> str | None:
    """Why Keras shall translate; None: CTranslate2 shall.

    Args:
        folders, config, settings, request: as in `choose_conversion`.

    Raises:
        UserError: if what is asked for by name cannot be done.
    """
    if request.engine == "keras":
        if request.quantization is not None:
            raise UserError("--quantization is CTranslate2's; leave it out, or --engine keras")
        return "it is asked for"
    why = obstacle(folders, config, settings, request)
    if why is None and request.engine == "auto":
        why = difference(settings, request)
    if why is not None:
        _refuse_what_is_named(request, why)
    return why


def _refuse_what_is_named(request: Request, why: str) -> None:
    if request.engine == "ctranslate2":
        raise UserError(f"{why}; --engine keras translates it")
    if request.quantization is not None:
        raise UserError(f"--quantization is CTranslate2's, which does not translate here: {why}")


def obstacle(
    folders: Sequence[Path], config: ModelDescription, settings: DecodingConfig, request: Request
) -> str | None:
    """Why CTranslate2 cannot do what is asked for; None: it can."""
    model = config.model
    if importlib.util.find_spec("ctranslate2") is None:
        return "CTranslate2 is not installed (pip install ctranslate2)"
    if len(folders) > 1:
        return f"CTranslate2 runs one model, not an ensemble of {len(folders)}"
    if not isinstance(model, TransformerConfig):
        return f"CTranslate2 runs Transformers only, and {folders[0]} is of type {model.type}"
    reasons = {
        "CTranslate2 has no Q heads (model.q_heads)": model.q_heads is not None,
        "CTranslate2 has no memory of pairs (model.memory)": model.memory is not None,
        "--precision is that of Keras; CTranslate2 has --quantization": request.precision is not None,
        "CTranslate2 does not search for translations that hold terms (--force-terms)": request.force_terms,
        "CTranslate2 has no --memory": request.memory is not None,
        "CTranslate2 draws samples without a seed": settings.samples > 0,
        "CTranslate2 stops a search early, not exactly": settings.stopping == "exact" and settings.beam > 1,
        "CTranslate2 has no coverage penalty like this": settings.coverage_penalty > 0 and settings.beam > 1,
        "CTranslate2 has no diverse groups": settings.diverse_groups > 1,
        "CTranslate2 divides by length^penalty only, not as gnmt": settings.length_normalization != "average",
    }
    return next((why for why, holds in reasons.items() if holds), None)


def difference(settings: DecodingConfig, request: Request) -> str | None:
    """Why CTranslate2 would find or score other translations than Keras, or take longer; None: it would not."""
    reasons = {
        "CTranslate2 scores otherwise what --ban, --no-repeat-ngram or --min-length restrict": bool(request.banned)
        or settings.no_repeat_ngram > 0
        or settings.min_length > 0,
        "CTranslate2 scores otherwise what --repetition-penalty changes": request.scores
        and settings.repetition_penalty > 1,
        "CTranslate2 does not score what --prefix gives": request.prefixes,
        "it can use the GPU": _keras_has_gpu(),
    }
    return next((why for why, holds in reasons.items() if holds), None)


def _keras_has_gpu() -> bool:
    """Whether there is a GPU, and the libraries that TensorFlow and JAX are installed with for it."""
    import ctranslate2

    libraries = ("nvidia.cudnn", "jax_cuda12_plugin", "jax_cuda13_plugin")
    try:
        return ctranslate2.get_cuda_device_count() > 0 and any(map(_is_installed, libraries))
    except RuntimeError:  # A driver that does not work.
        return False


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
