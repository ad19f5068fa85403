"""`auditor measure`: how often behaviours appear."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.options import Json

if TYPE_CHECKING:
    from auditor.records import Interval, Prevalence

EXAMPLE = "auditor -a A measure deception --by stance --chart deception.svg"

BAR = 12
"""Cells of a bar that stands for every positive of a behaviour."""


def command(
    context: typer.Context,
    behaviours: Annotated[list[str] | None, typer.Argument(metavar="[BEHAVIOUR…]")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Facet (stance, mode, actor …) or field (source, genre, year, author)."),
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="One corpus; all of them.")] = None,
    chart: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw the rows: .html, .svg, .png or .pdf.")
    ] = None,
    json: Json = False,
) -> None:
    """Estimate prevalence with 95 % intervals, per million passages and per million words.

    Every corpus has rows of its own.
    """
    from auditor import Audit
    from auditor.cli import console

    audit = Audit.open(context.obj.folder, console.Bars())
    splits = [name for name in by or () if name != "corpus"]
    rows = audit.measure(*(behaviours or ()), by=splits, corpus=corpus)
    shown = rows if splits else [row for row in rows if row.facet is None]
    if chart is not None:
        console.say(f"drew {audit.measure_chart(shown, chart)}")
    if json:
        console.write_json(shown if by else rows)
        return
    for facet, some in groupby(sorted(shown, key=_facet), key=_facet):
        _write(facet, list(some))
    _notes(shown)
    if not by:
        console.say("by framing: --by stance; by field: --by source; --chart FILE.svg draws them")


def _facet(row: "Prevalence") -> str:
    return row.facet or ""


def _write(facet: str, rows: Sequence["Prevalence"]) -> None:
    """Write one table: rows over every framing, or split by one facet or field."""
    from auditor.cli import console

    columns: dict[str, Callable[[Prevalence], object]] = {
        "behaviour": lambda r: r.behaviour,
        "corpus": lambda r: r.corpus,
        **({facet: lambda r: r.value} if facet else {}),
        "per million passages (95 %)": _rate,
        "labels": lambda r: r.labels,
        "positive": lambda r: r.positives,
        "frame": lambda r: r.frame_size,
        "method": lambda r: r.method,
        "reader": lambda r: r.reader_kind,
    }
    if any(row.share for row in rows):
        columns |= {"share (95 %, joint)": _share, "": _bar}
    if any(row.recall for row in rows):
        columns["beside: recall"] = _recall
    if any(row.elusion for row in rows):
        columns["beside: missed, at most"] = _missed
    console.write_table(list(columns), [[cell(r) for cell in columns.values()] for r in rows])


def _rate(row: "Prevalence") -> str:
    from auditor.cli import console

    if row.reason is not None:
        return f"refused: {row.reason}"
    return console.interval_text(row.per_million_passages)


def _share(row: "Prevalence") -> str | None:
    from auditor.cli import console

    share = row.share
    return None if share is None or share.estimate is None else console.share_text(share)


def _bar(row: "Prevalence") -> str:
    return "█" * round(BAR * ((row.share.estimate if row.share else None) or 0.0))


def _recall(row: "Prevalence") -> str | None:
    return f"{row.recall.k} of {row.recall.n}" if row.recall else None


def _missed(row: "Prevalence") -> float | None:
    """In whole passages per million, as the rates are written."""
    bound: Interval | None = row.elusion
    return None if bound is None or bound.high is None else round(bound.high)


def _notes(rows: Sequence["Prevalence"]) -> None:
    """Say on stderr what the numbers stand on, and name the rows that stand on little."""
    from auditor.cli import console

    calibrated = any(row.calibrated and row.labels for row in rows)
    notes = {
        "calibrated: readers read a probability sample, or a rule counted every passage; "
        "the rest is a detector's word": calibrated,
        "ppi: the frame's scores took error away from a rate that labels give": _any(rows, "ppi"),
        "share: of the behaviour's positives; the intervals of one facet hold together":
            any(row.share for row in rows),
        "beside the rate, never added to it: recall of texts planted among the corpus, and the "
        "upper 95 % limit per million of what the detector would not retrieve":
            any(row.recall or row.elusion for row in rows),
    }  # fmt: skip
    for note, holds in notes.items():
        if holds:
            console.say(note)
    named: dict[str, Callable[[Prevalence], bool]] = {
        "uncalibrated, nobody read a sample, no interval": lambda r: r.method == "scores",
        "refused": lambda r: r.reason is not None,
    }
    for what, chosen in named.items():
        if names := sorted({row.behaviour for row in rows if chosen(row)}):
            console.say(f"{what}: {', '.join(names)}")


def _any(rows: Iterable["Prevalence"], method: str) -> bool:
    return any(row.method == method for row in rows)
