"""Static vectors of token spans: a sum of cached word vectors, kept as 128 signed bytes.

Every distinct word is cut into the encoder's pieces once; after that a passage costs one table
look-up a token. Only the direction of a vector counts.
"""

import numpy as np
import numpy.typing as npt

from auditor.index import kernels
from auditor.index.encoder import PieceTable
from auditor.index.tokens import Tokens, tokenise

_START_CAPACITY = 1 << 16


class WordVectors:
    """A growing table of word vectors over one encoder's pieces; one per worker."""

    def __init__(self, pieces: PieceTable) -> None:
        """Start with no words."""
        self.pieces = pieces
        self._keys = np.zeros(_START_CAPACITY, np.uint64)
        self._values = np.zeros(_START_CAPACITY, np.int64)
        self._table = np.zeros((_START_CAPACITY // 2, pieces.vectors.shape[1]), np.float32)
        self._size = 0

    def of_spans(self, tokens: Tokens, spans: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Unit static vectors of token spans; spans: (n, 2), returns (n, VECTOR_DIMENSIONS)."""
        numbers = self._numbers(tokens)
        out = np.empty((len(spans), self._table.shape[1]), np.float32)
        kernels.sum_vectors(numbers, spans, self._table, out)
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        unit_vectors: npt.NDArray[np.float32] = out / np.maximum(norms, np.finfo(np.float32).tiny)
        return unit_vectors

    def of_texts(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Unit static vectors of whole texts; returns (texts, VECTOR_DIMENSIONS)."""
        tokens = tokenise(texts)
        offsets = tokens.document_offsets
        return self.of_spans(tokens, np.stack([offsets[:-1], offsets[1:]], axis=1))

    def _numbers(self, tokens: Tokens) -> npt.NDArray[np.int32]:
        self._reserve(len(tokens.hashes))
        new = np.empty(len(tokens.hashes), np.int64)
        numbers, added = kernels.look_up(tokens.hashes, self._keys, self._values, self._size, new)
        if added:
            words = [tokens.token_text(token) for token in new[:added]]
            self._table[self._size : self._size + added] = self.pieces.vectors_of(words)
            self._size += added
        return np.asarray(numbers, np.int32)

    def _reserve(self, tokens: int) -> None:
        """Make room for as many new words as there are tokens, at a load of at most one half."""
        needed = 2 * (self._size + tokens)
        if needed <= len(self._keys):
            return
        capacity = 1 << int(needed - 1).bit_length()
        old_keys, old_values = self._keys, self._values
        taken = old_keys != 0
        self._keys, self._values = np.zeros(capacity, np.uint64), np.zeros(capacity, np.int64)
        kernels.reinsert(old_keys[taken], old_values[taken], self._keys, self._values)
        table = np.zeros((capacity // 2, self._table.shape[1]), np.float32)
        table[: self._size] = self._table[: self._size]
        self._table = table


def quantise(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """Scale each vector's largest entry to 127 and round; the direction moves by < 1e-3 cosine."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    share = vectors / np.where(largest > 0, largest, np.float32(1))
    return np.rint(share * 127).astype(np.int8)


def unit(quantised: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
    """Turn stored bytes back into unit vectors; a zero vector stays zero."""
    vectors = quantised.astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    out: npt.NDArray[np.float32] = vectors / np.maximum(norms, 1.0)
    return out
