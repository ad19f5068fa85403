"""Copied runs: the longest stretches of words a text shares with a document.

Shared winnowed fingerprints give the seeds; every run is grown and verified word by word, so a run
of 12 words or more is found wherever it lies (METHOD T14, winnowing guarantee).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.index import kernels
from auditor.index.tokens import Tokens

MIN_RUN = kernels.FINGERPRINT_WORDS + kernels.WINDOW - 1
"""Shortest run reported, in words: the length from which every run is found."""

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Run:
    """A shared run: where it starts in the text's words and in the document's, and its length."""

    document_id: int
    here: int
    there: int
    words: int


def fingerprints_of(words: Words) -> dict[int, list[int]]:
    """Winnow a text; fingerprint → word positions. A masked word is 0 and never fingerprinted."""
    prints, documents = np.empty(len(words), np.uint32), np.empty(len(words), np.int64)
    positions = np.empty(len(words), np.uint32)
    offsets = np.array([0, len(words)], np.int64)
    n = kernels.winnow(words, offsets, prints, documents, positions)
    found: dict[int, list[int]] = {}
    for value, position in zip(prints[:n].tolist(), positions[:n].tolist(), strict=True):
        found.setdefault(value, []).append(position)
    return found


def grow_runs(
    words: Words, seeds: Iterable[tuple[int, int, int]], documents: Mapping[int, Words]
) -> list[Run]:
    """Grow seeds (document, position here, position there) to maximal runs of MIN_RUN words."""
    runs: set[tuple[int, int, int, int]] = set()
    ends: dict[tuple[int, int], int] = {}
    for document_id, here, there in sorted(seeds):
        diagonal = (document_id, there - here)
        if here < ends.get(diagonal, -1):
            continue
        other = documents[document_id]
        first = _extend(words, other, here, there, -1)
        last = _extend(words, other, here - 1, there - 1, 1)
        if last >= 0 and last + first >= MIN_RUN:
            runs.add((document_id, here - first, there - first, first + last))
            ends[diagonal] = here + last
    return [Run(*run) for run in sorted(runs)]


def echo_mask(words: Words, earlier: Iterable[Words]) -> npt.NDArray[np.bool_]:
    """Which words stand in a run of fingerprint length that earlier turns hold: prompt echo."""
    width = kernels.FINGERPRINT_WORDS
    known = {run.tobytes() for turn in earlier for run in _windows(turn, width)}
    mask = np.zeros(len(words), bool)
    for start, run in enumerate(_windows(words, width)):
        if run.tobytes() in known:
            mask[start : start + width] = True
    return mask


def character_span(tokens: Tokens, first_word: int, words: int) -> tuple[int, int]:
    """Characters of a run of words in a text of one document."""
    index = np.flatnonzero(tokens.is_word)
    first, last = index[first_word], index[first_word + words - 1]
    return int(tokens.char_starts[first]), int(tokens.char_ends[last])


def _windows(words: Words, width: int) -> Words:
    if len(words) < width:
        return np.empty((0, width), np.uint64)
    return np.lib.stride_tricks.sliding_window_view(words, width)


def _extend(words: Words, other: Words, here: int, there: int, step: int) -> int:
    """Count equal words beyond (here, there), in one direction; masked words equal nothing."""
    count = 0
    here, there = here + step, there + step
    while 0 <= here < len(words) and 0 <= there < len(other):
        if words[here] == 0 or words[here] != other[there]:
            break
        count += 1
        here, there = here + step, there + step
    return count
