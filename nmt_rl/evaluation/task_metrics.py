"""Scores of answers, labels and summaries as metrics of sacreBLEU: with signatures, and resampled by it."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from sacrebleu.metrics.base import Metric, Score

from nmt_rl.corpus.languages import short_code
from nmt_rl.errors import UserError

MOST_LABELS = 500
"""That macro-F1 is counted over."""
ARTICLES = re.compile(r"\b(a|an|the)\b")
Value = Callable[[str, str], float]
"""Worth in [0, 1] of a text beside one reference."""


class MeanMetric(Metric):
    """The mean over lines of what each is worth beside the best of its references, in percent.

    Args:
        name: of the scores.
        value: of a line.
        notes: for the signature.
    """

    def __init__(self, name: str, value: Value, **notes: str) -> None:
        """See the class docstring."""
        super().__init__()
        self.name, self.value, self.notes = name, value, notes

    def get_signature(self) -> Any:
        """sacreBLEU's, with the notes."""
        found = super().get_signature()
        for key, note in self.notes.items():
            found.update(key, note)
        return found

    def _preprocess_segment(self, sent: str) -> str:
        return sent.strip()

    def _extract_reference_info(self, refs: Sequence[str]) -> dict[str, Any]:
        return {"references": list(refs)}

    def _compute_segment_statistics(self, hypothesis: str, ref_kwargs: dict[str, Any]) -> list[float]:
        return [max(self.value(hypothesis, reference) for reference in ref_kwargs["references"]), 1.0]

    def _compute_score_from_stats(self, stats: Any) -> Score:
        return Score(self.name, 100.0 * float(stats[0]) / max(float(stats[1]), 1.0))

    def _aggregate_and_compute(self, stats: Any) -> Score:
        return self._compute_score_from_stats(np.asarray(stats, np.float64).sum(axis=0))


class MacroF1(MeanMetric):
    """The mean over the labels of the references of their F1, in percent; lines are labels.

    Args:
        name: of the scores.

    Raises:
        UserError: when references are more labels than `MOST_LABELS`, or several of a line.
    """

    def __init__(self, name: str) -> None:
        """See the class docstring."""
        super().__init__(name, accuracy)
        self.labels: dict[str, int] = {}

    def _extract_reference_info(self, refs: Sequence[str]) -> dict[str, Any]:
        if len(refs) != 1:
            raise UserError(f"macro-f1 is of one label for each line, found {len(refs)} references")
        self.labels.setdefault(refs[0], len(self.labels))
        if len(self.labels) > MOST_LABELS:
            raise UserError(f"macro-f1 is of labels, but the references have more than {MOST_LABELS} different lines")
        return {"label": refs[0]}

    def _compute_segment_statistics(self, hypothesis: str, ref_kwargs: dict[str, Any]) -> list[float]:
        """Of each label: whether it is both, said alone, true alone."""
        stats = np.zeros((3, len(self.labels)))
        true, said = self.labels[ref_kwargs["label"]], self.labels.get(hypothesis)
        if said == true:
            stats[0, true] = 1
        else:
            stats[2, true] = 1
            if said is not None:
                stats[1, said] = 1
        return list(stats.reshape(-1).tolist())

    def _compute_score_from_stats(self, stats: Any) -> Score:
        both, said, true = np.asarray(stats, np.float64).reshape(3, -1)
        there = both + true > 0  # A resample may lack labels.
        f1 = 2 * both / np.maximum(2 * both + said + true, 1)
        return Score(self.name, 100.0 * float(f1[there].mean()) if there.any() else 0.0)


def accuracy(hypothesis: str, reference: str) -> float:
    """1 for the same line, else 0."""
    return float(hypothesis.strip() == reference.strip())


def normalized(text: str) -> str:
    """Small letters without punctuation and English articles (Rajpurkar et al., 2016)."""
    plain = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", plain).split())


def exact_match(hypothesis: str, reference: str) -> float:
    """1 for the same line after `normalized`, else 0 (Rajpurkar et al., 2016)."""
    return float(normalized(hypothesis) == normalized(reference))


def word_f1(hypothesis: str, reference: str) -> float:
    """F1 of the words after `normalized`, in [0, 1] (Rajpurkar et al., 2016)."""
    ours, theirs = normalized(hypothesis).split(), normalized(reference).split()
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2.0 * shared / (len(ours) + len(theirs))


def rouge_l(hypothesis: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words (Lin, 2004), in [0, 1], by rouge-score, words stemmed."""
    return float(_rouge().score(reference, hypothesis)["rougeL"].fmeasure)


@cache
def _rouge() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise UserError("rouge-l needs rouge-score; pip install 'nmt-rl[tasks]'") from None
    return RougeScorer(["rougeL"], use_stemmer=True)


VALUES: dict[str, Value] = {"accuracy": accuracy, "exact": exact_match, "f1": word_f1, "rouge-l": rouge_l}
"""Of a line, by the name of the metric."""


def build_task_metric(name: str, label: str, target_language: str) -> MeanMetric:
    """The metric of a name, which is printed as `label`.

    Raises:
        UserError: for one that needs a package or a language that is not there.
    """
    if name == "macro-f1":
        return MacroF1(label)
    if name == "language":
        return _language_share(label, target_language)
    if name == "rouge-l":
        _rouge()
        return MeanMetric(label, rouge_l, stemmer="yes")
    return MeanMetric(label, VALUES[name])


def _language_share(label: str, target_language: str) -> MeanMetric:
    """Share of the lines that py3langid takes for the target language; blank ones count as in it."""
    try:
        import py3langid
    except ImportError:
        raise UserError("the language of lines needs py3langid; pip install 'nmt-rl[tasks]'") from None
    if not target_language:
        raise UserError("the metric language needs the target language; give the pair, such as -l en-de")
    wanted = short_code(target_language)
    if wanted not in {label for label, _ in py3langid.rank("known")}:
        raise UserError(f"py3langid does not know the language {wanted}")

    def value(hypothesis: str, reference: str) -> float:
        return float(not hypothesis or py3langid.classify(hypothesis)[0] == wanted)

    return MeanMetric(label, value, identifier=f"py3langid-{py3langid.__version__}-{wanted}")
