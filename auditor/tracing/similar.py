"""Near copies and same meaning: candidates from stored sketches and vectors."""

import numpy as np
import numpy.typing as npt

from auditor.index.duplicates import Shingles
from auditor.schema import SKETCH_PERMUTATIONS

MIN_ESTIMATE = 0.10
"""Estimated Jaccard from which a passage is a candidate near copy: five standard errors above 0."""

MIN_CONTAINMENT = 0.25
"""Share of a span's shingles a near copy must hold; unrelated passages share under 0.01."""

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def near_candidates(sketch: Bytes, sketches: Bytes) -> npt.NDArray[np.int64]:
    """Rows whose estimated Jaccard with a span is MIN_ESTIMATE or more.

    sketch (128,), sketches (n, 128), low bytes; estimate (p - 2^-8) / (1 - 2^-8) (Li and König
    2010).
    """
    share = (sketches == sketch).sum(axis=1) / SKETCH_PERMUTATIONS
    estimate = (share - 2**-8) / (1 - 2**-8)
    return np.flatnonzero(estimate >= MIN_ESTIMATE)


def containment(span: Shingles, passage: Shingles) -> float:
    """Share of the span's distinct shingles that the passage holds."""
    return len(np.intersect1d(span, passage, assume_unique=True)) / max(len(span), 1)


def nearest(vector: Floats, vectors: Floats, top: int) -> npt.NDArray[np.int64]:
    """Rows of the largest cosine, best first; exact. vector (d,) and vectors (n, d) are unit."""
    cosine = vectors @ vector
    top = min(top, len(cosine))
    rows = np.argpartition(-cosine, top - 1)[:top] if top else np.empty(0, np.int64)
    return np.asarray(rows[np.argsort(-cosine[rows], kind="stable")], np.int64)
