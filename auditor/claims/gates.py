"""The gates (METHOD §4.2): conditions a claim must meet before its tests may speak.

One row a code, each with the value found and what would open it; any closed gate makes the claim
untestable with this data.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.claims.calibration import SCATTER_GRID
from auditor.claims.evidence import Evidence, Frequency
from auditor.claims.slope import SlopeTest
from auditor.claims.spec import Claim
from auditor.records import BehaviourKind, Gate

MIN_BEHAVIOURS = 5
MIN_PROMPTS = 5
MIN_POWER = 0.8
MIN_JUDGE = 1.6
MAX_COLLINEAR = 0.8
MIN_CONCORDANCE = 0.7


@dataclass(frozen=True, slots=True)
class Findings:
    """What the gates look at; None stands for what could not be computed."""

    claim: Claim
    frequencies: Mapping[str, Frequency]
    evidence: Evidence | None
    rows_without_n: int
    slope: SlopeTest | None
    judge_p: float | None
    placebo_p: float | None
    control_p: float | None
    covariates: Mapping[str, list[float] | None]
    concordance: float | None


def all_gates(found: Findings) -> tuple[Gate, ...]:
    """Evaluate every gate, in the order of their codes."""
    return tuple(gate(found) for gate in _GATES)


def _u1_units(found: Findings) -> Gate:
    units = len(found.evidence.behaviours) if found.evidence else 0
    return Gate(
        "U1",
        units >= MIN_BEHAVIOURS,
        f"{units} behaviours with trials and a measured frequency",
        f"observe k of n for at least {MIN_BEHAVIOURS} measured behaviours, 12 or more for power",
    )


def _u2_forbids(found: Findings) -> Gate:
    beta = found.claim.beta_min
    needs = "state the smallest slope the claim commits to: beta_min > 0"
    return Gate("U2", beta > 0, f"beta_min = {beta:g}", needs)


def _u3_power(found: Findings) -> Gate:
    needs = "add behaviours, the unit of the test; then models and prompts"
    if found.slope is None:
        return Gate("U3", False, "power not computable", needs)
    power, phi = found.slope.power, found.slope.forbidden_fraction
    scatter = max(found.claim.scatter.behaviour, found.slope.scatter)
    within = bool(scatter < SCATTER_GRID[-1])
    passed = power >= MIN_POWER and phi > 2 * found.claim.alpha and within
    value = f"power {power:.2f} at scatter {scatter:.2g}, phi {phi:.2f}"
    return Gate("U3", passed, value, needs)


def _u5_corpus(found: Findings) -> Gate:
    tier, w = found.claim.tier, found.concordance
    passed = tier == "A" or (tier == "B" and w is not None and w >= MIN_CONCORDANCE)
    shown = "fewer than three corpora" if w is None else f"Kendall W {w:.2f} over corpora"
    agree = f"three proxy corpora whose ranks agree (W >= {MIN_CONCORDANCE})"
    needs = f"measure {agree}, or the model's own"
    return Gate("U5", passed, f"tier {tier}, {shown}", needs)


def _u6_prompts(found: Findings) -> Gate:
    prompts = found.evidence.prompts if found.evidence else 0
    value = f"{prompts} prompts at the least-tried behaviour; {found.rows_without_n} rows without n"
    needs = f"observe each behaviour with at least {MIN_PROMPTS} named prompts, with k and n"
    return Gate("U6", prompts >= MIN_PROMPTS, value, needs)


def _u7_controls(found: Findings) -> Gate:
    alpha = found.claim.alpha
    placebo_ok = found.placebo_p is not None and found.placebo_p > alpha
    control_ok = found.control_p is not None and found.control_p <= alpha
    value = f"placebo p = {_p(found.placebo_p)}, positive control p = {_p(found.control_p)}"
    needs = (
        f"observe {MIN_BEHAVIOURS} or more placebo behaviours and positive controls of the library"
    )
    return Gate("U7", placebo_ok and control_ok, value, needs)


def _u8_collinear(found: Findings) -> Gate:
    measured = {name: z for name, z in found.covariates.items() if z is not None}
    if found.evidence is None or not measured:
        return Gate("U8", True, "no rival covariate to be confused with", "")
    worst = max(
        (abs(float(np.corrcoef(found.evidence.cells.x, z)[0, 1])), name)
        for name, z in measured.items()
    )
    needs = "choose behaviours for which frequency and the rival's covariate part ways"
    return Gate("U8", worst[0] <= MAX_COLLINEAR, f"|rho| {worst[0]:.2f} with {worst[1]}", needs)


def _u9_judge(found: Findings) -> Gate:
    judge = found.claim.judge
    needs = (
        "measure the judge on transcripts of known truth, and state its rates under [judge] "
        "in a copy of the claim's TOML"
    )
    if judge.sensitivity is None or judge.specificity is None:
        return Gate("U9", False, "judge unknown", needs)
    total = judge.sensitivity + judge.specificity
    above = found.judge_p is not None and found.judge_p <= found.claim.alpha
    value = f"Se + Sp = {total:.2f}; rates above its false positives p = {_p(found.judge_p)}"
    return Gate("U9", total >= MIN_JUDGE and above, value, needs)


def _u10_precision(found: Findings) -> Gate:
    measured = [f for f in found.frequencies.values() if f.kind is BehaviourKind.BEHAVIOUR]
    wide = sorted(f.behaviour for f in measured if not f.usable)
    value = f"{len(wide)} of {len(measured)} frequencies span 100-fold or more"
    value += f" and are left out: {', '.join(wide)}" if wide else ""
    needs = "label more passages of: " + ", ".join(wide[:5]) if wide else ""
    if not measured:
        return Gate("U10", False, "no behaviour has a measured frequency", "label a sample first")
    return Gate("U10", 2 * len(wide) <= len(measured), value, needs)


def _p(value: float | None) -> str:
    return "not run" if value is None else f"{value:.3g}"


_GATES = (
    _u1_units,
    _u2_forbids,
    _u3_power,
    _u5_corpus,
    _u6_prompts,
    _u7_controls,
    _u8_collinear,
    _u9_judge,
    _u10_precision,
)
"""U4 (no opportunity denominator) applies to same-proportion claims alone."""
