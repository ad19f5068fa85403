"""Framing classifiers: one multinomial logistic head per facet, on static vectors.

Fitted on the library's examples across all behaviours; a facet's value is a property of the
telling, so the behaviours share a head.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from auditor.schema import FACETS

REGULARISATION = 10.0
"""C of the logistic regression, the same as the detectors'."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FramingHeads:
    """A fitted head per facet."""

    models: dict[str, Any]

    def probabilities(self, vectors: Floats) -> dict[str, dict[str, Floats]]:
        """Facet → value → probability; vectors (n, d), each probability (n,)."""
        return {
            facet: dict(zip(model.classes_, model.predict_proba(vectors).T, strict=True))
            for facet, model in self.models.items()
        }


def fit_framing(framings: Sequence[dict[str, str]], vectors: Floats) -> FramingHeads:
    """Fit the heads; framings and vectors are of the same examples."""
    return FramingHeads({facet: _fit(facet, framings, vectors) for facet in FACETS})


def _fit(facet: str, framings: Iterable[dict[str, str]], vectors: Floats) -> LogisticRegression:
    rows = [(i, framing[facet]) for i, framing in enumerate(framings) if facet in framing]
    model = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=2000)
    return model.fit(np.asarray(vectors)[[i for i, _ in rows]], [value for _, value in rows])
