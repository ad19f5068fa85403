"""Promises about p-values by simulation: a claim far from the data falls, one close to them stands.

The study is a mean of normal units, small enough that everything is known by hand.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import t as student

from auditor.statistics.calibration import SCATTER_GRID, Boundary, Calibration, Fit
from auditor.statistics.claimed import AtLeast, Claimed, Trial, Within
from tests.claims import stream

Floats = npt.NDArray[np.float64]

ALPHA = 0.05
WORLDS = 199
UNITS = 16


@dataclass(frozen=True)
class Mean:
    """Sixteen units around one mean: the effect; their standard deviation is the scatter.

    slack: by what factor worlds are flatter than those that take measurements for true.
    """

    units: Floats
    slack: float = 1.0
    effects: Floats = field(default_factory=lambda: np.linspace(-4.0, 4.0, 81))

    @property
    def inexact(self) -> bool:
        return self.slack < 1.0

    def fit(self) -> Fit:
        return _fit(self.units)

    def worlds(
        self, effect: float, scatter: float, worlds: int, rng: np.random.Generator, exact: bool
    ) -> Fit:
        centre = effect * (1.0 if exact else self.slack)
        return _fit(centre + np.hypot(scatter, 0.1) * rng.standard_normal((worlds, UNITS)))

    def relabelled(self, relabellings: int, rng: np.random.Generator) -> Fit:
        return _fit(self.units * rng.choice([-1.0, 1.0], (relabellings, UNITS)))

    def statistic(self, fit: Fit, effect: float) -> Floats:
        return np.asarray((fit.estimate - effect) / np.sqrt(fit.spread / UNITS))


def _fit(units: Floats) -> Fit:
    return Fit(units.mean(axis=-1), units.var(axis=-1, ddof=1))


def around(mean: float, sd: float = 0.4, slack: float = 1.0) -> Mean:
    """Units with exactly this mean and standard deviation."""
    units = np.linspace(-1.0, 1.0, UNITS)
    return Mean(mean + sd * units / units.std(ddof=1), slack)


def trial(study: Mean, claimed: Claimed) -> Trial:
    return Trial(study, claimed, ALPHA, stream, WORLDS)


def refutation(study: Mean, claimed: Claimed) -> float:
    return trial(study, claimed).test(rival=0.0, allowed=0.0).p_refute


def support(study: Mean, claimed: Claimed) -> float:
    return trial(study, claimed).test(rival=0.0, allowed=0.0).p_support


@pytest.mark.parametrize(("mean", "refuted"), [(0.0, True), (1.0, False), (2.0, False)])
def test_an_effect_far_below_what_is_claimed_refutes(mean: float, refuted: bool) -> None:
    assert (refutation(around(mean), AtLeast(1.0)) <= ALPHA) is refuted


@pytest.mark.parametrize(("mean", "supported"), [(0.0, False), (1.0, False), (2.0, True)])
def test_an_effect_far_above_what_is_claimed_supports(mean: float, supported: bool) -> None:
    assert (support(around(mean), AtLeast(1.0)) <= ALPHA) is supported


@pytest.mark.parametrize("mean", [-2.0, 2.0])
def test_an_effect_far_outside_a_margin_refutes_either_way(mean: float) -> None:
    assert refutation(around(mean), Within(0.5, 0.5)) <= ALPHA


@pytest.mark.parametrize("mean", [-0.1, 0.0, 0.1])
def test_an_effect_near_nothing_that_is_known_well_supports_a_margin(mean: float) -> None:
    assert refutation(around(mean), Within(0.5, 0.5)) > ALPHA
    assert support(around(mean), Within(0.5, 0.5)) <= ALPHA


@pytest.mark.parametrize("mean", [-0.1, 0.0, 0.1])
def test_an_effect_near_nothing_that_is_known_badly_says_nothing_of_a_margin(mean: float) -> None:
    badly = around(mean, sd=2.5)
    assert refutation(badly, Within(0.5, 0.5)) > ALPHA
    assert support(badly, Within(0.5, 0.5)) > ALPHA


def test_a_margin_may_be_shown_by_ruling_out_only_larger_effects() -> None:
    study = around(0.0, sd=1.2)
    assert support(study, Within(0.5, 1.2)) <= ALPHA < support(study, Within(0.5, 0.5))


def test_both_sides_of_a_margin_are_charged_for() -> None:
    below = refutation(around(0.85), AtLeast(1.0))
    both = refutation(around(-0.85), Within(1.0, 1.0))
    assert both == 1.0  # inside the margin is no evidence against it
    outside = refutation(around(-1.15), Within(1.0, 1.0))
    assert outside == pytest.approx(2 * below, abs=0.06)


def test_the_refutation_p_is_that_of_students_t() -> None:
    """The statistic has Student's t distribution here, whatever the scatter."""
    study = around(0.8)
    exact = float(student.cdf((0.8 - 1.0) / (0.4 / np.sqrt(UNITS)), UNITS - 1))
    p = Trial(study, AtLeast(1.0), ALPHA, stream, 4999).test(0.0, 0.0).p_refute
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4999))


def test_the_interval_is_that_of_students_t() -> None:
    found = trial(around(0.5), AtLeast(1.0)).test(rival=0.0, allowed=0.0).effect
    half = float(student.ppf(0.975, UNITS - 1)) * 0.4 / np.sqrt(UNITS)
    limits = (found.estimate, found.low, found.high)
    assert limits == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=0.07)


def test_a_limit_beyond_the_effects_that_were_tried_is_not_given() -> None:
    study = replace(around(0.5), effects=np.linspace(-0.4, 0.6, 11))
    found = trial(study, AtLeast(1.0)).test(rival=0.0, allowed=0.0).effect
    assert found.high is None
    assert found.low is not None


def test_the_scatter_that_is_shown_is_found_again() -> None:
    assert trial(around(0.5, sd=0.7), AtLeast(1.0)).test(0.0, 0.0).scatter == pytest.approx(
        np.sqrt(0.7**2 - 0.1**2), abs=0.05
    )


def test_refutation_reads_the_scatter_that_is_shown_whatever_is_allowed() -> None:
    one = trial(around(0.8), AtLeast(1.0))
    assert one.test(0.0, allowed=0.0).p_refute == one.test(0.0, allowed=2.2).p_refute


def test_allowing_less_scatter_than_is_shown_is_no_sensitivity() -> None:
    tested = trial(around(0.8), AtLeast(1.0)).test(0.0, allowed=0.1)
    assert tested.p_refute_if_allowed == tested.p_refute


def test_power_falls_with_the_scatter_allowed_and_rises_with_the_rival_s_distance() -> None:
    one = trial(around(1.0), AtLeast(1.0))
    assert one.power(0.0, 0.4) > one.power(0.0, 2.2) > ALPHA
    assert one.power(0.0, 1.7) > one.power(0.5, 1.7)


def test_a_world_on_the_boundary_is_refuted_one_time_in_twenty() -> None:
    one = Trial(around(1.0), AtLeast(1.0), ALPHA, stream, 1999)
    assert one.power(1.0, 0.4) == pytest.approx(ALPHA, abs=0.02)


def test_power_takes_the_larger_of_the_allowed_and_the_shown_scatter() -> None:
    one = trial(around(1.0, sd=1.3), AtLeast(1.0))
    shown = one.test(0.0, allowed=0.0)
    assert one.test(0.0, allowed=shown.scatter / 2).power == shown.power
    assert one.test(0.0, allowed=2.2).power < shown.power


def test_most_relabellings_of_a_large_effect_forbid_that_it_is_so_large() -> None:
    assert trial(around(2.0), AtLeast(1.0)).test(0.0, 0.0).forbidden_fraction > 0.6


def test_relabellings_forbid_a_claim_of_next_to_nothing_no_more_than_chance_does() -> None:
    assert trial(around(2.0), AtLeast(0.0)).test(0.0, 0.0).forbidden_fraction < 2 * ALPHA


def test_rivals_with_larger_effects_forbid_a_margin_more_often() -> None:
    one = trial(around(0.0), Within(0.5, 0.5))
    near, far = (one.test(rival, 0.4).forbidden_fraction for rival in (0.3, 3.0))
    assert near < 0.15
    assert far > 0.7


@pytest.mark.parametrize("mean", [0.7, -0.7])
def test_of_flat_and_steep_worlds_the_one_that_makes_the_larger_p_is_asked(mean: float) -> None:
    """Measured with error, an effect of 1 shows as 0.7: no reason to call it less than 1."""
    claimed = AtLeast(1.0) if mean > 0 else AtLeast(-1.0)
    measured = around(mean, slack=0.7)
    if mean > 0:
        assert refutation(measured, claimed) > ALPHA >= refutation(around(mean), claimed)
    else:
        assert support(measured, claimed) > ALPHA >= support(around(mean), claimed)


def test_flat_worlds_make_no_support_cheaper() -> None:
    steep, flat = support(around(1.2), AtLeast(1.0)), support(around(1.2, slack=0.7), AtLeast(1.0))
    assert flat >= steep


@pytest.mark.parametrize("mean", [-0.6, 0.6])
def test_an_effect_shrunk_by_errors_of_measurement_is_not_called_small(mean: float) -> None:
    """Effects of 0.9 would show as 0.63."""
    claimed, exact = Within(0.9, 0.9), around(mean, sd=0.2)
    assert support(exact, claimed) <= ALPHA < support(replace(exact, slack=0.7), claimed)


@pytest.mark.parametrize("mean", [-1.1, 1.1])
def test_errors_of_measurement_make_no_effect_look_too_large(mean: float) -> None:
    claimed, exact = Within(1.0, 1.0), around(mean, sd=0.4)
    assert refutation(replace(exact, slack=0.7), claimed) > ALPHA


def test_equal_streams_give_bit_equal_results() -> None:
    one, two = (trial(around(0.8), Within(0.5, 0.7)).test(1.0, 0.5) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("claimed", [AtLeast(0.5), Within(0.5, 0.5), Within(0.2, 0.9)])
def test_no_p_is_zero_and_none_exceeds_one(claimed: Claimed) -> None:
    for mean in (-30.0, 0.0, 30.0):
        tested = trial(around(mean), claimed).test(1.0, 0.5)
        for p in (tested.p_refute, tested.p_refute_if_allowed, tested.p_support):
            assert 0 < p <= 1


@pytest.mark.parametrize(
    ("claimed", "words"),
    [(AtLeast(0.3), "at least 0.3"), (Within(0.693, 1.1), "within 0.693 of 0")],
)
def test_what_is_claimed_says_itself(claimed: Claimed, words: str) -> None:
    assert str(claimed) == words


def calibration() -> Calibration:
    """Ten worlds a grid point with statistics 0 … 9, and spreads that grow as the scatter does."""
    return Calibration(np.tile(np.arange(10.0), (len(SCATTER_GRID), 1)), np.square(SCATTER_GRID))


def test_a_p_counts_the_worlds_at_least_as_extreme_and_the_data() -> None:
    scatter = np.array(0.4)
    assert calibration().at_most(np.array(2.0), scatter) == pytest.approx(4 / 11)
    assert calibration().at_least(np.array(2.0), scatter) == pytest.approx(9 / 11)
    assert calibration().at_most(np.array(-1.0), scatter) == pytest.approx(1 / 11)
    assert calibration().at_least(np.array(-1.0), scatter) == pytest.approx(1.0)


def test_between_two_scatters_a_p_lies_between_theirs() -> None:
    rows = np.stack([np.arange(10.0) + (5.0 if s > 0.5 else 0.0) for s in SCATTER_GRID])
    steps = Calibration(rows, np.square(SCATTER_GRID))
    at = np.array([0.4, 0.5, 0.6])
    assert steps.at_most(np.full(3, 3.0), at) == pytest.approx([5 / 11, 3 / 11, 1 / 11])


def test_the_matched_scatter_is_where_the_spread_is_the_observed_one() -> None:
    spreads = np.square(np.array([0.0, 0.4, 3.0]))
    assert calibration().matched_scatter(spreads) == pytest.approx([0.0, 0.4, 3.0])
    assert calibration().matched_scatter(np.array(99.0)) == SCATTER_GRID[-1]


def test_exact_predictors_need_no_second_set_of_worlds() -> None:
    boundary = Boundary(around(1.0), 1.0, WORLDS, stream)
    assert boundary.flat is boundary.steep
    measured = Boundary(around(1.0, slack=0.7), 1.0, WORLDS, stream)
    assert measured.flat is not measured.steep
