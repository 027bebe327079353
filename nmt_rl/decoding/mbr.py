"""Minimum Bayes risk: of several translations the one that is most alike to all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from nmt_rl.corpus.languages import bleu_tokenizer
from nmt_rl.corpus.words import installed
from nmt_rl.decoding.hypotheses import Hypotheses, Prefix, Search
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.corpus.tokenizer import Tokenizer

Utility = Callable[[str, str], float]
"""How good a hypothesis is if another one is the reference."""


class MinimumRisk:
    """A Search that puts another one's hypotheses into the order of their expected utility.

    argmax_h (1 / n) sum_i u(h, h_i) over the n hypotheses h_i found (Eikema and Aziz, 2020, equation 5); they count
    alike, so samples stand for the model's distribution. Utilities, in [0, 100], take the place of the scores.

    Args:
        search: finds the hypotheses.
        tokenizer: of the target side.
        utility: of two texts.
    """

    def __init__(self, search: Search, tokenizer: Tokenizer, utility: Utility) -> None:
        """See the class docstring."""
        self.search, self.tokenizer, self.utility = search, tokenizer, utility
        self.max_length = search.max_length

    def __call__(self, source: np.ndarray, max_lengths: np.ndarray, prefix: Prefix | None = None) -> Hypotheses:
        """See Search."""
        found = self.search(source, max_lengths, prefix)
        scores = np.full_like(found.scores, -np.inf)
        for row, (ids, lengths) in enumerate(zip(found.ids, found.lengths, strict=True)):
            there = np.flatnonzero(lengths)
            texts = self.tokenizer.decode([ids[n, : lengths[n]] for n in there])
            scores[row, there] = expected_utilities(texts, self.utility)
        order = np.argsort(-scores, axis=1, kind="stable")
        ids = np.take_along_axis(found.ids, order[:, :, None], 1)
        lengths, log_probs, scores = (np.take_along_axis(x, order, 1) for x in (found.lengths, found.log_probs, scores))
        return Hypotheses(ids, lengths, log_probs, scores)


def expected_utilities(texts: Sequence[str], utility: Utility) -> list[float]:
    """(1 / n) sum_i u(t, t_i) of each of n texts t; equal texts are compared once."""
    counts = Counter(texts)
    means = {text: sum(n * utility(text, other) for other, n in counts.items()) / len(texts) for text in counts}
    return [means[text] for text in texts]


def sentence_utility(metric: Literal["bleu", "chrf"], language: str = "") -> Utility:
    """sacreBLEU's score of a sentence, in [0, 100]; BLEU with effective order and exponential smoothing.

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
    return lambda hypothesis, reference: float(scorer.sentence_score(hypothesis, [reference]).score)
