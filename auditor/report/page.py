"""Everything an audit found → one HTML page that needs nothing but itself.

The template writes, this module only chooses and names: what a verdict is called, whether it could
have failed, which rows a section shows. Text of documents reaches the page escaped, always.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from auditor.records import ClaimResult, Link, Prevalence, Verdict
from auditor.report import charts, formats
from auditor.report.cards import lay_out
from auditor.report.verdict_page import could_have_failed, verdict_page

LINKS_SHOWN = 200
ROWS_SHOWN = 4_000
REJECTS_SHOWN = 200
"""Limits that keep the page under 5 MB; the page says what it leaves out and how to see it."""

SIGNS = {
    Verdict.SUPPORTED: "✓",
    Verdict.CONTRADICTED: "✗",
    Verdict.INDISTINGUISHABLE: "≈",
    Verdict.UNTESTABLE: "∅",
}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReportData:
    """What the page shows; an empty list becomes a sentence naming the command that fills it."""

    title: str
    corpora: Sequence[Row]
    prevalence: Sequence[Prevalence]
    claims: Sequence[ClaimResult]
    links: Sequence[Link]
    studies: Sequence[Row]
    runs: Sequence[Row]
    rejects: Sequence[Row]
    made_at: datetime
    version: str
    cards: Sequence[Row] = ()


def render(data: ReportData) -> str:
    """Write the page of an audit for a reader in a browser or on paper."""
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            data=data,
            totals=_totals(data),
            overall=[row for row in data.prevalence if row.facet is None][:ROWS_SHOWN],
            splits=_splits(data.prevalence[:ROWS_SHOWN]),
            rate_chart=charts.prevalence_chart(data.prevalence),
            stance_chart=charts.stance_chart(data.prevalence),
            cards=lay_out(data.cards),
            rows_shown=ROWS_SHOWN,
            links_shown=LINKS_SHOWN,
            rejects_shown=REJECTS_SHOWN,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("auditor.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    named = (
        formats.shown,
        formats.rate,
        formats.share,
        formats.probability,
        formats.percentile,
        formats.limits,
        formats.moment,
        formats.digest,
        formats.clip,
    )
    environment.filters.update({function.__name__: function for function in named})
    environment.globals.update(
        blocks=lambda result: verdict_page(result).blocks,
        claim_chart=charts.claim_chart,
        could_have_failed=could_have_failed,
        rate_cell=formats.rate_cell,
        share_text=formats.share_text,
        shared_words=formats.shared_words,
        signs=SIGNS,
        verdict_words=verdict_words,
    )
    return environment


def verdict_words(result: ClaimResult) -> str:
    """Name a verdict: one reached after the outcomes were read only suggests (DESIGN §10)."""
    claims_something = result.verdict in (Verdict.SUPPORTED, Verdict.CONTRADICTED)
    prefix = "suggests " if result.exploratory and claims_something else ""
    return f"{prefix}{result.verdict}"


def _totals(data: ReportData) -> dict[str, int]:
    """What the audit covers, in the order the heading names it."""
    return {
        "corpora": len(data.corpora),
        "documents": _sum(data.corpora, "documents"),
        "passages": _sum(data.corpora, "passages"),
        "words": _sum(data.corpora, "words"),
        "behaviours measured": len({row.behaviour for row in data.prevalence}),
        "studies": len(data.studies),
        "transcripts": _sum(data.studies, "transcripts"),
        "claims tested": len(data.claims),
        "links": len(data.links),
    }


def _sum(rows: Iterable[Row], column: str) -> int:
    return sum(int(row.get(column) or 0) for row in rows)


def _splits(rows: Iterable[Prevalence]) -> dict[str, list[Prevalence]]:
    """Group the rows of each facet, in the order the facets first appear."""
    splits: dict[str, list[Prevalence]] = {}
    for row in rows:
        if row.facet is not None:
            splits.setdefault(row.facet, []).append(row)
    return splits
