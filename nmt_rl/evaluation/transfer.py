"""What learning one domain after the other does to all of them, in three numbers of a matrix of scores.

R[i][j] is the score on the test set of domain j of the model that has learnt the domains up to i; that of row 0 is the
model that the chain starts from, which knows domain 0.
"""

from __future__ import annotations

from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]
"""R, [domains, domains]."""


def forgetting(matrix: Matrix) -> float:
    """Mean over all domains j but the last of max_l R[l][j] - R[T][j], l < T (Chaudhry et al., 2018)."""
    earlier = range(len(matrix) - 1)
    return sum(max(row[j] for row in matrix[:-1]) - matrix[-1][j] for j in earlier) / len(earlier)


def backward_transfer(matrix: Matrix) -> float:
    """Mean over all domains j but the last of R[T][j] - R[j][j] (Lopez-Paz and Ranzato, 2017: equation 3)."""
    earlier = range(len(matrix) - 1)
    return sum(matrix[-1][j] - matrix[j][j] for j in earlier) / len(earlier)


def forward_transfer(matrix: Matrix) -> float | None:
    """Mean over domains that are learnt after another of R[j - 1][j] - R[0][j] (Lopez-Paz and Ranzato, 2017: eq. 4).

    Their b, a model that has learnt nothing of the chain, is the one that it starts from; so of two domains, the second
    of which is the first to be learnt, there is none.
    """
    later = range(2, len(matrix))
    return sum(matrix[j - 1][j] - matrix[0][j] for j in later) / len(later) if later else None


def final_mean(matrix: Matrix) -> float:
    """Mean over all domains of the last model's scores (Lopez-Paz and Ranzato, 2017: equation 2)."""
    return sum(matrix[-1]) / len(matrix)
