"""Stage-1 scores and framings of every passage, from stored vectors and stored cues: no text.

The text is read once, for the cues; after new labels a corpus is scored again without it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from auditor.behaviours.features import cue_counts, stage1_features
from auditor.behaviours.spec import Behaviour, library_of
from auditor.behaviours.spike_ins import read_spike_ins
from auditor.behaviours.training import fold_of
from auditor.errors import StageMissing
from auditor.flows.learning import Learned, features_of, learn
from auditor.flows.recording import Started, is_done
from auditor.framing.classifiers import FramingHeads
from auditor.index.encoder import Encoder
from auditor.index.vectors import unit
from auditor.plan import digest
from auditor.progress import Progress, Quiet
from auditor.schema import FACETS, TABLES, VECTOR_DIMENSIONS
from auditor.statistics.intervals import clopper_pearson
from auditor.store.catalogue import SCORE_POWER, SCORE_SCALE, Catalogue
from auditor.store.tables import Tables, rows_table

Floats = npt.NDArray[np.float32]

CANDIDATE_SHARE = 0.02
"""The best-scored share of a corpus's passages, for each behaviour, that counts as retrieved."""

BATCH_ROWS = 16_384

_TEXTS = (
    "SELECT p.passage_id, p.text FROM passages p JOIN documents d USING (document_id) "
    "WHERE d.corpus = $corpus ORDER BY p.passage_id"
)
_VECTORS = (
    "SELECT v.passage_id, p.document_id, d.genre, v.vector FROM vectors v "
    "JOIN passages p USING (passage_id) JOIN documents d USING (document_id) "
    "WHERE d.corpus = $corpus ORDER BY v.passage_id"
)


def score_corpus(
    tables: Tables, corpus: str, encoder: Encoder, progress: Progress
) -> dict[str, Any]:
    """Score every passage of a corpus with the newest heads, unless that is done; the summary."""
    count_cues(tables, corpus, progress)
    learned = learn(tables, 1, encoder, progress)
    [index] = tables.current("index", corpus)
    settings, inputs = digest([learned.digest, CANDIDATE_SHARE]), index["input_digest"]
    if not is_done(tables, "score", corpus, settings, inputs):
        _score(tables, corpus, learned, encoder, (settings, inputs), progress)
    summary: dict[str, Any] = json.loads(tables.current("score", corpus)[0]["summary"])
    return summary


def count_cues(tables: Tables, corpus: str, progress: Progress) -> None:
    """Count every behaviour's cues or rule matches in a corpus, unless that is already done."""
    started = Started("cues", ("pyarrow",))
    library = library_of(tables.paths)
    [index] = tables.current("index", corpus)
    settings, inputs = _patterns(library), index["input_digest"]
    if is_done(tables, "cues", corpus, settings, inputs):
        return
    passages = Catalogue(tables).query(_TEXTS, {"corpus": corpus})
    stored = passages["text"].null_count == 0
    if not stored:
        progress.warn("text is not stored: exact rules are not counted, cues are not seen")
    counted = [b for b in library.values() if stored or not b.rule]
    parts = []
    with progress.task("counting cues", passages.num_rows, "passages") as task:
        for batch in passages.to_batches(max_chunksize=BATCH_ROWS):
            counts = cue_counts(batch["text"], counted)
            columns = {b.id: pa.array(counts[:, i]) for i, b in enumerate(counted)}
            parts.append(pa.table({"passage_id": batch["passage_id"], **columns}))
            task.advance(batch.num_rows)
    table = pa.concat_tables(parts) if parts else TABLES["cues"].schema.empty_table()
    path = tables.write("cues", corpus, table)
    summary = {"passages": passages.num_rows, "behaviours": len(counted)}
    started.finish(tables, corpus, settings, inputs, [path], passages.num_rows, summary)


def need_fresh_scores(tables: Tables, corpus: str) -> None:
    """Raise StageMissing where a corpus's scores are of another index or another library."""
    [index] = tables.current("index", corpus)
    for stage in ("cues", "score"):
        runs = tables.current(stage, corpus)
        if not runs or runs[0]["input_digest"] != index["input_digest"]:
            raise StageMissing(f"corpus {corpus} is not scored as it was indexed", "auditor detect")
    if tables.current("cues", corpus)[0]["settings_digest"] != _patterns(library_of(tables.paths)):
        raise StageMissing(
            f"corpus {corpus} was scored with other behaviours than the library holds",
            "auditor detect",
        )


def _patterns(library: Mapping[str, Behaviour]) -> str:
    """What cues and rules are counted by."""
    return digest({behaviour.id: behaviour.pattern for behaviour in library.values()})


def stored_vectors(column: pa.Array) -> Floats:
    """Turn a column of stored vectors into unit float vectors; (n, VECTOR_DIMENSIONS)."""
    packed = np.frombuffer(b"".join(column.to_pylist()), np.int8)
    return unit(packed.reshape(-1, VECTOR_DIMENSIONS))


def folds_of(documents: Sequence[int]) -> npt.NDArray[np.int64]:
    """For each document the fold whose heads learned nothing from it; (n,).

    Unlabelled documents too: then one head scores a fold's sample and the rest of the fold alike,
    and a rate that leans on the scores stays unbiased.
    """
    return np.array([fold_of(document) for document in documents], np.int64)


def framing_rows(
    ids: Sequence[int], behaviours: Sequence[str], probabilities: dict[str, Floats], stage: int
) -> pa.Table:
    """Rows of `framings` for mentions: a passage and one of its behaviours; all facets' values."""
    passages, names = pa.array(ids, pa.uint64()), pa.array(behaviours, pa.string())
    parts = [
        pa.Table.from_arrays(
            [
                passages,
                names,
                pa.array([facet] * len(ids), pa.string()),
                pa.array([value] * len(ids), pa.string()),
                pa.array(probabilities[facet][:, column].astype(np.float32)),
                pa.array([stage] * len(ids), pa.uint8()),
            ],
            schema=TABLES["framings"].schema,
        )
        for facet in FACETS
        for column, value in enumerate(FACETS[facet])
    ]
    return pa.concat_tables(parts)


def _score(
    tables: Tables,
    corpus: str,
    learned: Learned,
    encoder: Encoder,
    digests: tuple[str, str],
    progress: Progress,
) -> None:
    started = Started("score", ("numpy", "scikit-learn"))
    catalogue = Catalogue(tables)
    passages = catalogue.query(_VECTORS, {"corpus": corpus})
    cues = _cues(tables, corpus)
    names = learned.heads.names
    features: list[Floats] = []
    folds: list[npt.NDArray[np.int64]] = []
    parts: list[Floats] = []
    with progress.task("scoring passages", passages.num_rows, "passages") as task:
        for batch in passages.to_batches(max_chunksize=BATCH_ROWS):
            start = sum(len(part) for part in parts)
            counts = np.stack(
                [cues[name][start : start + batch.num_rows].to_numpy() for name in names], axis=1
            )
            features.append(stage1_features(stored_vectors(batch["vector"]), counts))
            folds.append(folds_of(batch["document_id"].to_pylist()))
            parts.append(learned.heads.probabilities(features[-1], folds[-1]))
            task.advance(batch.num_rows)
    scores = np.concatenate(parts) if parts else np.empty((0, len(names)), np.float32)
    thresholds = _thresholds(scores)
    framings = _candidate_framings(passages, scores, thresholds, features, folds, learned)
    packed = {name: _packed(scores[:, i]) for i, name in enumerate(names)}
    exact = [name for name in cues.column_names if name not in (*names, "passage_id")]
    packed |= {n: np.where(cues[n].to_numpy() > 0, SCORE_SCALE, 0).astype(np.uint8) for n in exact}
    paths = (
        tables.write("scores", corpus, pa.table({"passage_id": passages["passage_id"], **packed})),
        tables.write("framings", corpus, framings),
        tables.write("cards", corpus, _recall_cards(corpus, learned, encoder, thresholds)),
    )
    summary = {
        "corpus": corpus,
        "passages": passages.num_rows,
        "thresholds": dict(zip(names, map(float, thresholds), strict=True)),
        "scoring_seconds": round(started.seconds, 3),
    }
    started.finish(tables, corpus, *digests, paths, passages.num_rows, summary)


def _recall_cards(corpus: str, learned: Learned, encoder: Encoder, thresholds: Floats) -> pa.Table:
    """How many spike-ins, which no head learned from, would be candidates in this corpus."""
    spike_ins = read_spike_ins(learned.library)
    features = features_of([s.text for s in spike_ins], 1, learned.learned, encoder, Quiet())
    found = learned.heads.probabilities(features) > thresholds
    rows = []
    for column, name in enumerate(learned.heads.names):
        own = [row for row, s in enumerate(spike_ins) if name in s.portrays]
        retrieved = int(found[own, column].sum())
        share = clopper_pearson(retrieved, len(own)) if own else None
        rows.append(
            {
                "stage": 1, "name": name, "metric": "spike_in_recall", "corpus": corpus,
                "estimate": share.interval.estimate if share else None,
                "low": share.interval.low if share else None,
                "high": share.interval.high if share else None,
                "labels": len(own), "positives": retrieved,
            }
        )  # fmt: skip
    return rows_table("cards", rows)


def _cues(tables: Tables, corpus: str) -> pa.Table:
    """The stored cue counts of a corpus, a column a behaviour, in the order of passage_id."""
    return tables.read("cues", "cues", corpus).sort_by("passage_id").combine_chunks()


def _thresholds(scores: Floats) -> Floats:
    """The score from which a passage is a candidate, for each behaviour."""
    if not len(scores):
        return np.ones(scores.shape[1], np.float32)
    return np.quantile(scores, 1.0 - CANDIDATE_SHARE, axis=0).astype(np.float32)


def _packed(scores: Floats) -> npt.NDArray[np.uint8]:
    """Probabilities as bytes; what is not nought keeps a byte above it."""
    return np.ceil(np.power(scores, 1.0 / SCORE_POWER) * SCORE_SCALE - 0.5).astype(np.uint8)


def _candidate_framings(
    passages: pa.Table,
    scores: Floats,
    thresholds: Floats,
    features: Sequence[Floats],
    folds: Sequence[npt.NDArray[np.int64]],
    learned: Learned,
) -> pa.Table:
    """Framings of every passage that is a candidate for some behaviour."""
    rows, columns = np.nonzero(scores > thresholds)
    if not len(rows):
        return TABLES["framings"].schema.empty_table()
    framing: FramingHeads = learned.framing
    names = [learned.heads.names[column] for column in columns]
    taken = passages.take(pa.array(rows))
    inputs = framing.inputs(np.concatenate(features)[rows], names, taken["genre"].to_pylist())
    found = framing.probabilities(inputs, np.concatenate(folds)[rows])
    return framing_rows(taken["passage_id"].to_pylist(), names, found, stage=1)
