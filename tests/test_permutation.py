"""Promises about permutation p-values: exact where all can be counted, uniform where nothing is."""

from itertools import permutations, product

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest, permutation_test

from auditor.statistics.permutation import (
    PERMUTATIONS,
    exact_sign_flip_p,
    partial_slope_p,
    sign_flip_p,
    slope,
    slope_p,
)

Floats = npt.NDArray[np.float64]

STUDIES = 200
X = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 7.0])
Y = np.array([0.3, -0.4, 1.1, 0.2, 1.4, 0.9])
Z = np.array([1.0, 0.0, 2.0, 1.0, 0.5, 3.0])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def monte_carlo(p: float) -> float:
    """Four standard errors of a p-value read off random permutations."""
    return 4 * float(np.sqrt(p * (1 - p) / PERMUTATIONS)) + 1 / PERMUTATIONS


def test_the_slope_is_that_of_a_line() -> None:
    assert slope(np.array([0.0, 1.0, 2.0]), np.array([5.0, 7.0, 9.0])) == pytest.approx(2.0)


def test_a_perfect_order_of_five_has_one_chance_in_a_hundred_and_twenty() -> None:
    order = np.arange(5.0)
    assert slope_p(order, order, rng()) == pytest.approx(1 / 120, abs=monte_carlo(1 / 120))


def test_a_perfectly_inverse_order_has_a_p_of_one() -> None:
    assert slope_p(X, -X, rng()) == 1.0


def test_no_p_is_ever_zero() -> None:
    many = np.arange(30.0)
    assert slope_p(many, many, rng()) == pytest.approx(1 / (1 + PERMUTATIONS))


def test_the_slope_p_is_that_of_scipy_over_every_permutation() -> None:
    exact = permutation_test(
        (X,),
        lambda x: slope(x, Y),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    ).pvalue
    assert slope_p(X, Y, rng()) == pytest.approx(exact, abs=monte_carlo(exact))


def test_the_sign_flip_p_is_the_share_of_all_flips() -> None:
    excess = np.array([0.2, -0.1, 0.4, 0.3, -0.05, 0.15])
    sums = [np.dot(signs, excess) for signs in product([-1.0, 1.0], repeat=6)]
    exact = float(np.mean(np.array(sums) >= excess.sum() - 1e-12))
    assert sign_flip_p(excess, rng()) == pytest.approx(exact, abs=monte_carlo(exact))


def test_six_units_above_zero_have_one_chance_in_sixty_four() -> None:
    p = sign_flip_p(np.full(6, 0.1), rng())
    assert p == pytest.approx(1 / 64, abs=monte_carlo(1 / 64))


@pytest.mark.parametrize(("units", "p"), [(2, 2 / 4), (5, 2 / 32), (6, 2 / 64), (10, 2 / 1024)])
def test_units_all_on_one_side_have_two_chances_among_all_signs(units: int, p: float) -> None:
    assert exact_sign_flip_p(np.linspace(0.1, 0.4, units)) == pytest.approx(p)
    assert exact_sign_flip_p(-np.linspace(0.1, 0.4, units)) == pytest.approx(p)


def test_one_unit_says_nothing_of_its_sign() -> None:
    assert exact_sign_flip_p(np.array([0.4])) == 1.0


def test_the_exact_sign_flip_p_counts_both_sides_of_all_flips() -> None:
    excess = np.array([0.2, -0.1, 0.4, 0.3, -0.05, 0.15])
    sums = [np.dot(signs, excess) for signs in product([-1.0, 1.0], repeat=6)]
    one_sided = float(np.mean(np.array(sums) >= excess.sum() - 1e-12))
    assert exact_sign_flip_p(excess) == pytest.approx(2 * one_sided)


def test_units_on_both_sides_alike_differ_from_nothing_by_nothing() -> None:
    assert exact_sign_flip_p(np.array([0.3, -0.3, 0.1, -0.1])) == 1.0
    assert exact_sign_flip_p(np.zeros(6)) == 1.0


def test_with_too_many_units_to_list_the_exact_p_is_still_never_zero() -> None:
    p = exact_sign_flip_p(np.full(40, 0.1))
    assert 0 < p <= 2 / PERMUTATIONS


def test_units_that_are_all_nothing_say_nothing() -> None:
    assert sign_flip_p(np.zeros(6), rng()) == 1.0


def test_the_partial_p_permutes_what_the_rival_leaves_of_the_effects() -> None:
    """Oracle: statsmodels fits y* ~ 1 + x + z for each of the 720 reorderings of the residuals."""
    reduced = sm.OLS(Y, sm.add_constant(Z)).fit()
    full = np.column_stack([np.ones_like(X), X, Z])
    observed = sm.OLS(Y, full).fit().params[1]
    map_to_x = np.linalg.pinv(full)[1]
    reordered = np.array([reduced.fittedvalues + np.array(r) for r in permutations(reduced.resid)])
    exact = float(np.mean(reordered @ map_to_x >= observed - 1e-9))
    assert partial_slope_p(X, Y, Z, rng()) == pytest.approx(exact, abs=monte_carlo(exact))


def test_the_partial_p_holds_several_predictors_fixed_at_once() -> None:
    """Oracle: statsmodels fits y* ~ 1 + x + z + w for each of the 720 reorderings."""
    both = np.column_stack([Z, [0.5, -1.0, 0.0, 2.0, -0.5, 1.0]])
    reduced = sm.OLS(Y, sm.add_constant(both)).fit()
    full = np.column_stack([np.ones_like(X), X, both])
    observed = sm.OLS(Y, full).fit().params[1]
    map_to_x = np.linalg.pinv(full)[1]
    reordered = np.array([reduced.fittedvalues + np.array(r) for r in permutations(reduced.resid)])
    exact = float(np.mean(reordered @ map_to_x >= observed - 1e-9))
    assert partial_slope_p(X, Y, both, rng()) == pytest.approx(exact, abs=monte_carlo(exact))


def test_one_predictor_as_a_column_is_that_predictor() -> None:
    assert partial_slope_p(X, Y, Z[:, None], rng()) == partial_slope_p(X, Y, Z, rng())


def test_a_predictor_given_twice_is_held_fixed_once() -> None:
    twice = np.column_stack([Z, Z])
    assert partial_slope_p(X, Y, twice, rng()) == pytest.approx(partial_slope_p(X, Y, Z, rng()))


def test_a_relation_carried_by_two_rivals_together_is_gone_only_given_both() -> None:
    one, two = np.tile([1.0, 1.0, -1.0, -1.0], 4), np.tile([1.0, -1.0], 8)
    noise = rng(3).standard_normal((2, 16))
    x, y = one + two + 0.5 * noise[0], one + two + 0.5 * noise[1]
    assert partial_slope_p(x, y, one, rng()) < 0.05
    assert partial_slope_p(x, y, np.column_stack([one, two]), rng()) > 0.05


def test_a_rival_that_explains_nothing_leaves_a_strong_relation_strong() -> None:
    x = np.linspace(-3, 3, 14)
    z = np.tile([1.0, -1.0], 7)
    assert partial_slope_p(x, 0.8 * x + 0.1 * z, z, rng()) < 0.001


@settings(max_examples=15, deadline=None)
@given(up=st.integers(-50, 50), scale=st.integers(1, 20))
def test_units_of_measurement_change_no_p(up: int, scale: int) -> None:
    x, y = np.array([0.0, 1, 2, 3, 5, 8]), np.array([1.0, 0, 2, 5, 3, 4])
    assert slope_p(scale * x + up, scale * y - up, rng()) == slope_p(x, y, rng())


def uniform(p_values: list[float]) -> None:
    """Neither the whole distribution nor its tail differs from a uniform one."""
    assert kstest(p_values, "uniform").pvalue > 1e-3
    assert _rejected(p_values, alternative="two-sided") > 1e-3


def _rejected(p_values: list[float], alternative: str) -> float:
    """P of this many rejections if each has chance 0.05."""
    rejected = sum(p <= 0.05 for p in p_values)
    return float(binomtest(rejected, len(p_values), 0.05, alternative=alternative).pvalue)


def test_without_a_relation_slope_p_is_uniform() -> None:
    draws = rng(11)
    studies = draws.standard_normal((STUDIES, 2, 8))
    uniform([slope_p(x, y, draws) for x, y in studies])


def test_without_an_excess_sign_flip_p_is_uniform() -> None:
    draws = rng(12)
    uniform([sign_flip_p(draws.standard_normal(10), draws) for _ in range(STUDIES)])


def test_a_relation_carried_wholly_by_a_rival_is_seen_until_the_rival_is_given() -> None:
    draws = rng(13)
    plain, partial = [], []
    for _ in range(STUDIES):
        z = draws.standard_normal(12)
        x = z + 0.7 * draws.standard_normal(12)
        y = 1.5 * z + 0.7 * draws.standard_normal(12)
        plain.append(slope_p(x, y, draws))
        partial.append(partial_slope_p(x, y, z, draws))
    assert np.median(plain) <= 0.05
    uniform(partial)
