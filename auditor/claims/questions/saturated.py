"""H+post at r = infinity: a free rate for every model and behaviour (METHOD §1.2).

"Alignment training explains the exception" is this claim where no rung below it is named. It fits
any table of rates, so it forbids nothing, and no data can speak for it.
"""

from auditor.claims.evidence import is_trial
from auditor.claims.question import Material, Question
from auditor.claims.spec import Claim
from auditor.records import Gate

VALUE = "a free rate for every model and behaviour fits any table of rates; it forbids nothing"
NEEDS = "claim a rung that can fail: exception (one shift a model) or exception-refusal (one tilt)"


def ask(claim: Claim, material: Material) -> Question:
    """Count what the claim fits, all of it."""
    trials = [row for row in material.rows if is_trial(row)]
    cells = len({(row["model"], row["behaviour"]) for row in trials})
    return Question(
        study=None,
        gates=(Gate("U2", False, VALUE, NEEDS),),
        units={"cells": cells, "trials": sum(row["n"] for row in trials)},
        reading=f"{cells} cells of model and behaviour, {cells} free rates: any outcome fits.",
        details={"phi": 0.0},
    )
