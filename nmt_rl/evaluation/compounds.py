"""BLEU with compounds split, as papers on WMT14 English-German report it; for comparison with them only."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nmt_rl.corpus.languages import short_code
from nmt_rl.errors import UserError


def compound_bleu(target_language: str, effective_order: bool = False) -> Any:
    """A sacreBLEU metric that counts as tensor2tensor's `get_ende_bleu.sh` does.

    That script replaces Unicode punctuation, tokenises with Moses, divides words at hyphens, and scores cased, without
    smoothing. Here references are tokenised alike; the script's come tokenised.

    Args:
        target_language: language code, for Moses.
        effective_order: as in sentence scores.

    Raises:
        UserError: without a language, or if sacremoses is not installed.
    """
    from sacrebleu.metrics import BLEU

    cut, name = _moses(target_language)
    metric = BLEU(tokenize="none", smooth_method="none", force=True, effective_order=effective_order)
    metric.tokenizer = lambda line: split_compounds(cut(line))
    metric.tokenizer_signature = f"{name}-atat"
    return metric


def split_compounds(tokenised: str) -> str:
    """Hyphens within words as tokens of their own: `rich-text` is `rich ##AT##-##AT## text`."""
    return re.sub(r"(\S)-(\S)", r"\1 ##AT##-##AT## \2", tokenised)


def _moses(target_language: str) -> tuple[Callable[[str], str], str]:
    """Moses' tokenizer of a language, and what a signature calls it."""
    if not target_language:
        raise UserError("compound-bleu needs the target language; give the pair, such as -l en-de")
    try:
        import sacremoses
    except ImportError:
        hint = 'pip install sacremoses, or pip install "nmt-rl[moses]"'
        raise UserError(f"compound-bleu needs Moses' tokenizer; {hint}") from None
    language = short_code(target_language)
    normalizer, tokenizer = sacremoses.MosesPunctNormalizer(lang=language), sacremoses.MosesTokenizer(lang=language)

    def cut(line: str) -> str:
        return str(tokenizer.tokenize(normalizer.replace_unicode_punct(line), return_str=True))

    return cut, f"sacremoses-{sacremoses.__version__}-{language}"
