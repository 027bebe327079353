"""Sentence metrics a reward can be made of besides BLEU: each takes two lists of text and gives a number for each pair.

A user's own `module:function` has the same form. Higher is better and values are about [0, 1], so that weights, tau and
the cut of the Huber loss mean the same whatever the metric.
"""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import build_ter
from nmt_rl.evaluation.task_metrics import VALUES
from nmt_rl.rl.memory import Memory
from nmt_rl.rl.ngrams import clipped_matches

if TYPE_CHECKING:
    from sacrebleu.metrics import TER

Metric = Callable[[list[str], list[str]], NDArray[np.float64]]
"""(hypotheses, references) -> worth of each hypothesis, float64 [pairs]."""

KEY = "finetune.reward.metrics"
REMEMBERED = 2**15
"""Most pairs of text whose value a metric remembers."""
CHRF_ORDER, CHRF_BETA = 6, 2.0


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
    """Sentence chrF2 (Popovic, 2015), in [0, 1]; float64 [pairs].

        chrF = (1 + beta^2) P R / (beta^2 P + R)

    P and R are the means of the precisions and recalls of character n-grams, n = 1 .. 6, without white space, over the
    orders that both sides have. sacreBLEU's sentence score / 100, for a whole batch at once.
    """
    ours = [list(map(ord, "".join(text.split()))) for text in hypotheses]
    theirs = [list(map(ord, "".join(text.split()))) for text in references]
    matches = clipped_matches(ours, theirs, CHRF_ORDER)
    orders = np.arange(CHRF_ORDER)
    ours_total = np.array([len(row) for row in ours], np.int64)[:, None] - orders
    theirs_total = np.array([len(row) for row in theirs], np.int64)[:, None] - orders
    shared = (ours_total > 0) & (theirs_total > 0)
    used = np.maximum(shared.sum(axis=1), 1)
    precision = (shared * matches / np.maximum(ours_total, 1)).sum(axis=1) / used
    recall = (shared * matches / np.maximum(theirs_total, 1)).sum(axis=1) / used
    factor = CHRF_BETA**2
    return (1.0 + factor) * precision * recall / np.maximum(factor * precision + recall, np.finfo(np.float64).tiny)


def ter(hypotheses: Sequence[str], references: Sequence[str], language: str = "") -> NDArray[np.float64]:
    """1 - TER (Snover et al., 2006) of each sentence, but at least 0; float64 [pairs].

    sacreBLEU's sentence score with its defaults: lower-cased, punctuation not split off; by characters in Chinese and
    Japanese (`metrics.build_ter`). TER exceeds 1 where the hypothesis is much longer than the reference. Unclipped, a
    few words too many beside a reference of two words would outweigh a whole batch; clipped, a hypothesis that needs
    more edits than the reference has words is worth as little as none at all.
    """
    metric = _sacrebleu_ter(language)
    scores = [metric.sentence_score(ours, [theirs]).score for ours, theirs in zip(hypotheses, references, strict=True)]
    return np.maximum(1.0 - np.array(scores, np.float64) / 100.0, 0.0)


@functools.cache
def _sacrebleu_ter(language: str) -> TER:
    return build_ter(language)


def load_metric(name: str, language: str = "") -> Metric:
    """chrf, ter, one of `task_metrics.VALUES`, or the user's `module:function`; values of recent pairs are remembered.

    Args:
        name: which.
        language: code of the target language, for TER's words.

    Raises:
        UserError: naming the key and what was found, for a module or function that cannot be loaded, or for a language
            that has no TER; also when the metric is called and raises, or does not give one finite number for each
            hypothesis.
    """
    if ":" in name:
        return remember(_checked(name, _load_function(name)))
    if name == "chrf":
        return remember(chrf)
    if name in VALUES:
        value = VALUES[name]
        value("", "")  # A package that is missing is found missing now.
        return remember(lambda ours, theirs: np.array([value(a, b) for a, b in zip(ours, theirs, strict=True)]))
    try:
        _sacrebleu_ter(language)
    except UserError as error:
        raise UserError(f"{KEY} has 'ter': {error}") from error
    return remember(functools.partial(ter, language=language))


def remember(metric: Metric) -> Metric:
    """The same metric, asked only once for equal pairs of text, which are frequent among forks and prefixes."""

    def compute(pairs: list[tuple[str, str]]) -> list[float]:
        values: list[float] = metric([ours for ours, _ in pairs], [theirs for _, theirs in pairs]).tolist()
        return values

    memory = Memory(compute, REMEMBERED)

    def remembering(hypotheses: list[str], references: list[str]) -> NDArray[np.float64]:
        return np.array(memory(list(zip(hypotheses, references, strict=True))), np.float64)

    return remembering


def _load_function(name: str) -> Callable[..., Any]:
    """The user's function; this is where their module is imported."""
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name.isidentifier():
        raise UserError(f"{KEY} has {name!r}; the name of a function must look like package.module:function")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module raises while it is imported
        hint = " (is its folder in PYTHONPATH?)" if isinstance(error, ModuleNotFoundError) else ""
        raise UserError(
            f"{KEY} has {name!r}, but module {module_name} cannot be imported: {type(error).__name__}: {error}{hint}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        near = difflib.get_close_matches(function_name, [n for n in vars(module) if callable(getattr(module, n))], n=1)
        found = "no" if function is None else f"a {type(function).__name__}, not a function,"
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"{KEY} has {name!r}, but module {module_name} has {found} {function_name}{hint}")
    return function


def _checked(name: str, function: Callable[..., Any]) -> Metric:
    """The user's function with its results checked."""

    def checked(hypotheses: list[str], references: list[str]) -> NDArray[np.float64]:
        try:
            result = function(hypotheses, references)
        except Exception as error:  # whatever the user's function raises
            raise UserError(f"{KEY}: {name} raised {type(error).__name__}: {error}") from error
        should = f"{KEY}: {name} must return one finite number for each of {len(hypotheses)} hypotheses"
        try:
            values = np.asarray(result)
        except Exception as error:  # ragged lists, or a tensor that NumPy cannot read
            raise UserError(f"{should}, found a {type(result).__name__} that is no list of numbers") from error
        if values.ndim != 1:
            raise UserError(f"{should}, found a {type(result).__name__} of {values.ndim} dimensions")
        if len(values) != len(hypotheses):
            raise UserError(f"{should}, found {len(values)} results")
        strange = [value for value in result if not _is_finite(value)]
        if strange:
            raise UserError(f"{should}, found {strange[0]!r}")
        return values.astype(np.float64)

    return checked


def _is_finite(value: Any) -> bool:
    """Whether a result is a finite real number; text and None are not."""
    array = np.asarray(value)
    return array.dtype.kind in "biuf" and bool(np.isfinite(array))
