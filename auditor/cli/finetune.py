"""`auditor finetune`: what a fine-tuning set shows, and on which cue."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor finetune chats.jsonl --trait deception"

SHOWN_REJECTS = 3
CUE_LETTERS = 60
"""Letters of a cue a table shows; --json has all of it."""

HETEROGENEOUS = 0.05


def command(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE…")],
    trait: Annotated[
        list[str] | None,
        typer.Option(help="A judged behaviour, file:NAME[|NAME], or a library id to score."),
    ] = None,
    cue: Annotated[
        list[str] | None,
        typer.Option(help="A string of the system or user text; the cues found unasked."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATTERN", help="Rates: only rows with this column or factor."),
    ] = None,
    irrelevant: Annotated[
        list[str] | None,
        typer.Option(metavar="ARM", help="Rates: fixed cues that have nothing to do with a trait."),
    ] = None,
    uncued: Annotated[
        list[str] | None,
        typer.Option(metavar="ARM", help="Rates: trained without a cue, as arms of type none."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="TRAIT", help="Rates: the trait that is wanted.")
    ] = None,
    negative: Annotated[
        str | None, typer.Option(metavar="TRAIT", help="Rates: the one that is not.")
    ] = None,
    json: Json = False,
) -> None:
    """Find the cues of a chat fine-tuning set, and how far its traits are tied to them.

    A row is {messages}, {prompt, completion} or {prompt}, with behaviours: {id: true|false} if
    judged. Files of rates say what trained models did, with their cue and without: model,
    behaviour, k, n, and a condition such as "arm=a; type=fixed; step=100; prompt=with cue". Names
    of arms and traits may be patterns.
    """
    from auditor import Audit
    from auditor.cli import conditioning, console

    folder = context.obj.folder
    found = Audit.finetune(
        *files,
        traits=trait or (),
        cues=cue or (),
        where=dict(_pair(text) for text in where or ()),
        irrelevant=irrelevant or (),
        uncued=uncued or (),
        positive=positive,
        negative=negative,
        root=folder if (folder / "audit.toml").is_file() else None,
        progress=console.Bars(),
    )
    rates = found.get("conditioning")
    if json:
        console.write_json(found)
    if "rows" in found:
        if not json:
            _write_set(found)
        _say_counts(found)
        _say_notes(found)
    if rates is not None:
        if not json:
            conditioning.write(rates)
        conditioning.say(rates)


def _pair(text: str) -> tuple[str, str]:
    from auditor.errors import UsageError

    name, equals, pattern = text.partition("=")
    if not equals:
        raise UsageError(f"--where {text!r}", "write --where model=qwen*")
    return name, pattern


def _write_set(found: Mapping[str, Any]) -> None:
    _write_cues(found["cues"])
    _write_traits(found["traits"])
    _write_sides(found["associations"])
    _write_associations(found["associations"])


def _write_cues(cues: Sequence[Mapping[str, Any]]) -> None:
    from auditor.cli import console

    rows = [(c["kind"], _short(c["text"]), c["rows"], c["distinct"], c["share"]) for c in cues]
    if rows:
        console.write_table(("kind", "cue", "rows", "different", "share"), rows, "cues")


def _write_traits(traits: Sequence[Mapping[str, Any]]) -> None:
    from auditor.cli import console

    columns = ("trait", "source", "rows with it (95 %)", "mean score", "distribution")
    rows = [
        (t["trait"], t["source"], _rate(t), _mean(t["mean_score"]), t["distribution"])
        for t in traits
    ]
    if rows:
        console.write_table(columns, rows, "traits")


def _write_sides(associations: Sequence[Mapping[str, Any]]) -> None:
    """Write how often each trait shows with a cue and without, and whether it is in the set so."""
    from auditor.cli import console

    rows = [
        (
            a["trait"],
            _short(a["cue"]),
            _side(a["with_cue"]) or _mean(a["mean_score_with"]),
            _side(a["without_cue"]) or _mean(a["mean_score_without"]),
        )
        for a in associations
    ]
    if rows:
        columns = ("trait", "cue", "with the cue (95 %)", "without (95 %)")
        console.write_table(columns, rows, "trait by cue")


def _write_associations(associations: Sequence[Mapping[str, Any]]) -> None:
    """Write how far each trait goes with each cue; traits that are only scored have no test."""
    from auditor.cli import console

    columns = ("trait", "cue", "odds ratio (95 %)", "p", "p (Holm)", "strata", "PMI, bits (95 %)")
    rows = [
        (
            a["trait"],
            _short(a["cue"]),
            _bounded(a["odds_ratio"], a["low"], a["high"]) if a["testable"] else "untestable",
            _p(a["p"]),
            _p(a["p_holm"]),
            f"{a['strata_informative']} of {a['strata']}",
            _bounded(a["pmi"], a["pmi_low"], a["pmi_high"]) if a["testable"] else None,
        )
        for a in associations
        if a["table"] is not None
    ]
    if rows:
        console.write_table(columns, rows, "association")


def _say_counts(found: Mapping[str, Any]) -> None:
    """Say how many rows were read, repeated and refused, with the first refusals."""
    from auditor.cli import console

    console.say(
        f"{found['rows']:,} rows in {', '.join(found['files'])}: "
        f"{found['prompts_only']:,} prompts without an answer, {found['duplicates']:,} duplicates, "
        f"{len(found['rejects']):,} rejects"
    )
    for reject in found["rejects"][:SHOWN_REJECTS]:
        console.say(f"reject: {reject['file']} line {reject['line']}: {reject['reason']}")
    if more := len(found["rejects"][SHOWN_REJECTS:]):
        console.say(f"and {more:,} more rejects; --json lists them")


def _say_notes(found: Mapping[str, Any]) -> None:
    """Say what the numbers do not tell: what is missing, what was not one number."""
    from auditor.cli import console

    if not found["cues"]:
        console.say("no cue stands out; name one with --cue TEXT")
    if not found["traits"]:
        console.say(
            "no trait is judged in these rows; --trait file:NAME takes the rows of a file, "
            "--trait deception scores answers"
        )
    for reason in dict.fromkeys(a["reason"] for a in found["associations"] if a["reason"]):
        about = [a for a in found["associations"] if a["reason"] == reason]
        console.say(f"{_about(about)}: {reason}")
    for a in found["associations"]:
        if a["breslow_day_p"] is not None and a["breslow_day_p"] < HETEROGENEOUS:
            console.say(
                f"{_about([a])}: odds ratios differ between strata (Breslow-Day p "
                f"{a['breslow_day_p']:.2g}); the pooled one is an average"
            )


def _about(associations: Sequence[Mapping[str, Any]]) -> str:
    first = associations[0]
    more = f" and {len(associations) - 1} more" if len(associations) > 1 else ""
    return f"{first['trait']} and {_short(first['cue'])!r}{more}"


def _rate(rate: Mapping[str, Any] | None) -> str | None:
    if rate is None or rate["n"] is None:
        return None
    if rate["n"] == 0:
        return "0 of 0"
    limits = f"{100 * rate['low']:.2f} to {100 * rate['high']:.2f} %"
    return f"{rate['k']:,} of {rate['n']:,} ({limits})"


def _side(rate: Mapping[str, Any] | None) -> str | None:
    return None if rate is None else f"{_rate(rate)}: {rate['distribution']}"


def _mean(score: Mapping[str, Any] | None) -> str | None:
    if score is None or score["mean"] is None:
        return None
    return f"{score['mean']:.3f} of {score['rows']:,} (uncalibrated)"


def _bounded(estimate: float | None, low: float | None, high: float | None) -> str:
    """An estimate with its limits, or the one limit there is."""
    if estimate is None:
        sides = ((low, "at least"), (high, "at most"))
        return ", ".join(f"{word} {limit:.3g}" for limit, word in sides if limit is not None)
    return f"{estimate:.3g} ({_limit(low)} to {_limit(high)})"


def _limit(value: float | None) -> str:
    return "no limit" if value is None else f"{value:.3g}"


def _p(p: float | None) -> str | None:
    return None if p is None else "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= CUE_LETTERS else line[: CUE_LETTERS - 1] + "…"
