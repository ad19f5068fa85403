"""Linear heads, cross-fitted by document: a logistic regression for each fold and each name.

The head that scores a document's passages learned from documents of other folds; a text of no
document is scored by the folds' average. Calibration is one slope and one intercept a name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from auditor.behaviours.training import FOLDS, LIBRARY

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_ITERATIONS = 2000

DIRECTIONS = 1000
"""Coordinates a head is fitted in; on ../shared/gold 600, 1,000 and all of them rank alike."""


@dataclass(frozen=True)
class Heads:
    """Heads over one set of features.

    weights: (FOLDS + 1, features, names), bias: (FOLDS + 1, names), the last being the average of
    the folds; slope, intercept: (FOLDS + 1, names), of the calibration, which like the head itself
    knows no label of the fold's documents.
    """

    names: tuple[str, ...]
    weights: Floats
    bias: Floats
    slope: Floats
    intercept: Floats

    def sums(self, features: Floats, fold: Ints | None = None) -> Floats:
        """Weighted sums of features; (n, features) to (n, names).

        fold: for each row the fold whose head did not see it; LIBRARY, or None for all, takes the
        average.
        """
        if fold is None:
            return np.asarray(features @ self.weights[-1] + self.bias[-1], np.float32)
        out = np.empty((len(features), len(self.names)), np.float32)
        for number in np.unique(fold):
            rows = fold == number
            out[rows] = features[rows] @ self.weights[number] + self.bias[number]
        return out

    def probabilities(self, features: Floats, fold: Ints | None = None) -> Floats:
        """Calibrated probability of each name; (n, features) to (n, names)."""
        return self.calibrated(self.sums(features, fold), fold)

    def calibrated(self, sums: Floats, fold: Ints | None = None) -> Floats:
        """Probabilities of weighted sums; (n, names) to (n, names)."""
        which = LIBRARY if fold is None else fold
        return np.asarray(expit(sums * self.slope[which] + self.intercept[which]), np.float32)


def fit_heads(
    names: Sequence[str],
    features: Floats,
    wanted: Floats,
    weight: Floats,
    fold: Ints,
    regularisation: float,
) -> Heads:
    """Fit a head for each fold and name; uncalibrated.

    features: (n, d); wanted: (n, names), 1, 0 or nan to leave out; weight, fold: (n,);
    regularisation: C of the logistic regression. A name without both answers gets a head of zeros.
    """
    small, basis = compress(features)
    with threadpool_limits(1):  # fits this small lose more to threads than they gain
        weights, bias = _fit_folds(small, wanted, weight, fold, regularisation)
    full = weights if basis is None else np.einsum("dk,fkn->fdn", basis, weights)
    ones = np.ones((FOLDS + 1, len(names)), np.float32)
    return Heads(tuple(names), full.astype(np.float32), bias, ones, np.zeros_like(ones))


def _fit_folds(
    small: Floats, wanted: Floats, weight: Floats, fold: Ints, regularisation: float
) -> tuple[Floats, Floats]:
    names = wanted.shape[1]
    held = [int(number) for number in np.unique(fold[fold != LIBRARY])]
    weights = np.zeros((FOLDS + 1, small.shape[1], names), np.float32)
    bias = np.zeros((FOLDS + 1, names), np.float32)
    for column in range(names):
        known = ~np.isnan(wanted[:, column])
        everything = (
            _fit(small[known], wanted[known, column], weight[known], regularisation)
            if len(held) < FOLDS
            else None
        )
        for number in range(FOLDS):
            rows = known & (fold != number)
            weights[number, :, column], bias[number, column] = (
                _fit(small[rows], wanted[rows, column], weight[rows], regularisation)
                if number in held or everything is None
                else everything
            )
    weights[-1], bias[-1] = weights[:-1].mean(axis=0), bias[:-1].mean(axis=0)
    return weights, bias


def compress(features: Floats) -> tuple[Floats, Floats | None]:
    """Turn features into at most DIRECTIONS coordinates; returns them and their basis (d, k).

    A regularised fit lies in the span of its rows, so nothing is lost but the least directions.
    """
    if features.shape[1] <= DIRECTIONS:
        return features, None
    values, vectors = np.linalg.eigh((features @ features.T).astype(np.float64))
    order = np.argsort(-values)[:DIRECTIONS]
    order = order[values[order] > 1e-6 * values[order[0]]]
    root = np.sqrt(values[order])
    basis = (features.T @ (vectors[:, order] / root)).astype(np.float32)
    return (vectors[:, order] * root).astype(np.float32), basis


def calibrate(heads: Heads, sums: Floats, wanted: Floats, pi: Doubles, fold: Ints) -> Heads:
    """Calibrate heads on labelled spans they did not learn from, each fold on the others' spans.

    sums: (n, names) out of fold; wanted: (n, names), nan where unknown; pi: inclusion
    probabilities, nan where none was stated; fold: (n,). The slope is Platt's (1999), unweighted;
    the intercept makes the mean probability over the frame the estimated prevalence, half an event
    added, because a sample drawn for rare behaviours holds far more of them than the corpus.
    """
    slope, intercept = heads.slope.copy(), heads.intercept.copy()
    for column in range(len(heads.names)):
        known = ~np.isnan(wanted[:, column]) & ~np.isnan(pi)
        for number in (*range(FOLDS), LIBRARY):
            rows = known & (fold != number)
            x, y = sums[rows, column].astype(float), wanted[rows, column].astype(float)
            if len(np.unique(y)) < 2:
                continue
            model = LogisticRegression(C=1e3, max_iter=MOST_ITERATIONS).fit(x[:, None], y)
            slope[number, column] = max(float(model.coef_[0, 0]), 1e-3)
            intercept[number, column] = _centre(slope[number, column] * x, y, 1.0 / pi[rows])
    return replace(heads, slope=slope, intercept=intercept)


def _centre(sums: Doubles, shown: Doubles, weight: Doubles) -> float:
    """The intercept at which probabilities add up to the weighted positives."""
    spread = float(weight.sum())
    half = 0.5 * float(np.median(weight))
    rate = min(max((float(weight @ shown) + half) / (spread + 2.0 * half), 1e-6), 1.0 - 1e-6)

    def gap(intercept: float) -> float:
        return float(weight @ expit(sums + intercept)) / spread - rate

    return float(brentq(gap, -60.0 - sums.max(), 60.0 - sums.min()))


def _fit(
    features: Floats, answers: Floats, weight: Floats, regularisation: float
) -> tuple[Floats, float]:
    if len(np.unique(answers)) < 2:
        return np.zeros(features.shape[1], np.float32), 0.0
    model = LogisticRegression(
        C=regularisation, class_weight="balanced", max_iter=MOST_ITERATIONS
    ).fit(features, answers, sample_weight=weight)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])
