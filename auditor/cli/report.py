"""`auditor report`: one self-contained HTML page."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A report -o audit.html"


def command(
    context: typer.Context,
    output: Annotated[
        str | None, typer.Option("-o", metavar="F.html", help="Where to; report/ in the audit.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the page a researcher reads: verdicts, prevalence, links, provenance, limits."""
    from auditor import Audit
    from auditor.cli import console

    path = Audit.open(context.obj.folder).report(output)
    if json:
        console.write_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        console.write_line(str(path))
