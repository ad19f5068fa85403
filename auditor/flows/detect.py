"""Stage 2: the transformer reads the sample and the likeliest candidates, within a budget.

`auditor detect` without a text: learn from library and labels, score every corpus again, then read.
What was read with the same heads is kept, so a stopped run goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from auditor.behaviours.features import cue_counts, stage2_features
from auditor.behaviours.spec import choose
from auditor.errors import UsageError
from auditor.flows.learning import CHUNK, Learned, indexed_with, learn, read_with
from auditor.flows.recording import Started, need_text
from auditor.flows.score import folds_of, framing_rows, score_corpus
from auditor.index.encoder import Encoder, find_encoder
from auditor.plan import digest
from auditor.progress import Progress
from auditor.schema import TABLES
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables

DEFAULT_BUDGET = 2_000
"""Passages the transformer reads unless told otherwise: about a minute on two cores."""

_WANTED = (
    "SELECT p.passage_id, p.document_id, d.genre, p.text, "
    "coalesce(f.sampled, false) AS sampled, s.place FROM passages p "
    "JOIN documents d USING (document_id) "
    "LEFT JOIN (SELECT q.passage_id, true AS sampled FROM passages q JOIN (SELECT DISTINCT "
    'document_id, start, "end" FROM labels UNION SELECT document_id, start, "end" FROM frames '
    'WHERE draw < 1) l ON l.document_id = q.document_id AND l.start < q."end" '
    'AND l."end" > q.start GROUP BY 1) f USING (passage_id) '
    "LEFT JOIN (SELECT passage_id, min(place) AS place FROM (SELECT passage_id, row_number() OVER "
    "(PARTITION BY behaviour ORDER BY score DESC, passage_id) AS place FROM scores "
    "WHERE list_contains($behaviours, behaviour)) GROUP BY 1) s USING (passage_id) "
    "WHERE d.corpus = $corpus AND p.text IS NOT NULL AND (f.sampled OR s.place <= $deepest) "
    "ORDER BY sampled DESC, s.place, p.passage_id"
)


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """What the user asked: which corpora and behaviours, how many passages, which encoder."""

    encoder: str | None = None
    budget: int | None = None
    corpus: str | None = None
    behaviours: tuple[str, ...] = ()


def detect_corpora(
    tables: Tables, settings: DetectSettings, progress: Progress
) -> list[dict[str, Any]]:
    """Learn, score and read every corpus; a summary each."""
    need_text(tables)
    corpora = [run["corpus"] for run in tables.current("index")]
    if settings.corpus is not None and settings.corpus not in corpora:
        raise UsageError(f"no corpus {settings.corpus!r}", "there are: " + ", ".join(corpora))
    budget = DEFAULT_BUDGET if settings.budget is None else settings.budget
    if budget < 0:
        raise UsageError(f"budget is {budget}", "a number of passages, 0 or more")
    encoder = find_encoder(settings.encoder or read_with(tables))
    learned = learn(tables, 2, encoder, progress)
    chosen = choose(learned.library, settings.behaviours)
    names = [behaviour.id for behaviour in chosen if not behaviour.rule]
    wanted = [settings.corpus] if settings.corpus else corpora
    return [
        {
            **score_corpus(tables, corpus, find_encoder(indexed_with(tables, corpus)), progress),
            **_read_corpus(tables, corpus, learned, encoder, names, budget, progress),
        }
        for corpus in wanted
    ]


def _read_corpus(
    tables: Tables,
    corpus: str,
    learned: Learned,
    encoder: Encoder,
    names: Sequence[str],
    budget: int,
    progress: Progress,
) -> dict[str, Any]:
    """Read what the budget allows of the sample and the candidates that were not read yet."""
    started = Started("detect", ("numpy", "sentence-transformers", "torch"))
    settings = digest([learned.digest, tables.current("index", corpus)[0]["input_digest"]])
    kept = _kept(tables, corpus, settings)
    done = set(kept["scores2"]["passage_id"].to_pylist())
    passages = Catalogue(tables).query(
        _WANTED, {"corpus": corpus, "behaviours": list(names), "deepest": budget}
    )
    ids = passages["passage_id"].to_pylist()
    fresh = [row for row, passage in enumerate(ids) if passage not in done]
    todo = passages.take(pa.array(fresh[: max(0, budget - len(done & set(ids)))], pa.int64()))
    parts = {name: [table] for name, table in kept.items()}
    read = 0
    try:
        with progress.task("reading candidates", todo.num_rows, "passages") as task:
            for batch in todo.to_batches(max_chunksize=CHUNK):
                scores, framings = _read_batch(batch, learned, encoder)
                parts["scores2"].append(scores)
                parts["framings"].append(framings)
                read += batch.num_rows
                task.advance(batch.num_rows)
    finally:
        whole = {name: pa.concat_tables(tables_) for name, tables_ in parts.items()}
        rate = read / started.seconds if read else None
        summary = {
            "stage2_passages": len(done) + read,
            "stage2_read": read,
            "stage2_passages_per_second": round(rate, 1) if rate else None,
            "stage2_budget": budget,
            "stage2_left": todo.num_rows - read,
            "heads": learned.digest,
        }
        paths = [tables.write(name, f"{corpus}-stage2", table) for name, table in whole.items()]
        rows = whole["scores2"].num_rows
        started.finish(tables, corpus, settings, digest(budget), paths, rows, summary)
    return summary


def _kept(tables: Tables, corpus: str, settings: str) -> dict[str, pa.Table]:
    """What an earlier run read of this corpus with the same heads."""
    runs = tables.current("detect", corpus)
    same = bool(runs) and runs[0]["settings_digest"] == settings
    return {
        name: tables.read(name, "detect", corpus) if same else TABLES[name].schema.empty_table()
        for name in ("scores2", "framings")
    }


def _read_batch(
    batch: pa.RecordBatch, learned: Learned, encoder: Encoder
) -> tuple[pa.Table, pa.Table]:
    texts, ids = batch["text"].to_pylist(), batch["passage_id"].to_pylist()
    cues = cue_counts(batch["text"], learned.learned)
    features = stage2_features(encoder.layers(texts), texts, cues)
    fold = folds_of(batch["document_id"].to_pylist())
    found = learned.heads.probabilities(features, fold)
    return _score_rows(ids, learned, found), _framing_rows(batch, features, fold, learned, found)


def _score_rows(ids: Sequence[int], learned: Learned, found: npt.NDArray[np.float32]) -> pa.Table:
    names = learned.heads.names
    return pa.Table.from_arrays(
        [
            pa.array(np.repeat(np.array(ids, np.uint64), len(names))),
            pa.array(list(names) * len(ids)),
            pa.array(found.reshape(-1)),
        ],
        schema=TABLES["scores2"].schema,
    )


def _framing_rows(
    batch: pa.RecordBatch,
    features: npt.NDArray[np.float32],
    fold: npt.NDArray[np.int64],
    learned: Learned,
    found: npt.NDArray[np.float32],
) -> pa.Table:
    """Framings of each passage's likely behaviours, and of the likeliest one in any case."""
    rows, columns = np.nonzero(found >= np.minimum(0.5, found.max(axis=1, keepdims=True)))
    names = [learned.heads.names[column] for column in columns]
    taken = batch.take(pa.array(rows))
    inputs = learned.framing.inputs(features[rows], names, taken["genre"].to_pylist())
    probabilities = learned.framing.probabilities(inputs, fold[rows])
    return framing_rows(taken["passage_id"].to_pylist(), names, probabilities, stage=2)
