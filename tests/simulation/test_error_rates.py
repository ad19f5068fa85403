"""Error rates of the claim tests over planted worlds, and of the naive tests they replace.

The smoke cells run by default; `-m simulation` runs the grid of METHOD §5. A cell fails only where
an exact binomial test says that its rate exceeds 0.05.
"""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binomtest, t

from auditor.claims.evidence import Evidence
from auditor.claims.model import fit_slope
from auditor.claims.slope import planned_power, stream
from auditor.statistics.permutation import partial_slope_p, slope_p
from tests.simulation.worlds import World, claim, draw, draw_rival, error_rates, p_values

ALPHA = 0.05
SIGNIFICANT = 1e-3
SMOKE = 40

SMALL = World(slope=0.0, models=2, prompts=5, draws=20)
"""No relation, and few enough cells for the default run."""

HARD = replace(SMALL, slope=1.0, intercept=-3.5, frequency_error=0.5)
"""A true proportion seen at the floor of the rates, with measured frequencies off by half a log."""


def excess_p(share: float, replicates: int) -> float:
    """P of so many rejections if each had a chance of 0.05."""
    return float(binomtest(round(share * replicates), replicates, ALPHA, "greater").pvalue)


def deficit_p(share: float, replicates: int, promised: float) -> float:
    """P of so few rejections if each had the promised chance."""
    return float(binomtest(round(share * replicates), replicates, promised, "less").pvalue)


def test_a_true_proportion_is_rarely_contradicted() -> None:
    contradicted, _ = error_rates(HARD, beta_min=1.0, replicates=SMOKE, seed=1)
    assert excess_p(contradicted, SMOKE) > SIGNIFICANT


def test_a_slope_just_short_of_the_claim_is_rarely_supported() -> None:
    short = replace(SMALL, slope=0.9, behaviours=8, sensitivity=0.9, specificity=0.97)
    _, supported = error_rates(short, beta_min=1.0, replicates=SMOKE, seed=2)
    assert excess_p(supported, SMOKE) > SIGNIFICANT


def test_without_a_relation_a_proportion_is_contradicted_as_often_as_its_power_says() -> None:
    one = claim(SMALL, beta_min=1.0)
    promised = planned_power(one, draw(SMALL, np.random.default_rng(3)).cells, worlds=199)
    contradicted, supported = error_rates(SMALL, beta_min=1.0, replicates=SMOKE, seed=3)
    assert promised >= 0.8
    assert deficit_p(contradicted, SMOKE, promised) > SIGNIFICANT
    assert supported == 0.0


def test_a_slope_well_above_a_modest_claim_is_mostly_supported() -> None:
    steep = replace(SMALL, slope=1.2, behaviours=16)
    contradicted, supported = error_rates(steep, beta_min=0.3, replicates=SMOKE, seed=4)
    assert contradicted == 0.0
    assert deficit_p(supported, SMOKE, 0.8) > SIGNIFICANT


def test_a_rival_that_carries_the_relation_is_rarely_missed() -> None:
    assert excess_p(supported_beside_rival(SMOKE, seed=5), SMOKE) > SIGNIFICANT


def supported_beside_rival(replicates: int, seed: int, behaviours: int = 16) -> float:
    """Share of studies supported although a covariate carries the whole relation."""
    rng = np.random.default_rng(seed)
    world = replace(SMALL, slope=1.2, behaviours=behaviours)
    supported = 0
    for number in range(replicates):
        one = replace(claim(world, beta_min=0.3), seed=number)
        evidence, z = draw_rival(world, correlation=0.7, rng=rng)
        refute, support, none = p_values(one, evidence)
        effects = evidence.cells.behaviour_effects(evidence.counts)
        partial = partial_slope_p(evidence.cells.x, effects, z, stream(one, "R-CAP"))
        supported += refute > ALPHA and max(support, none, partial) <= ALPHA
    return supported / replicates


def pooled_glm_p(evidence: Evidence) -> float:
    """The naive test: every trial a unit, in a binomial GLM with an intercept for each model."""
    cells = evidence.cells
    models = np.eye(int(cells.model.max()) + 1)[cells.model]
    design = np.column_stack([models, cells.x[cells.behaviour]])
    outcome = np.column_stack([evidence.counts, cells.trials - evidence.counts])
    fit = sm.GLM(outcome, design, family=sm.families.Binomial()).fit()
    return float(fit.pvalues[-1])


def ordinary_refutation_p(evidence: Evidence, beta: float) -> float:
    """The naive refutation: a t test of the least-squares slope of logits against beta."""
    x = evidence.cells.x
    fit = fit_slope(x, evidence.cells.behaviour_effects(evidence.counts))
    error = np.sqrt(fit.residual / np.square(x - x.mean()).sum())
    return float(t.cdf((fit.slope - beta) / error, len(x) - 2))


def test_negative_a_pooled_binomial_glm_finds_relations_that_are_not_there() -> None:
    rng = np.random.default_rng(6)
    studies = [draw(SMALL, rng) for _ in range(100)]
    naive = float(np.mean([pooled_glm_p(study) <= ALPHA for study in studies]))
    assert naive > 4 * ALPHA
    assert excess_p(naive, len(studies)) < 1e-6


def test_permuting_behaviours_does_not_find_relations_that_are_not_there() -> None:
    rng = np.random.default_rng(6)
    studies = [draw(SMALL, rng) for _ in range(100)]
    found = [
        slope_p(study.cells.x, study.cells.behaviour_effects(study.counts), rng) <= ALPHA
        for study in studies
    ]
    assert excess_p(float(np.mean(found)), len(studies)) > SIGNIFICANT


def test_negative_ordinary_least_squares_refutes_a_true_proportion() -> None:
    rng = np.random.default_rng(7)
    studies = [draw(HARD, rng) for _ in range(100)]
    naive = float(np.mean([ordinary_refutation_p(study, 1.0) <= ALPHA for study in studies]))
    assert naive > 3 * ALPHA
    assert excess_p(naive, len(studies)) < 1e-6


REPLICATES = 400
TRUE = [
    replace(world, behaviours=behaviours)
    for behaviours in (5, 8, 12, 24)
    for world in (
        World(slope=1.0),
        World(slope=1.0, behaviour_scatter=1.5, frequency_error=0.5),
        World(slope=1.0, sensitivity=0.9, specificity=0.97, intercept=-3.0),
    )
]
MODEST = [replace(world, slope=0.3) for world in TRUE if world.behaviours in (12, 24)]
QUIET = [replace(world, slope=0.0) for world in TRUE if world.behaviours in (8, 24)]
CELLS = len(TRUE) + len(MODEST) + len(QUIET)


def name(world: World) -> str:
    return (
        f"slope {world.slope}, {world.behaviours} behaviours, scatter {world.behaviour_scatter}, "
        f"error {world.frequency_error}, judge {world.sensitivity}/{world.specificity}"
    )


@pytest.mark.simulation
@pytest.mark.parametrize("world", [*TRUE, *MODEST], ids=name)
def test_no_true_claim_is_contradicted_too_often(world: World) -> None:
    contradicted, _ = error_rates(world, world.slope, REPLICATES, seed=11)
    print(f"{name(world)}: contradicted {contradicted:.3f}")
    assert excess_p(contradicted, REPLICATES) > ALPHA / CELLS


@pytest.mark.simulation
@pytest.mark.parametrize("world", TRUE, ids=name)
def test_no_claim_is_supported_too_often_a_tenth_beyond_the_truth(world: World) -> None:
    short = replace(world, slope=0.9 * world.slope)
    _, supported = error_rates(short, world.slope, REPLICATES, seed=12)
    print(f"{name(short)}: supported {supported:.3f}")
    assert excess_p(supported, REPLICATES) > ALPHA / CELLS


@pytest.mark.simulation
@pytest.mark.parametrize("world", QUIET, ids=name)
@pytest.mark.parametrize("beta_min", [0.3, 1.0])
def test_no_relation_is_supported_and_power_is_what_was_promised(
    world: World, beta_min: float
) -> None:
    designs = np.random.default_rng(13)
    one = claim(world, beta_min)
    promised = float(
        np.mean([planned_power(one, draw(world, designs).cells, 199) for _ in range(20)])
    )
    contradicted, supported = error_rates(world, beta_min, REPLICATES, seed=14)
    print(f"{name(world)}: power {contradicted:.3f}, promised {promised:.3f}")
    assert excess_p(supported, REPLICATES) > ALPHA / CELLS
    if promised >= 0.8:
        assert contradicted >= promised - 0.05 - 2 * np.sqrt(promised * (1 - promised) / REPLICATES)


@pytest.mark.simulation
@pytest.mark.parametrize("behaviours", [8, 24])
def test_a_rival_that_carries_the_relation_is_not_missed_too_often(behaviours: int) -> None:
    supported = supported_beside_rival(REPLICATES, seed=15, behaviours=behaviours)
    print(f"{behaviours} behaviours beside a rival: supported {supported:.3f}")
    assert excess_p(supported, REPLICATES) > ALPHA / CELLS
