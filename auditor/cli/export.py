"""`auditor export`: files that other programs work on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.options import Json

if TYPE_CHECKING:
    from auditor import Audit

EXAMPLE = "auditor -a A export prefixes -o prefixes.jsonl"


def command(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="What to write: prefixes.")],
    output: Annotated[str, typer.Option("-o", metavar="FILE", help="Where to; a new file.")],
    behaviour: Annotated[
        list[str] | None, typer.Option(help="A behaviour, once for each; all that are labelled.")
    ] = None,
    words: Annotated[int, typer.Option(help="Words of a prefix, at most.")] = 200,
    corpus: Annotated[str | None, typer.Option(help="Of this corpus alone.")] = None,
    json: Json = False,
) -> None:
    """Write prefixes: the words before each labelled opportunity, for base models to continue.

    The file does not say what the reader found, so that continuations are judged blind; their
    judgements come back with auditor observe.
    """
    from auditor import Audit
    from auditor.cli import console
    from auditor.errors import UsageError

    if target not in TARGETS:
        raise UsageError(f"no target {target!r}", "there are: " + ", ".join(TARGETS))
    audit = Audit.open(context.obj.folder, console.Bars())
    found = TARGETS[target](audit, output, behaviour or [], words, corpus)
    if json:
        console.write_json(found)
        return
    console.write_pairs({name: value for name, value in found.items() if name != "behaviours"})
    counts = found["behaviours"]
    console.write_table(
        ("behaviour", "prefixes", "present", "absent"),
        [(name, c["prefixes"], c["present"], c["absent"]) for name, c in counts.items()],
    )


def _prefixes(
    audit: "Audit", output: str, behaviours: list[str], words: int, corpus: str | None
) -> dict[str, Any]:
    return audit.export_prefixes(output, *behaviours, words=words, corpus=corpus)


TARGETS: dict[str, Callable[["Audit", str, list[str], int, str | None], dict[str, Any]]] = {
    "prefixes": _prefixes,
}
