"""A text, or the model's own words of a transcript → links to the passages they resemble.

Only words the model wrote are traced; what it was given before it spoke is kept as its prompt, so
that an echo is not taken for a copy.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from auditor.errors import StageMissing, UsageError
from auditor.flows.recording import Started
from auditor.flows.tracer import Tracer, Utterance
from auditor.index.encoder import find_encoder
from auditor.index.tokens import word_hashes
from auditor.plan import digest
from auditor.progress import Progress
from auditor.records import Link
from auditor.schema import TABLES
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, rows_table


def trace_text(tables: Tables, text: str, top: int, encoder: str) -> list[Link]:
    """Trace one text given by hand; raises UsageError for a text without words."""
    if not len(word_hashes(text)):
        raise UsageError("the text has no words", 'auditor trace --text "…"')
    return Tracer(tables, find_encoder(encoder)).links(Utterance(text), top)


def trace_transcripts(
    tables: Tables, ids: Sequence[str], top: int, encoder: str, progress: Progress
) -> list[Link]:
    """Trace the model's own words of transcripts into `links`; all of them for no ids."""
    started = Started("trace", ("numpy", "sentence-transformers"))
    utterances = _utterances(tables, ids)
    tracer = Tracer(tables, find_encoder(encoder))
    links: list[Link] = []
    with progress.task("tracing", len(utterances), "turns") as task:
        for utterance in utterances:
            links += tracer.links(utterance, top)
            task.advance(1)
    kept = Catalogue(tables).query(_OTHER_LINKS, {"traced": [u.transcript for u in utterances]})
    rows = pa.concat_tables(
        [kept.cast(TABLES["links"].schema), rows_table("links", list(map(_row, links)))]
    )
    path = tables.write("links", "all", rows)
    inputs = [r["input_digest"] for s in ("index", "observe") for r in tables.current(s)]
    settings = digest([sorted(ids), top, tracer.encoder.digest])
    summary = {"turns": len(utterances), "links": len(links)}
    started.finish(tables, "all", settings, digest(inputs), [path], len(links), summary)
    return links


def _utterances(tables: Tables, ids: Sequence[str]) -> list[Utterance]:
    rows = Catalogue(tables).rows(
        "SELECT t.transcript_id, t.id, u.turn, u.source, u.text, t.state FROM transcripts t "
        "JOIN turns u USING (transcript_id) ORDER BY t.transcript_id, u.turn"
    )
    known = {row["transcript_id"] for row in rows} | {row["id"] for row in rows}
    unknown = [name for name in ids if name not in known]
    if unknown:
        raise UsageError(f"no transcript {unknown[0]!r}", "auditor sql transcripts lists them")
    if not rows:
        raise StageMissing("no transcript was observed", "auditor observe FILE… comes first")
    chosen = [row for row in rows if not ids or row["transcript_id"] in ids or row["id"] in ids]
    return [
        Utterance(row["text"], row["transcript_id"], row["turn"], _earlier(rows, row))
        for row in chosen
        if row["source"] == "model" and len(word_hashes(row["text"]))
    ]


def _earlier(rows: Iterable[dict[str, Any]], row: dict[str, Any]) -> tuple[str, ...]:
    """The words the model was given before it spoke: earlier turns that it did not write."""
    return tuple(
        other["text"]
        for other in rows
        if other["transcript_id"] == row["transcript_id"]
        and other["turn"] < row["turn"]
        and other["source"] != "model"
    )


def _row(link: Link) -> dict[str, Any]:
    return {
        "transcript_id": link.transcript,
        "turn": link.turn,
        "span_start": link.span_start,
        "span_end": link.span_end,
        "passage_id": link.passage_id,
        "kind": link.kind.value,
        "strength": link.strength,
        "placebo_percentile": link.placebo_percentile,
        "p": link.p,
    }


_OTHER_LINKS = (
    "SELECT k.* FROM links k SEMI JOIN transcripts USING (transcript_id) "
    "SEMI JOIN passages USING (passage_id) "
    "WHERE NOT list_contains($traced, k.transcript_id) ORDER BY ALL"
)
"""Links of transcripts not traced now, where transcript and passage are still there."""
