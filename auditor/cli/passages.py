"""`auditor passages`: read what the numbers stand on."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor -a A passages deception --mode fiction --top 5"


def command(
    context: typer.Context,
    behaviour: Annotated[str | None, typer.Argument(metavar="[BEHAVIOUR]")] = None,
    stance: Annotated[str | None, typer.Option(help="endorse, neutral or condemn.")] = None,
    mode: Annotated[
        str | None, typer.Option(help="fiction, report, discussion, instruction or first_person.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="human, organisation, ai or other.")] = None,
    text: Annotated[str | None, typer.Option(help="Only passages with these words.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    top: Annotated[int, typer.Option(min=1, help="The best by score.")] = 10,
    random: Annotated[int | None, typer.Option(min=1, help="A random draw instead.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    json: Json = False,
) -> None:
    """Read passages with their source, score, framing, labels, and the evidence marked."""
    from auditor import Audit
    from auditor.cli import console

    given = {"stance": stance, "mode": mode, "actor": actor}
    framing = {facet: value for facet, value in given.items() if value}
    rows = Audit.open(context.obj.folder).passages(
        behaviour, framing, text, source, top, random, seed
    )
    if json:
        console.write_json(rows)
        return
    for row in rows:
        score = "" if row["score"] is None else f"  score {row['score']:.2f}"
        told = "  ".join(f"{k} {v}" for k, v in (row["framing"] or {}).items())
        read = (
            ""
            if not row["labels"]
            else f"  labelled {[label['present'] for label in row['labels']]}"
        )
        console.write_line(
            f"{row['corpus']}/{row['document']} {row['start']}-{row['end']}{score}  {told}{read}"
        )
        console.write_marked(row["text"], row["evidence"])
        console.write_line("")
    if not rows:
        console.say("no passage fits")
