"""Observations that other tables of the audit hold: what texts went on to show, whom acts served,
what transcripts copied.

Rows as `observations` has them, made for one claim at a time and kept nowhere. Each is as old as
the outcome it goes with, so that a lock made after that outcome stays exploratory.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pyarrow as pa

from auditor.claims.evidence import AUTHOR, UNITS, Row, select_rows, value
from auditor.claims.questions.beneficiary import CLEAR
from auditor.claims.questions.verbatim import NOT_SHOWN, SHOWN
from auditor.claims.spec import Claim
from auditor.ingest.continuations import PrefixId
from auditor.ingest.rates import condition_pairs
from auditor.ingest.transcripts import RunState
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables

TURN = "turn"
EMPTY = dict.fromkeys(("base_or_tuned", "seed", "citation"))
"""Columns of an observation that transcripts do not fill."""


def claim_rows(tables: Tables, claim: Claim, rows: Sequence[Row]) -> list[Row]:
    """The observations that a claim's kind of test finds beside `rows`, those of the audit."""
    find = SOURCES.get(claim.test)
    return find(tables, claim, rows) if find else []


def authors(tables: Tables, claim: Claim, rows: Sequence[Row]) -> list[Row]:
    """What the text of each continued prefix went on to show, as a trial of its author (T1).

    Its factors say how it was drawn: `pi`, null where unknown, and `uncoded`, the share of the
    passages without the behaviour whose opportunity nobody coded.
    """
    chosen = {row["prompt"]: row for row in reversed(select_rows(claim, rows))}
    parsed = {name: PrefixId.parse(name or "") for name in chosen}
    wanted = {name: prefix for name, prefix in parsed.items() if prefix is not None}
    catalogue = Catalogue(tables)
    given = {"wanted": _spans(wanted), "corpora": _corpora(catalogue, claim)}
    uncoded = {row["behaviour"]: row["uncoded"] for row in _joined(catalogue, _UNCODED, given)}
    return [
        {
            **chosen[row["prefix_id"]],
            "model": AUTHOR,
            "k": int(row["present"]),
            "n": 1,
            "rate": float(row["present"]),
            "seed": None,
            "factors": {
                **chosen[row["prefix_id"]]["factors"],
                "source": AUTHOR,
                "pi": row["pi"],
                "uncoded": uncoded.get(row["behaviour"], 0.0),
            },
        }
        for row in _joined(catalogue, _OUTCOMES, given)
    ]


def beneficiaries(tables: Tables, claim: Claim, rows: Sequence[Row]) -> list[Row]:
    """Cases for each beneficiary among the labelled turns of a transcript (T7).

    Transcripts that begin with the same words, before the model's first, are one scenario. Studies
    whose own rows count beneficiaries are left as they are.
    """
    counted = {
        row["study"] for row in select_rows(claim, rows) if value(row, "beneficiary") in CLEAR
    }
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in Catalogue(tables).rows(_BENEFICIARIES, {"clear": list(CLEAR)}):
        case = found.setdefault((row["transcript_id"], row["behaviour"]), {**row, "cases": {}})
        case["cases"][row["beneficiary"]] = row["cases"]
    return [
        _observation(row, TURN, row["cases"].get(name, 0), sum(row["cases"].values()))
        | {
            "prompt": row["scenario"],
            "factors": {**condition_pairs(row["condition"]), "beneficiary": name},
        }
        for row in found.values()
        if row["study"] not in counted
        for name in CLEAR
    ]


def copies(tables: Tables, claim: Claim, rows: Sequence[Row]) -> list[Row]:
    """Whether each traced transcript copied the claim's corpora, for each behaviour judged (T14).

    A transcript is traced where it has a link of any kind: its nearest passages are always kept.
    Those observed after the last trace are not, and none is where a corpus was indexed after it.
    """
    traced = [run["started_at"] for run in tables.current("trace")]
    catalogue = Catalogue(tables)
    corpora = _corpora(catalogue, claim)
    names = set(corpora["corpus"].to_pylist())
    indexed = [r["started_at"] for r in tables.current("index") if r["corpus"] in names]
    if not traced or not indexed or max(indexed) > max(traced):
        return []
    return [
        _observation({**row, "behaviour": behaviour}, UNITS[claim.test], int(row["copied"]), 1)
        | {
            "factors": {
                **condition_pairs(row["condition"]),
                "transcript": row["transcript_id"],
                "shown": SHOWN if shown else NOT_SHOWN,
                "characters": row["characters"],
            }
        }
        for row in _joined(catalogue, _COPIES, {"corpora": corpora})
        if row["observed_at"] <= max(traced)
        for behaviour, shown in json.loads(row["behaviours"] or "{}").items()
        if shown is not None
    ]


SOURCES: Mapping[str, Callable[[Tables, Claim, Sequence[Row]], list[Row]]] = {
    "prefix": authors,
    "beneficiary": beneficiaries,
    "verbatim": copies,
}
"""Where the rows of a kind of test come from, beside the table of observations."""


def _observation(transcript: Mapping[str, Any], unit: str, k: int, n: int) -> dict[str, Any]:
    """A row about one transcript, which is its prompt where nothing else is known to be."""
    names = ("study", "model", "behaviour", "condition", "file", "line", "observed_at")
    return {
        **EMPTY,
        **{name: transcript[name] for name in names},
        "prompt": transcript["transcript_id"],
        "unit": unit,
        "k": k,
        "n": n,
        "rate": k / n,
    }


def _spans(prefixes: Mapping[str, PrefixId]) -> pa.Table:
    return pa.table(
        {
            "prefix_id": pa.array(list(prefixes), pa.string()),
            "document_id": pa.array([p.document_id for p in prefixes.values()], pa.uint64()),
            "start": pa.array([p.start for p in prefixes.values()], pa.int64()),
            "end": pa.array([p.end for p in prefixes.values()], pa.int64()),
            "behaviour": pa.array([p.behaviour for p in prefixes.values()], pa.string()),
        }
    )


def _corpora(catalogue: Catalogue, claim: Claim) -> pa.Table:
    """The corpora that a claim names, of those there are."""
    rows = catalogue.rows("SELECT DISTINCT corpus FROM documents ORDER BY corpus")
    names: Iterable[str] = (row["corpus"] for row in rows)
    chosen = [name for name in names if any(fnmatchcase(name, one) for one in claim.corpora)]
    return pa.table({"corpus": pa.array(chosen, pa.string())})


def _joined(catalogue: Catalogue, sql: str, given: Mapping[str, pa.Table]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = catalogue.join(sql, **given).to_pylist()
    return rows


_RESOLVED = (
    'resolved AS (SELECT l.document_id, l.start, l."end", l.behaviour, '
    "CASE WHEN bool_and(present) = bool_or(present) THEN bool_or(present) END AS present, "
    "CASE WHEN min(opportunity) = max(opportunity) THEN min(opportunity) END AS opportunity "
    "FROM labels_resolved l JOIN documents d USING (document_id) SEMI JOIN corpora USING (corpus) "
    "SEMI JOIN (SELECT DISTINCT behaviour FROM wanted) b USING (behaviour) GROUP BY ALL)"
)
"""One row a span and behaviour, over all label sets, as `export prefixes` reads them."""

_OUTCOMES = (
    f"WITH {_RESOLVED}, "
    "shares AS (SELECT label_set, behaviour, median(l.pi / f.pi) AS share FROM labels_resolved l "
    'JOIN frames f USING (label_set, document_id, start, "end") GROUP BY ALL), '
    "drawn AS (SELECT w.prefix_id, 1 - product(1 - least(1, f.pi * s.share)) AS pi FROM wanted w "
    "JOIN shares s USING (behaviour) "
    'JOIN frames f USING (label_set, document_id, start, "end") GROUP BY ALL) '
    "SELECT w.prefix_id, w.behaviour, r.present, d.pi FROM wanted w "
    'JOIN resolved r USING (document_id, start, "end", behaviour) LEFT JOIN drawn d '
    "USING (prefix_id) WHERE r.present OR (NOT r.present AND r.opportunity = 'yes') ORDER BY 1"
)
"""Continued prefixes with what the text went on to show, and the probability of the span to be in
any label set: 1 - prod (1 - pi), pi that of its frame times the share of the draw that was read."""

_UNCODED = (
    f"WITH {_RESOLVED} SELECT behaviour, avg(CAST(opportunity IS NULL AS DOUBLE)) AS uncoded "
    "FROM resolved WHERE NOT present GROUP BY behaviour"
)

_BEST = "CASE WHEN reader = 'adjudicated' THEN 0 WHEN reader_kind = 'human' THEN 1 ELSE 2 END"
_BENEFICIARIES = (
    f"WITH ranked AS (SELECT *, {_BEST} AS rank, min({_BEST}) FILTER (present IS NOT NULL) "
    "OVER (PARTITION BY transcript_id, turn, behaviour) AS best FROM turn_labels), "
    "resolved AS (SELECT transcript_id, turn, behaviour, "
    "bool_and(present) AND count(present) > 0 AS present, "
    "CASE WHEN min(beneficiary) = max(beneficiary) THEN min(beneficiary) END AS beneficiary "
    "FROM ranked WHERE rank = best GROUP BY ALL), "
    "begun AS (SELECT *, coalesce(bool_or(source = 'model') OVER (PARTITION BY transcript_id "
    "ORDER BY turn), false) AS spoken FROM turns), "
    "openings AS (SELECT transcript_id, sha256(CAST(to_json(coalesce(list([source, text] "
    "ORDER BY turn) FILTER (NOT spoken), [])) AS VARCHAR))[:16] AS scenario FROM begun GROUP BY 1) "
    "SELECT t.* EXCLUDE behaviours, o.scenario, r.behaviour, r.beneficiary, count(*) AS cases "
    "FROM resolved r JOIN transcripts t USING (transcript_id) JOIN openings o "
    "USING (transcript_id) WHERE r.present AND t.state = "
    f"'{RunState.COUNTED}' AND list_contains($clear, r.beneficiary) "
    "GROUP BY ALL ORDER BY transcript_id, r.behaviour, r.beneficiary"
)
"""Turns of a transcript that show a behaviour, by the beneficiary its best readers agree on.

The scenario is the hash of who said what before the model's first turn, word for word.
"""

_COPIES = (
    "WITH spoken AS (SELECT transcript_id, sum(length(text)) AS characters FROM turns "
    "WHERE source = 'model' GROUP BY 1) "
    "SELECT t.*, CAST(any_value(s.characters) AS BIGINT) AS characters, "
    "coalesce(bool_or(k.kind = 'copied' AND c.corpus IS NOT NULL), false) AS copied "
    "FROM transcripts t JOIN links k USING (transcript_id) "
    "LEFT JOIN spoken s USING (transcript_id) LEFT JOIN passages p USING (passage_id) "
    "LEFT JOIN documents d USING (document_id) LEFT JOIN corpora c USING (corpus) "
    f"WHERE t.state = '{RunState.COUNTED}' GROUP BY ALL ORDER BY t.transcript_id"
)
