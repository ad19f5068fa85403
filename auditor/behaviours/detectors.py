"""Stage 1: a logistic head per behaviour on a passage's static vector and its lexical cues.

Heads are fitted on the library's examples, near misses and the examples of other behaviours; a
behaviour with an exact rule needs no head. Scores are uncalibrated: they rank, they do not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.linear_model import LogisticRegression

from auditor.behaviours.spec import Behaviour
from auditor.index.vectors import WordVectors

REGULARISATION = 10.0
"""C of the logistic regression, the reference's (DESIGN §8)."""

CUE_CEILING = 3
"""Cue matches beyond this many add nothing: a long passage is not more of a lie."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Heads:
    """Logistic heads over vector and cue features, one column a behaviour."""

    behaviours: tuple[Behaviour, ...]
    weights: Floats
    bias: Floats

    def scores(self, vectors: Floats, texts: pa.Array) -> Floats:
        """Score passages; vectors (n, d) unit, texts (n,); returns (n, behaviours) in [0, 1]."""
        cues = cue_counts(texts, self.behaviours)
        features = np.hstack([vectors, np.minimum(cues, CUE_CEILING).astype(np.float32)])
        scores = 1.0 / (1.0 + np.exp(-(features @ self.weights + self.bias)))
        exact = [i for i, behaviour in enumerate(self.behaviours) if behaviour.rule]
        scores[:, exact] = cues[:, exact] > 0
        out: Floats = scores.astype(np.float32)
        return out


def cue_counts(texts: pa.Array, behaviours: Sequence[Behaviour]) -> npt.NDArray[np.int64]:
    """Count each behaviour's cue or rule matches; returns (n, behaviours). Null text counts 0."""
    columns = [
        pc.fill_null(pc.count_substring_regex(texts, behaviour.pattern), 0).to_numpy(False)
        for behaviour in behaviours
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def fit_heads(library: Mapping[str, Behaviour], words: WordVectors) -> Heads:
    """Fit every head on the library's own texts."""
    behaviours = tuple(library.values())
    learned = [b for b in behaviours if not b.rule]
    texts = [e.text for b in learned for e in (*b.examples, *b.near_misses)]
    owners = [b.id for b in learned for _ in b.examples + b.near_misses]
    positive = [
        flag for b in learned for flag in [True] * len(b.examples) + [False] * len(b.near_misses)
    ]
    cues = np.minimum(cue_counts(pa.array(texts), behaviours), CUE_CEILING).astype(np.float32)
    features = np.hstack([words.of_texts(texts), cues])
    weights = np.zeros((features.shape[1], len(behaviours)), np.float32)
    bias = np.zeros(len(behaviours), np.float32)
    for column, behaviour in enumerate(behaviours):
        if behaviour.rule:
            continue
        target = [p and owner == behaviour.id for p, owner in zip(positive, owners, strict=True)]
        model = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=2000)
        model.fit(features, target)
        weights[:, column], bias[column] = model.coef_[0], model.intercept_[0]
    return Heads(behaviours, weights, bias)
