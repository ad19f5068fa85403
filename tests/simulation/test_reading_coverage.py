"""The banded sample as it is read: unbiased and covered when reading stops early, and narrower."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from auditor.labelling.sampling import draw_sample, read_so_far
from auditor.prevalence.estimators import Frame
from tests.simulation.populations import (
    PER_DOCUMENT,
    Population,
    falls_short,
    limits,
    rate_of,
    sample_of,
)

PASSAGES, LABELS = 20_000, 2000
REPLICATES = 1000
SHARES = (1.0, 0.6, 0.3)
"""How far down the order reading goes."""

NARROWER = {5_000: 0.95, 20_000: 0.8}
"""Rate per million → promised mean width in bands over that with equal chances, where scores rank
well. The rarer, the more of the width is the allowance for a band where none was seen."""


def ranked(share: float, clustered: bool, rng: np.random.Generator) -> Population:
    """A frame whose scores rank positives well above the rest, documents in common or not."""
    each = PER_DOCUMENT if clustered else 1
    depth = np.repeat(rng.standard_normal(PASSAGES // each), each)
    sums = 0.7 * depth + 0.7 * rng.standard_normal(PASSAGES)
    present = 3.0 * sums + rng.logistic(size=PASSAGES)
    shown = present > np.quantile(present, 1.0 - share)
    return Population(shown, np.zeros(PASSAGES, bool), 0.0, 0.0, sums)


def stopped(
    population: Population, until: float, replicates: int, seed: int, clustered: bool = False
) -> tuple[int, float, float, float]:
    """Cover, mean of estimate over truth, its standard error, and mean width, of reading a part."""
    rng = np.random.default_rng([seed, round(100 * until), round(population.rate), clustered])
    assert population.score is not None
    scores = population.score[:, None].astype(np.float32)
    plain, frame = replace(population, score=None), Frame(PASSAGES, 100 * PASSAGES)
    held, widths = 0, 0.0
    ratios = np.empty(replicates)
    drawn = draw_sample(scores, rng.random(PASSAGES), LABELS)
    for number in range(replicates):
        draw = rng.random(PASSAGES) / drawn.pi
        chosen = replace(drawn, draw=draw).chosen
        answered = np.arange(len(chosen)) < round(until * LABELS)
        factor = read_so_far(draw[chosen], answered)
        kept = chosen[draw[chosen] < factor]
        row = rate_of(sample_of(plain, kept, drawn.pi[kept] * factor), frame)
        low, high = limits(row)
        held += low <= population.rate <= high
        ratios[number] = (row.per_million_passages.estimate or 0.0) / population.rate
        widths += (high - low) / replicates
    return held, float(ratios.mean()), float(ratios.std() / np.sqrt(replicates)), widths


def check(share: float, clustered: bool, until: float, replicates: int, cells: int) -> None:
    population = ranked(share, clustered, np.random.default_rng([31, round(1e6 * share)]))
    held, mean, error, width = stopped(population, until, replicates, 32, clustered)
    print(
        f"{1e6 * share:.0f}/M, {'clustered' if clustered else 'scattered'}, {until:.0%} of "
        f"{LABELS} read: covered {held / replicates:.3f}, estimate/truth {mean:.3f} "
        f"(s.e. {error:.3f}), width {width:,.0f}/M"
    )
    assert not falls_short(held, replicates, cells)
    assert abs(mean - 1.0) <= 4.0 * error


def test_reading_that_stops_early_leaves_an_unbiased_covered_rate() -> None:
    check(0.01, clustered=True, until=0.3, replicates=200, cells=1)


@pytest.mark.simulation
@pytest.mark.parametrize("until", SHARES)
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("share", [0.0005, 0.005, 0.03])
def test_reading_that_stops_anywhere_leaves_an_unbiased_covered_rate(
    share: float, clustered: bool, until: float
) -> None:
    check(share, clustered, until, REPLICATES, cells=18)


def equal_width(population: Population, replicates: int, seed: int) -> float:
    """Mean width where every passage has the same chance."""
    rng = np.random.default_rng(seed)
    plain, frame = replace(population, score=None), Frame(PASSAGES, 100 * PASSAGES)
    widths = np.empty(replicates)
    for number in range(replicates):
        chosen = np.flatnonzero(rng.random(PASSAGES) < LABELS / PASSAGES)
        pi: npt.NDArray[np.float64] = np.full(len(chosen), LABELS / PASSAGES)
        low, high = limits(rate_of(sample_of(plain, chosen, pi), frame))
        widths[number] = high - low
    return float(widths.mean())


@pytest.mark.parametrize("per_million", NARROWER)
def test_bands_make_a_narrower_interval_than_equal_chances(per_million: int) -> None:
    population = ranked(per_million / 1e6, False, np.random.default_rng(33))
    *_, banded = stopped(population, 1.0, replicates=60, seed=34)
    equal = equal_width(population, replicates=60, seed=35)
    print(f"{per_million}/M: width {banded:,.0f}/M in bands, {equal:,.0f}/M with equal chances")
    assert banded < NARROWER[per_million] * equal
