"""Questions that write nothing: passages, a text's scores, SQL, the state of every stage."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from auditor.behaviours.spec import choose, read_library
from auditor.errors import UsageError
from auditor.flows.recording import need_text
from auditor.flows.score import fit_detectors
from auditor.index.encoder import find_encoder, piece_table
from auditor.index.vectors import WordVectors
from auditor.prevalence.targets import parse_target
from auditor.records import State
from auditor.schema import FACETS
from auditor.store.catalogue import Catalogue, select
from auditor.store.queries import bind, read_queries, read_query
from auditor.store.tables import Tables

STAGES = ("index", "duplicates", "score", "label", "measure", "observe", "trace", "predict", "test")

DEPENDS = {
    "duplicates": ("index",),
    "score": ("index",),
    "label": ("index",),
    "measure": ("index", "label", "score"),
    "trace": ("index", "observe"),
    "predict": ("index", "label"),
    "test": ("index", "label", "observe", "predict"),
}
"""The stages whose newer runs make a stage stale."""

OF_ONE_CORPUS = ("duplicates", "score")


@dataclass(frozen=True, slots=True)
class PassageFilter:
    """Which passages to read: by score, framing, words or source; the best or a random draw."""

    behaviour: str | None = None
    framing: Mapping[str, str] | None = None
    text: str | None = None
    source: str | None = None
    top: int = 10
    random: int | None = None
    seed: int = 0


def read_passages(tables: Tables, wanted: PassageFilter) -> list[dict[str, Any]]:
    """Passages with their source, score, likeliest framing and any labels of their span."""
    need_text(tables)
    library = read_library()
    if wanted.behaviour:
        choose(library, [wanted.behaviour])
    for facet, value in (wanted.framing or {}).items():
        parse_target(f"x[{facet}={value}]")
    sql, parameters = _passages_sql(wanted)
    rows = Catalogue(tables).rows(sql, parameters)
    pattern = library[wanted.behaviour].pattern if wanted.behaviour else None
    return [{**row, "evidence": _evidence(row["text"], pattern)} for row in rows]


def detect_texts(items: Iterable[Mapping[str, Any]], encoder: str) -> Iterator[dict[str, Any]]:
    """Score texts with the library's heads: {id, behaviours, framing} for each {id?, text}."""
    library = read_library()
    words = WordVectors(piece_table(find_encoder(encoder)))
    heads, framing = fit_detectors(library, words)
    for number, item in enumerate(items, 1):
        text = item["text"]
        vectors = words.of_texts([text])
        scores = heads.scores(vectors, pa.array([text]))[0]
        facets = {
            facet: {value: round(float(p[0]), 4) for value, p in values.items()}
            for facet, values in framing.probabilities(vectors).items()
        }
        learned = [b.id for b in heads.behaviours if not b.rule]
        found = {b.id: round(float(s), 4) for b, s in zip(heads.behaviours, scores, strict=True)}
        yield {
            "id": item.get("id", number),
            "behaviours": found,
            "framing": {name: facets for name in learned if found[name] >= 0.5},
        }


def run_sql(tables: Tables, asked: str, parameters: Mapping[str, str]) -> pa.Table:
    """Run a shipped query by name, a .sql file, or one SELECT; read-only. Raises UsageError."""
    if asked.endswith(".sql") and Path(asked).is_file():
        return select(tables, Path(asked).read_text(), parameters)
    if asked.replace("_", "").replace("-", "").isalnum():
        query = read_query(asked.replace("-", "_"))
        return select(tables, query.sql, bind(query, dict(parameters)))
    return select(tables, asked, parameters)


def list_queries() -> list[dict[str, Any]]:
    """The shipped questions with their parameters."""
    return [
        {"name": query.name, "question": query.question, "parameters": query.defaults}
        for query in read_queries()
    ]


def status(tables: Tables) -> list[dict[str, Any]]:
    """What is fresh, stale or missing, a row for each stage and corpus it ran on."""
    rows = []
    for stage in STAGES:
        runs = tables.current(stage)
        rows += [
            {
                "stage": stage,
                "corpus": run["corpus"],
                "state": _state(tables, run),
                "rows": run["rows"],
                "rejects": run["rejects"],
                "run": run["run"],
                "seconds": round(run["seconds"], 3),
            }
            for run in runs
        ]
        if not runs:
            missing = dict.fromkeys(("corpus", "rows", "rejects", "run", "seconds"))
            rows.append({"stage": stage, **missing, "state": State.MISSING})
    return rows


def summaries(tables: Tables, stage: str) -> list[dict[str, Any]]:
    """What the commands of a stage printed, newest run of each corpus or study."""
    return [json.loads(run["summary"]) for run in tables.current(stage)]


def _state(tables: Tables, run: Mapping[str, Any]) -> State:
    group = run["corpus"] if run["stage"] in OF_ONE_CORPUS else None
    needs = [
        needed["started_at"]
        for stage in DEPENDS.get(run["stage"], ())
        for needed in tables.current(stage, group)
    ]
    return State.STALE if any(at > run["started_at"] for at in needs) else State.FRESH


def _passages_sql(wanted: PassageFilter) -> tuple[str, dict[str, Any]]:
    columns = (
        'p.passage_id, p.corpus, p.document, p.source, p.title, p.date, p.start, p."end", p.text'
    )
    parameters: dict[str, Any] = {}
    where, order = ["p.text IS NOT NULL"], "p.passage_id"
    joins, score, framing, labels = "", "NULL", "NULL", "NULL"
    if wanted.behaviour:
        parameters["behaviour"] = wanted.behaviour
        joins = "JOIN scores s ON s.passage_id = p.passage_id AND s.behaviour = $behaviour"
        score, framing, labels = "s.score", _FRAMING, _LABELS
        order = "s.score DESC, p.passage_id"
    for number, (facet, value) in enumerate((wanted.framing or {}).items()):
        if facet not in FACETS or not wanted.behaviour:
            raise UsageError(
                "a framing needs a behaviour", "auditor passages deception --mode fiction"
            )
        parameters |= {f"facet{number}": facet, f"value{number}": value}
        where.append(_HAS_FRAMING.format(n=number))
    if wanted.text:
        parameters["words"] = wanted.text
        where.append("contains(lower(p.text), lower($words))")
    if wanted.source:
        parameters["source"] = wanted.source
        where.append("p.source = $source")
    if wanted.random is not None:
        parameters["seed"] = str(wanted.seed)
        order = "hash(p.passage_id::VARCHAR || $seed)"
    limit = wanted.random if wanted.random is not None else wanted.top
    sql = (
        f"SELECT {columns}, {score} AS score, {framing} AS framing, {labels} AS labels "
        f"FROM passages_full p {joins} WHERE {' AND '.join(where)} "
        f"ORDER BY {order} LIMIT {int(limit)}"
    )
    return sql, parameters


def _evidence(text: str, pattern: str | None) -> list[tuple[int, int]]:
    """Where the behaviour's cues or rule match, as character spans of the passage."""
    return [match.span() for match in re.finditer(pattern, text)] if pattern else []


_FRAMING = (
    "(SELECT map_from_entries(list((facet, value) ORDER BY facet)) FROM (SELECT facet, "
    "arg_max(value, probability) AS value FROM framings f WHERE f.passage_id = p.passage_id "
    "AND f.behaviour = $behaviour GROUP BY facet))"
)
_LABELS = (
    "(SELECT list({'present': l.present, 'stance': l.stance, 'mode': l.mode, 'actor': l.actor, "
    "'reader_kind': l.reader_kind}) FROM labels l JOIN passages q ON q.passage_id = p.passage_id "
    "WHERE l.document_id = q.document_id AND l.behaviour = $behaviour "
    'AND l.start < q."end" AND l."end" > q.start)'
)
_HAS_FRAMING = (
    "(SELECT arg_max(value, probability) FROM framings f WHERE f.passage_id = p.passage_id "
    "AND f.behaviour = $behaviour AND f.facet = $facet{n}) = $value{n}"
)
