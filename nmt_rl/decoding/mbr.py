"""Minimum Bayes risk: of several translations the one that is most alike to all of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmt_rl.corpus.languages import bleu_tokenizer
from nmt_rl.corpus.words import installed
from nmt_rl.decoding.hypotheses import Hypotheses, Prefix, Search
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.corpus.tokenizer import Tokenizer

Utility = Callable[[Sequence[str], Sequence[str]], ArrayLike]
"""How good hypotheses are if others, one for each, are the references; float [pairs]."""


class MinimumRisk:
    """A Search that puts another one's hypotheses into the order of their expected utility.

    argmax_h (1 / n) sum_i u(h, h_i) over the n hypotheses h_i found (Eikema and Aziz, 2020, equation 5); they count
    alike, so samples stand for the model's distribution. Utilities, in [0, 100], take the place of the scores.

    Args:
        search: finds the hypotheses.
        tokenizer: of the target side.
        utility: of texts.
    """

    def __init__(self, search: Search, tokenizer: Tokenizer, utility: Utility) -> None:
        """See the class docstring."""
        self.search, self.tokenizer, self.utility = search, tokenizer, utility
        self.max_length = search.max_length

    def __call__(self, source: np.ndarray, max_lengths: np.ndarray, prefix: Prefix | None = None) -> Hypotheses:
        """See Search."""
        found = self.search(source, max_lengths, prefix)
        there, scores = found.lengths > 0, np.full_like(found.scores, -np.inf)
        texts = iter(
            self.tokenizer.decode([ids[:n] for ids, n in zip(found.ids[there], found.lengths[there], strict=True)])
        )
        groups = [list(itertools.islice(texts, n)) for n in there.sum(axis=1)]
        scores[there] = np.concatenate(expected_utilities(groups, self.utility))
        order = np.argsort(-scores, axis=1, kind="stable")
        ids = np.take_along_axis(found.ids, order[:, :, None], 1)
        lengths, log_probs, scores = (np.take_along_axis(x, order, 1) for x in (found.lengths, found.log_probs, scores))
        return Hypotheses(ids, lengths, log_probs, scores)


def expected_utilities(groups: Sequence[Sequence[str]], utility: Utility) -> list[NDArray[np.float64]]:
    """(1 / n) sum_i u(t, t_i) of each text t of a group of n; equal texts are compared once.

    Args:
        groups: texts; those of a group are compared with one another.
        utility: is called once for all groups.

    Returns:
        float64 [texts] for each group.
    """
    counts = [Counter(texts) for texts in groups]
    pairs = [pair for own in counts for pair in itertools.product(own, own)]
    values = np.asarray(utility([text for text, _ in pairs], [other for _, other in pairs]), np.float64)
    found, begin = [], 0
    for texts, own in zip(groups, counts, strict=True):
        table = values[begin : begin + len(own) ** 2].reshape(len(own), len(own))
        means = dict(zip(own, table @ np.array(list(own.values()), np.float64), strict=True))
        found.append(np.array([means[text] for text in texts]) / len(texts))
        begin += len(own) ** 2
    return found


def sentence_utility(metric: Literal["bleu", "chrf"], language: str = "") -> Utility:
    """sacreBLEU's score of sentences, in [0, 100]; BLEU with effective order and exponential smoothing.

    Args:
        metric: which.
        language: code of the target language, for BLEU's tokenizer.

    Raises:
        UserError: if that tokenizer is not installed.
    """
    from sacrebleu.metrics import BLEU, CHRF

    tokenizer = bleu_tokenizer(language)
    try:
        with installed(tokenizer):
            scorer = BLEU(effective_order=True, tokenize=tokenizer) if metric == "bleu" else CHRF()
    except UserError as error:
        raise UserError(f"{error}; or take mbr chrf") from error
    return lambda texts, others: [scorer.sentence_score(t, [o]).score for t, o in zip(texts, others, strict=True)]
