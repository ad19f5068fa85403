"""`auditor behaviours`: the library, and a user's own behaviours in an audit."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor behaviours show deception"


def command(
    context: typer.Context,
    action: Annotated[str, typer.Argument(metavar="[list|show|check|add]")] = "list",
    name: Annotated[str | None, typer.Argument(metavar="[ID|FILE]")] = None,
    json: Json = False,
) -> None:
    """List the behaviours, show one, check a TOML of your own, or add it to the audit."""
    from auditor.errors import UsageError

    if action not in ACTIONS or (action != "list" and name is None):
        raise UsageError(f"behaviours {action} {name or ''}".strip(), EXAMPLE)
    ACTIONS[action](context.obj.folder, name or "", json)


def _list(folder: Path, _: str, json: bool) -> None:
    from auditor import Audit
    from auditor.cli import console

    found = Audit.behaviours(root=folder)
    if json:
        console.write_json(found)
        return
    columns = ("id", "kind", "origin", "title", "examples", "near misses")
    rows = [
        (b["id"], b["kind"], b["origin"], b["title"], len(b["examples"]), len(b["near_misses"]))
        for b in found
    ]
    console.write_table(columns, rows)


def _show(folder: Path, name: str, json: bool) -> None:
    from auditor import Audit
    from auditor.cli import cards, console

    [found] = Audit.behaviours(name, root=folder)
    audited = (folder / "audit.toml").is_file()
    known = Audit.open(folder).cards(name) if audited else []
    if json:
        console.write_json({**found, "cards": known})
        return
    shown = ("id", "title", "kind", "origin", "definition", "excludes", "opportunity", "rule")
    console.write_pairs({key: found[key] for key in shown if found[key]})
    console.write_line(
        f"{len(found['examples'])} examples, {len(found['near_misses'])} near misses"
    )
    if audited and not found["rule"]:
        cards.write(known)
        cards.write_calibration(known)


def _check(folder: Path, file: str, json: bool) -> None:
    from auditor import Audit
    from auditor.cli import console

    checked = Audit.check_behaviour(file, root=folder)
    if json:
        console.write_json(checked)
    _refuse(checked)
    _warn(checked)
    if not json:
        console.write_line(f"{file}: no problems")


def _add(folder: Path, file: str, json: bool) -> None:
    from auditor import Audit
    from auditor.cli import console

    checked = Audit.check_behaviour(file, root=folder)
    _refuse(checked)
    added = Audit.create(folder, console.Bars()).add_behaviour(file)
    _warn(checked)
    if added["replaces"]:
        console.say(f"note: {added['id']} replaces its {added['replaces']} namesake")
    if json:
        console.write_json({**added, "warnings": checked["warnings"]})
    else:
        console.write_line(added["path"])
    console.say(f'next: auditor -a {folder} detect --text "…"')


def _refuse(checked: dict[str, Any]) -> None:
    from auditor.errors import BadInput

    if checked["problems"]:
        raise BadInput("\n".join(_lines(checked, "problems")), EXAMPLE)


def _warn(checked: dict[str, Any]) -> None:
    from auditor.cli import console

    for line in _lines(checked, "warnings"):
        console.say(f"warning: {line}")


def _lines(checked: dict[str, Any], findings: str) -> list[str]:
    return [
        f"{checked['file']} line {found['line']}: {found['problem']}" for found in checked[findings]
    ]


ACTIONS: dict[str, Callable[[Path, str, bool], None]] = {
    "list": _list,
    "show": _show,
    "check": _check,
    "add": _add,
}
