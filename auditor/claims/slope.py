"""The test of a slope claim: does log frequency raise the logit by at least beta_min?

Three p-values, each on behaviours as units: permutation against no relation, simulation at the
boundary from below (refutation) and from above (support). Then what the claim forbids: the share of
relabelled outcomes, and of worlds without the relation, that would have refuted it.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from auditor.claims.calibration import WORLDS, Calibration, calibrate, worlds_at
from auditor.claims.evidence import Evidence
from auditor.claims.model import Cells, Fit, fit_slope
from auditor.claims.spec import Claim, Judge, Scatter
from auditor.records import Interval
from auditor.statistics.permutation import slope_p

RELABELLINGS = 400
"""Relabelled outcomes behind the forbidden fraction: its Monte-Carlo error stays under 0.025."""

BETA_GRID = np.concatenate([np.arange(-3.0, 4.0, 0.25), np.arange(4.0, 10.1, 1.0)])
"""Slopes at which worlds are simulated to turn the observed slope into an estimate; a limit beyond
them is not given."""

GRID_WORLDS = 299
PLAN_WORLDS = 499
"""Worlds a grid point for a planned power: its Monte-Carlo error stays under 0.02."""

PERFECT = Judge(1.0, 1.0)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SlopeTest:
    """Everything one set of behaviours says about a slope claim."""

    slope: Interval
    scatter: float
    p_none: float
    p_refute: float
    p_refute_as_shown: float
    p_support: float
    forbidden_fraction: float
    power: float
    effects: Floats


def stream(claim: Claim, test: str) -> np.random.Generator:
    """The random stream of one test of one claim: the same on every machine."""
    return np.random.default_rng([claim.seed, int(claim.digest[:8], 16), zlib.crc32(test.encode())])


def slope_test(claim: Claim, evidence: Evidence, worlds: int = WORLDS) -> SlopeTest:
    """Test a slope claim on one set of behaviours."""
    cells, judge = evidence.cells, claim.judge
    effects = cells.behaviour_effects(evidence.counts)
    rates = cells.arm_rates(evidence.counts)
    observed = fit_slope(cells.x, effects)
    rng = stream(claim, "slope")
    fair = fair_null(claim, evidence, worlds)
    shown = fair.matched_scatter(observed.residual)
    relabelled = fit_slope(cells.x, rng.permuted(np.tile(effects, (RELABELLINGS, 1)), axis=1))
    larger = replace(claim.scatter, behaviour=float(_scatter(fair, observed, claim)))
    return SlopeTest(
        slope=_estimate(cells, judge, rates, observed, larger, rng),
        scatter=float(shown),
        p_none=slope_p(cells.x, effects, rng),
        p_refute=float(refutation(fair, observed, claim)),
        p_refute_as_shown=float(fair.at_most(observed.slope, shown)),
        p_support=support_p(claim, evidence, judge, worlds),
        forbidden_fraction=float(np.mean(refutation(fair, relabelled, claim) <= claim.alpha)),
        power=_power(claim, cells, rates, fair, larger, rng, worlds),
        effects=effects,
    )


def fair_null(claim: Claim, evidence: Evidence, worlds: int = WORLDS) -> Calibration:
    """Worlds in which the claim holds at its boundary, true frequencies drawn given measured."""
    rates = evidence.cells.arm_rates(evidence.counts)
    rng = stream(claim, "refutation")
    return calibrate(
        evidence.cells, claim.beta_min, claim.scatter, claim.judge, rates, rng, True, worlds
    )


def refutation(fair: Calibration, fit: Fit, claim: Claim) -> Floats:
    """P of slopes this flat if the claim holds.

    The scatter is the larger of what the claim allows and what the data show: scatter alone refutes
    nothing. A plug-in value alone refuted true claims in 9 % of worlds with 8 behaviours.
    """
    return fair.at_most(fit.slope, _scatter(fair, fit, claim))


def support_p(claim: Claim, evidence: Evidence, judge: Judge, worlds: int = WORLDS) -> float:
    """P of slopes this steep if the true slope is only beta_min, measured frequencies being true.

    Taking them for true is the hard null: errors in them could only flatten the observed slope.
    """
    cells = evidence.cells
    rates = cells.arm_rates(evidence.counts)
    observed = fit_slope(cells.x, cells.behaviour_effects(evidence.counts))
    rng = stream(claim, "support")
    hard = calibrate(cells, claim.beta_min, claim.scatter, judge, rates, rng, False, worlds)
    return float(hard.at_least(observed.slope, _scatter(hard, observed, claim)))


def planned_power(claim: Claim, cells: Cells, worlds: int = PLAN_WORLDS) -> float:
    """Power to refute the claim in a world without the relation, before outcomes are read."""
    rates = np.full(int(cells.arm.max()) + 1, claim.design.mean_rate)
    rng = stream(claim, "power")
    fair = calibrate(cells, claim.beta_min, claim.scatter, claim.judge, rates, rng, True, worlds)
    return _power(claim, cells, rates, fair, claim.scatter, rng, worlds)


def _scatter(null: Calibration, fit: Fit, claim: Claim) -> Floats:
    return np.maximum(null.matched_scatter(fit.residual), claim.scatter.behaviour)


def _power(
    claim: Claim,
    cells: Cells,
    rates: Floats,
    fair: Calibration,
    scatter: Scatter,
    rng: np.random.Generator,
    worlds: int,
) -> float:
    """Share of worlds at slope 0 that refute the claim.

    Their scatter is the worst the claim allows, or what the data show where that is more.
    """
    quiet = worlds_at(cells, 0.0, scatter, claim.judge, rates, rng, True, worlds)
    return float(np.mean(refutation(fair, quiet, claim) <= claim.alpha))


def _estimate(
    cells: Cells,
    judge: Judge,
    rates: Floats,
    observed: Fit,
    spread: Scatter,
    rng: np.random.Generator,
) -> Interval:
    """Turn the observed slope into beta: the values whose worlds would give it (test inversion).

    The 95 % limits are where it would be in the upper and the lower 2.5 % of worlds.
    """
    fits = [
        worlds_at(cells, float(beta), spread, judge, rates, rng, True, GRID_WORLDS)
        for beta in BETA_GRID
    ]
    below = np.array([np.mean(fit.slope <= observed.slope) for fit in fits])
    crossings = [_crossing(below, level) for level in (0.5, 0.975, 0.025)]
    return Interval(*crossings)


def _crossing(below: Floats, level: float) -> float | None:
    """Beta at which the share of worlds at or below the observed slope falls to a level."""
    falling = np.minimum.accumulate(below)
    if not falling[-1] <= level <= falling[0]:
        return None
    return float(np.interp(-level, -falling, BETA_GRID))
