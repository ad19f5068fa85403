"""`auditor status`: what is fresh, stale, missing."""

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A status"


def command(context: typer.Context, json: Json = False) -> None:
    """Show each stage: fresh, stale or missing, with its rows, rejects and seconds."""
    from auditor import Audit
    from auditor.cli import console

    rows = Audit.open(context.obj.folder).status()
    if json:
        console.write_json(rows)
        return
    columns = ("stage", "corpus", "state", "rows", "rejects", "seconds")
    console.write_table(columns, [[row[column] for column in columns] for row in rows])
