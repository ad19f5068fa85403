"""`auditor predict`: lock what a claim predicts."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A predict frequency -o frequency.lock.json"


def command(
    context: typer.Context,
    claims: Annotated[
        list[str] | None, typer.Argument(metavar="[CLAIM…]", help="Bundled ids or TOML files; all.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", metavar="LOCK", help="Write the locks here as well.")
    ] = None,
    json: Json = False,
) -> None:
    """Lock predictions before outcomes are read; power is for the claim's own design."""
    from auditor import Audit
    from auditor.cli import console

    audit = Audit.open(context.obj.folder, console.Bars())
    locks = audit.predict(*(claims or ()), output=output)
    if json:
        console.write_json(locks)
        return
    console.write_table(
        ("claim", "lock", "claimed", "behaviours", "power", "tier"),
        [
            (k["claim"], k["lock"][:12], k["claimed"], len(k["units"]), k["power"], k["tier"])
            for k in locks
        ],
    )
    console.say("a local lock binds oneself; it proves nothing to others")
