"""`auditor observe`: what models did."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A observe transcripts.jsonl rates.csv"


def command(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE…")],
    study: Annotated[str | None, typer.Option(help="Name of the study; the file's.")] = None,
    format: Annotated[str, typer.Option(help="auto, chat, rates or continuations.")] = "auto",
    mapping: Annotated[
        str | None,
        typer.Option("--map", help="TOML that renames columns, behaviours, models; [conditions]."),
    ] = None,
    selected: Annotated[
        bool, typer.Option(help="Transcripts were chosen by outcome: they give no rates.")
    ] = False,
    json: Json = False,
) -> None:
    """Read transcripts (chat JSONL), rates (CSV) and judged continuations of exported prefixes.

    Nothing leaves a denominator unseen. Pairs in a condition ("arm=a; step=3") become factors.
    """
    from auditor import Audit
    from auditor.cli import console

    audit = Audit.open(context.obj.folder, console.Bars())
    summaries = audit.observe(
        *files, study=study, format=format, mapping=mapping, selected=selected
    )
    if json:
        console.write_json(summaries[0] if len(summaries) == 1 else summaries)
        return
    console.write_table(list(summaries[0]), [list(summary.values()) for summary in summaries])
