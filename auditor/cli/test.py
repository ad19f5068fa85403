"""`auditor test`: the verdict on a claim."""

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A test frequency"


def command(
    context: typer.Context,
    claims: Annotated[
        list[str] | None, typer.Argument(metavar="[CLAIM…]", help="Bundled ids or TOML files; all.")
    ] = None,
    page: Annotated[bool, typer.Option("--page", help="A page for each, not a table.")] = False,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the pages as Markdown.")
    ] = None,
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Which observations tell hypotheses apart.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes; they change no number.")
    ] = 1,
    json: Json = False,
) -> None:
    """Test claims: supported, contradicted, indistinguishable, or untestable with this data.

    One claim is shown as a page, several as a table.
    """
    from auditor import Audit
    from auditor.cli import console, verdicts

    audit = Audit.open(context.obj.folder, console.Bars())
    results = audit.test(*(claims or ()), workers=workers)
    if markdown:
        verdicts.write_markdown(results, markdown)
    if json:
        console.write_json(audit.discrimination(*results) if matrix else results)
    elif matrix:
        verdicts.show_matrix(audit.discrimination(*results))
    elif page or len(claims or ()) == 1:
        verdicts.show_pages(results)
    else:
        verdicts.show(results)
