"""Everything the audit holds → one HTML page."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from auditor.errors import BadInput
from auditor.flows.read import summaries
from auditor.paths import replacing
from auditor.records import (
    ClaimResult,
    Gate,
    Interval,
    Link,
    LinkKind,
    Prevalence,
    Rival,
    TestResult,
    Verdict,
)
from auditor.statistics.intervals import clopper_pearson
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, now

MAX_LINKS = 60
MAX_REJECTS = 200


def write_report(tables: Tables, path: Path | None) -> Path:
    """Write the report; returns its path."""
    from auditor.report.page import ReportData, render

    catalogue = Catalogue(tables)
    corpora = [
        {**index, **duplicates}
        for index, duplicates in zip(
            summaries(tables, "index"), summaries(tables, "duplicates"), strict=False
        )
    ]
    data = ReportData(
        title=f"Audit of {', '.join(c['corpus'] for c in corpora) or 'nothing yet'}",
        corpora=corpora,
        prevalence=[_prevalence(row) for row in catalogue.rows(_PREVALENCE)],
        claims=[_claim(json.loads(row["result"])) for row in catalogue.rows(_VERDICTS)],
        links=[_link(row) for row in catalogue.rows(_LINKS, {"most": MAX_LINKS})],
        studies=summaries(tables, "observe"),
        runs=catalogue.rows("SELECT * EXCLUDE (outputs, summary, versions) FROM runs ORDER BY run"),
        rejects=catalogue.rows("SELECT * FROM rejects LIMIT $most", {"most": MAX_REJECTS}),
        cards=catalogue.rows("SELECT * FROM cards ORDER BY stage, facet, name"),
        made_at=now(),
        version=importlib.metadata.version("auditor"),
    )
    if path is not None and path.is_dir():
        raise BadInput(f"{path} is a folder", "name the page: -o audit.html")
    target = path or tables.paths.report / "index.html"
    with replacing(target) as temporary:
        temporary.write_text(render(data))
    return target


def _prevalence(row: dict[str, Any]) -> Prevalence:
    def interval(estimate: str, low: str, high: str) -> Interval:
        return Interval(row[estimate], row[low], row[high])

    same = (
        "behaviour", "target", "corpus", "facet", "value", "frame_size", "labels", "positives",
        "method", "calibrated", "reader_kind", "se_log", "label_set", "reason",
    )  # fmt: skip
    return Prevalence(
        **{name: row[name] for name in same},
        per_million_passages=interval("estimate", "low", "high"),
        per_million_words=interval("words_estimate", "words_low", "words_high"),
        exposure=interval("exposure", "exposure_low", "exposure_high"),
        unique=interval("unique_passages", "unique_low", "unique_high"),
        share=None if row["share"] is None else interval("share", "share_low", "share_high"),
        recall=clopper_pearson(row["recall_k"], row["recall_n"]) if row["recall_n"] else None,
        elusion=None if row["elusion_high"] is None else Interval(None, 0.0, row["elusion_high"]),
    )


def _claim(result: dict[str, Any]) -> ClaimResult:
    return ClaimResult(
        **{
            **result,
            "verdict": Verdict(result["verdict"]),
            "slope": Interval(**result["slope"]),
            "gates": tuple(Gate(**gate) for gate in result["gates"]),
            "tests": tuple(TestResult(**test) for test in result["tests"]),
            "rivals": tuple(Rival(**rival) for rival in result["rivals"]),
            "points": tuple(result["points"]),
        }
    )


def _link(row: dict[str, Any]) -> Link:
    return Link(**{**row, "kind": LinkKind(row["kind"])})


_PREVALENCE = (
    "SELECT * FROM prevalence QUALIFY row_number() OVER "
    "(PARTITION BY target, corpus, facet, value, label_set ORDER BY labels DESC) = 1 "
    "ORDER BY behaviour, facet NULLS FIRST, value"
)
_VERDICTS = "SELECT result FROM verdicts ORDER BY claim_id"
_LINKS = (
    "SELECT k.transcript_id AS transcript, k.turn, k.span_start, k.span_end, "
    "substr(t.text, k.span_start::BIGINT + 1, (k.span_end - k.span_start)::BIGINT) AS span_text, "
    "k.kind, k.strength, k.placebo_percentile, k.p, p.corpus, p.document, p.passage_id, p.start, "
    'p."end", p.text, p.source, p.date, p.multiplicity '
    "FROM links k JOIN passages_full p USING (passage_id) "
    "LEFT JOIN turns t ON t.transcript_id = k.transcript_id AND t.turn = k.turn "
    "QUALIFY row_number() OVER "
    "(PARTITION BY k.transcript_id, k.turn, k.kind ORDER BY k.strength DESC) = 1 "
    "ORDER BY k.kind = 'copied' DESC, k.kind = 'near' DESC, k.strength DESC LIMIT $most"
)
