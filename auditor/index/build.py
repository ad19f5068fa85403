"""Documents → the five index tables, one batch at a time; opens no file.

The token stream is made once; passages, sketches, fingerprints and vectors all read it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from auditor.index import kernels
from auditor.index.tokens import Tokens, tokenise
from auditor.index.vectors import WordVectors, quantise
from auditor.schema import SKETCH_PERMUTATIONS, TABLES, VECTOR_DIMENSIONS

BATCH_BYTES = 4 * 1024 * 1024
"""Text a batch aims for: the token arrays of a batch stay near the cache, and under 200 MiB."""

MINHASH_SEED = 1
"""datasketch's default seed."""

INDEX_TABLES = ("documents", "passages", "sketches", "fingerprints", "vectors")

STAMP = {
    "scheme": "affine32",
    "permutations": SKETCH_PERMUTATIONS,
    "minhash_seed": MINHASH_SEED,
    "shingle_words": kernels.SHINGLE_WORDS,
    "fingerprint_words": kernels.FINGERPRINT_WORDS,
    "window": kernels.WINDOW,
    "passage_words": [kernels.MIN_WORDS, kernels.MAX_WORDS],
    "tokeniser": 1,
    "vectors": VECTOR_DIMENSIONS,
}
"""What signatures depend on; audits with different stamps are not mixed."""


@dataclass(frozen=True, slots=True)
class Text:
    """A document as the index needs it: an id, its text, and its row of `documents` so far."""

    document_id: int
    key: str
    text: str
    row: dict[str, object]


def batches(texts: Iterable[Text]) -> Iterator[list[Text]]:
    """Group documents into batches of about BATCH_BYTES characters."""
    batch: list[Text] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text.text)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def index_batch(texts: Sequence[Text], words: WordVectors, store_text: bool) -> dict[str, pa.Table]:
    """Index some documents; returns one Arrow table for each of INDEX_TABLES."""
    tokens = tokenise([text.text for text in texts])
    spans = _cut(tokens)
    ids, passages = _passages(texts, tokens, spans, store_text)
    return {
        "documents": _documents(texts, tokens),
        "passages": passages,
        "sketches": _keyed("sketches", ids, _sketches(tokens, spans)),
        "fingerprints": _fingerprints(texts, tokens),
        "vectors": _keyed("vectors", ids, quantise(words.of_spans(tokens, spans[:, 1:3]))),
    }


def minhash(
    words: npt.NDArray[np.uint64], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """Full 32-bit MinHash of each run of words; returns (runs, SKETCH_PERMUTATIONS)."""
    a, b = _permutations()
    out = np.empty((len(offsets) - 1, SKETCH_PERMUTATIONS), np.uint32)
    kernels.sketch(words, offsets, a, b, out)
    return out


@lru_cache(maxsize=1)
def _permutations() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    from datasketch import MinHash

    a, b = MinHash(
        num_perm=SKETCH_PERMUTATIONS, seed=MINHASH_SEED, scheme=STAMP["scheme"]
    ).permutations
    return np.asarray(a, np.uint32), np.asarray(b, np.uint32)


def _cut(tokens: Tokens) -> npt.NDArray[np.int64]:
    """Passages as rows of document, first token, one past the last token, words."""
    most = len(tokens.flags) // kernels.MIN_WORDS + len(tokens.document_offsets)
    out = np.empty((most, 4), np.int64)
    return out[: kernels.cut_passages(tokens.flags, tokens.document_offsets, out)].copy()


def _documents(texts: Sequence[Text], tokens: Tokens) -> pa.Table:
    rows = [
        {**text.row, "document_id": text.document_id, "n_chars": int(chars), "n_words": int(count)}
        for text, chars, count in zip(
            texts, (len(text.text) for text in texts), tokens.n_words, strict=True
        )
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["documents"].schema)


def _passages(
    texts: Sequence[Text], tokens: Tokens, spans: npt.NDArray[np.int64], store_text: bool
) -> tuple[npt.NDArray[np.uint64], pa.Table]:
    documents, first, last = spans[:, 0], spans[:, 1], spans[:, 2] - 1
    start, end = tokens.char_starts[first], tokens.char_ends[last]
    slices = [
        tokens.buffer[a:b] for a, b in zip(tokens.starts[first], tokens.ends[last], strict=True)
    ]
    ids = np.fromiter(
        (
            passage_id(texts[d].key, int(s), int(e), piece)
            for d, s, e, piece in zip(documents, start, end, slices, strict=True)
        ),
        np.uint64,
        len(spans),
    )
    ordinal = np.arange(len(spans)) - np.searchsorted(documents, documents)
    document_ids = np.array([text.document_id for text in texts], np.uint64)
    text = pa.array(slices, pa.binary()).cast(pa.string()) if store_text else pa.nulls(len(ids))
    columns = [ids, document_ids[documents], ordinal, start, end, spans[:, 3], text]
    schema = TABLES["passages"].schema
    arrays = [pa.array(c).cast(f.type) for c, f in zip(columns, schema, strict=True)]
    return ids, pa.Table.from_arrays(arrays, schema=schema)


def passage_id(key: str, start: int, end: int, text: bytes) -> int:
    """Hash (corpus and document id, start, end, text) to 64 bits (BLAKE2b)."""
    hasher = hashlib.blake2b(f"{key}\x00{start}\x00{end}\x00".encode(), digest_size=8)
    hasher.update(text)
    return int.from_bytes(hasher.digest(), "little")


def _sketches(tokens: Tokens, spans: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """Low 8 bits of each minimum (b-bit minwise hashing, Li and König 2010)."""
    before = tokens.words_before
    offsets = np.append(before[spans[:, 1]], before[spans[-1, 2]] if len(spans) else 0)
    return (minhash(tokens.words, offsets) & 0xFF).astype(np.uint8).view(np.int8)


def _fingerprints(texts: Sequence[Text], tokens: Tokens) -> pa.Table:
    words = tokens.words
    offsets = tokens.words_before[tokens.document_offsets]
    prints, documents = np.empty(len(words), np.uint32), np.empty(len(words), np.int64)
    positions = np.empty(len(words), np.uint32)
    n = kernels.winnow(words, offsets, prints, documents, positions)
    ids = np.array([text.document_id for text in texts], np.uint64)
    return pa.Table.from_arrays(
        [pa.array(prints[:n]), pa.array(ids[documents[:n]]), pa.array(positions[:n])],
        schema=TABLES["fingerprints"].schema,
    )


def _keyed(table: str, ids: npt.NDArray[np.uint64], rows: npt.NDArray[np.int8]) -> pa.Table:
    schema = TABLES[table].schema
    packed = pa.FixedSizeBinaryArray.from_buffers(
        schema[1].type, len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows).tobytes())]
    )
    return pa.Table.from_arrays([pa.array(ids), packed], schema=schema)
