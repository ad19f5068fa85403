"""`auditor behaviours`: the library."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor behaviours show deception"


def command(
    action: Annotated[str, typer.Argument(metavar="[list|show|check]")] = "list",
    name: Annotated[str | None, typer.Argument(metavar="[ID|FILE]")] = None,
    json: Json = False,
) -> None:
    """List the behaviours, show one, or check a TOML of your own."""
    from auditor import Audit
    from auditor.cli import console
    from auditor.errors import UsageError

    if action not in ("list", "show", "check") or (action != "list" and name is None):
        raise UsageError(f"behaviours {action} {name or ''}".strip(), EXAMPLE)
    if action == "check":
        found = [Audit.check_behaviour(str(name))]
    else:
        found = Audit.behaviours(*([str(name)] if action == "show" else []))
    if json:
        console.write_json(found if action == "list" else found[0])
    elif action == "list":
        rows = [
            (b["id"], b["kind"], b["title"], len(b["examples"]), len(b["near_misses"]))
            for b in found
        ]
        console.write_table(("id", "kind", "title", "examples", "near misses"), rows)
    else:
        shown = ("id", "title", "kind", "definition", "excludes", "opportunity", "rule")
        console.write_pairs({key: found[0][key] for key in shown if found[0][key]})
        console.write_line(
            f"{len(found[0]['examples'])} examples, {len(found[0]['near_misses'])} near misses"
        )
