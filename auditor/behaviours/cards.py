"""Model cards: how well heads rank and how honest their probabilities are, on unseen documents.

Every figure comes from labelled spans scored by heads that learned from other documents; intervals
resample documents. A behaviour with fewer positives than FEW is shown, with its interval, and is
never a reason to trust the detector.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

RESAMPLES = 200
RECALLS = (0.5, 0.8, 0.9, 0.95)
BINS = 5
FEW = 15
"""Positives below which no card is good evidence (the issue of the reference: DESIGN §8)."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Out-of-fold scores of labelled spans for one name, with the truth and the documents; (n,)."""

    truth: npt.NDArray[np.bool_]
    sums: Floats
    probability: Floats
    document: npt.NDArray[np.uint64]
    pi: npt.NDArray[np.float64]


Measure = Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]


def detector_card(evidence: Evidence, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Rows of `cards` for one detector: ranking, precision at recalls, calibration by bins."""
    truth = evidence.truth
    counts = {"labels": len(truth), "positives": int(truth.sum())}
    if truth.all() or not truth.any():
        return
    for metric, measure in (("auc", roc_auc_score), ("average_precision", average_precision_score)):
        low, high = None, None
        if _several_documents(evidence):
            low, high = _interval(measure, truth, evidence.sums, evidence.document, rng)
        estimate = float(measure(truth, evidence.sums))
        row = {"metric": metric, "at": None, "estimate": estimate, "low": low, "high": high}
        yield row | counts
    precision, recall, _ = precision_recall_curve(truth, evidence.sums)
    for wanted in RECALLS:
        best = float(precision[recall >= wanted].max())
        yield {"metric": "precision", "at": wanted, "estimate": best} | counts
    for bin_counts, at, share in _calibration(evidence):
        yield {"metric": "calibration", "at": at, "estimate": share} | bin_counts


def framing_card(
    truth: Sequence[str],
    predicted: Sequence[str],
    document: npt.NDArray[np.uint64],
    rng: np.random.Generator,
) -> Iterator[dict[str, Any]]:
    """Rows of `cards` for one facet: F1 of each value, and their mean over values not too rare."""
    known, found = np.array(truth, object), np.array(predicted, object)
    common = [v for v in sorted(set(truth)) if (known == v).sum() >= FEW]

    def macro(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
        return float(f1_score(one, other, labels=common, average="macro", zero_division=0))

    if common:
        low, high = _interval(macro, known, found, document, rng)
        yield {
            "metric": "macro_f1", "name": None, "estimate": macro(known, found), "low": low,
            "high": high, "labels": len(known), "positives": int(np.isin(known, common).sum()),
        }  # fmt: skip
    for value in sorted(set(truth)):
        score = f1_score(known == value, found == value, zero_division=0)
        yield {
            "metric": "f1", "name": value, "estimate": float(score), "labels": len(known),
            "positives": int((known == value).sum()),
        }  # fmt: skip


def _several_documents(evidence: Evidence) -> bool:
    """Whether neither answer comes from one document alone; drawn again, one shows no spread."""
    sides = (evidence.document[evidence.truth], evidence.document[~evidence.truth])
    return all(len(np.unique(side)) > 1 for side in sides)


def _calibration(evidence: Evidence) -> Iterator[tuple[dict[str, int], float, float]]:
    """Mean probability and weighted share of positives, in bins of equal numbers of spans."""
    drawn = np.flatnonzero(~np.isnan(evidence.pi))
    order = drawn[np.argsort(evidence.probability[drawn], kind="stable")]
    for rows in np.array_split(order, BINS):
        if not len(rows):
            continue
        weight = 1.0 / evidence.pi[rows]
        share = float(weight @ evidence.truth[rows] / weight.sum())
        mean = float(weight @ evidence.probability[rows] / weight.sum())
        yield {"labels": len(rows), "positives": int(evidence.truth[rows].sum())}, mean, share


def _interval(
    measure: Measure,
    truth: npt.NDArray[Any],
    found: npt.NDArray[Any],
    document: npt.NDArray[np.uint64],
    rng: np.random.Generator,
) -> tuple[float | None, float | None]:
    """Percentile interval over documents drawn with replacement; draws without both are skipped."""
    documents, number = np.unique(document, return_inverse=True)
    members = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    values = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(documents), len(documents))
        drawn = np.concatenate([members[one] for one in chosen])
        if len(set(truth[drawn].tolist())) > 1:
            values.append(measure(truth[drawn], found[drawn]))
    if len(values) < RESAMPLES // 2:
        return None, None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
