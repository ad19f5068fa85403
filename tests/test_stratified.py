"""Promises about units compared within strata that differ in how often the outcome occurs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from auditor.statistics.calibration import Boundary
from auditor.statistics.contrast import dispersed
from auditor.statistics.stratified import StratifiedStudy
from tests.claims import stream

LN2 = float(np.log(2.0))


def study(*strata: tuple[int, int, int, int]) -> StratifiedStudy:
    """Strata of outcomes and units of the first kind, then of the second."""
    table = np.array(strata)
    return StratifiedStudy(table[:, ::2], table[:, 1::2])


def test_one_stratum_has_its_own_log_odds_ratio_and_woolfs_error() -> None:
    """Odds of 1 against 1/3; the error is the root of 1/40 + 1/40 + 1/20 + 1/60 = 0.3416^2."""
    fit = dispersed(study((40, 80, 20, 80)).fit())
    assert fit.estimate == pytest.approx(np.log(3))
    assert fit.error == pytest.approx(np.sqrt(1 / 40 + 1 / 40 + 1 / 20 + 1 / 60), rel=0.01)


def test_strata_with_one_odds_ratio_have_it_together() -> None:
    fit = study((75, 150, 5, 20), (20, 100, 10, 130)).fit()
    assert fit.estimate == pytest.approx(np.log(3))


def test_a_stratum_without_an_outcome_adds_nothing() -> None:
    alone, beside = study((40, 80, 20, 80)), study((40, 80, 20, 80), (0, 80, 0, 80))
    assert beside.fit().estimate == pytest.approx(alone.fit().estimate)
    assert dispersed(beside.fit()).error == pytest.approx(dispersed(alone.fit()).error)


def test_worlds_have_the_odds_ratio_and_the_outcomes_they_were_given() -> None:
    one = study((300, 500, 120, 200), (10, 200, 75, 1500))
    fit = one.worlds(LN2, 0.0, 400, np.random.default_rng(1), exact=False)
    assert fit.estimate.mean() == pytest.approx(LN2, abs=0.03)
    assert fit.spread.mean() == 0.0


def test_outcomes_are_dealt_anew_within_strata_alone() -> None:
    """All outcomes are in the first stratum, and both its units of either kind have one."""
    one = study((2, 2, 2, 2), (0, 50, 0, 5))
    assert one.no_effect_p(stream("p")) == 1.0
    assert set(one.relabelled(9, stream("deal")).estimate.tolist()) == {0.0}


def test_four_outcomes_all_on_one_side_of_eight_have_one_chance_in_seventy() -> None:
    assert study((4, 4, 0, 4)).no_effect_p(stream("p")) == pytest.approx(1 / 70, abs=0.004)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=4))
def test_sides_without_an_outcome_or_full_of_them_give_finite_numbers(
    counts: list[tuple[int, int]],
) -> None:
    one = study(*((first, 5, second, 3) for first, second in counts))
    fit = dispersed(one.fit())
    assert np.isfinite(fit.estimate) and np.isfinite(fit.error) and fit.error > 0
    assert np.isfinite(one.effects).all()


def decided_at(odds: float, replicates: int) -> tuple[float, float]:
    """Shares of worlds that refute odds of twice or more, and that support them.

    Model A copies in 60 % and mostly shows it, model B in 5 % and mostly does not.
    """
    rng = np.random.default_rng(5)
    n, base = np.array([[150, 20], [20, 150]]), logit(np.array([0.6, 0.05]))
    p, decided = expit(np.stack([base + np.log(odds), base], axis=1)), np.zeros(2)
    for number in range(replicates):
        one = StratifiedStudy(rng.binomial(n, p), n)
        streams = lambda step, s=number: np.random.default_rng([s, len(step)])  # noqa: E731
        at = Boundary(one, LN2, 99, streams)
        decided += [at.below(one.fit(), 0.0) <= 0.05, at.above(one.fit()) <= 0.05]
    refuted, supported = (decided / replicates).tolist()
    return refuted, supported


def test_at_twice_the_odds_neither_verdict_is_likely() -> None:
    """Of two hundred, nineteen or more have a chance of one in a hundred where the rate is .05."""
    assert max(decided_at(2.0, 200)) <= 18 / 200


def test_models_that_differ_without_an_effect_are_hardly_ever_supported() -> None:
    refuted, supported = decided_at(1.0, 200)
    assert supported <= 0.05
    assert refuted > supported
