"""`auditor label`: draw a sample, read it at the keyboard, have it judged, import or export it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.options import Json

if TYPE_CHECKING:
    from auditor import Audit

EXAMPLE = "auditor -a A label --plan --n 1500, then auditor -a A label --reader ann"


def command(
    context: typer.Context,
    behaviours: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BEHAVIOUR…]", help="What the sample is drawn for; all of them."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Draw the sample and stop.")] = False,
    n: Annotated[int | None, typer.Option(help="Spans to draw, about; 1500.")] = None,
    target: Annotated[
        float | None, typer.Option(help="Lowest rate to measure, per million passages.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    of: Annotated[str, typer.Option(help="passages or transcripts.")] = "passages",
    reader: Annotated[str, typer.Option(help="Who reads; each reader is blind to others.")] = "",
    judge: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible endpoint reads.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The judge's model.")] = None,
    budget: Annotated[int | None, typer.Option(help="Tokens the judge may spend.")] = None,
    concurrency: Annotated[int, typer.Option(help="Requests to the judge at a time.")] = 4,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the judge.")] = 60.0,
    agreement: Annotated[
        str | None, typer.Option(metavar="A,B", help="Compare two readers; B is the reference.")
    ] = None,
    adjudicate: Annotated[
        str | None, typer.Option(metavar="A,B", help="Settle what two readers differ on.")
    ] = None,
    import_file: Annotated[
        str | None, typer.Option("--import", metavar="FILE", help="JSONL of labelled spans.")
    ] = None,
    export: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a label set as JSONL, frame beside.")
    ] = None,
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
    """Draw a sample, read it with single keys, have it judged, or import labels.

    Without an option: a session at the keyboard on the sample, which is drawn first where there is
    none. Leaving keeps every answer; the same command goes on where it stopped.
    """
    from auditor import Audit
    from auditor.cli import console
    from auditor.errors import UsageError

    if reader_kind not in ("human", "model"):
        raise UsageError(f"reader kind {reader_kind!r}", "expected human or model")
    if of not in ("passages", "transcripts"):
        raise UsageError(f"--of {of!r}", "expected passages or transcripts")
    if (judge is None) != (model is None):
        raise UsageError("a judge is a URL and a model", "--judge URL --model NAME")
    audit = Audit.open(context.obj.folder, console.Bars())
    name = label_set or ("sample" if of == "passages" else "turns")
    drawing: dict[str, Any] = {
        "n": n, "label_set": name, "of": of, "corpus": corpus, "target": target, "seed": seed,
    }  # fmt: skip
    if import_file is not None:
        named = [part.strip() for part in codebook.split(",") if part.strip()]
        found = audit.label(import_file, label_set, frame, reader_kind, named, corpus)
        console.say("detectors do not know these labels yet: auditor detect")
    elif export is not None:
        found = audit.export_labels(export, label_set)
    elif agreement is not None:
        found = audit.agreement(name, *_pair(agreement))
    elif plan:
        found = audit.plan_labels(*(behaviours or ()), **drawing)
    elif adjudicate is not None:
        found = _adjudicate(audit, name, *_pair(adjudicate))
    else:
        _draw_first(audit, name, behaviours or [], drawing)
        if judge is not None:
            found = audit.judge_labels(name, judge, str(model), concurrency, budget, timeout)
        else:
            found = _read(audit, name, behaviours or [], reader)
    _write(found, json)


def _draw_first(audit: "Audit", name: str, behaviours: list[str], drawing: dict[str, Any]) -> None:
    """Draw the sample where nobody planned it yet."""
    from auditor.cli import console
    from auditor.errors import StageMissing

    try:
        audit.reading_room(name)
    except StageMissing:
        summary = audit.plan_labels(*behaviours, **drawing)
        console.say(f"drew {summary['drawn']} of {summary['frame_size']} into {name}")


def _read(audit: "Audit", name: str, behaviours: list[str], reader: str) -> dict[str, Any]:
    import getpass

    from auditor.cli.session import run_session

    room = audit.reading_room(name, behaviours)
    who = reader or getpass.getuser()
    run_session(room.items, room.codebook, room.journal(who), who, room.evidence)
    return audit.gather_labels(name)


def _adjudicate(audit: "Audit", name: str, first: str, second: str) -> dict[str, Any]:
    from auditor.cli.session import run_session

    room, items, proposed, who = audit.disputes(name, first, second)
    if items:
        run_session(items, room.codebook, room.adjudication, who, room.evidence, proposed)
    return audit.gather_labels(name)


def _pair(text: str) -> tuple[str, str]:
    from auditor.errors import UsageError

    names = [part.strip() for part in text.split(",")]
    if len(names) != 2 or not all(names):
        raise UsageError(f"{text!r} does not name two readers", "write ann,bob")
    return names[0], names[1]


def _write(found: dict[str, Any], json: bool) -> None:
    from auditor.cli import console

    if json:
        console.write_json(found)
    elif "sensitivity" in found:
        _write_agreement(found)
    else:
        console.write_pairs(found)


def _write_agreement(found: dict[str, Any]) -> None:
    from auditor.cli import console

    console.write_table(
        ("behaviour", "both", "only " + found["first"], "only " + found["second"], "neither",
         "kappa (95 %)"),
        [
            (b["behaviour"], b["both"], b["only_first"], b["only_second"], b["neither"],
             _interval(b["kappa"]))
            for b in found["behaviours"]
        ],
    )  # fmt: skip
    if found["facets"]:
        console.write_table(
            ("facet", "coded by both", "agreed", "kappa (95 %)"),
            [
                (f["facet"], f["labels"], f["agreed"], _interval(f["kappa"]))
                for f in found["facets"]
            ],
        )
    console.write_table(
        ("behaviour", f"sensitivity of {found['first']}", "false positives"),
        [
            (s["behaviour"], _proportion(s["sensitivity"]), _proportion(s["false_positives"]))
            for s in found["sensitivity"]
        ],
    )


def _interval(interval: dict[str, Any]) -> str:
    from auditor.cli import console
    from auditor.records import Interval

    return console.share_text(Interval(**interval))


def _proportion(share: dict[str, Any] | None) -> str:
    if share is None:
        return "-"
    return f"{share['k']} of {share['n']}, {_interval(share['interval'])}"
