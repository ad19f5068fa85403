"""What a head sees of a passage, at each of the two stages.

Stage 1 needs no text: the stored static vector and the stored cue counts. Stage 2 reads the text:
the transformer's layers, the words themselves, and the cues again.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.feature_extraction.text import HashingVectorizer

from auditor.behaviours.spec import Behaviour

CUE_CEILING = 3
"""Cue matches beyond this many add nothing: a long passage is not more of a lie."""

STATIC_CUES = 0.5
"""Size of a full count of cues beside the unit static vector of stage 1."""

WORD_BUCKETS = 4096
"""Hashed words of stage 2; without a stored vocabulary, a head serves any corpus."""

Floats = npt.NDArray[np.float32]


def cue_counts(texts: pa.Array, behaviours: Sequence[Behaviour]) -> npt.NDArray[np.uint8]:
    """Count cue or rule matches up to CUE_CEILING; (n, behaviours). Null text counts 0."""
    columns = [
        pc.fill_null(pc.count_substring_regex(texts, behaviour.pattern), 0).to_numpy(False)
        for behaviour in behaviours
    ]
    return np.asarray(np.minimum(np.stack(columns, axis=1), CUE_CEILING), np.uint8)


def stage1_features(vectors: Floats, cues: npt.NDArray[np.uint8]) -> Floats:
    """Static vectors (n, d) beside cue counts (n, behaviours); (n, d + behaviours)."""
    return np.hstack([vectors, cues * np.float32(STATIC_CUES / CUE_CEILING)])


def stage2_features(layers: Floats, texts: Sequence[str], cues: npt.NDArray[np.uint8]) -> Floats:
    """Layers (n, d), words and cue counts side by side; (n, d + WORD_BUCKETS + behaviours)."""
    return np.hstack([layers, word_features(texts), cues / np.float32(CUE_CEILING)])


def word_features(texts: Sequence[str]) -> Floats:
    """Which words a text holds, hashed into buckets, as a unit vector; (n, WORD_BUCKETS)."""
    found = _hashing().transform(list(texts)).toarray().astype(np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1.0), np.float32)


@cache
def _hashing() -> HashingVectorizer:
    return HashingVectorizer(
        n_features=WORD_BUCKETS,
        alternate_sign=False,
        stop_words="english",
        token_pattern=r"(?u)\b[^\W\d]{2,}\b",
        norm=None,
        binary=True,
    )
