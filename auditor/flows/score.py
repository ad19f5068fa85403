"""Stage-1 scores and framings of every passage, from its vector and its cues."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from auditor.behaviours.detectors import Heads, fit_heads
from auditor.behaviours.spec import Behaviour, read_library
from auditor.flows.recording import Started, is_done
from auditor.framing.classifiers import FramingHeads, fit_framing
from auditor.index.encoder import Encoder, piece_table
from auditor.index.vectors import WordVectors, unit
from auditor.plan import digest
from auditor.progress import Progress
from auditor.schema import FACETS, TABLES, VECTOR_DIMENSIONS
from auditor.store.catalogue import SCORE_SCALE, Catalogue
from auditor.store.tables import Tables

Floats = npt.NDArray[np.float32]

CANDIDATE_SCORE = 0.9
"""Framings are kept for passages that score at least this: some 2 % of the demo corpus."""

BATCH_ROWS = 16_384

_PASSAGES = (
    "SELECT p.passage_id, p.text, v.vector FROM passages p JOIN vectors v USING (passage_id) "
    "JOIN documents d USING (document_id) WHERE d.corpus = $corpus ORDER BY p.passage_id"
)


def score_corpus(tables: Tables, corpus: str, encoder: Encoder, progress: Progress) -> None:
    """Score every passage of a corpus with the library's heads, unless that is already done."""
    started = Started("score", ("numpy", "scikit-learn"))
    library = read_library()
    [index] = tables.current("index", corpus)
    settings = digest([{b.id: b.digest for b in library.values()}, encoder.digest, CANDIDATE_SCORE])
    inputs = index["input_digest"]
    if is_done(tables, "score", corpus, settings, inputs):
        return
    heads, framing = fit_detectors(library, WordVectors(piece_table(encoder)))
    passages = Catalogue(tables).query(_PASSAGES, {"corpus": corpus})
    columns = _scorable(heads, passages["text"], progress)
    scores, framings = [], []
    with progress.task("scoring passages", passages.num_rows, "passages") as task:
        for batch in passages.to_batches(max_chunksize=BATCH_ROWS):
            vectors = stored_vectors(batch["vector"])
            values = heads.scores(vectors, batch["text"])
            scores.append(_score_rows(batch["passage_id"], columns, values))
            framings.append(_framing_rows(batch["passage_id"], heads, framing, values, vectors))
            task.advance(batch.num_rows)
    paths = (
        tables.write("scores", corpus, pa.concat_tables(scores)),
        tables.write("framings", corpus, pa.concat_tables(framings)),
    )
    summary = {"passages": passages.num_rows}
    started.finish(tables, corpus, settings, inputs, paths, passages.num_rows, summary)


def fit_detectors(library: dict[str, Behaviour], words: WordVectors) -> tuple[Heads, FramingHeads]:
    """Fit the behaviour heads and the framing heads on the library's own texts."""
    examples = [e for b in library.values() for e in b.examples if e.framing]
    framing = fit_framing(
        [dict(e.framing) for e in examples], words.of_texts([e.text for e in examples])
    )
    return fit_heads(library, words), framing


def stored_vectors(column: pa.Array) -> Floats:
    """Turn a column of stored vectors into unit float vectors; (n, VECTOR_DIMENSIONS)."""
    packed = np.frombuffer(b"".join(column.to_pylist()), np.int8)
    return unit(packed.reshape(-1, VECTOR_DIMENSIONS))


def _scorable(heads: Heads, texts: pa.ChunkedArray, progress: Progress) -> dict[str, int]:
    """Columns of the score matrix by behaviour: exact rules only where there is text to match."""
    stored = texts.null_count == 0
    if not stored:
        progress.warn("text is not stored: exact rules are not counted, cues are not seen")
    return {b.id: i for i, b in enumerate(heads.behaviours) if stored or not b.rule}


def _score_rows(ids: pa.Array, columns: dict[str, int], values: Floats) -> pa.Table:
    quantised = np.rint(values * SCORE_SCALE).astype(np.uint8)
    scores = {name: pa.array(quantised[:, column]) for name, column in columns.items()}
    return pa.table({"passage_id": ids, **scores})


def _framing_rows(
    ids: pa.Array,
    heads: Heads,
    framing: FramingHeads,
    values: Floats,
    vectors: Floats,
) -> pa.Table:
    learned = [i for i, behaviour in enumerate(heads.behaviours) if not behaviour.rule]
    rows, columns = np.nonzero(values[:, learned] >= CANDIDATE_SCORE)
    schema = TABLES["framings"].schema
    if not len(rows):
        return schema.empty_table()
    probabilities = framing.probabilities(vectors[rows])
    passages = ids.take(pa.array(rows))
    names = pa.array([heads.behaviours[learned[column]].id for column in columns])
    parts = [
        pa.Table.from_arrays(
            [
                passages,
                names,
                pa.array([facet] * len(rows)),
                pa.array([value] * len(rows)),
                pa.array(probabilities[facet][value].astype(np.float32)),
            ],
            schema=schema,
        )
        for facet in FACETS
        for value in FACETS[facet]
    ]
    return pa.concat_tables(parts)
