"""`auditor measure`: how often behaviours appear."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A measure deception --by stance"


def command(
    context: typer.Context,
    behaviours: Annotated[list[str] | None, typer.Argument(metavar="[BEHAVIOUR…]")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Facet (stance, mode, actor …) or field (source, genre, year, author)."),
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="One corpus; all of them.")] = None,
    json: Json = False,
) -> None:
    """Estimate prevalence with 95 % intervals, per million passages and per million words."""
    from auditor import Audit
    from auditor.cli import console

    audit = Audit.open(context.obj.folder, console.Bars())
    rows = audit.measure(*(behaviours or ()), by=by or (), corpus=corpus)
    if json:
        console.write_json(rows)
        return
    shown = rows if by else [row for row in rows if row.facet is None]
    console.write_table(
        ("behaviour", "corpus", "framing", "per million passages (95 %)", "labels", "positive",
         "frame", "method", "reader"),
        [
            (r.behaviour, r.corpus, r.value or "all", console.interval_text(r.per_million_passages),
             r.labels, r.positives, r.frame_size, r.method, r.reader_kind or "-")
            for r in shown
        ],
    )  # fmt: skip
    if not by:
        console.say("by framing: --by stance; by field: --by source")
