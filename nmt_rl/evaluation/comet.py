"""COMET (Rei et al., 2020), where its package is installed: a learned metric that reads the source, too."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import MetricScore

MODEL = "Unbabel/wmt22-comet-da"
BATCH = 32


def _require_comet() -> None:
    """Raise a UserError if the package is not installed."""
    try:
        import comet  # noqa: F401
    except ImportError:
        raise UserError("COMET is not installed; pip install unbabel-comet, or leave comet out of --metrics") from None


@functools.cache
def load_model() -> Any:
    """COMET's model, loaded once; raises UserError if it cannot be had, or the package is not installed."""
    _require_comet()
    import comet

    try:
        return comet.load_from_checkpoint(comet.download_model(MODEL))
    except Exception as error:  # The hub's and torch's errors share no base but this one.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"COMET's model {MODEL} cannot be loaded ({reason}); connect to the network once") from error


def comet_score(sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]) -> MetricScore:
    """The mean score of the translations, on COMET's own scale.

    Args:
        sources, hypotheses, references: one sentence per line.

    Raises:
        UserError: if the package is not installed, or its model cannot be had.
    """
    found, signature = _predict(sources, hypotheses, references)
    return MetricScore(float(found.system_score), signature)


def comet_sentence_scores(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]
) -> tuple[list[float], str]:
    """The score of each translation, and the signature; arguments and errors as in `comet_score`."""
    found, signature = _predict(sources, hypotheses, references)
    return [float(score) for score in found.scores], signature


def _predict(sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]) -> tuple[Any, str]:
    model = load_model()
    import comet

    rows = [
        {"src": source, "mt": hypothesis, "ref": reference}
        for source, hypothesis, reference in zip(sources, hypotheses, references, strict=True)
    ]
    return model.predict(rows, batch_size=BATCH, gpus=0), f"model:{MODEL}|nrefs:1|version:{comet.__version__}"
