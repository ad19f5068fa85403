"""The gates (METHOD §4.2): conditions a claim must meet before its tests may speak.

One row a code, each with the value found and what would open it; any closed gate makes the claim
untestable with this data. U1, U4 and U6 are about a test's own data: its question brings them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.claims.evidence import Measured
from auditor.claims.question import Question
from auditor.claims.slope import SlopeStudy
from auditor.claims.spec import Claim
from auditor.records import BehaviourKind, Gate
from auditor.statistics.calibration import SCATTER_GRID
from auditor.statistics.claimed import Tested

MIN_CONTROLS = 5
MIN_POWER = 0.8
MIN_JUDGE = 1.6
MAX_COLLINEAR = 0.8
MIN_CONCORDANCE = 0.7


@dataclass(frozen=True, slots=True)
class Findings:
    """What the gates look at; None stands for what could not be computed."""

    claim: Claim
    measured: Measured
    question: Question
    tested: Tested | None
    judge_p: float | None
    placebo_p: float | None
    control_p: float | None
    covariates: Mapping[str, list[float] | None]


def all_gates(found: Findings) -> tuple[Gate, ...]:
    """Evaluate every gate that applies to the claim, in the order of their codes."""
    gates = [*found.question.gates, _u2_forbids(found), _u3_power(found), _u9_judge(found)]
    if found.claim.of_text:
        gates += [_u5_corpus(found), _u10_precision(found)]
    if found.claim.has_controls:
        gates.append(_u7_controls(found))
    if isinstance(found.question.study, SlopeStudy):
        gates.append(_u8_collinear(found))
    return tuple(sorted(gates, key=lambda gate: int(gate.code[1:])))


def _u2_forbids(found: Findings) -> Gate:
    claim = found.claim
    needs = "state the smallest effect the claim commits to: beta_min > 0, or a margin"
    value = "no effect stated" if claim.claimed is None else f"the effect is {claim.claimed}"
    return Gate("U2", not claim.directional, value, needs)


def _u3_power(found: Findings) -> Gate:
    needs = "add units of the test: behaviours, prompts or seeds; then models and draws"
    if found.tested is None:
        return Gate("U3", False, "power not computable", needs)
    power, phi = found.tested.power, found.tested.forbidden_fraction
    scatter = max(found.claim.scatter.behaviour, found.tested.scatter)
    within = bool(scatter < SCATTER_GRID[-1])
    passed = power >= MIN_POWER and phi > 2 * found.claim.alpha and within
    rival = f"against an effect of {found.claim.rival_effect:.3g}"
    value = f"power {power:.2f} {rival} at scatter {scatter:.2g}, phi {phi:.2f}"
    return Gate("U3", passed, value, needs)


def _u5_corpus(found: Findings) -> Gate:
    tier, w = found.claim.tier, found.measured.concordance
    passed = tier == "A" or (tier == "B" and w is not None and w >= MIN_CONCORDANCE)
    shown = "fewer than three corpora" if w is None else f"Kendall W {w:.2f} over corpora"
    agree = f"three proxy corpora whose ranks agree (W >= {MIN_CONCORDANCE})"
    needs = f"measure {agree}, or the model's own"
    return Gate("U5", passed, f"tier {tier}, {shown}", needs)


def _u7_controls(found: Findings) -> Gate:
    alpha = found.claim.alpha
    placebo_ok = found.placebo_p is not None and found.placebo_p > alpha
    control_ok = found.control_p is not None and found.control_p <= alpha
    value = f"placebo p = {shown_p(found.placebo_p)}, positive control p = "
    value += shown_p(found.control_p)
    needs = (
        f"observe {MIN_CONTROLS} or more placebo behaviours and positive controls of the library"
    )
    return Gate("U7", placebo_ok and control_ok, value, needs)


def _u8_collinear(found: Findings) -> Gate:
    evidence = found.question.evidence
    columns = {name: z for name, z in found.covariates.items() if z is not None}
    if evidence is not None and evidence.given is not None:
        held = zip(found.measured.given, evidence.given.T.tolist(), strict=True)
        columns |= {name or "frequency": z for name, z in held}
    if evidence is None or not columns:
        return Gate("U8", True, "nothing measured that the predictor could be confused with", "")
    x = evidence.cells.x
    worst = max((abs(float(np.corrcoef(x, z)[0, 1])), name) for name, z in columns.items())
    needs = "choose behaviours for which the predictor and the other part ways"
    return Gate("U8", worst[0] <= MAX_COLLINEAR, f"|rho| {worst[0]:.2f} with {worst[1]}", needs)


def _u9_judge(found: Findings) -> Gate:
    judge = found.claim.judge
    needs = (
        "measure the judge on transcripts of known truth (auditor label --of transcripts "
        "--agreement), and state its rates under [judge] in a copy of the claim's TOML"
    )
    if judge.sensitivity is None or judge.specificity is None:
        return Gate("U9", False, "judge unknown", needs)
    total = judge.sensitivity + judge.specificity
    above = found.judge_p is not None and found.judge_p <= found.claim.alpha
    value = f"Se + Sp = {total:.2f}; rates above its false positives p = {shown_p(found.judge_p)}"
    return Gate("U9", total >= MIN_JUDGE and above, value, needs)


def _u10_precision(found: Findings) -> Gate:
    kind = BehaviourKind(found.claim.predictor.kind)
    measured = [f for f in found.measured.frequencies.values() if f.kind is kind]
    wide = sorted(f.behaviour for f in measured if not f.usable)
    value = f"{len(wide)} of {len(measured)} frequencies span 100-fold or more"
    value += f" and are left out: {', '.join(wide)}" if wide else ""
    needs = "label more passages of: " + ", ".join(wide[:5]) if wide else ""
    if not measured:
        return Gate("U10", False, "no behaviour has a measured frequency", "label a sample first")
    return Gate("U10", 2 * len(wide) <= len(measured), value, needs)


def shown_p(value: float | None) -> str:
    """A p-value as text."""
    return "not run" if value is None else f"{value:.3g}"
