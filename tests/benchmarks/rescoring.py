"""CPU-seconds to score a million passages again after new labels, from vectors and cues alone.

    python -m tests.benchmarks.rescoring AUDIT [PASSAGES]

AUDIT lends its fitted heads; the passages are drawn at random and have no text at all.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from auditor.flows.learning import read_learned
from auditor.flows.recording import Started
from auditor.flows.score import _score
from auditor.index.encoder import find_encoder
from auditor.progress import Quiet
from auditor.store.tables import Tables, with_schema

PER_DOCUMENT = 50


def build(root: Path, passages: int, behaviours: list[str]) -> Tables:
    """An audit of random vectors and cues, without words."""
    tables = Tables.create(root)
    rng = np.random.default_rng(0)
    ids = np.arange(1, passages + 1, dtype=np.uint64)
    owners = (ids // PER_DOCUMENT + 1) * np.uint64(0x9E3779B97F4A7C15)
    documents = np.unique(owners)
    corpus = pa.array(["random"] * len(documents))
    vectors = pa.array(list(map(bytes, rng.integers(-127, 128, (passages, 128), np.int8))))
    cues = {b: rng.binomial(3, 0.02, passages).astype(np.uint8) for b in behaviours}
    parts = {
        "documents": {"document_id": documents, "corpus": corpus},
        "passages": {"passage_id": ids, "document_id": owners},
        "vectors": {"passage_id": ids, "vector": vectors.cast(pa.binary(128))},
    }
    paths = [
        tables.write(name, "random", with_schema(name, pa.table(columns)))
        for name, columns in parts.items()
    ]
    Started("index", ()).finish(tables, "random", "", "", paths, passages, {})
    path = tables.write("cues", "random", pa.table({"passage_id": ids, **cues}))
    Started("cues", ()).finish(tables, "random", "", "", [path], passages, {})
    return tables


def main(root: str, passages: int) -> None:
    """Score them once and print the cost."""
    learned = read_learned(Tables.open(Path(root)), 1)
    folder = Path(tempfile.mkdtemp())
    try:
        tables = build(folder / "audit", passages, [b.id for b in learned.library.values()])
        wall, cpu = time.perf_counter(), time.process_time()
        _score(tables, "random", learned, find_encoder(), ("", ""), Quiet())
        print(f"{passages:,} passages, {len(learned.heads.names)} heads: "
              f"{time.process_time() - cpu:.1f} CPU-seconds, "
              f"{time.perf_counter() - wall:.1f} seconds")  # fmt: skip
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
