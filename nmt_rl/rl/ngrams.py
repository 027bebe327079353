"""Clipped n-gram matches of many hypotheses at once: the counts behind BLEU and chrF."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def clipped_matches(
    hypotheses: Sequence[Sequence[int]], references: Sequence[Sequence[int]], max_order: int
) -> NDArray[np.int64]:
    """Sum over n-grams g of min(occurrences of g in hypothesis, occurrences of g in reference); [pairs, max_order].

    Each order numbers the n-grams by (number of their first n - 1 symbols, last symbol), so nothing is hashed and the
    counts are exact; an n-gram that did not match is not extended.

    Args:
        hypotheses: symbols (words or characters) as ids of 0 .. 2**31 - 1, one sequence for each pair.
        references: likewise, as many.
        max_order: the largest n.
    """
    pairs = len(hypotheses)
    rows = [*hypotheses, *references]
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    symbols = np.fromiter(itertools.chain.from_iterable(rows), np.int64, int(lengths.sum()))
    pair = np.repeat(np.arange(len(rows)) % max(pairs, 1), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(symbols))  # symbols from here to the row's end
    is_hypothesis = np.arange(len(symbols)) < lengths[:pairs].sum()
    width = int(symbols.max(initial=0)) + 1
    matches = np.zeros((pairs, max_order), np.int64)
    begin, number = np.arange(len(symbols)), pair
    for order in range(1, max_order + 1):
        fits = left[begin] >= order
        begin, number = begin[fits], number[fits]
        if not len(begin):
            break
        grams, number = np.unique(number * width + symbols[begin + order - 1], return_inverse=True)
        ours = np.bincount(number[is_hypothesis[begin]], minlength=len(grams))
        theirs = np.bincount(number[~is_hypothesis[begin]], minlength=len(grams))
        clipped = np.minimum(ours, theirs)
        owner = np.zeros(len(grams), np.int64)
        owner[number] = pair[begin]
        matches[:, order - 1] = np.bincount(owner, weights=clipped, minlength=pairs)
        matched = clipped[number] > 0
        begin, number = begin[matched], number[matched]
    return matches
