"""Coverage of the prevalence interval over samples drawn with unequal, informative probabilities.

Population fixed, samples redrawn (Poisson sampling). Widths stand beside those of an oracle who
knows the estimator's true standard deviation. The naive intervals are here to be seen failing.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binomtest

from auditor.prevalence.estimators import Sample, residual_bound
from tests.simulation.populations import (
    TARGET,
    Cell,
    drawer,
    falls_short,
    limits,
    populate,
    rate_of,
)

REPLICATES = 1000


def coverage(cell: Cell, replicates: int, seed: int) -> tuple[int, float]:
    """How many intervals hold the truth, and their mean width as a multiple of the oracle's."""
    rng = cell.rng(seed)
    population = populate(cell, rng)
    draws, frame = drawer(population), population.frame
    held, width = 0, 0.0
    for _ in range(replicates):
        low, high = limits(rate_of(draws.draw(rng), frame))
        held += low <= population.rate <= high
        width += (high - low) / replicates
    ratio = width / population.oracle_width(population.present)
    print(
        f"{cell.name}: covered {held / replicates:.3f}, "
        f"width {width:,.0f}/M, {ratio:.2f} of an oracle's"
    )
    return held, ratio


SMOKE = [
    Cell(100, unequal=True, clustered=False, labels=3000),
    Cell(500, unequal=True, clustered=True, labels=3000),
    Cell(5_000, unequal=False, clustered=True, labels=600),
    Cell(20_000, unequal=True, clustered=True, labels=3000),
]
FULL = [
    Cell(per_million, unequal, clustered, labels)
    for per_million in (3, 10, 30, 100, 500, 2_000, 5_000, 20_000, 30_000)
    for unequal in (False, True)
    for clustered in (False, True)
    for labels in (600, 3000)
]


@pytest.mark.parametrize("cell", SMOKE, ids=lambda cell: cell.name)
def test_the_interval_holds_the_truth(cell: Cell) -> None:
    held, _ = coverage(cell, replicates=200, seed=1)
    assert not falls_short(held, 200)


@pytest.mark.simulation
@pytest.mark.parametrize("cell", FULL, ids=lambda cell: cell.name)
def test_the_interval_holds_the_truth_over_the_whole_grid(cell: Cell) -> None:
    held, _ = coverage(cell, REPLICATES, seed=2)
    assert not falls_short(held, REPLICATES, len(FULL))


def test_where_positives_are_many_the_interval_is_little_wider_than_an_oracle_s() -> None:
    plenty = Cell(20_000, unequal=False, clustered=False, labels=6000)
    _, ratio = coverage(plenty, replicates=100, seed=4)
    assert 1.0 <= ratio <= 1.25


ELUSIVE = [
    Cell(per_million, unequal=True, clustered=clustered, labels=labels)
    for per_million in (30, 500, 5_000, 30_000)
    for clustered in (False, True)
    for labels in (600, 3000)
]


def elusion(cell: Cell, replicates: int, seed: int) -> int:
    """How many upper limits lie at or above what no detector would have retrieved."""
    rng = cell.rng(seed)
    population = replace(world := populate(cell, rng), score=world.cued.astype(float))
    truth = 1e6 * float((population.present & ~population.cued).mean())
    draws, frame = drawer(population), population.frame
    held, mean = 0, 0.0
    for _ in range(replicates):
        bound = residual_bound(draws.draw(rng), frame, below=0.5)
        assert bound is not None and bound.high is not None
        held += truth <= bound.high
        mean += bound.high / replicates
    print(f"elusion {cell.name}: covered {held / replicates:.3f}, {mean:,.0f}/M for {truth:,.0f}")
    return held


def test_what_no_detector_retrieves_lies_below_its_bound() -> None:
    assert not falls_short(elusion(ELUSIVE[5], replicates=150, seed=5), 150)


@pytest.mark.simulation
@pytest.mark.parametrize("cell", ELUSIVE, ids=lambda cell: cell.name)
def test_what_no_detector_retrieves_lies_below_its_bound_over_the_grid(cell: Cell) -> None:
    assert not falls_short(elusion(cell, REPLICATES, seed=6), REPLICATES, len(ELUSIVE))


RARE = Cell(500, unequal=True, clustered=False, labels=3000)
"""About five positives in a sample, most of them light."""

NAIVE = 400


def weighted(sample: Sample, spans: int) -> npt.NDArray[np.float64]:
    return 1e6 * sample.present / sample.pi / spans


def wald(totals: npt.NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Estimate and 1.96 estimated standard errors."""
    error = 1.96 * float(np.sqrt(np.square(totals).sum()))
    return float(totals.sum()) - error, float(totals.sum()) + error


def bootstrap(totals: npt.NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Percentiles of the estimate over samples drawn from the sample."""
    shown = totals[totals > 0]
    if not len(shown):
        return 0.0, 0.0
    times = rng.poisson(1.0, (400, len(shown)))
    low, high = np.percentile(times @ shown, [2.5, 97.5])
    return float(low), float(high)


@pytest.mark.parametrize("naive", [wald, bootstrap])
def test_negative_a_naive_interval_misses_a_rare_behaviour(
    naive: Callable[[npt.NDArray[np.float64], np.random.Generator], tuple[float, float]],
) -> None:
    rng = RARE.rng(7)
    population = populate(RARE, rng)
    draws, held, ours = drawer(population), 0, 0
    for _ in range(NAIVE):
        sample = draws.draw(rng)
        low, high = naive(weighted(sample, len(population.present)), rng)
        held += low <= population.rate <= high
        low, high = limits(rate_of(sample, population.frame))
        ours += low <= population.rate <= high
    print(f"{naive.__name__} {RARE.name}: {held / NAIVE:.3f}, ours {ours / NAIVE:.3f}")
    assert binomtest(held, NAIVE, TARGET, alternative="less").pvalue < 1e-6
    assert not falls_short(ours, NAIVE)


def test_negative_an_interval_that_takes_labels_for_the_population_misses_it() -> None:
    """The share of positive labels, as if pi were equal, does not cover."""
    cell = Cell(20_000, unequal=True, clustered=False, labels=3000)
    rng = cell.rng(3)
    population = populate(cell, rng)
    draws, held = drawer(population), 0
    for _ in range(100):
        present = draws.draw(rng).present
        share = binomtest(int(present.sum()), len(present)).proportion_ci()
        held += share.low <= population.rate / 1e6 <= share.high
    assert binomtest(held, 100, TARGET, alternative="less").pvalue < 1e-6
