"""A label set → a file of its readings and a file of its frame, as `label --import` reads them."""

import json
from pathlib import Path
from typing import Any

from auditor.errors import StageMissing, UsageError
from auditor.flows.recording import has_frame
from auditor.labelling.importing import COULD_BE_SHOWN
from auditor.schema import FACETS, OPTIONAL_FACETS
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, write_parquet

_READINGS = (
    "SELECT l.*, d.id AS document, d.genre FROM labels l JOIN documents d USING (document_id) "
    "WHERE l.label_set = $label_set "
    'ORDER BY l.document_id, l.start, l."end", l.reader, l.behaviour'
)
_FRAME = (
    'SELECT d.id AS document, f.start, f."end", d.genre, f.pi * coalesce(r.read, 1) AS pi '
    "FROM frames f JOIN documents d USING (document_id) LEFT JOIN (SELECT label_set, "
    "median(l.pi / g.pi) AS read FROM labels l JOIN frames g "
    'USING (label_set, document_id, start, "end") GROUP BY 1) r USING (label_set) '
    "WHERE f.label_set = $label_set ORDER BY 1, 2"
)

_FIELD_OF = {value: field for field, value in COULD_BE_SHOWN.items()}
"""The list of a line an absent behaviour goes to, by what was coded of its `opportunity`."""


def export_labels(tables: Tables, path: Path, label_set: str | None) -> dict[str, Any]:
    """Write every reading of a label set, and beside it the frame, where the whole of it is known.

    The frame's probabilities are those of what was read, if only part of the sample was.
    """
    catalogue = Catalogue(tables)
    name = _chosen(catalogue, label_set)
    frame = path.with_name("frame.parquet") if has_frame(tables, name) else None
    for target in (path, frame):
        if target is not None and target.exists():
            raise UsageError(f"{target} exists", "export to a new folder")
    lines = _readings(catalogue, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )
    spans = catalogue.query(_FRAME, {"label_set": name})
    if frame is not None:
        write_parquet(frame, spans)
    return {
        "label_set": name,
        "file": str(path),
        "frame": None if frame is None else str(frame),
        "readings": len(lines),
        "frame_size": spans.num_rows,
    }


def _chosen(catalogue: Catalogue, asked: str | None) -> str:
    rows = catalogue.rows("SELECT DISTINCT label_set FROM labels ORDER BY 1")
    sets = [str(row["label_set"]) for row in rows]
    if asked is None and len(sets) > 1:
        raise UsageError("the audit has several label sets", f"--set {sets[0]}, for one")
    if asked is None and sets:
        return sets[0]
    if asked is None or asked not in sets:
        known = ", ".join(sets) or "none"
        raise StageMissing(f"no labels of passages in set {asked or ''!r}", f"there are: {known}")
    return asked


def _readings(catalogue: Catalogue, label_set: str) -> list[dict[str, Any]]:
    """One line for each span and reader; `unanswered` where the reader gave no usable answer."""
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in catalogue.rows(_READINGS, {"label_set": label_set}):
        key = (row["document_id"], row["start"], row["end"], row["reader"])
        same = ("document", "start", "end", "genre", "pi", "reader", "reader_kind", "method")
        line = lines.setdefault(
            key, {**{name: row[name] for name in same}, "codebook": [], "labels": []}
        )
        line["codebook"].append(row["behaviour"])
        if row["prompt"] is not None:
            line["prompt"] = row["prompt"]
        if row["present"] is None:
            line["unanswered"] = True
        elif row["present"]:
            facets = (*FACETS, *OPTIONAL_FACETS)
            coded = {facet: row[facet] for facet in facets if row[facet] is not None}
            line["labels"].append({"id": row["behaviour"], **coded})
        elif row["opportunity"] is not None:
            line.setdefault(_FIELD_OF[row["opportunity"]], []).append(row["behaviour"])
    return list(lines.values())
