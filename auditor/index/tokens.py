"""Texts → a token stream: words, punctuation, offsets in bytes and in characters, sentence starts.

The one place that owns the kernel's arrays; passages, sketches, fingerprints, vectors and traces
all start from a `Tokens`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from auditor.index import kernels
from auditor.text.characters import character_tables


@dataclass(frozen=True)
class Tokens:
    """The tokens of some documents, in order.

    buffer: UTF-8 bytes of all documents; document_offsets: (documents + 1,) into the tokens;
    starts, ends: bytes; char_starts, char_ends: characters of the token's own document;
    hashes: (tokens,) uint64 of the folded word; flags: bits of `kernels`; words, chars: a document.
    """

    buffer: bytes
    document_offsets: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    char_starts: npt.NDArray[np.uint32]
    char_ends: npt.NDArray[np.uint32]
    hashes: npt.NDArray[np.uint64]
    flags: npt.NDArray[np.uint8]
    n_words: npt.NDArray[np.int64]
    n_chars: npt.NDArray[np.int64]

    @cached_property
    def is_word(self) -> npt.NDArray[np.bool_]:
        """Which tokens are words."""
        mask: npt.NDArray[np.bool_] = (self.flags & kernels.IS_WORD).astype(bool)
        return mask

    @cached_property
    def words(self) -> npt.NDArray[np.uint64]:
        """The hashes of the words alone, in order."""
        return self.hashes[self.is_word]

    @cached_property
    def words_before(self) -> npt.NDArray[np.int64]:
        """Number of words before each token, and in all at the end; shape (tokens + 1,)."""
        return np.concatenate(([0], np.cumsum(self.is_word)))

    def token_text(self, token: int) -> str:
        """The token as it stands in the text."""
        return self.buffer[self.starts[token] : self.ends[token]].decode()


def tokenise(texts: Sequence[str]) -> Tokens:
    """Tokenise documents in one pass over their UTF-8 bytes."""
    encoded = [text.encode() for text in texts]
    buffer = b"".join(encoded)
    offsets = np.concatenate(([0], np.cumsum([len(e) for e in encoded]))).astype(np.int64)
    size = len(buffer) + 1
    starts, ends = np.empty(size, np.int64), np.empty(size, np.int64)
    char_starts, char_ends = np.empty(size, np.uint32), np.empty(size, np.uint32)
    hashes, flags = np.empty(size, np.uint64), np.empty(size, np.uint8)
    counts = np.zeros((len(texts), 3), np.int64)
    classes, folded = character_tables()
    n = kernels.tokenise(
        np.frombuffer(buffer or b"\0", np.uint8),
        offsets,
        classes,
        folded,
        starts,
        ends,
        char_starts,
        char_ends,
        hashes,
        flags,
        counts,
    )
    return Tokens(
        buffer=buffer,
        document_offsets=np.concatenate(([0], np.cumsum(counts[:, 0]))).astype(np.int64),
        starts=starts[:n].copy(),
        ends=ends[:n].copy(),
        char_starts=char_starts[:n].copy(),
        char_ends=char_ends[:n].copy(),
        hashes=hashes[:n].copy(),
        flags=flags[:n].copy(),
        n_words=counts[:, 1],
        n_chars=counts[:, 2],
    )


def word_hashes(text: str) -> npt.NDArray[np.uint64]:
    """Hash the words of one text, in order."""
    return tokenise([text]).words


def shingles(text: str) -> npt.NDArray[np.uint32]:
    """The distinct 5-word shingle hashes of a text, sorted."""
    words = word_hashes(text)
    out = np.empty(max(len(words), 1), np.uint32)
    return np.unique(out[: kernels.shingle_hashes(words, out)])
