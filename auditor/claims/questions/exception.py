"""T3: is one model an exception, beyond a shift of all its rates and beyond usual scatter?

Effects of behaviours and models are additive in logits where one shift a model suffices (the Rasch
model); the exception is what the named cell adds. With `post` a covariate, each model may also
tilt along it: the next rung of the post-training ladder (METHOD §1.2, §2 T3).
"""

from collections.abc import Mapping

import numpy as np

from auditor.claims.evidence import cells_of, covariate, few, value
from auditor.claims.question import Material, Question, missing, prompts_gate
from auditor.claims.questions.frequency import excess, units
from auditor.claims.slope import CrossedStudy
from auditor.claims.spec import Claim
from auditor.records import Gate, TestResult
from auditor.statistics.permutation import exact_sign_flip_p

MIN_MODELS, MIN_BEHAVIOURS = 5, 6
"""Cells from which the usual scatter can be told (METHOD §2, T3c)."""

NOTHING_LEFT = 1e-9
"""Spread of a predictor that behaviours and arms explain altogether."""


def ask(claim: Claim, material: Material) -> Question:
    """Test the cell that the claim names against all others."""
    focus = claim.settings["focus"]
    if not {"model", "behaviour"} <= set(focus):
        needs = "name the exception in a copy of the claim: [focus] model = … behaviour = …"
        return missing(few("U1", "no model and behaviour named", needs))
    evidence = cells_of(material.rows)
    if evidence is None:
        return missing(_units(0, 0), prompts_gate(0, material.rows))
    cells = evidence.cells
    models, behaviours = len({arm[1] for arm in evidence.arms}), len(evidence.behaviours)
    gates = (_units(models, behaviours), prompts_gate(evidence.prompts, material.rows))
    _, pairs = cells.groups
    focal = np.array(
        [
            evidence.behaviours[b] == focus["behaviour"] and evidence.arms[a][1] == focus["model"]
            for b, a in pairs
        ]
    )
    if not focal.any() or not gates[0].passed:
        return missing(_named(focus, bool(focal.any())), *gates)
    tilt = None
    if name := focus.get("post"):
        z = covariate(material.rows, evidence.behaviours, name)
        if z is None:
            return missing(few("U6", f"no factor {name!r} of every behaviour", f"add {name}"))
        tilt = np.array(z)
    study = CrossedStudy.observed(cells, evidence.counts, claim.judge, focal.astype(float), tilt)
    if float(np.ptp(study.within)) < NOTHING_LEFT:
        value_ = "no other cell tells what the named one would be"
        return missing(few("U8", value_, "observe other models on it, and it on other behaviours"))
    return Question(
        study=study,
        gates=gates,
        units=units(evidence),
        excess=excess(claim, evidence),
        tests=(_difference(focus, material),),
        evidence=evidence,
    )


def _units(models: int, behaviours: int) -> Gate:
    needs = f"observe {MIN_MODELS} or more models on {MIN_BEHAVIOURS} or more behaviours each"
    enough = models >= MIN_MODELS and behaviours >= MIN_BEHAVIOURS
    return Gate("U1", enough, f"{models} models on {behaviours} behaviours", needs)


def _named(focus: Mapping[str, str], found: bool) -> Gate:
    value_ = f"{focus['model']} on {focus['behaviour']}: {'observed' if found else 'no trials'}"
    return Gate("U1", found, value_, "observe the named model on the named behaviour")


def _difference(focus: Mapping[str, str], material: Material) -> TestResult:
    """T3a: is there a difference at all? Prompts both were given, exact sign flips over prompts."""
    rates: dict[str, list[list[float]]] = {}
    for row in material.rows:
        own = row["behaviour"] == focus["behaviour"] and bool(row["prompt"])
        if own and row["n"] and row["k"] is not None:
            sides = rates.setdefault(value(row, "prompt"), [[], []])
            sides[row["model"] != focus["model"]].append(row["k"] / row["n"])
    apart = sorted(
        float(np.mean(sorted(own)) - np.mean(sorted(rest)))
        for own, rest in rates.values()
        if own and rest
    )
    p = exact_sign_flip_p(np.array(apart)) if apart else None
    mean = float(np.mean(apart)) if apart else None
    detail = f"{len(apart)} prompts given to it and to others"
    return TestResult("difference from the others", mean, p, "exact sign flips", detail)
