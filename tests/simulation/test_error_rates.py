"""Error rates of the claim tests over planted worlds, and of the naive tests they replace.

The smoke cells run by default; `-m simulation` runs the table of METHOD §5. A cell fails only where
an exact binomial test says that its rate exceeds 0.05.
"""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t

from auditor.claims.slope import SlopeStudy
from auditor.statistics.claimed import AtLeast
from auditor.statistics.permutation import slope_p
from tests.simulation.cells import (
    ALPHA,
    CELLS,
    Cell,
    Outcome,
    directional_fraction,
    excess_p,
    passes,
    run,
)
from tests.simulation.worlds import World, over_behaviours

SIGNIFICANT = 1e-3
SMOKE = 50

SMALL = World(models=2, prompts=5, draws=20, model_scatter=0.3, prompt_scatter=0.5)
"""Few enough cells for the default run."""

HARD = replace(SMALL, slope=1.0, intercept=-3.5, frequency_error=0.5)
"""A true proportion seen at the floor of the rates, with measured frequencies off by half a log."""


def smoke(world: World, least: float, truth: str) -> Outcome:
    draw = lambda rng: (over_behaviours(world, rng), None)  # noqa: E731
    return run(Cell(f"smoke {world}", AtLeast(least), truth, draw), SMOKE)


def numbered(start: str) -> Cell:
    return next(cell for cell in CELLS if cell.name.startswith(start))


def test_a_true_proportion_is_rarely_contradicted() -> None:
    assert excess_p(smoke(HARD, 1.0, "holds").contradicted, SMOKE) > SIGNIFICANT


def test_a_slope_just_short_of_the_claim_is_rarely_supported() -> None:
    short = replace(SMALL, slope=0.9, behaviours=8)
    assert excess_p(smoke(short, 1.0, "fails").supported, SMOKE) > SIGNIFICANT


def test_without_a_relation_a_proportion_is_contradicted_as_often_as_its_power_says() -> None:
    found = smoke(SMALL, 1.0, "rival")
    assert found.power >= 0.8
    assert found.contradicted >= found.power - 0.15
    assert found.supported == 0.0


def test_a_slope_well_above_a_modest_claim_is_mostly_supported() -> None:
    found = smoke(replace(SMALL, slope=1.2, behaviours=16), 0.3, "holds")
    assert found.contradicted == 0.0
    assert found.supported >= 0.65


@pytest.mark.parametrize("start", ["W-PT", "W3 context .45", "W-ECHO", "cue against"])
def test_claims_that_fail_are_rarely_supported(start: str) -> None:
    cell = numbered(start)
    found = run(cell, SMOKE)
    wrong = found.contradicted if cell.truth == "holds" else found.supported
    assert excess_p(wrong, SMOKE) > SIGNIFICANT


def test_a_claim_of_direction_alone_forbids_next_to_nothing() -> None:
    assert directional_fraction(20) <= 0.07


def pooled_glm_p(study: SlopeStudy) -> float:
    """The naive test: every trial a unit, in a binomial GLM with an intercept for each model."""
    assert study.counts is not None
    cells = study.cells
    models = np.eye(int(cells.model.max()) + 1)[cells.model]
    design = np.column_stack([models, cells.x[cells.behaviour]])
    outcome = np.column_stack([study.counts, cells.trials - study.counts])
    fit = sm.GLM(outcome, design, family=sm.families.Binomial()).fit()
    return float(fit.pvalues[-1])


def ordinary_refutation_p(study: SlopeStudy, beta: float) -> float:
    """The naive refutation: a t test of the least-squares slope of logits against beta."""
    fit = study.fit()
    return float(t.cdf(study.statistic(fit, beta), study.cells.behaviours - 2))


def test_negative_a_pooled_binomial_glm_finds_relations_that_are_not_there() -> None:
    rng = np.random.default_rng(6)
    studies = [over_behaviours(SMALL, rng) for _ in range(100)]
    naive = float(np.mean([pooled_glm_p(study) <= ALPHA for study in studies]))
    assert naive > 4 * ALPHA
    assert excess_p(naive, len(studies)) < 1e-6


def test_permuting_behaviours_does_not_find_relations_that_are_not_there() -> None:
    rng = np.random.default_rng(6)
    studies = [over_behaviours(SMALL, rng) for _ in range(100)]
    found = [slope_p(study.cells.x, study.behaviour_effects, rng) <= ALPHA for study in studies]
    assert excess_p(float(np.mean(found)), len(studies)) > SIGNIFICANT


def test_negative_ordinary_least_squares_refutes_a_true_proportion() -> None:
    rng = np.random.default_rng(7)
    studies = [over_behaviours(HARD, rng) for _ in range(100)]
    naive = float(np.mean([ordinary_refutation_p(study, 1.0) <= ALPHA for study in studies]))
    assert naive > 3 * ALPHA
    assert excess_p(naive, len(studies)) < 1e-6


@pytest.mark.simulation
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_no_error_is_too_frequent_and_power_is_as_claimed(cell: Cell) -> None:
    outcome = run(cell)
    print(cell.name, outcome)
    assert passes(cell, outcome, len(CELLS))


@pytest.mark.simulation
def test_a_claim_of_direction_alone_forbids_next_to_nothing_in_200_studies() -> None:
    assert directional_fraction() <= 0.07
