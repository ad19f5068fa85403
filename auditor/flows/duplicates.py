"""Passages and their sketches → `duplicates`: who repeats whom, exactly or nearly."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from auditor.flows.recording import Started, is_done
from auditor.index.build import STAMP
from auditor.index.duplicates import near_pairs, shingle_sets, star_clusters
from auditor.plan import digest
from auditor.progress import Progress
from auditor.schema import TABLES
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables


def find_duplicates(tables: Tables, corpus: str, progress: Progress) -> int:
    """Derive `duplicates` of a corpus; returns how many passages repeat another."""
    started = Started("duplicates", ("numpy",))
    [index] = tables.current("index", corpus)
    settings, inputs = digest(STAMP), index["input_digest"]
    if is_done(tables, "duplicates", corpus, settings, inputs):
        return int(json.loads(tables.current("duplicates", corpus)[0]["summary"])["duplicates"])
    with progress.task("finding near duplicates", 1, "pass"):
        rows = _duplicate_rows(tables, corpus)
    path = tables.write("duplicates", corpus, rows)
    repeated: int = rows.num_rows - len(pc.unique(rows["representative"]))
    summary = {"duplicates": repeated}
    started.finish(tables, corpus, settings, inputs, [path], rows.num_rows, summary)
    return repeated


def _duplicate_rows(tables: Tables, corpus: str) -> pa.Table:
    passages = Catalogue(tables).query(
        "SELECT p.passage_id, p.text, s.minhash FROM passages p "
        "JOIN documents d USING (document_id) "
        "JOIN sketches s USING (passage_id) WHERE d.corpus = $corpus ORDER BY p.passage_id",
        {"corpus": corpus},
    )
    ids = passages["passage_id"].to_numpy()
    sketches = np.frombuffer(b"".join(passages["minhash"].to_pylist()), np.uint8).reshape(
        len(ids), -1
    )
    texts = passages["text"].to_pylist()
    first, twin = _exact_twins(texts, sketches)
    leaders = np.flatnonzero(first == np.arange(len(ids)))

    def shingles_of(rows: Sequence[int]) -> list[Any]:
        return shingle_sets([texts[leaders[row]] or "" for row in rows])

    clusters = star_clusters(near_pairs(sketches[leaders], shingles_of))
    leads = {int(leaders[row]): (int(leaders[r]), j) for row, (r, j) in clusters.items()}
    rows = []
    for row, leader in enumerate(first.tolist()):
        representative, similarity = leads.get(leader, (leader, 1.0))
        if representative != leader or twin[leader] or leader in leads:
            kind = "exact" if representative == leader else "near"
            rows.append((int(ids[row]), int(ids[representative]), kind, similarity))
    sizes: dict[int, int] = {}
    for _, representative, _, _ in rows:
        sizes[representative] = sizes.get(representative, 0) + 1
    names = TABLES["duplicates"].schema.names
    return pa.Table.from_pylist(
        [dict(zip(names, (*row, sizes[row[1]]), strict=True)) for row in rows],
        schema=TABLES["duplicates"].schema,
    )


def _exact_twins(texts: list[str | None], sketches: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """The first row with each row's text, and whether a row's text occurs more than once.

    Without stored text the sketch stands for it: equal on all 128 minima.
    """
    keys = [
        hashlib.blake2b(text.encode() if text is not None else sketch, digest_size=16).digest()
        for text, sketch in zip(texts, map(bytes, sketches), strict=True)
    ]
    firsts: dict[bytes, int] = {}
    first = np.array([firsts.setdefault(key, row) for row, key in enumerate(keys)], np.int64)
    return first, np.bincount(first, minlength=len(first)) > 1
