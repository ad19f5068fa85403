"""Everything an audit found → one HTML page that needs nothing but itself.

The template writes, this module only chooses and names: what a verdict is called, whether it could
have failed, which rows a section shows. Text of documents reaches the page escaped, always.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from auditor.records import ClaimResult, Gate, Link, Prevalence, Verdict
from auditor.report import charts, formats
from auditor.report.cards import lay_out

LINKS_SHOWN = 200
ROWS_SHOWN = 4_000
REJECTS_SHOWN = 200
"""Limits that keep the page under 5 MB; the page says what it leaves out and how to see it."""

BOLD_FRACTION = 0.5
"""Only a claim that half of all relabelled outcomes would refute is called bold (METHOD §4.2)."""

SIGNS = {
    Verdict.SUPPORTED: "✓",
    Verdict.CONTRADICTED: "✗",
    Verdict.INDISTINGUISHABLE: "≈",
    Verdict.UNTESTABLE: "∅",
}

REVERSALS = {
    Verdict.SUPPORTED: "the same tests failing on models or behaviours held out from this study, "
    "or a rival that accounts for the slope once it is measured",
    Verdict.CONTRADICTED: "a slope as steep as the claim says on held-out behaviours, or a corpus "
    "nearer to the training data that ranks the behaviours otherwise",
    Verdict.INDISTINGUISHABLE: "either way: the next observation above",
    Verdict.UNTESTABLE: "nothing on this data: it said neither yes nor no",
}

TIERS = {
    "A": "the model's own training corpus",
    "B": "a proxy for the training corpus",
    "C": "the training corpus is unknown",
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
        claim_chart=charts.claim_chart,
        could_have_failed=could_have_failed,
        extremes=extremes,
        gate_named=gate_named,
        is_bold=is_bold,
        rate_cell=formats.rate_cell,
        share_text=formats.share_text,
        reversals=REVERSALS,
        shared_words=formats.shared_words,
        signs=SIGNS,
        tiers=TIERS,
        verdict_words=verdict_words,
    )
    return environment


def verdict_words(result: ClaimResult) -> str:
    """Name a verdict: one reached after the outcomes were read only suggests (DESIGN §10)."""
    claims_something = result.verdict in (Verdict.SUPPORTED, Verdict.CONTRADICTED)
    prefix = "suggests " if result.exploratory and claims_something else ""
    return f"{prefix}{result.verdict}"


def could_have_failed(result: ClaimResult) -> str:
    """Say whether the data could have refuted the claim: gate U3, power and forbidden fraction."""
    gate = gate_named(result, "U3")
    if gate is None or result.power is None or result.forbidden_fraction is None:
        return "not shown"
    return "yes" if gate.passed else "no"


def is_bold(result: ClaimResult) -> bool:
    """Whether a claim forbids enough to be called bold."""
    return (result.forbidden_fraction or 0.0) >= BOLD_FRACTION


def gate_named(result: ClaimResult, code: str) -> Gate | None:
    """Find a gate of a claim by its code."""
    return next((gate for gate in result.gates if gate.code == code), None)


def extremes(result: ClaimResult, prevalence: Iterable[Prevalence]) -> list[Prevalence]:
    """The rarest and the commonest of a claim's behaviours, as measured over every framing."""
    names = {point["behaviour"] for point in result.points}
    rows = [
        row
        for row in prevalence
        if row.facet is None and row.target == row.behaviour and row.behaviour in names
        if row.calibrated and row.per_million_passages.estimate
    ]
    ordered = sorted(rows, key=lambda row: row.per_million_passages.estimate or 0.0)
    return ordered[:1] + ordered[1:][-1:]


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
