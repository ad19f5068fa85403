"""Questions that write nothing: passages, a text's scores, SQL, the state of every stage."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from auditor.behaviours.features import cue_counts
from auditor.behaviours.spec import choose, library_of
from auditor.errors import UsageError
from auditor.flows.learning import (
    CHUNK,
    Learned,
    features_of,
    has_learned,
    indexed_with,
    learn,
    learn_library,
    read_with,
)
from auditor.flows.recording import need_text
from auditor.index.encoder import DEFAULT_ENCODER, Encoder, find_encoder
from auditor.prevalence.targets import parse_target
from auditor.progress import Progress, Quiet
from auditor.records import State
from auditor.schema import FACETS
from auditor.store.catalogue import Catalogue, select
from auditor.store.queries import bind, read_queries, read_query
from auditor.store.tables import Tables

STAGES = (
    "index", "duplicates", "cues", "learn", "score", "detect", "plan", "label", "measure",
    "observe", "trace", "predict", "test",
)  # fmt: skip

DEPENDS = {
    "duplicates": ("index",),
    "cues": ("index",),
    "learn": ("label",),
    "score": ("index", "cues", "learn"),
    "detect": ("index", "learn"),
    "plan": ("index",),
    "label": ("index",),
    "measure": ("index", "label", "score"),
    "trace": ("index", "observe"),
    "predict": ("index", "label"),
    "test": ("index", "label", "observe", "predict"),
}
"""The stages whose newer runs make a stage stale."""

OF_ONE_CORPUS = ("index", "duplicates", "cues", "score", "detect")


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
    library = library_of(tables.paths)
    if wanted.behaviour:
        choose(library, [wanted.behaviour])
    for facet, value in (wanted.framing or {}).items():
        parse_target(f"x[{facet}={value}]")
    sql, parameters = _passages_sql(wanted)
    rows = Catalogue(tables).rows(sql, parameters)
    pattern = library[wanted.behaviour].pattern if wanted.behaviour else None
    return [
        {
            **row,
            "framing": dict(row["framing"]) if row["framing"] else None,
            "evidence": _evidence(row["text"], pattern),
        }
        for row in rows
    ]


def detect_texts(
    tables: Tables | None,
    items: Iterable[Mapping[str, Any]],
    encoder_name: str | None,
    stage: int | None,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """Score texts: {id, stage, behaviours, framing} for each {id?, text, genre?}.

    With the heads of an audit, else with the library's own; stage None takes the best there is.
    """
    learned, encoder = _heads_for(tables, encoder_name, stage, progress)
    for batch in _batched(items):
        texts = [item["text"] for item in batch]
        features = features_of(texts, learned.stage, learned.learned, encoder, Quiet())
        found = learned.heads.probabilities(features)
        exact = [behaviour for behaviour in learned.library.values() if behaviour.rule]
        counted = cue_counts(pa.array(texts, pa.string()), exact) > 0
        for row, item in enumerate(batch):
            rules = {b.id: float(counted[row, i]) for i, b in enumerate(exact)}
            scores = {n: float(p) for n, p in zip(learned.heads.names, found[row], strict=True)}
            yield {
                "id": item.get("id", item["number"]),
                "stage": learned.stage,
                "behaviours": {name: round(p, 6) for name, p in {**scores, **rules}.items()},
                "framing": _framings(learned, features[row], item.get("genre")),
            }


def _heads_for(
    tables: Tables | None, named: str | None, stage: int | None, progress: Progress
) -> tuple[Learned, Encoder]:
    """The heads to score with, and the encoder they were fitted with."""
    if stage not in (None, 1, 2):
        raise UsageError(f"no stage {stage}", "1 (static vectors) or 2 (transformer)")
    if tables is None or not tables.current("learn"):
        encoder = find_encoder(named or DEFAULT_ENCODER)
        return learn_library(stage or 1, encoder, progress), encoder
    best = stage or (2 if has_learned(tables, 2) else 1)
    usual = read_with(tables) if best == 2 else indexed_with(tables)
    encoder = find_encoder((named if best == 2 else None) or usual)
    return learn(tables, best, encoder, progress), encoder


def _framings(
    learned: Learned, features: npt.NDArray[np.float32], genre: str | None
) -> dict[str, dict[str, dict[str, float]]]:
    """Behaviour to facet to value to probability, as if the text portrayed the behaviour."""
    names = learned.heads.names
    rows = np.repeat(features[None, :], len(names), axis=0)
    inputs = learned.framing.inputs(rows, names, [genre] * len(names))
    found = learned.framing.probabilities(inputs)
    return {
        name: {
            facet: {
                value: round(float(p), 4)
                for value, p in zip(FACETS[facet], found[facet][row], strict=True)
            }
            for facet in FACETS
        }
        for row, name in enumerate(names)
    }


def _batched(items: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    numbered = ({**item, "number": number} for number, item in enumerate(items, 1))
    while batch := list(islice(numbered, CHUNK)):
        yield batch


def read_cards(tables: Tables, behaviours: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of `cards`, of some behaviours or of everything that was learned."""
    choose(library_of(tables.paths), behaviours)
    rows = Catalogue(tables).rows(
        'SELECT * FROM cards ORDER BY stage, facet NULLS FIRST, name NULLS FIRST, metric, "at"'
    )
    return [row for row in rows if not behaviours or row["name"] in behaviours]


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
    own = run["corpus"] if run["stage"] in OF_ONE_CORPUS else None
    needs = [
        needed["started_at"]
        for stage in DEPENDS.get(run["stage"], ())
        for needed in tables.current(stage, own if stage in OF_ONE_CORPUS else None)
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
        joins = (
            "JOIN scores s ON s.passage_id = p.passage_id AND s.behaviour = $behaviour "
            "LEFT JOIN scores2 t ON t.passage_id = p.passage_id AND t.behaviour = $behaviour"
        )
        score, framing, labels = "coalesce(t.score, s.score)", _FRAMING, _LABELS
        order = "coalesce(t.score, s.score) DESC, p.passage_id"
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
