"""What a claim is weighed against: placebo behaviours, positive controls, and its rivals.

A control is asked the claim's own question; a rival's covariate is held fixed in it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from auditor.claims.evidence import Measured, Row, covariate, gather
from auditor.claims.gates import MIN_CONTROLS, Findings
from auditor.claims.question import stream
from auditor.claims.slope import CrossedStudy, SlopeStudy
from auditor.claims.spec import Claim, RivalSpec
from auditor.records import BehaviourKind, Rival
from auditor.statistics.claimed import AtLeast, Trial, Within
from auditor.statistics.judge import PERFECT, Judge
from auditor.statistics.permutation import partial_slope_p

Floats = npt.NDArray[np.float64]

CONTROL_WORLDS = 399
"""Worlds a grid point behind a control: it only needs to be placed against alpha."""


def placebo_p(claim: Claim, rows: Sequence[Row], measured: Measured) -> float | None:
    """P of support when placebo behaviours stand in: a sound pipeline must not find any."""
    if not isinstance(claim.claimed, AtLeast):
        return _control(claim, rows, measured, BehaviourKind.PLACEBO, AtLeast(0.3), claim.judge)
    return _control(claim, rows, measured, BehaviourKind.PLACEBO, claim.claimed, claim.judge)


def control_p(claim: Claim, rows: Sequence[Row], measured: Measured) -> float | None:
    """P of support where imitation is known: counted by exact rules, so the judge is perfect."""
    easier = AtLeast(claim.control_beta_min)
    return _control(claim, rows, measured, BehaviourKind.POSITIVE_CONTROL, easier, PERFECT)


def _control(
    claim: Claim,
    rows: Sequence[Row],
    measured: Measured,
    kind: BehaviourKind,
    claimed: AtLeast,
    judge: Judge,
) -> float | None:
    evidence = gather(rows, replace(measured, given={}), kind)
    if evidence is None or len(evidence.behaviours) < MIN_CONTROLS or claimed.least <= 0:
        return None
    study = SlopeStudy.observed(evidence.cells, evidence.counts, judge)
    streams = lambda step: stream(claim, f"{kind} {step}")  # noqa: E731
    trial = Trial(study, claimed, claim.alpha, streams, CONTROL_WORLDS)
    return float(claimed.support(trial.at, study.fit()))


def rival_covariate(
    rival: RivalSpec, rows: Sequence[Row], behaviours: Sequence[str]
) -> list[float] | None:
    """A rival's covariate: as locked with the claim, or as observed."""
    if not rival.values:
        return covariate(rows, behaviours, rival.covariate)
    if any(name not in rival.values for name in behaviours):
        return None
    values = [rival.values[name] for name in behaviours]
    return values if np.ptp(values) > 0 else None


def weigh_rivals(found: Findings) -> list[Rival]:
    """The judge, and every rival the claim names: measured, held fixed, or neither."""
    judge_p = found.judge_p
    rivals = [
        Rival("R-JUDGE", judge_p is not None, judge_p, "rates above the judge's false positives")
    ]
    study, claim = found.question.study, found.claim
    for spec in claim.rivals:
        if spec.held:
            rivals.append(Rival(spec.id, study is not None, None, f"held fixed: {spec.held}"))
            continue
        z = found.covariates.get(spec.id)
        if z is not None and isinstance(study, CrossedStudy) and claim.of_text:
            why = f"{spec.covariate or spec.id}: taken out with what behaviours do on their own"
            rivals.append(Rival(spec.id, True, None, why))
            continue
        if z is None or not isinstance(study, SlopeStudy):
            name = spec.covariate or "values"
            bears = "bears on no single cell" if z else "not given for every behaviour"
            rivals.append(Rival(spec.id, False, None, f"{name!r} {bears}"))
            continue
        p = _given(claim, study, np.array(z)[:, None], spec.id)
        lock = "locked with the claim" if spec.values else "read with the outcomes"
        rivals.append(Rival(spec.id, True, p, f"slope given {spec.covariate or spec.id}, {lock}"))
    return rivals


def _given(claim: Claim, study: SlopeStudy, z: Floats, rival: str) -> float:
    """P of the claim's slope with a rival's covariate, (behaviours, 1), held fixed as well.

    A claim that there is a slope must still show one; a claim that there is none, still none.
    """
    held = z if study.given is None else np.column_stack([study.given, z])
    if not isinstance(claim.claimed, Within):
        return partial_slope_p(study.cells.x, study.behaviour_effects, held, stream(claim, rival))
    beside = replace(study, given=held)
    streams = lambda step: stream(claim, f"{rival} {step}")  # noqa: E731
    trial = Trial(beside, claim.claimed, claim.alpha, streams, CONTROL_WORLDS)
    return float(claim.claimed.support(trial.at, beside.fit()))
