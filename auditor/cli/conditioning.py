"""What `auditor finetune` writes of rates: runs with their cue and without it, and contrasts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auditor.cli import console

SHOWN_REJECTS = 3

CONTRASTS = {
    "fixed_against_rephrased": "fixed - rephrased cue: index",
    "irrelevant": "irrelevant - relevant cue: without it",
    "transmission": "treatment - random answers",
}

Fields = Mapping[str, Any]


def write(found: Fields) -> None:
    """Write a table of runs for each trait, and one of everything that was contrasted."""
    for trait in found["traits"]:
        _write_arms(trait)
    rows = [
        (trait, name, _bounded(c, "effect"), _p(c["p"]), _p(c["p_holm"]), _units(c), c["method"])
        for trait, name, c in _contrasts(found)
        if c["effect"] is not None
    ]
    if rows:
        columns = ("trait", "contrast", "log odds (95 %)", "p", "p (Holm)", "runs", "p is by")
        console.write_table(columns, rows, "contrasts between runs")


def say(found: Fields) -> None:
    """Say which rows were left out, what could not be tested, and what an index does not tell."""
    used = sum(trait["rows"] for trait in found["traits"])
    console.say(
        f"{found['rows']:,} rows of rates in {', '.join(found['files'])}: {used:,} count what "
        f"training runs did, {found['rows_of_no_run']:,} are of no run (no factor arm, data or "
        f"intervention), {len(found['rejects']):,} rejects"
    )
    for reject in found["rejects"][:SHOWN_REJECTS]:
        console.say(f"reject: {reject['file']} line {reject['line']}: {reject['reason']}")
    for trait in found["traits"]:
        for remark in _remarks(trait):
            console.say(f"{trait['trait']}: {remark}")
    for trait, name, contrast in _contrasts(found):
        if contrast["reason"]:
            console.say(f"{trait}: {name}: untestable: {contrast['reason']}")
    if any(trait["arms"] for trait in found["traits"]):
        console.say(
            "limits of an index are between the answers of one training run, and say nothing of "
            "another run; p and limits of contrasts are between runs"
        )


def _write_arms(trait: Fields) -> None:
    columns = ("arm", "type", "with cue (95 %)", "without (95 %)", "index (95 %)", "at step 0",
               "less uncued")  # fmt: skip
    rows = [
        (
            a["arm"] if a["seed"] is None else f"{a['arm']}, seed {a['seed']}",
            a["type"],
            _rate(a["with"]),
            _rate(a["without"]),
            _bounded(a, "index"),
            None if a["before"] is None else _bounded(a["before"], "index"),
            None if a["against_uncued"] is None else _bounded(a["against_uncued"], "index"),
        )
        for a in trait["arms"]
    ]
    if not rows:
        return
    kept = [i for i in range(len(columns)) if i < 5 or any(row[i] is not None for row in rows)]
    console.write_table(
        [columns[i] for i in kept], [[row[i] for i in kept] for row in rows], trait["trait"]
    )


def _contrasts(found: Fields) -> Iterator[tuple[str, str, Fields]]:
    """Every contrast that was asked for, with its trait and what it is called."""
    for trait in found["traits"]:
        for key, name in CONTRASTS.items():
            if trait[key] is not None:
                yield trait["trait"], name, trait[key]
        for one in trait["interactions"]:
            first, second = one["interventions"]
            yield trait["trait"], f"{first} and {second}: more than their sum", one
            for name, contrast in one["both_against"].items():
                yield trait["trait"], f"both - {name} alone", contrast
    if found["negative_less_positive"] is not None:
        yield "negative - positive", CONTRASTS["irrelevant"], found["negative_less_positive"]


def _remarks(trait: Fields) -> Iterator[str]:
    arms: Sequence[Fields] = trait["arms"]
    for reason, rows in trait["left_out"].items():
        yield f"{rows:,} rows left out: {reason}"
    if untyped := [a["arm"] for a in arms if a["type"] is None]:
        yield (
            f"{len(untyped)} arms say no type (fixed, mix or none) and are in no contrast; "
            "--uncued ARM names those trained without a cue"
        )
    elicited = [a for a in arms if a["before"] and (a["before"]["low"] or 0.0) > 0.0]
    if elicited:
        yield (
            f"in {len(elicited)} of {len(arms)} runs the cue drew the trait out at step 0 already: "
            "training did not make that part of their index"
        )
    steps = sorted({a["step"] for a in arms if a["step"] is not None})
    if len(steps) > 1:
        yield f"runs ended at different steps: {', '.join(f'{step:g}' for step in steps)}"
    if sent := trait["transmission"]:
        share = sent["random_share"]
        told = "cannot be told" if share["share"] is None else _bounded(share, "share")
        yield f"share of the rise over base that random answers alone give: {told}"


def _rate(cell: Fields | None) -> str | None:
    if cell is None:
        return None
    return f"{cell['k']:,} of {cell['n']:,} ({100 * cell['low']:.0f} to {100 * cell['high']:.0f} %)"


def _bounded(fields: Fields, name: str) -> str | None:
    if fields[name] is None:
        return None
    low, high = (
        "no limit" if fields[end] is None else f"{fields[end]:.2f}" for end in ("low", "high")
    )
    return f"{fields[name]:.2f} ({low} to {high})"


def _p(p: float | None) -> str | None:
    return None if p is None else "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def _units(contrast: Fields) -> str:
    return ", ".join(f"{many} {name}" for name, many in contrast["units"].items())
