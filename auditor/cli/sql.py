"""`auditor sql`: questions in SQL, read-only."""

import sys
from typing import Annotated

import typer

EXAMPLE = 'auditor -a A sql "select source, count(*) from documents group by 1"'


def command(
    context: typer.Context,
    query: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|TEXT|FILE|-]", help="A shipped query or a SELECT."),
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", metavar="K=V", help="A parameter of the query.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the shipped queries.")] = False,
    format: Annotated[str, typer.Option(help="table, csv, json or parquet.")] = "table",
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Run a shipped query by name or one SELECT; nothing is written, nothing outside is read."""
    from auditor import Audit
    from auditor.cli import console
    from auditor.errors import UsageError

    if list_:
        rows = Audit.queries()
        if json:
            console.write_json(rows)
        else:
            console.write_table(list(rows[0]), [list(row.values()) for row in rows])
        return
    if query is None:
        raise UsageError("no query", "auditor sql --list, or auditor sql 'select …'")
    pairs = dict(_pair(text) for text in parameter or ())
    asked = sys.stdin.read() if query == "-" else query
    table = Audit.open(context.obj.folder).sql(asked, **pairs)
    _write(table, "json" if json else format)


def _pair(text: str) -> tuple[str, str]:
    from auditor.errors import UsageError

    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"parameter {text!r}", "write -p name=value")
    return name, value


def _write(table: object, format_: str) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    from auditor.cli import console
    from auditor.errors import UsageError

    if not isinstance(table, pa.Table):
        raise TypeError("expected an Arrow table")
    if format_ == "table":
        console.write_table(table.column_names, [list(row.values()) for row in table.to_pylist()])
    elif format_ == "json":
        console.write_json(table.to_pylist())
    elif format_ == "csv":
        pyarrow.csv.write_csv(table, sys.stdout.buffer)
    elif format_ == "parquet":
        pyarrow.parquet.write_table(table, pa.PythonFile(sys.stdout.buffer, mode="w"))
    else:
        raise UsageError(f"no format {format_!r}", "there are: table, csv, json, parquet")
