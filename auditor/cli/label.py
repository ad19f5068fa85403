"""`auditor label`: readers' judgements of passages."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A label --import labels.jsonl --reader-kind human"


def command(
    context: typer.Context,
    import_file: Annotated[
        str, typer.Option("--import", metavar="FILE", help="JSONL of labelled spans.")
    ],
    frame: Annotated[
        str | None,
        typer.Option(help="Every span the labels were drawn from, with pi; frame.* beside FILE."),
    ] = None,
    label_set: Annotated[str | None, typer.Option("--set", help="Name of the label set.")] = None,
    reader_kind: Annotated[
        str, typer.Option(help="Who read where a label does not say: human or model.")
    ] = "model",
    codebook: Annotated[
        str,
        typer.Option(help="Behaviours the readers looked for, with commas; those named in FILE."),
    ] = "",
    corpus: Annotated[str | None, typer.Option(help="Corpus the documents are in.")] = None,
    json: Json = False,
) -> None:
    """Import labels of a probability sample; a label that does not fit is a reject."""
    from auditor import Audit
    from auditor.cli import console
    from auditor.errors import UsageError

    if reader_kind not in ("human", "model"):
        raise UsageError(f"reader kind {reader_kind!r}", "expected human or model")
    audit = Audit.open(context.obj.folder, console.Bars())
    named = [name.strip() for name in codebook.split(",") if name.strip()]
    summary = audit.label(import_file, label_set, frame, reader_kind, named, corpus)
    if json:
        console.write_json(summary)
    else:
        console.write_pairs(summary)
