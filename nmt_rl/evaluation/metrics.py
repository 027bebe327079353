"""Corpus scores through sacreBLEU (Post, 2018), never without signature, test set and number of lines."""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nmt_rl.corpus.characters import composed
from nmt_rl.corpus.languages import bleu_tokenizer, short_code
from nmt_rl.corpus.words import installed, is_unspaced
from nmt_rl.errors import UserError
from nmt_rl.evaluation.resampling import resample

if TYPE_CHECKING:
    from sacrebleu.metrics import TER
    from sacrebleu.metrics.base import Metric

logger = logging.getLogger("nmt_rl")

# sacreBLEU's own threshold for "this text looks tokenised".
_TOKENISED_PERIODS = 100


TRANSLATION = {"bleu": "BLEU", "chrf": "chrF", "chrf++": "chrF++", "ter": "TER", "compound-bleu": "compound-split BLEU"}
"""sacreBLEU's metrics as they are asked for, and as they are printed; the last one is that of `compounds`."""
TASKS = {
    "accuracy": "accuracy",
    "macro-f1": "macro-F1",
    "exact": "exact match",
    "f1": "word F1",
    "rouge-l": "ROUGE-L",
    "language": "in the language",
}
"""Those of `task_metrics`."""
LABELS = TRANSLATION | TASKS
"""All metrics but COMET, which is none of texts alone."""


@dataclasses.dataclass(frozen=True)
class MetricScore:
    """One metric of one system on one test set; in percent, but for COMET."""

    value: float
    signature: str
    mean: float | None = None
    """Over bootstrap resamples, if there were any."""
    ci: float | None = None
    """Half the width of the 95 % confidence interval around the mean."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of one system on one test set, with everything needed to reproduce them.

    Lengths are counted in sacreBLEU's tokens.
    """

    system: str
    test_set: str
    lines: int
    metrics: dict[str, MetricScore]
    """By the names in LABELS; `bleu` is there, unless all are of TASKS."""
    length_ratio: float
    """Hypothesis length over reference length."""
    brevity_penalty: float
    hypothesis_length: int
    reference_length: int
    decoding: str = ""
    """How the system translated, if that is known."""

    @property
    def values(self) -> dict[str, float]:
        """The scores by metric."""
        return {name: score.value for name, score in self.metrics.items()}

    @property
    def bleu(self) -> float:
        """BLEU in percent; raises KeyError if all metrics are of TASKS."""
        return self.metrics["bleu"].value

    @property
    def chrf(self) -> float:
        """chrF in percent; raises KeyError if it was not asked for."""
        return self.metrics["chrf"].value

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class SentenceScores:
    """Scores of every line of one system on one test set."""

    system: str
    test_set: str
    metrics: dict[str, tuple[list[float], str]]
    """Scores of the lines, and the signature, by metric."""
    decoding: str = ""
    """How the system translated, if that is known."""


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    *,
    test_set: str,
    system: str = "hypothesis",
    metrics: Sequence[str] = ("bleu", "chrf"),
    resamples: int = 0,
    seed: int = 12345,
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
        metrics: of LABELS; BLEU is computed as well, unless all are of TASKS.
        resamples: of the bootstrap for confidence intervals (Koehn, 2004); 0: none.
        seed: of the resampling, at least 1.
        target_language: language code, which chooses the tokenizer (`corpus.languages`) and TER's words.
        tokenize: sacreBLEU's tokenizer for BLEU that overrides the language's.
        lowercase: score without case, as TER always does.
        reference_name: name of the reference (file) in error messages.

    Raises:
        UserError: if line counts differ, there is no line, or the tokenizer is unknown or not installed.
    """
    streams = reference_streams(references)
    check_lines(system, hypotheses, reference_name, streams)
    warn_if_tokenised(system, hypotheses)
    built = build_metrics(streams, list(dict.fromkeys(["bleu", *metrics])), target_language, tokenize, lowercase)
    bleu: Any = built["bleu"].corpus_score(hypotheses, None)
    if metrics and set(metrics) <= set(TASKS):
        del built["bleu"]
    return Scores(
        system=system,
        test_set=test_set,
        lines=len(hypotheses),
        metrics={name: _metric_score(metric, hypotheses, resamples, seed) for name, metric in built.items()},
        length_ratio=bleu.ratio,
        brevity_penalty=bleu.bp,
        hypothesis_length=bleu.sys_len,
        reference_length=bleu.ref_len,
    )


def warn_if_tokenised(system: str, hypotheses: Sequence[str]) -> None:
    """Say so on stderr if a text looks tokenised."""
    tokenised = sum(line.endswith(" .") for line in hypotheses)
    if tokenised >= _TOKENISED_PERIODS:
        text = "%d of %d lines of %s end in a separate period; BLEU is defined on detokenised text"
        logger.warning(text, tokenised, len(hypotheses), system)


def warn_if_unspaced(name: str, lines: Sequence[str], target_language: str, tokenize: str | None) -> None:
    """Say so on stderr if a text has no blanks between words, but the language, if known at all, is said to have."""
    if tokenize is None and bleu_tokenizer(target_language) == "13a" and is_unspaced(lines):
        why = f", and the language is {target_language}" if target_language else ""
        text = "%s has no blanks between words%s, so that BLEU takes a clause for a word; give the languages, such as"
        logger.warning(f"{text} -l en-zh, or --tokenize char", name, why)


def _metric_score(metric: Metric, hypotheses: Sequence[str], resamples: int, seed: int) -> MetricScore:
    if not resamples:
        return MetricScore(float(metric.corpus_score(hypotheses, None).score), str(metric.get_signature()))
    signature, (score,) = resample({"": hypotheses}, metric, "bootstrap", resamples, seed)
    return MetricScore(float(score.score), signature, _number(score.mean), _number(score.ci))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def sentence_bleu(
    hypotheses: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    target_language: str = "",
    tokenize: str | None = None,
) -> list[float]:
    """BLEU of each sentence in [0, 100], with effective order and exponential smoothing; only to rank sentences."""
    found = sentence_scores(hypotheses, references, ("bleu",), target_language, tokenize)
    return found["bleu"][0]


def sentence_scores(
    hypotheses: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    metrics: Sequence[str] = ("bleu", "chrf"),
    target_language: str = "",
    tokenize: str | None = None,
) -> dict[str, tuple[list[float], str]]:
    """Scores of each sentence, in percent, and the signature, by metric; BLEU with effective order.

    Args:
        hypotheses, references, metrics, target_language, tokenize: as in `corpus_scores`.

    Raises:
        UserError: for what `build_metrics` refuses.
    """
    streams = reference_streams(references)
    found = {}
    built = build_metrics([[] for _ in streams], metrics, target_language, tokenize, effective_order=True)
    for name, metric in built.items():
        scores = [
            float(metric.sentence_score(hypothesis, list(own)).score)
            for hypothesis, *own in zip(hypotheses, *streams, strict=True)
        ]
        found[name] = scores, str(metric.get_signature())
    return found


def build_metrics(
    references: Sequence[Sequence[str]],
    names: Sequence[str] = ("bleu", "chrf"),
    target_language: str = "",
    tokenize: str | None = None,
    lowercase: bool = False,
    effective_order: bool = False,
) -> dict[str, Metric]:
    """sacreBLEU's metrics by name, with cached reference statistics.

    All are cased but TER, which is not in sacreBLEU's command either. All count composed text (NFC), as models write
    it; `nfc:yes` stands in the signature where that changed a line, so that sacreBLEU alone would give other numbers.

    Args:
        references: lists of references, one for each line.
        names: of LABELS.
        target_language, tokenize, lowercase: as in `corpus_scores`.
        effective_order: BLEU of the n-grams that there are, as is usual for single sentences.

    Raises:
        UserError: for a metric that is not in LABELS, or a tokenizer that cannot be made.
    """
    from sacrebleu.metrics import BLEU, CHRF

    from nmt_rl.evaluation.compounds import compound_bleu
    from nmt_rl.evaluation.task_metrics import build_task_metric

    for name in names:
        if name not in LABELS:
            raise UserError(f"there is no metric {name!r}; {_near(name, LABELS)}")
    tokenizer = choose_tokenizer(target_language, tokenize)
    order: dict[str, Any] = {"effective_order": effective_order}
    made: dict[str, Callable[[], Metric]] = {
        # force: the warning about tokenised text is warn_if_tokenised.
        "bleu": lambda: BLEU(tokenize=tokenizer, lowercase=lowercase, force=True, **order),
        "chrf": lambda: CHRF(lowercase=lowercase),
        "chrf++": lambda: CHRF(lowercase=lowercase, word_order=2),
        "ter": lambda: build_ter(target_language),
        "compound-bleu": lambda: compound_bleu(target_language, **order),
    }
    made |= {name: partial(build_task_metric, name, TASKS[name], target_language) for name in names if name in TASKS}
    with installed(tokenizer):
        return {name: _composing(made[name](), references) for name in names}


def _composing(metric: Any, references: Sequence[Sequence[str]]) -> Metric:
    """The metric on composed text, with cached references."""
    preprocess, plain_signature, changed = metric._preprocess_segment, metric.get_signature, False

    def preprocess_composed(text: str) -> str:
        nonlocal changed
        whole = composed(text)
        changed = changed or whole != text
        return str(preprocess(whole))

    def signature() -> Any:
        found = plain_signature()
        if changed:
            found.update("nfc", "yes")
        return found

    metric._preprocess_segment, metric.get_signature = preprocess_composed, signature
    metric._ref_cache = metric._cache_references(references)
    built: Metric = metric
    return built


def build_ter(target_language: str = "") -> TER:
    """sacreBLEU's TER, with its options for Chinese and Japanese: `norm:yes`, `asian:yes` in the signature.

    Args:
        target_language: language code.

    Raises:
        UserError: for a language without blanks between words for which sacreBLEU has no such option.
    """
    from sacrebleu.metrics import TER

    tokenizer = bleu_tokenizer(target_language)
    if tokenizer == "char":
        language = short_code(target_language)
        raise UserError(
            f"TER counts what stands between blanks, which {language} does not put between words; take chrf"
        )
    asian = tokenizer in ("zh", "ja-mecab")
    return TER(normalized=asian, asian_support=asian)


def check_metrics(names: Sequence[str], target_language: str, tokenize: str | None = None) -> None:
    """Raise the UserError of `build_metrics` now, and not after the work."""
    build_metrics([[]], names, target_language, tokenize)


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


def choose_tokenizer(target_language: str, tokenize: str | None) -> str:
    """sacreBLEU's tokenizer of that name, in any case, or else of the language; raises UserError if there is none."""
    if tokenize is None:
        return bleu_tokenizer(target_language)
    from sacrebleu.metrics import BLEU

    known = {name.lower(): name for name in BLEU.TOKENIZERS}
    if tokenize.lower() not in known:
        raise UserError(f"sacreBLEU has no tokenizer {tokenize!r}; {_near(tokenize, BLEU.TOKENIZERS)}")
    return known[tokenize.lower()]


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
