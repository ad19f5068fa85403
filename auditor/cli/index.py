"""`auditor index`: read a corpus into the audit."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A index books/ forum.jsonl.zst --corpus mine"


def command(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE…", help="Files, folders, globs, URLs, a manifest, or a shipped corpus."
        ),
    ],
    corpus: Annotated[str | None, typer.Option(help="Name of the corpus.")] = None,
    text: Annotated[str | None, typer.Option(help="Field that holds the text.")] = None,
    id_field: Annotated[str | None, typer.Option("--id", help="Field that holds the id.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores.")] = None,
    store_text: Annotated[bool, typer.Option(help="Keep the words of the passages.")] = True,
    encoder: Annotated[
        str, typer.Option(help="A sentence-transformers name or path on this machine.")
    ] = "all-MiniLM-L6-v2",
    json: Json = False,
) -> None:
    """Read, cut, sketch, embed and score a corpus; what is done is skipped."""
    from auditor import Audit
    from auditor.cli import console

    audit = Audit.create(context.obj.folder, console.Bars())
    summary = audit.index(
        *sources,
        corpus=corpus,
        text=text,
        id=id_field,
        workers=workers,
        store_text=store_text,
        encoder=encoder,
    )
    if json:
        console.write_json(summary)
        return
    console.write_pairs(summary)
    if summary["rejects"]:
        console.say('refused records: auditor sql "select * from rejects"')
