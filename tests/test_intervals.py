"""Promises about intervals for rare events, and about agreement of rankings."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import chi2, friedmanchisquare

from auditor.statistics.concordance import kendall_w
from auditor.statistics.intervals import fay_feuer, log_standard_error


def garwood(events: int) -> tuple[float, float]:
    """Exact Poisson limits (Garwood 1936)."""
    low = float(chi2.ppf(0.025, 2 * events)) / 2 if events else 0.0
    return low, float(chi2.ppf(0.975, 2 * events + 2)) / 2


@pytest.mark.parametrize("largest", [1.0, 2.5, 0.001])
def test_nothing_seen_still_allows_3_689_times_the_largest_total(largest: float) -> None:
    interval = fay_feuer(np.zeros(50), largest)
    assert (interval.estimate, interval.low) == (0.0, 0.0)
    assert interval.high == pytest.approx(3.689 * largest, rel=1e-4)


@pytest.mark.parametrize("events", [0, 1, 2, 5, 30, 400])
@pytest.mark.parametrize("weight", [1.0, 0.2])
def test_equal_weights_give_the_exact_poisson_interval(events: int, weight: float) -> None:
    totals = np.array([weight] * events + [0.0] * 7)
    interval = fay_feuer(totals, weight)
    low, high = garwood(events)
    assert interval.low == pytest.approx(weight * low)
    assert interval.high == pytest.approx(weight * high)


def test_a_known_table_value_for_ten_events() -> None:
    interval = fay_feuer(np.ones(10), 1.0)
    assert interval.low == pytest.approx(4.80, abs=0.005)
    assert interval.high == pytest.approx(18.39, abs=0.005)


@given(
    totals=hnp.arrays(float, st.integers(1, 20), elements=st.floats(0.01, 10)),
    scale=st.floats(0.01, 100),
)
def test_the_interval_scales_with_the_unit_and_holds_its_estimate(
    totals: "np.ndarray[tuple[int], np.dtype[np.float64]]", scale: float
) -> None:
    one, other = fay_feuer(totals, 10.0), fay_feuer(scale * totals, scale * 10.0)
    assert one.low is not None and one.estimate is not None and one.high is not None
    assert 0 <= one.low < one.estimate < one.high
    assert other.low == pytest.approx(scale * one.low)
    assert other.high == pytest.approx(scale * one.high)


def test_a_higher_level_gives_a_wider_interval() -> None:
    totals = np.array([1.0, 3.0, 2.0])
    narrow, wide = fay_feuer(totals, 3.0, level=0.8), fay_feuer(totals, 3.0, level=0.99)
    assert wide.low is not None and narrow.low is not None and wide.low < narrow.low
    assert wide.high is not None and narrow.high is not None and wide.high > narrow.high


def test_the_interval_covers_in_poisson_samples_with_unequal_pi_and_clustered_documents() -> None:
    rng = np.random.default_rng(7)
    documents, spans, replicates = 120, 5, 1000
    shows = rng.beta(0.2, 3.0, documents)[:, None] > rng.random((documents, spans))
    pi = rng.choice([0.9, 0.25], size=(documents, spans))
    truth, covered = shows.sum(), 0
    for _ in range(replicates):
        drawn = rng.random((documents, spans)) < pi
        interval = fay_feuer((shows * drawn / pi).sum(axis=1), 1 / 0.25)
        assert interval.low is not None and interval.high is not None
        covered += interval.low <= truth <= interval.high
    assert covered / replicates >= 0.94


def test_squaring_spans_instead_of_documents_misses_what_clusters_do() -> None:
    """The negative twin: within a document all or none show it, and documents are the draws."""
    rng = np.random.default_rng(8)
    documents, copies, rate, replicates = 400, 6, 0.03, 500
    truth = documents * copies * rate
    hits = {"documents": 0, "spans": 0}
    for _ in range(replicates):
        shows = np.repeat((rng.random(documents) < rate).astype(float), copies)
        grouped = shows.reshape(documents, copies).sum(axis=1)
        for unit, totals, largest in (
            ("documents", grouped, float(copies)),
            ("spans", shows, 1.0),
        ):
            interval = fay_feuer(totals, largest)
            assert interval.low is not None and interval.high is not None
            hits[unit] += interval.low <= truth <= interval.high
    assert hits["documents"] / replicates >= 0.94
    assert hits["spans"] / replicates < 0.80


def test_the_log_standard_error_of_eight_positives_drawn_one_in_two_is_a_quarter() -> None:
    # variance 8 * 0.5 / 0.25 = 16, count 8 / 0.5 = 16: 4 / 16
    assert log_standard_error(np.full(8, 0.5), np.ones(8)) == pytest.approx(0.25)


def test_a_positive_that_was_sure_to_be_read_adds_no_error() -> None:
    # variance 0.75 / 0.0625 = 12, count 4 + 2 = 6
    error = log_standard_error(np.array([0.25, 1.0, 1.0]), np.ones(3))
    assert error == pytest.approx(math.sqrt(12) / 6)


def test_the_log_standard_error_counts_amounts_of_either_sign() -> None:
    # (1 - pi) / pi^2 = 2: variance 2 * (7 * 0.25 + 2), count 2 * (2 - 1.5 + 2)
    amounts = np.array([0.5] * 4 + [-0.5] * 3 + [1.0] * 2)
    variance, count = 2 * (7 * 0.25 + 2), 2 * 2.5
    error = log_standard_error(np.full(9, 0.5), amounts)
    assert error == pytest.approx(math.sqrt(variance) / count)


def test_more_foreseen_than_seen_has_no_log_standard_error() -> None:
    assert log_standard_error(np.full(2, 0.5), np.array([1.0, -1.5])) is None


def test_a_census_has_no_log_standard_error_to_speak_of() -> None:
    assert log_standard_error(np.ones(5), np.ones(5)) == 0.0


def test_nothing_seen_has_no_log_standard_error() -> None:
    assert log_standard_error(np.empty(0), np.empty(0)) is None


def test_judges_who_agree_wholly_have_concordance_one() -> None:
    assert kendall_w(np.array([[1.0, 2, 3, 4], [10.0, 20, 30, 40]])) == pytest.approx(1.0)


def test_judges_who_reverse_each_other_have_concordance_zero() -> None:
    assert kendall_w(np.array([[1.0, 2, 3], [3.0, 2, 1]])) == pytest.approx(0.0)


def test_concordance_by_hand() -> None:
    # rank sums 4, 7, 7 (mean 6): S = 6, W = 12 * 6 / (9 * (27 - 3)) = 1/3
    judges = np.array([[1.0, 2, 3], [1.0, 2, 3], [2.0, 2.5, 1]])
    assert kendall_w(judges) == pytest.approx(1 / 3)


@given(seed=st.integers(0, 2**32 - 1), judges=st.integers(3, 8), items=st.integers(3, 9))
def test_concordance_is_friedmans_statistic_over_its_greatest_value(
    seed: int, judges: int, items: int
) -> None:
    values = np.random.default_rng(seed).random((judges, items))
    friedman = friedmanchisquare(*values.T).statistic
    expected = friedman / (judges * (items - 1))
    assert math.isclose(kendall_w(values), expected, rel_tol=1e-9, abs_tol=1e-12)
