"""Labelled spans with their words: resolved labels of every set, and the text put together."""

from collections import defaultdict
from typing import Any

from auditor.behaviours.training import Text
from auditor.schema import FACETS
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables

_LABELS = (
    'SELECT l.document_id, l.start, l."end", l.behaviour, l.present, l.reader_kind, l.pi, '
    "d.genre, " + ", ".join(f"l.{facet}" for facet in FACETS) + " "
    "FROM labels_resolved l JOIN documents d USING (document_id) WHERE l.present IS NOT NULL "
    'ORDER BY l.document_id, l.start, l."end", l.behaviour, l.label_set'
)
_PIECES = (
    'SELECT DISTINCT w.document_id, w.start, w."end", p.start AS first, p.text '
    'FROM (SELECT DISTINCT document_id, start, "end" FROM labels) w '
    'JOIN passages p ON p.document_id = w.document_id AND p.start < w."end" AND p."end" > w.start '
    'WHERE p.text IS NOT NULL ORDER BY w.document_id, w.start, w."end", first'
)

Span = tuple[int, int, int]


def labelled_texts(tables: Tables) -> list[Text]:
    """Every labelled span whose words the audit stores, with what its readers found."""
    catalogue = Catalogue(tables)
    texts = _span_texts(catalogue)
    present: dict[Span, dict[str, bool]] = defaultdict(dict)
    framings: dict[Span, dict[str, dict[str, str]]] = defaultdict(dict)
    facts: dict[Span, dict[str, Any]] = {}
    for row in catalogue.rows(_LABELS):
        span = (row["document_id"], row["start"], row["end"])
        facts[span] = row
        present[span][row["behaviour"]] = row["present"]
        if row["present"]:
            coded = {facet: row[facet] for facet in FACETS if row[facet] is not None}
            framings[span][row["behaviour"]] = coded
    return [
        Text(
            texts[span],
            present[span],
            framings[span],
            span[0],
            row["genre"],
            float("nan") if row["pi"] is None else row["pi"],
            row["reader_kind"],
        )
        for span, row in facts.items()
        if span in texts
    ]


def _span_texts(catalogue: Catalogue) -> dict[Span, str]:
    pieces: dict[Span, list[tuple[int, str]]] = defaultdict(list)
    for row in catalogue.rows(_PIECES):
        pieces[row["document_id"], row["start"], row["end"]].append((row["first"], row["text"]))
    return {span: _cut(parts, span[1], span[2]) for span, parts in pieces.items()}


def _cut(parts: list[tuple[int, str]], start: int, end: int) -> str:
    """The characters start to end of a document, from the passages that hold them."""
    out, at = [], start
    for first, text in parts:
        out += [" " * max(0, first - at), text[max(0, at - first) : max(0, end - first)]]
        at = max(at, min(end, first + len(text)))
    return "".join(out)
