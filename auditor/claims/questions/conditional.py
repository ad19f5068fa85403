"""T9: was a trait learned, or tied to the cue it was trained under? (METHOD §2, T9)

Columns: `arm`, what a training run was trained under (cued, none), `cue` of the evaluation prompt
(train, none, irrelevant), `seed` of the run; or, for fixed against rephrased cues, `type` (fixed,
mix), `prompt` (with cue…, without cue…) and `wording`. Where `wording` is not given it is the arm's
name without its type, `whimsical_mix` → `whimsical`, so that each wording is compared with itself.
Only the last `step` of each run counts. `relevant` = no marks runs under a cue that has nothing to
do with the trait, `trait` (negative, positive) which trait a row is about.
"""

from collections.abc import Sequence
from dataclasses import replace

from auditor.claims.evidence import Row, value
from auditor.claims.question import Material, Question
from auditor.claims.questions import contrast, parts
from auditor.claims.spec import Claim, Contrast, Part
from auditor.records import TestResult

UNCUED = {"cue": "none"}
IRRELEVANT = (
    Part(1.0, {"arm": "cued", "relevant": "no"}),
    Part(-1.0, {"arm": "cued", "relevant": "!no"}),
)
TRAITS = (
    Part(1.0, {**UNCUED, "trait": "negative"}),
    Part(-1.0, {**UNCUED, "trait": "positive"}),
)


def ask(claim: Claim, material: Material) -> Question:
    """Compare what the cue does to runs trained under it with what it does to others."""
    rows = [_worded(row) for row in parts.last_steps(material.rows)]
    question = contrast.ask(claim, replace(material, rows=rows))
    if question.study is None or claim.contrast is None:
        return question
    effect = parts.times(float(question.study.fit().estimate))
    tests = [
        *parts.each_behaviour(claim, claim.contrast, rows),
        *_cue_effects(claim, claim.contrast, rows),
        *_unlike_irrelevant(claim, claim.contrast, rows),
    ]
    reading = (
        f"{parts.told(question.points)}. The cue's effect on the odds is {effect} that in the runs"
        " they are compared with."
    )
    return replace(question, tests=tuple(tests), reading=reading)


def _worded(row: Row) -> Row:
    """The row with the wording of its cue, by its arm's name where no factor gives it."""
    factors, kind = row["factors"], value(row, "type")
    if "wording" in factors or not kind:
        return row
    wording = value(row, "arm").removesuffix(f"_{kind}")
    return {**row, "factors": {**factors, "wording": wording}}


def _cue_effects(claim: Claim, whole: Contrast, rows: Sequence[Row]) -> list[TestResult]:
    """What the cue does in each arm alone."""
    return parts.each_group(claim, whole, rows, "cue") if len(whole.groups) > 1 else []


def _unlike_irrelevant(claim: Claim, whole: Contrast, rows: Sequence[Row]) -> list[TestResult]:
    """Real inoculation: an irrelevant fixed cue less the inoculating one, with no cue shown.

    On the negative trait less the positive one, where rows say which; 0 if the trait is only tied
    to whatever fixed prompt there was.
    """
    if not any(value(row, "relevant") == "no" for row in rows):
        return []
    traits = {value(row, "trait") for row in rows}
    levels = TRAITS if {"negative", "positive"} <= traits else (Part(1.0, UNCUED),)
    own = replace(whole, levels=levels, groups=IRRELEVANT)
    return [parts.part(claim, own, rows, "beyond an irrelevant cue")]
