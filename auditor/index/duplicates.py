"""Passages with an equal or near-equal twin, as star clusters around a representative.

Exact twins are found by a hash of the text, near ones by MinHash bands and the exact Jaccard of
their shingle sets. Every member is verified against its representative: nothing is chained.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from auditor.index import kernels
from auditor.index.tokens import tokenise

NEAR_JACCARD = 0.7
"""Shared fraction of distinct 5-word shingles from which two passages are near duplicates."""

BANDS, ROWS = 32, 4
"""32 bands of 4 minima: a pair at Jaccard 0.7 becomes a candidate with probability 0.9998
(1 - (1 - 0.7^4)^32), one at 0.1 with 0.003."""

Shingles = npt.NDArray[np.uint32]


def near_pairs(
    sketches: npt.NDArray[np.uint8], shingles_of: Callable[[Sequence[int]], list[Shingles]]
) -> list[tuple[int, int, float]]:
    """Find verified near-duplicate pairs; returns (row, row, Jaccard), rows of `sketches`.

    sketches: (n, 128) low bytes of the minima; shingles_of gives the distinct shingles of rows.
    """
    candidates = _candidates(sketches)
    rows = sorted({row for pair in candidates for row in pair})
    sets = dict(zip(rows, shingles_of(rows), strict=True))
    scored = ((a, b, jaccard(sets[a], sets[b])) for a, b in sorted(candidates))
    return [pair for pair in scored if pair[2] >= NEAR_JACCARD]


def star_clusters(pairs: Iterable[tuple[int, int, float]]) -> dict[int, tuple[int, float]]:
    """Assign each paired row to a representative it is paired with; best-connected rows lead.

    Returns row → (representative, Jaccard with it); a representative is its own, at 1.
    """
    neighbours: dict[int, dict[int, float]] = defaultdict(dict)
    for a, b, similarity in pairs:
        neighbours[a][b] = neighbours[b][a] = similarity
    assigned: dict[int, tuple[int, float]] = {}
    for row in sorted(neighbours, key=lambda r: (-len(neighbours[r]), r)):
        if row in assigned:
            continue
        members = {m: s for m, s in neighbours[row].items() if m not in assigned}
        if members:
            assigned[row] = (row, 1.0)
            assigned.update({m: (row, s) for m, s in members.items()})
    return assigned


def jaccard(a: Shingles, b: Shingles) -> float:
    """Jaccard similarity of two sorted sets; two empty sets share nothing."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    union = len(a) + len(b) - shared
    return shared / union if union else 0.0


def shingle_sets(texts: Sequence[str]) -> list[Shingles]:
    """Give the distinct shingle hashes of each text, sorted."""
    tokens = tokenise(texts)
    words, before = tokens.words, tokens.words_before
    out = np.empty(max(len(words), 1), np.uint32)
    bounds = pairwise(before[tokens.document_offsets])
    return [np.unique(out[: kernels.shingle_hashes(words[a:b], out)]) for a, b in bounds]


def _candidates(sketches: npt.NDArray[np.uint8]) -> set[tuple[int, int]]:
    """Pair rows that share a band: each with the first of its group and with its neighbour."""
    pairs: set[tuple[int, int]] = set()
    keys = np.ascontiguousarray(sketches).view(f"u{ROWS}").reshape(len(sketches), BANDS)
    for band in range(BANDS if len(sketches) else 0):
        order = np.argsort(keys[:, band], kind="stable")
        ordered = keys[order, band]
        same = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        first = np.searchsorted(ordered, ordered[same])
        for other in (first, same - 1):
            low = np.minimum(order[same], order[other])
            high = np.maximum(order[same], order[other])
            pairs.update(zip(low.tolist(), high.tolist(), strict=True))
    return pairs
