"""Stage-1 scores of spans that need not be the index's passages.

A span's score is the mean over the passages it overlaps, by the characters they share. One rule for
the labelled spans and for the rest of their frame, so a rate may lean on it.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from auditor.store.catalogue import SCORE_POWER, SCORE_SCALE, Catalogue
from auditor.store.tables import Tables

Floats = npt.NDArray[np.float64]

_OVERLAPS = (
    "SELECT s.row, p.passage_id, "
    'least(s."end", p."end")::DOUBLE - greatest(s.start, p.start)::DOUBLE AS shared '
    "FROM spans s JOIN passages p ON p.document_id = s.document_id "
    'AND p.start < s."end" AND p."end" > s.start'
)


class SpanScores:
    """Scores of the spans of a table of frames, by row and behaviour."""

    def __init__(self, tables: Tables, frames: pa.Table) -> None:
        """Score every span of frames: label_set, document_id, start, end, one row a span."""
        self._frames = frames
        parts = tables.outputs("scores")
        self._scores: dict[str, Floats] = {}
        self._rows: dict[tuple[str, int, int, int], int] | None = None
        if parts and frames.num_rows:
            self._scores = _mean_scores(tables, frames)

    def of(self, rows: npt.NDArray[np.int64]) -> dict[str, Floats]:
        """Behaviour to the scores of some rows; only behaviours that scored every one of them."""
        found = {name: scores[rows] for name, scores in self._scores.items()}
        return {name: scores for name, scores in found.items() if not np.isnan(scores).any()}

    def of_labels(self, behaviour: str, labels: pa.Table) -> Floats:
        """Scores of labelled spans: label_set, document_id, start, end."""
        if self._rows is None:
            self._rows = {span: row for row, span in enumerate(span_keys(self._frames))}
        return self._scores[behaviour][[self._rows[span] for span in span_keys(labels)]]


def unpacked(column: pa.ChunkedArray) -> Floats:
    """Stored bytes of scores as probabilities; nan where a corpus was not scored for it."""
    packed = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return np.asarray(np.power(packed / SCORE_SCALE, SCORE_POWER), np.float64)


def span_keys(table: pa.Table) -> list[tuple[str, int, int, int]]:
    """What names each row's span: label set, document, start and end."""
    columns = (table[name].to_pylist() for name in ("label_set", "document_id", "start", "end"))
    return list(zip(*columns, strict=True))


def _mean_scores(tables: Tables, frames: pa.Table) -> dict[str, Floats]:
    spans = frames.select(["document_id", "start", "end"]).append_column(
        "row", pa.array(np.arange(frames.num_rows))
    )
    overlaps = Catalogue(tables).join(_OVERLAPS, spans=spans)
    row, shared = overlaps["row"].to_numpy(), overlaps["shared"].to_numpy()
    whole = np.bincount(row, weights=shared, minlength=frames.num_rows)
    scores = pa.concat_tables(
        [tables.read("scores", "score", run["corpus"]) for run in tables.current("score")],
        promote_options="default",
    )
    order = pc.sort_indices(scores["passage_id"])
    ids = scores["passage_id"].take(order).to_numpy()
    place = np.minimum(np.searchsorted(ids, overlaps["passage_id"].to_numpy()), len(ids) - 1)
    known = ids[place] == overlaps["passage_id"].to_numpy()
    out = {}
    for name in scores.column_names:
        if name == "passage_id":
            continue
        score = unpacked(scores[name].take(order))
        found = np.where(known, score[place], np.nan)
        total = np.bincount(row, weights=found * shared, minlength=frames.num_rows)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[name] = np.where(whole > 0, total / whole, np.nan)
    return out
