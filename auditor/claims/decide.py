"""A claim, its locked frequencies and the observed rows → the verdict (METHOD §4.4).

Gates first; then refutation; then support, which also needs every rival that was measured to be
beaten. Whatever remains is indistinguishable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.claims.evidence import Evidence, Frequency, covariate, gather, select_rows
from auditor.claims.gates import MIN_BEHAVIOURS, Findings, all_gates
from auditor.claims.slope import PERFECT, SlopeTest, slope_test, stream, support_p
from auditor.claims.spec import Claim
from auditor.records import (
    BehaviourKind,
    ClaimResult,
    Gate,
    Interval,
    Rival,
    TestResult,
    Verdict,
)
from auditor.statistics.permutation import partial_slope_p, sign_flip_p

CONTROL_WORLDS = 399
"""Worlds a grid point behind a control: it only needs to be placed against alpha."""

SUBSTANTIVE = ("R-PT", "R-OPT", "R-CAP")
"""Rivals of which at least one must be measured before a claim can be supported."""


def decide(
    claim: Claim,
    frequencies: Mapping[str, Frequency],
    rows: Sequence[Mapping[str, Any]],
    exploratory: bool,
    lock: str | None,
    concordance: float | None = None,
) -> ClaimResult:
    """Test a claim and decide; `rows` are all observations of the audit."""
    chosen = select_rows(claim, rows)
    evidence = gather(chosen, frequencies, BehaviourKind.BEHAVIOUR)
    testable = evidence is not None and len(evidence.behaviours) >= MIN_BEHAVIOURS
    slope = slope_test(claim, evidence) if evidence and testable and claim.beta_min > 0 else None
    judge_p = _judge_p(claim, evidence) if evidence and claim.judge.known else None
    covariates = {
        rival.id: covariate(chosen, evidence.behaviours, rival.covariate) if evidence else None
        for rival in claim.rivals
    }
    found = Findings(
        claim=claim,
        frequencies=frequencies,
        evidence=evidence,
        rows_without_n=sum(row["n"] is None or row["k"] is None for row in chosen),
        slope=slope,
        judge_p=judge_p,
        placebo_p=_placebo_p(claim, chosen, frequencies),
        control_p=_control_p(claim, chosen, frequencies),
        covariates=covariates,
        concordance=concordance,
    )
    gates = all_gates(found)
    rivals = _rivals(claim, evidence, slope, covariates, judge_p)
    verdict = _verdict(claim, gates, slope, rivals)
    return ClaimResult(
        claim=claim.id,
        statement=claim.statement,
        verdict=verdict,
        exploratory=exploratory,
        forbidden_fraction=slope.forbidden_fraction if slope else None,
        power=slope.power if slope else None,
        slope=slope.slope if slope else Interval(None, None, None),
        gates=gates,
        tests=tuple(_tests(found)),
        rivals=rivals,
        next_observation=_next(verdict, gates, rivals),
        lock=lock,
        tier=claim.tier,
        units=_units(evidence),
        points=_points(evidence, slope),
    )


def _verdict(
    claim: Claim, gates: Sequence[Gate], slope: SlopeTest | None, rivals: Sequence[Rival]
) -> Verdict:
    if slope is None or not all(gate.passed for gate in gates):
        return Verdict.UNTESTABLE
    if slope.p_refute <= claim.alpha:
        return Verdict.CONTRADICTED
    measured = [rival for rival in rivals if rival.measured]
    beaten = all(rival.p is not None and rival.p <= claim.alpha for rival in measured)
    weighed = any(rival.rival in SUBSTANTIVE for rival in measured)
    if max(slope.p_none, slope.p_support) <= claim.alpha and beaten and weighed:
        return Verdict.SUPPORTED
    return Verdict.INDISTINGUISHABLE


def _placebo_p(
    claim: Claim, rows: Sequence[Mapping[str, Any]], frequencies: Mapping[str, Frequency]
) -> float | None:
    """P of support when placebo behaviours stand in: a sound pipeline must not find any."""
    placebos = gather(rows, frequencies, BehaviourKind.PLACEBO)
    if placebos is None or len(placebos.behaviours) < MIN_BEHAVIOURS or claim.beta_min <= 0:
        return None
    return support_p(claim, placebos, claim.judge, CONTROL_WORLDS)


def _control_p(
    claim: Claim, rows: Sequence[Mapping[str, Any]], frequencies: Mapping[str, Frequency]
) -> float | None:
    """P of support where imitation is known: counted by exact rules, so the judge is perfect."""
    controls = gather(rows, frequencies, BehaviourKind.POSITIVE_CONTROL)
    if controls is None or len(controls.behaviours) < MIN_BEHAVIOURS:
        return None
    easier = replace(claim, beta_min=claim.control_beta_min)
    return support_p(easier, controls, PERFECT, CONTROL_WORLDS)


def _judge_p(claim: Claim, evidence: Evidence) -> float:
    """One-sided sign-flip over behaviours: observed rates above the judge's false positives."""
    cells = evidence.cells
    k = np.bincount(cells.behaviour, weights=evidence.counts)
    excess = k / np.bincount(cells.behaviour, weights=cells.trials)
    excess -= 1.0 - (claim.judge.specificity or 0.0)
    return sign_flip_p(excess, stream(claim, "judge"))


def _rivals(
    claim: Claim,
    evidence: Evidence | None,
    slope: SlopeTest | None,
    covariates: Mapping[str, list[float] | None],
    judge_p: float | None,
) -> tuple[Rival, ...]:
    found = [
        Rival("R-JUDGE", judge_p is not None, judge_p, "rates above the judge's false positives")
    ]
    for spec in claim.rivals:
        z = covariates.get(spec.id)
        if z is None or slope is None or evidence is None:
            found.append(Rival(spec.id, False, None, f"column {spec.covariate!r} not observed"))
            continue
        rng = stream(claim, spec.id)
        p = partial_slope_p(evidence.cells.x, slope.effects, np.array(z), rng)
        found.append(Rival(spec.id, True, p, f"frequency, given {spec.covariate}"))
    return tuple(found)


def _tests(found: Findings) -> list[TestResult]:
    slope, claim = found.slope, found.claim
    tests = []
    if slope is not None:
        beta, observed = f"beta >= {claim.beta_min:g}", slope.slope.estimate
        cap = f"scatter allowed {claim.scatter.behaviour:g}, shown {slope.scatter:.2f}; the larger"
        tests += [
            TestResult("no relation", observed, slope.p_none, "permutation of behaviours"),
            TestResult("refutes " + beta, observed, slope.p_refute, "simulation at beta_min", cap),
            TestResult(
                "refutes, scatter as shown",
                observed,
                slope.p_refute_as_shown,
                "simulation at beta_min",
                "sensitivity: only the scatter the data show, even if the claim allows more",
            ),
            TestResult("supports " + beta, observed, slope.p_support, "simulation at beta_min"),
        ]
    tests.append(TestResult("judge", None, found.judge_p, "sign flips over behaviours"))
    tests.append(TestResult("placebo behaviours", None, found.placebo_p, "simulation at beta_min"))
    control = f"simulation at beta {claim.control_beta_min:g}"
    tests.append(TestResult("positive controls", None, found.control_p, control))
    return tests


def _next(verdict: Verdict, gates: Sequence[Gate], rivals: Sequence[Rival]) -> str:
    closed = [f"{gate.code}: {gate.needs}" for gate in gates if not gate.passed]
    if closed:
        return "; ".join(closed)
    unmeasured = [rival.rival for rival in rivals if not rival.measured]
    if verdict is Verdict.INDISTINGUISHABLE:
        more = f"measure {', '.join(unmeasured)}; " if unmeasured else ""
        return more + "add behaviours at the ends of the frequency range"
    if unmeasured:
        return "measure " + ", ".join(unmeasured)
    return "repeat on models and behaviours held out from this study"


def _units(evidence: Evidence | None) -> dict[str, int]:
    if evidence is None:
        return {"behaviours": 0, "models": 0, "prompts": 0, "trials": 0}
    return {
        "behaviours": len(evidence.behaviours),
        "models": int(evidence.cells.model.max()) + 1,
        "prompts": int(evidence.cells.prompt.max()) + 1,
        "trials": int(evidence.cells.trials.sum()),
    }


def _points(evidence: Evidence | None, slope: SlopeTest | None) -> tuple[dict[str, Any], ...]:
    """What a chart of the claim shows: a behaviour's log frequency and its effect in logits."""
    if evidence is None or slope is None:
        return ()
    return tuple(
        {"behaviour": name, "log_frequency": float(x), "se": float(se), "effect": float(effect)}
        for name, x, se, effect in zip(
            evidence.behaviours, evidence.cells.x, evidence.cells.x_se, slope.effects, strict=True
        )
    )
