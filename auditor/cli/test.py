"""`auditor test`: the verdict on a claim."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A test frequency"


def command(
    context: typer.Context,
    claims: Annotated[
        list[str] | None, typer.Argument(metavar="[CLAIM…]", help="Bundled ids or TOML files; all.")
    ] = None,
    json: Json = False,
) -> None:
    """Test claims: supported, contradicted, indistinguishable, or untestable with this data."""
    from auditor import Audit
    from auditor.cli import console
    from auditor.cli.verdicts import show

    audit = Audit.open(context.obj.folder, console.Bars())
    results = audit.test(*(claims or ()))
    if json:
        console.write_json(results)
    else:
        show(results)
