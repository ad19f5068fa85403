"""`auditor trace`: from words to the passages they resemble."""

from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = 'auditor -a A trace --text "The late Mr. Tobin crossed on Thursday"'


def command(
    context: typer.Context,
    transcripts: Annotated[list[str] | None, typer.Argument(metavar="[ID…]")] = None,
    text: Annotated[str | None, typer.Option(help="Trace this text instead.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Similar passages a span.")] = 3,
    json: Json = False,
) -> None:
    """Link words to passages: copied, near, or alike in meaning. A link is not a cause."""
    from auditor import Audit
    from auditor.cli import console

    audit = Audit.open(context.obj.folder, console.Bars())
    links = audit.trace(*(transcripts or ()), text=text, top=top)
    if json:
        console.write_json([_shape(link) for link in links])
        return
    for link in links:
        where = f"{link.corpus}/{link.document} {link.start}-{link.end}"
        who = f"{link.transcript} turn {link.turn}  " if link.transcript else ""
        console.write_line(f"{who}{link.kind}  {link.strength:.3g}  {where}  {link.source or ''}")
        console.write_marked(f"  here   {link.span_text}", ())
        console.write_marked(f"  there  {link.text}", ())
    if not links:
        console.say("nothing in the corpus resembles these words")
    else:
        console.say("p and placebo percentile: not run, so no link is more than a resemblance")


def _shape(link: object) -> dict[str, object]:
    """The JSON shape of DESIGN §5."""
    from auditor.records import plain

    flat = plain(link)
    passage = {
        key: flat[key] for key in ("corpus", "document", "start", "end", "text", "source", "date")
    }
    span = {"start": flat["span_start"], "end": flat["span_end"], "text": flat["span_text"]}
    rest = (
        "transcript",
        "turn",
        "kind",
        "strength",
        "placebo_percentile",
        "p",
        "framing",
        "multiplicity",
    )
    return {**{key: flat[key] for key in rest}, "span": span, "passage": passage}
