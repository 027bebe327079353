"""How far alignments of words are from known ones: precision, recall, and the alignment error rate."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

Link = tuple[int, int]
"""Numbers of a source word and of a target word."""


@dataclass(frozen=True)
class AlignmentScores:
    """Of a set of links A, where the links S are sure and the links P, S among them, are possible."""

    precision: float
    """|A and P| / |A|"""
    recall: float
    """|A and S| / |S|"""
    error_rate: float
    """1 - (|A and S| + |A and P|) / (|A| + |S|)"""


def alignment_scores(pairs: Iterable[tuple[Set[Link], Set[Link], Set[Link]]]) -> AlignmentScores:
    """Scores of the links of a text (Och and Ney, 2003, section 5.1), all its pairs of sentences together.

    Args:
        pairs: of each pair of sentences the links that were found, A, the sure ones, S, and the possible ones, P, to
            which the sure ones are added.

    Raises:
        ValueError: if there is no sure link.
    """
    found = sure = sure_found = possible_found = 0
    for links, certain, possible in pairs:
        found += len(links)
        sure += len(certain)
        sure_found += len(links & certain)
        possible_found += len(links & (possible | certain))
    if not sure:
        raise ValueError("there is no sure link to find")
    precision = possible_found / found if found else 0.0
    return AlignmentScores(precision, sure_found / sure, 1.0 - (sure_found + possible_found) / (found + sure))
