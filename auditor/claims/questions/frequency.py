"""Do rates over behaviours rise with what the corpus holds? (H1, H1p, H2a-c; METHOD §1.2, §4.3)

The predictor is the claim's: log frequency, the rarest component, how far a behaviour is endorsed
rather than condemned (T5b), enacted passages only. Other predictors may be held fixed, as placebo
corpora are in the vacuity audit (T4). Positive controls are asked the same question (T15).
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from auditor.claims.evidence import Evidence, few, gather
from auditor.claims.question import Material, Question, missing, prompts_gate, stream
from auditor.claims.slope import SlopeStudy
from auditor.claims.spec import Claim
from auditor.records import BehaviourKind, Gate, TestResult
from auditor.statistics.permutation import partial_slope_p, slope_p

Floats = npt.NDArray[np.float64]

MIN_PLACEBO_CORPORA = 3
BEYOND_PLACEBO = "steeper than in placebo corpora"
"""A test that support needs, wherever three placebo corpora were measured (METHOD §4.4)."""

MIN_BEHAVIOURS = 5
"""1/5! is the first chance of a perfect order below .05 (METHOD §4.2, U1)."""


def ask(claim: Claim, material: Material) -> Question:
    """Regress behaviour effects on the locked predictor."""
    evidence = gather(material.rows, material.measured, BehaviourKind(claim.predictor.kind))
    needed = MIN_BEHAVIOURS + len(material.measured.given)
    if evidence is None or len(evidence.behaviours) < needed:
        found = len(evidence.behaviours) if evidence else 0
        return missing(units_gate(found, needed), prompts_gate(0, material.rows))
    study = SlopeStudy.observed(evidence.cells, evidence.counts, claim.judge, evidence.given)
    return Question(
        study=study,
        gates=(
            units_gate(len(evidence.behaviours), needed),
            prompts_gate(evidence.prompts, material.rows),
        ),
        units=units(evidence),
        none=no_relation(claim, study),
        excess=excess(claim, evidence),
        tests=beyond_placebo(material, evidence, study),
        points=_points(evidence, study),
        evidence=evidence,
    )


def units_gate(found: int, needed: int) -> Gate:
    """U1: enough behaviours that were both observed and measured."""
    value = f"{found} behaviours with trials and a measured frequency"
    needs = f"observe k of n for at least {needed} measured behaviours, 12 or more for power"
    return Gate("U1", True, value, needs) if found >= needed else few("U1", value, needs)


def units(evidence: Evidence) -> dict[str, int]:
    """How many of what the evidence holds."""
    return {
        "behaviours": len(evidence.behaviours),
        "models": int(evidence.cells.model.max()) + 1,
        "prompts": int(evidence.cells.prompt.max()) + 1,
        "trials": int(evidence.cells.trials.sum()),
    }


def excess(claim: Claim, evidence: Evidence) -> Floats:
    """Each behaviour's observed rate above the judge's false positives."""
    cells = evidence.cells
    k = np.bincount(cells.behaviour, weights=evidence.counts)
    return k / np.bincount(cells.behaviour, weights=cells.trials) - claim.judge.false_positives


def no_relation(claim: Claim, study: SlopeStudy) -> TestResult:
    """Permutation of behaviours; Freedman and Lane's (1983) where others are held fixed."""
    x, effects, rng = study.cells.x, study.behaviour_effects, stream(claim, "slope")
    estimate = float(study.fit().estimate)
    if study.given is None:
        p = slope_p(x, effects, rng)
        return TestResult("no relation", estimate, p, "permutation of behaviours")
    p = partial_slope_p(x, effects, study.given, rng)
    return TestResult("no relation", estimate, p, "Freedman-Lane permutation of behaviours")


def beyond_placebo(
    material: Material, evidence: Evidence, study: SlopeStudy
) -> tuple[TestResult, ...]:
    """T4 (iii): the slope less its mean over placebo corpora, where there are three or more.

    Behaviours are the units: t limits with the variance that the claim's own predictor leaves.
    """
    wanted = set(evidence.behaviours)
    placebo = [one for one in material.measured.placebo.values() if wanted <= set(one)]
    if len(placebo) < MIN_PLACEBO_CORPORA:
        return ()
    logs = [np.array([one[name] for name in evidence.behaviours]) for one in placebo]
    weights = _slope_weights(evidence.cells.x) - np.mean([_slope_weights(x) for x in logs], axis=0)
    freedom = len(evidence.behaviours) - 2
    apart = float(weights @ study.behaviour_effects)
    error = max(float(np.sqrt(study.fit().spread * (weights @ weights))), 1e-9)
    low, high = apart + error * np.array(t.ppf([0.025, 0.975], freedom))
    p = float(t.sf(apart / error, freedom))
    detail = f"{len(placebo)} placebo corpora, 95 % {low:.2f} to {high:.2f}"
    return (TestResult(BEYOND_PLACEBO, apart, p, "t over behaviours", detail),)


def _slope_weights(x: Floats) -> Floats:
    """What each behaviour's effect adds to the least-squares slope on x; 0 where x never varies."""
    centred = x - x.mean()
    weights: Floats = centred / max(float(centred @ centred), 1e-12)
    return weights


def _points(evidence: Evidence, study: SlopeStudy) -> tuple[dict[str, object], ...]:
    """What a chart of the claim shows: a behaviour's predictor and its effect in logits."""
    cells = evidence.cells
    return tuple(
        {"behaviour": name, "log_frequency": float(x), "se": float(se), "effect": float(effect)}
        for name, x, se, effect in zip(
            evidence.behaviours, cells.x, cells.x_se, study.behaviour_effects, strict=True
        )
    )
