"""Coverage and width of the rate where the detector's scores help (method "ppi").

Scored and unscored intervals are taken from the same samples. A score that explains half of the
estimate's variance must narrow the interval by a quarter; a useless one must not widen it.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import binomtest

from auditor.prevalence.estimators import ASSISTED
from tests.simulation.learners import Learnable, explained, learnable, memorise, read_and_learn
from tests.simulation.populations import (
    TARGET,
    Cell,
    drawer,
    falls_short,
    limits,
    populate,
    rate_of,
    score,
)

REPLICATES, LEARNINGS = 1000, 400
NARROWER, NO_WIDER = 0.75, 1.05
"""Mean width with scores over mean width without: at half the variance explained, at none."""


@dataclass(frozen=True)
class Scored:
    """What a simulation of one cell found; shares and multiples."""

    held: int
    unaided: int
    assisted: float
    width: float
    bias: float


def scored(cell: Cell, told: float, replicates: int, seed: int) -> Scored:
    """Coverage with and without scores, on the same samples, and what the scores are worth."""
    rng = cell.rng(seed)
    population = score(populate(cell, rng), told, rng)
    true, weight = population.explained()
    assert population.score is not None
    draws, frame = drawer(population), population.frame
    assert frame.score is not None
    oracle = population.oracle_width(population.present - weight * (population.score - frame.score))
    held = unaided = assisted = 0
    widths, bias = np.zeros(2), 0.0
    for _ in range(replicates):
        sample = draws.draw(rng)
        plain = limits(rate_of(replace(sample, score=None), frame))
        row = rate_of(sample, frame)
        aided = limits(row)
        held += aided[0] <= population.rate <= aided[1]
        unaided += plain[0] <= population.rate <= plain[1]
        assisted += row.method == ASSISTED
        widths += (plain[1] - plain[0], aided[1] - aided[0])
        bias += (row.per_million_passages.estimate or 0.0) / population.rate - 1
    found = Scored(
        held, unaided, assisted / replicates, float(widths[1] / widths[0]), bias / replicates
    )
    print(
        f"{cell.name}, R2 {true:.2f}: covered {held / replicates:.3f} "
        f"(without scores {unaided / replicates:.3f}), used {found.assisted:.2f}, "
        f"width {widths[1] / replicates:,.0f}/M, {found.width:.2f} of that without, "
        f"{widths[1] / replicates / oracle:.2f} of an oracle's, bias {found.bias:+.3f}"
    )
    return found


CELLS = [
    Cell(per_million, unequal, clustered, labels, cued)
    for per_million, unequal, labels, cued in (
        (500, True, 3000, 0.01),
        (2_000, True, 3000, 0.01),
        (5_000, True, 3000, 0.15),
        (20_000, False, 3000, 0.15),
        (20_000, True, 3000, 0.15),
        (30_000, False, 3000, 0.15),
        (30_000, True, 3000, 0.15),
        (30_000, True, 600, 0.15),
    )
    for clustered in (False, True)
]
SMOKE = [
    Cell(20_000, unequal=True, clustered=False, labels=3000),
    Cell(30_000, unequal=False, clustered=True, labels=3000),
]


def plenty(cell: Cell) -> bool:
    """Whether positives are many beside the allowance for spans that no positive was seen among.

    That allowance, one more positive of the heaviest weight, is what no score can take away; where
    the variance is worth fewer than five of it, intervals narrow by less than a quarter.
    """
    rng = cell.rng(0)
    population = populate(cell, rng)
    variance = float(np.sum(1 / population.pi[population.present] - 1))
    return variance * float(population.pi.min()) ** 2 >= 5.0


@pytest.mark.parametrize("cell", SMOKE, ids=lambda cell: cell.name)
def test_scores_that_explain_half_narrow_the_interval_by_a_quarter_and_it_holds_the_truth(
    cell: Cell,
) -> None:
    found = scored(cell, 0.5, replicates=150, seed=11)
    assert not falls_short(found.held, 150)
    assert found.width <= NARROWER


def test_a_useless_score_does_not_widen_the_interval() -> None:
    found = scored(SMOKE[1], 0.0, replicates=100, seed=12)
    assert not falls_short(found.held, 100)
    assert found.width <= NO_WIDER


@pytest.mark.simulation
@pytest.mark.parametrize("told", [0.0, 0.5])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_with_scores_the_interval_holds_the_truth_over_the_grid(cell: Cell, told: float) -> None:
    found = scored(cell, told, REPLICATES, seed=13)
    assert not falls_short(found.held, REPLICATES, 2 * len(CELLS))
    assert found.width <= NO_WIDER
    if told == 0.5 and found.assisted > 0.9 and plenty(cell):
        assert found.width <= NARROWER


LEARNED = [
    (share, strength, unequal, labels)
    for share, strength, labels in ((0.02, 4.0, 3000), (0.03, 8.0, 2000), (0.03, 1.0, 2000))
    for unequal in (False, True)
]
"""Share of positives, how much features tell of them, unequal chances, labels."""


def learned(world: Learnable, replicates: int, seed: int) -> tuple[int, float, float]:
    """How many intervals hold the truth, the mean width beside unscored, and the relative bias."""
    rng = np.random.default_rng(seed)
    held = unaided = 0
    widths, bias, told = np.zeros(2), np.zeros(2), 0.0
    for _ in range(replicates):
        sample, frame = read_and_learn(world, rng)
        plain, aided = rate_of(replace(sample, score=None), frame), rate_of(sample, frame)
        (low, high), (near, far) = limits(plain), limits(aided)
        unaided += low <= world.rate <= high
        held += near <= world.rate <= far
        widths += (high - low, far - near)
        bias += [(r.per_million_passages.estimate or 0.0) / world.rate - 1 for r in (plain, aided)]
        told += explained(sample, frame) / replicates
    print(
        f"learned, {world.rate:,.0f}/M, R2 {told:.2f}: covered {held / replicates:.3f} "
        f"(without scores {unaided / replicates:.3f}), width {widths[1] / widths[0]:.2f} of that "
        f"without, bias {bias[1] / replicates:+.3f} (without {bias[0] / replicates:+.3f})"
    )
    return held, float(widths[1] / widths[0]), float(bias[1]) / replicates


def test_scores_learned_from_the_same_labels_out_of_fold_leave_the_interval_honest() -> None:
    world = learnable(0.03, 8.0, True, 2000, np.random.default_rng(14))
    held, width, bias = learned(world, replicates=50, seed=15)
    assert not falls_short(held, 50)
    assert width <= NARROWER
    assert abs(bias) < 0.06


@pytest.mark.simulation
@pytest.mark.parametrize(("share", "strength", "unequal", "labels"), LEARNED)
def test_scores_learned_from_the_same_labels_keep_coverage(
    share: float, strength: float, unequal: bool, labels: int
) -> None:
    world = learnable(share, strength, unequal, labels, np.random.default_rng(16))
    held, width, bias = learned(world, LEARNINGS, seed=17)
    assert not falls_short(held, LEARNINGS, len(LEARNED))
    assert width <= NO_WIDER
    assert abs(bias) < 0.02


def test_negative_a_score_that_saw_the_labels_takes_the_interval_from_the_truth() -> None:
    """Right on every labelled span, a fifth short elsewhere: the shortfall becomes the answer."""
    cell = Cell(30_000, unequal=True, clustered=False, labels=3000)
    rng = cell.rng(18)
    population = populate(cell, rng)
    draws, held, mean, replicates = drawer(population), 0, 0.0, 100
    for _ in range(replicates):
        sample, frame = memorise(draws.draw(rng), population.frame, 0.8 * population.rate / 1e6)
        row = rate_of(sample, frame)
        low, high = limits(row)
        held += low <= population.rate <= high
        mean += (row.per_million_passages.estimate or 0.0) / population.rate / replicates
    print(f"memorised, {cell.name}: covered {held / replicates:.3f}, estimate/truth {mean:.2f}")
    assert binomtest(held, replicates, TARGET, alternative="less").pvalue < 1e-6
    assert mean == pytest.approx(0.8, abs=0.03)
