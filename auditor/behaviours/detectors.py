"""A stage's detectors: fitted, cross-fitted, calibrated, with the card of what they are worth."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.behaviours.cards import Evidence, detector_card
from auditor.behaviours.heads import Heads, calibrate, fit_heads
from auditor.behaviours.training import TrainingSet

REGULARISATION = {1: 3.0, 2: 0.5}
"""C of each stage's logistic regressions; a factor two either way changed AUC by under .005."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Detectors:
    """One stage's heads and, for its labelled texts, their out-of-fold sums; (labelled, names)."""

    stage: int
    heads: Heads
    sums: Floats


def fit_detectors(training: TrainingSet, features: Floats, stage: int) -> Detectors:
    """Fit a head for every behaviour; features: (texts, d). Calibrated where labels allow."""
    heads = fit_heads(
        training.behaviours,
        features,
        training.present,
        training.weight,
        training.fold,
        REGULARISATION[stage],
    )
    own = training.labelled
    sums = heads.sums(features[own], training.fold[own])
    known = calibrate(heads, sums, training.present[own], training.pi[own], training.fold[own])
    return Detectors(stage, known, sums)


def cards(
    training: TrainingSet, detectors: Detectors, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Rows of `cards` for every behaviour that labelled spans were read for."""
    own = training.labelled
    heads = detectors.heads
    probability = heads.calibrated(detectors.sums, training.fold[own])
    kinds = np.array([text.reader_kind for text in training.texts], object)[own]
    for column, name in enumerate(training.behaviours):
        truth = training.present[own][:, column]
        known = ~np.isnan(truth)
        evidence = Evidence(
            truth[known] == 1.0,
            detectors.sums[known, column],
            probability[known, column],
            training.documents[own][known],
            training.pi[own][known],
        )
        kind = "+".join(sorted(set(kinds[known].tolist()) - {None}))
        for row in detector_card(evidence, rng):
            yield {"stage": detectors.stage, "name": name, "reader_kind": kind or None, **row}
