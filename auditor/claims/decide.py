"""A claim, its locked predictors and the observed rows → the verdict (METHOD §4.4).

Gates first; then refutation; then support, which also needs every rival that was measured to be
beaten. Whatever remains is indistinguishable. Claims of one family share their alpha (Holm 1979),
and a claim may be supported only after the one it builds on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from statsmodels.stats.multitest import multipletests

from auditor.claims import conclusions
from auditor.claims.evidence import Measured, Row, select_rows
from auditor.claims.gates import Findings, all_gates
from auditor.claims.question import Material, Question, above_floor, missing, stream
from auditor.claims.questions.frequency import BEYOND_PLACEBO
from auditor.claims.questions.registry import QUESTIONS
from auditor.claims.rivals import control_p, placebo_p, rival_covariate, weigh_rivals
from auditor.claims.spec import Claim
from auditor.records import (
    ClaimResult,
    Gate,
    Interval,
    Rival,
    TestResult,
    Verdict,
)
from auditor.statistics.calibration import WORLDS
from auditor.statistics.claimed import AtLeast, Tested, Trial

LEAST_YOUDEN = 0.05
"""Se + Sp - 1 below which no rate can be corrected; gate U9 asks for 0.6."""

SUBSTANTIVE = ("R-PT", "R-OPT", "R-CAP")
"""Rivals of which at least one must be measured before a claim can be supported."""


@dataclass(frozen=True, slots=True)
class Assessed:
    """A claim with everything found about it, before claims are weighed against each other."""

    claim: Claim
    findings: Findings
    gates: tuple[Gate, ...]
    rivals: tuple[Rival, ...]
    exploratory: bool
    lock: str | None
    rates: tuple[Mapping[str, Any], ...] = ()

    @property
    def testable(self) -> bool:
        """Whether its tests may speak."""
        return self.findings.tested is not None and all(gate.passed for gate in self.gates)


def assess(
    claim: Claim,
    measured: Measured,
    rows: Sequence[Mapping[str, Any]],
    exploratory: bool,
    lock: str | None,
    worlds: int = WORLDS,
) -> Assessed:
    """Test one claim; `rows` are all observations of the audit."""
    chosen = select_rows(claim, rows)
    question = _useless_judge(claim) or QUESTIONS[claim.test](claim, Material(measured, chosen))
    evidence = question.evidence
    covariates = {
        rival.id: rival_covariate(rival, chosen, evidence.behaviours)
        for rival in claim.rivals
        if evidence is not None and not rival.held
    }
    controls = claim.has_controls
    findings = Findings(
        claim=claim,
        measured=measured,
        question=question,
        tested=_tested(claim, question, worlds),
        judge_p=_judge_p(claim, question),
        placebo_p=placebo_p(claim, chosen, measured) if controls else None,
        control_p=control_p(claim, chosen, measured) if controls else None,
        covariates=covariates,
    )
    rivals = tuple(weigh_rivals(findings))
    used = evidence.behaviours if evidence is not None else ()
    rates = _rates(claim, measured, question, chosen, used)
    return Assessed(claim, findings, all_gates(findings), rivals, exploratory, lock, rates)


def _rates(
    claim: Claim,
    measured: Measured,
    question: Question,
    rows: Sequence[Row],
    used: Sequence[str],
) -> tuple[Mapping[str, Any], ...]:
    """What the models did, as far as it bears on the claim."""
    if question.points and all("design_effect" in point for point in question.points):
        return conclusions.part_rates(claim, question.points, rows)
    if claim.of_text:
        known = used or measured.frequencies
        rows = [row for row in rows if row["behaviour"] in known]
    elif question.study is None:
        return ()
    return conclusions.model_rates(claim, measured, rows, used)


def _useless_judge(claim: Claim) -> Question | None:
    """A judge whose reports do not rise with the truth tells nothing: gate U9 says so."""
    told = claim.judge.reports(np.array(1.0)) - claim.judge.reports(np.array(0.0))
    return missing() if told <= LEAST_YOUDEN else None


def conclude(assessed: Sequence[Assessed]) -> list[ClaimResult]:
    """Decide claims together, in the order they came."""
    refutations = _holm(assessed)
    verdicts: dict[str, Verdict] = {}
    waiting = list(assessed)
    while waiting:
        ids = {one.claim.id for one in waiting}
        ready = [one for one in waiting if one.claim.after not in ids] or waiting
        for one in ready:
            verdicts[one.claim.id] = _verdict(one, refutations[one.claim.id], verdicts)
        done = {one.claim.id for one in ready}
        waiting = [one for one in waiting if one.claim.id not in done]
    return conclusions.weighed(
        [_result(one, verdicts[one.claim.id], refutations[one.claim.id]) for one in assessed]
    )


def _tested(claim: Claim, question: Question, worlds: int) -> Tested | None:
    if question.study is None or claim.claimed is None:
        return None
    trial = Trial(question.study, claim.claimed, claim.alpha, lambda s: stream(claim, s), worlds)
    return trial.test(claim.rival_effect, claim.scatter.behaviour)


def _verdict(one: Assessed, p_refute: float | None, decided: Mapping[str, Verdict]) -> Verdict:
    tested, claim = one.findings.tested, one.claim
    if tested is None or p_refute is None or not one.testable:
        return Verdict.UNTESTABLE
    if p_refute <= claim.alpha:
        return Verdict.CONTRADICTED
    measured = [rival for rival in one.rivals if rival.measured]
    beaten = all(rival.p is None or rival.p <= claim.alpha for rival in measured)
    weighed = any(rival.rival in SUBSTANTIVE for rival in measured)
    placebo = [t.p for t in one.findings.question.tests if t.name == BEYOND_PLACEBO]
    clear = all(p is not None and p <= claim.alpha / 2 for p in placebo)
    built = not claim.after or decided.get(claim.after) is Verdict.SUPPORTED
    shown = max(tested.p_support, _p_none(one.findings)) <= claim.alpha
    supported = shown and beaten and weighed and built and clear
    return Verdict.SUPPORTED if supported else Verdict.INDISTINGUISHABLE


def _p_none(found: Findings) -> float:
    """P of no relation where the claim is that there is one; 0 where it is that there is none."""
    none = found.question.none
    positive = isinstance(found.claim.claimed, AtLeast)
    return none.p if positive and none is not None and none.p is not None else 0.0


def _holm(assessed: Sequence[Assessed]) -> dict[str, float | None]:
    """Refutation p of every claim, adjusted within its family.

    Members that were not tested now, or could not be, count as never refuted: the least favourable.
    """
    raw = {
        one.claim.id: one.findings.tested.p_refute
        if one.findings.tested and (one.testable or not one.claim.family)
        else None
        for one in assessed
    }
    return {one.claim.id: _adjusted(one.claim, raw) for one in assessed}


def _adjusted(claim: Claim, raw: Mapping[str, float | None]) -> float | None:
    family = sorted({*claim.family, claim.id})
    found = [raw.get(name) for name in family]
    own = raw[claim.id]
    if own is None or len(family) == 1:
        return own
    filled = [1.0 if p is None else p for p in found]
    return float(multipletests(filled, method="holm")[1][family.index(claim.id)])


def _judge_p(claim: Claim, question: Question) -> float | None:
    """P that observed rates lie above the judge's false positives."""
    known = claim.judge.known and question.excess is not None
    return above_floor(question.excess, claim) if known and question.excess is not None else None


def _result(one: Assessed, verdict: Verdict, p_refute: float | None) -> ClaimResult:
    claim, found = one.claim, one.findings
    tested, question = found.tested, found.question
    left = conclusions.standing(claim, one.rivals)
    return ClaimResult(
        claim=claim.id,
        statement=claim.statement,
        verdict=verdict,
        exploratory=one.exploratory,
        forbidden_fraction=tested.forbidden_fraction if tested else None,
        power=tested.power if tested else None,
        slope=tested.effect if tested else Interval(None, None, None),
        gates=one.gates,
        tests=tuple(_tests(found, p_refute)),
        rivals=one.rivals,
        next_observation="",
        lock=one.lock,
        tier=claim.tier,
        units=question.units or {"behaviours": 0, "models": 0, "prompts": 0, "trials": 0},
        points=question.points,
        strength=claim.strength,
        test=claim.test,
        evidence=claim.evidence,
        claimed=str(claim.claimed) if claim.claimed else None,
        reading=question.reading,
        details=question.details,
        corpus=conclusions.corpus_rates(claim, found.measured),
        models=one.rates,
        standing=left,
        reversal=conclusions.reversal(found, one.gates, verdict, left),
        limits=conclusions.limits(found, one.exploratory, one.lock),
    )


def _tests(found: Findings, p_refute: float | None) -> list[TestResult]:
    tests, claim, tested = list(found.question.tests), found.claim, found.tested
    if found.question.none:
        tests.insert(0, found.question.none)
    if tested is not None:
        effect = f"effect {claim.claimed}"
        shown = f"scatter shown {tested.scatter:.2f}"
        allowed = f"sensitivity: the worst scatter up to the {claim.scatter.behaviour:g} allowed"
        method, estimate = "simulation at the boundary", tested.effect.estimate
        tests += [
            TestResult("refutes " + effect, estimate, tested.p_refute, method, shown),
            TestResult(
                "refutes, at the worst scatter allowed",
                estimate,
                tested.p_refute_if_allowed,
                method,
                allowed,
            ),
            TestResult("supports " + effect, estimate, tested.p_support, method),
        ]
        if p_refute is not None and p_refute != tested.p_refute:
            family = ", ".join(claim.family)
            tests.append(TestResult("refutes, in its family", None, p_refute, "Holm", family))
    tests.append(TestResult("judge", None, found.judge_p, "sign flips over units"))
    if claim.test == "frequency":
        control = f"simulation at slope {claim.control_beta_min:g}"
        placebo = "simulation at the boundary"
        tests.append(TestResult("placebo behaviours", None, found.placebo_p, placebo))
        tests.append(TestResult("positive controls", None, found.control_p, control))
    return tests
