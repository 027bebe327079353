"""Corpus BLEU and chrF through sacreBLEU (Post, 2018), never without signature, test set and number of lines."""

from __future__ import annotations

import dataclasses
import difflib
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU, CHRF

logger = logging.getLogger("nmt_rl")

# Codes of the languages for which sacreBLEU has its own tokenizer; it knows only the two-letter ones.
_TWO_LETTERS = {"zho": "zh", "chi": "zh", "cmn": "zh", "jpn": "ja", "kor": "ko"}
# sacreBLEU's own threshold for "this text looks tokenised".
_TOKENISED_PERIODS = 100


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of one system on one test set, with everything needed to reproduce them.

    BLEU and chrF are percentages in [0, 100]; lengths are counted in sacreBLEU's tokens.
    """

    system: str
    test_set: str
    lines: int
    bleu: float
    chrf: float
    length_ratio: float
    """Hypothesis length over reference length."""
    brevity_penalty: float
    hypothesis_length: int
    reference_length: int
    bleu_signature: str
    chrf_signature: str

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    *,
    test_set: str,
    system: str = "hypothesis",
    target_language: str = "",
    tokenize: str | None = None,
    lowercase: bool = False,
    reference_name: str = "reference",
) -> Scores:
    """Score detokenised translations.

    Args:
        hypotheses: one translation per line.
        references: one reference per line, or several such lists.
        test_set: name the scores are reported under.
        system: name of the system, or of the file its translations come from.
        target_language: language code; Chinese, Japanese and Korean get sacreBLEU's tokenizer for them, others 13a.
        tokenize: sacreBLEU tokenizer that overrides the language's.
        lowercase: score without case.
        reference_name: name of the reference (file) in error messages.

    Raises:
        UserError: if line counts differ, there is no line, or the tokenizer is unknown or not installed.
    """
    streams = reference_streams(references)
    check_lines(system, hypotheses, reference_name, streams)
    tokenised = sum(line.endswith(" .") for line in hypotheses)
    if tokenised >= _TOKENISED_PERIODS:
        logger.warning(
            "%d of %d lines of %s end in a separate period; BLEU is defined on detokenised text",
            tokenised,
            len(hypotheses),
            system,
        )
    bleu, chrf = build_metrics(streams, target_language, tokenize, lowercase)
    bleu_score = bleu.corpus_score(hypotheses, None)
    chrf_score = chrf.corpus_score(hypotheses, None)
    return Scores(
        system=system,
        test_set=test_set,
        lines=len(hypotheses),
        bleu=bleu_score.score,
        chrf=chrf_score.score,
        length_ratio=bleu_score.ratio,
        brevity_penalty=bleu_score.bp,
        hypothesis_length=bleu_score.sys_len,
        reference_length=bleu_score.ref_len,
        bleu_signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
    )


def sentence_bleu(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str = "", tokenize: str | None = None
) -> list[float]:
    """BLEU of each sentence in [0, 100], with effective order and exponential smoothing; only to rank sentences."""
    from sacrebleu.metrics import BLEU

    metric = BLEU(tokenize=_tokenizer(target_language, tokenize), effective_order=True, force=True)
    return [
        metric.sentence_score(hypothesis, [reference]).score
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]


def format_scores(scores: Sequence[Scores]) -> str:
    """A plain text table, one row per system, followed by the signatures."""
    rows = [("system", "BLEU", "chrF", "length ratio", "lines", "test set")]
    rows += [
        (s.system, f"{s.bleu:.2f}", f"{s.chrf:.2f}", f"{s.length_ratio:.3f}", f"{s.lines:,}", s.test_set)
        for s in scores
    ]
    signatures = [f"BLEU {s.bleu_signature}\nchrF {s.chrf_signature}" for s in scores]
    return "\n".join([align_columns(rows), *dict.fromkeys(signatures)])


def align_columns(rows: Sequence[Sequence[str]]) -> str:
    """Cells padded to columns: first and last column to the left, numbers between them to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def build_metrics(
    references: Sequence[Sequence[str]], target_language: str = "", tokenize: str | None = None, lowercase: bool = False
) -> tuple[BLEU, CHRF]:
    """sacreBLEU's BLEU and chrF2 with cached reference statistics; raises UserError for a tokenizer it cannot make."""
    from sacrebleu.metrics import BLEU, CHRF

    name = _tokenizer(target_language, tokenize)
    try:
        # force: the warning about tokenised text is given once, by corpus_scores.
        bleu = BLEU(tokenize=name, lowercase=lowercase, force=True, references=references)
    except (RuntimeError, ImportError, OSError, SystemExit) as error:
        extra = {"ja-mecab": "pip install 'sacrebleu[ja]'", "ko-mecab": "pip install 'sacrebleu[ko]'"}.get(name)
        hint = f"run {extra}" if extra else " ".join(str(error).split())
        raise UserError(f"sacreBLEU's tokenizer {name} is not available here: {hint}") from error
    return bleu, CHRF(lowercase=lowercase, references=references)


def reference_streams(references: Sequence[str] | Sequence[Sequence[str]]) -> list[list[str]]:
    """One or several references per line as a list of reference lists."""
    if not references or isinstance(references[0], str):
        return [[str(line) for line in references]]
    return [list(stream) for stream in references]


def check_lines(
    hypothesis_name: str, hypotheses: Sequence[str], reference_name: str, references: Sequence[Sequence[str]]
) -> None:
    """Raise UserError, naming both counts, unless there is one hypothesis per reference line, and at least one."""
    for stream in references:
        if len(stream) != len(hypotheses):
            raise UserError(
                f"{hypothesis_name} has {len(hypotheses):,} lines but {reference_name} has {len(stream):,}; "
                "line n of one must translate line n of the other"
            )
    if not hypotheses:
        raise UserError(f"{hypothesis_name} and {reference_name} have no lines; there is nothing to score")


def _tokenizer(target_language: str, tokenize: str | None) -> str:
    from sacrebleu.metrics import BLEU

    if tokenize is None:
        code = re.split("[-_]", target_language.lower())[0]
        return BLEU._TOKENIZER_MAP.get(_TWO_LETTERS.get(code, code), BLEU.TOKENIZER_DEFAULT)
    if tokenize not in BLEU.TOKENIZERS:
        near = difflib.get_close_matches(tokenize, BLEU.TOKENIZERS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(BLEU.TOKENIZERS)}"
        raise UserError(f"sacreBLEU has no tokenizer {tokenize!r}; {hint}")
    return tokenize
