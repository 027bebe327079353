"""How well Q predicts: its differences between two actions, beside the true ones of forks.

Everything is float64 of [n] forks. A difference is Q(s, a) - Q(s, a'): of the action a that the policy takes and of
another one, a'. What is true is the difference of the two returns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FOLDS = 5
BINS = 10
NORMAL_95 = 1.96
"""Half the width of a 95 % interval, in standard errors."""


@dataclass(frozen=True)
class CalibrationBin:
    """Forks whose predicted differences are neighbours.

    Attributes:
        forks: how many.
        predicted: their mean predicted difference.
        true: their mean true one.
        error: standard error of that, sentences taken as the units; None for a single sentence.
    """

    forks: int
    predicted: float
    true: float
    error: float | None


@dataclass(frozen=True)
class QDiagnosis:
    """What Q knows of forks.

    Attributes:
        forks: how many.
        sentences: that they are on.
        explained: explained variance of the true differences by Q's, as they are.
        explained_scaled: the same after the best slope, which is the squared correlation.
        slope: that slope: below 1, Q exaggerates.
        explained_known: what is explained, in cross-validation, by what is known without Q.
        explained_beyond: what Q adds to that.
        correlation: of Q's differences with the true ones.
        sign_agreement: see the function.
        preferred: share of the forks where Q prefers the other action.
        gain: mean true gain of taking the other action where Q prefers it; 0 if it never does.
        gain_interval: 95 % interval of it; None for fewer than two sentences.
        calibration: from the lowest predicted difference to the highest.
    """

    forks: int
    sentences: int
    explained: float
    explained_scaled: float
    slope: float
    explained_known: float
    explained_beyond: float
    correlation: float
    sign_agreement: float
    preferred: float
    gain: float
    gain_interval: tuple[float, float] | None
    calibration: tuple[CalibrationBin, ...]

    def numbers(self) -> dict[str, float]:
        """What is worth a curve."""
        return {
            "q_explained": self.explained,
            "q_beyond": self.explained_beyond,
            "q_correlation": self.correlation,
            "q_sign": self.sign_agreement,
            "q_preferred": self.preferred,
            "q_gain": self.gain,
        }


def diagnose(q: ArrayLike, truth: ArrayLike, known: ArrayLike, sentence: ArrayLike) -> QDiagnosis:
    """Everything about forks.

    Args:
        q: predicted differences [n].
        truth: true differences [n].
        known: what is known of each fork without Q, [n, features]; see `explained_by`.
        sentence: which sentence each fork is on, [n].
    """
    q, truth, sentence = _float(q), _float(truth), np.asarray(sentence)
    r, other = correlation(q, truth), q < 0
    gain, error = clustered_mean(-truth[other], sentence[other])
    return QDiagnosis(
        forks=len(q),
        sentences=len(np.unique(sentence)),
        explained=explained_variance(q, truth),
        explained_scaled=r**2,
        slope=float(r * truth.std() / q.std()) if r else 0.0,
        explained_known=explained_by(known, truth, sentence),
        explained_beyond=explained_beyond(q, known, truth, sentence),
        correlation=r,
        sign_agreement=sign_agreement(q, truth),
        preferred=float(other.mean()) if len(q) else 0.0,
        gain=gain,
        gain_interval=None if error is None else (gain - NORMAL_95 * error, gain + NORMAL_95 * error),
        calibration=calibration(q, truth, sentence),
    )


def explained_variance(predicted: ArrayLike, true: ArrayLike) -> float:
    """1 - Var(true - predicted) / Var(true), of any shape; 0 where nothing varies."""
    predicted, true = _float(predicted), _float(true)
    variance = float(true.var()) if true.size else 0.0
    return 1.0 - float((true - predicted).var()) / variance if variance else 0.0


def explained_by(features: ArrayLike, truth: ArrayLike, groups: ArrayLike) -> float:
    """R² of a linear fit, cross-validated: each group is predicted by a fit to others.

    Whole groups are left out, in five folds, for forks of one sentence are alike. 0 where nothing varies, and for a
    single group; below 0 where the fit is worse than a constant.

    Args:
        features: [n, features], of any scale; a constant is added.
        truth: what is predicted, [n].
        groups: of each row, [n].
    """
    truth, numbers = _float(truth), np.unique(np.asarray(groups), return_inverse=True)[1]
    folds = min(FOLDS, int(numbers.max(initial=-1)) + 1)
    total = float(np.square(truth - truth.mean()).sum()) if truth.size else 0.0
    if folds < 2 or not total:
        return 0.0
    columns, missed = _float(features), 0.0
    spread = columns.std(axis=0)
    columns = columns / np.where(spread > 0, spread, 1.0)
    for fold in range(folds):
        out = numbers % folds == fold
        missed += float(np.square(truth[out] - _ridge(columns[~out], truth[~out], columns[out])).sum())
    return 1.0 - missed / total


def _ridge(x: Array, y: Array, new: Array) -> Array:
    """Predictions for `new` by ridge regression of y on x; its penalty is worth one observation of unit variance."""
    z = x - x.mean(axis=0)
    weights = np.linalg.solve(z.T @ z + np.eye(z.shape[1]), z.T @ (y - y.mean()))
    return y.mean() + (new - x.mean(axis=0)) @ weights


def explained_beyond(q: ArrayLike, known: ArrayLike, truth: ArrayLike, groups: ArrayLike) -> float:
    """What Q adds to the cross-validated R² of what is known without it; see `explained_by`."""
    both = np.column_stack([_float(q), _float(known)])
    return explained_by(both, truth, groups) - explained_by(known, truth, groups)


def correlation(q: ArrayLike, truth: ArrayLike) -> float:
    """Pearson's; 0 where one of the two does not vary."""
    q, truth = _float(q), _float(truth)
    if not q.size or not q.std() or not truth.std():
        return 0.0
    return float(((q - q.mean()) * (truth - truth.mean())).mean() / (q.std() * truth.std()))


def sign_agreement(q: ArrayLike, truth: ArrayLike) -> float:
    """How often Q prefers the better action. Forks with equal returns are left out; where Q prefers neither, it counts
    as a guess, 1/2; and so does everything where no fork is left."""
    signs = np.sign(_float(q)) * np.sign(_float(truth))
    told = signs[_float(truth) != 0]
    return float((1 + told).mean() / 2) if told.size else 0.5


def clustered_mean(values: ArrayLike, groups: ArrayLike) -> tuple[float, float | None]:
    """Mean of values [n], and its standard error if whole groups [n] are what is drawn; None for a single group.

    Var = G / (G - 1) sum_g (sum_{i in g} (x_i - mean))² / n² (Liang and Zeger, 1986). Without any value, (0, None).
    """
    x, numbers = _float(values), np.unique(np.asarray(groups), return_inverse=True)[1]
    if not x.size:
        return 0.0, None
    mean, count = float(x.mean()), int(numbers.max()) + 1
    if count < 2:
        return mean, None
    sums = np.bincount(numbers, x - mean)
    return mean, float(np.sqrt(count / (count - 1) * np.square(sums).sum()) / len(x))


def calibration(q: ArrayLike, truth: ArrayLike, groups: ArrayLike) -> tuple[CalibrationBin, ...]:
    """Ten bins of as many forks each, from the lowest predicted difference to the highest; fewer if there are fewer."""
    q, truth, groups = _float(q), _float(truth), np.asarray(groups)
    bins = []
    for each in np.array_split(np.argsort(q, kind="stable"), BINS):
        if len(each):
            true, error = clustered_mean(truth[each], groups[each])
            bins.append(CalibrationBin(len(each), float(q[each].mean()), true, error))
    return tuple(bins)


def _float(x: ArrayLike) -> Array:
    return np.asarray(x, np.float64)
