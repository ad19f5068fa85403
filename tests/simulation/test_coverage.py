"""Coverage of the prevalence interval over samples drawn with unequal, informative probabilities.

Population fixed, samples redrawn (Poisson sampling); truth is the population's own count. Widths
stand beside those of an oracle who knows the estimator's true standard deviation.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binomtest

from auditor.prevalence.estimators import Frame, Sample, estimate
from auditor.prevalence.targets import Target

TARGET = 0.94
SIGNIFICANT = 1e-3
SPANS, PER_DOCUMENT = 40_000, 20
CUED = 0.15
"""Share of spans a cue matches; they are sampled more, as a stratified plan would."""


@dataclass(frozen=True)
class Cell:
    """One population and one way of sampling it."""

    per_million: int
    unequal: bool
    clustered: bool
    labels: int

    @property
    def name(self) -> str:
        pi = "unequal pi" if self.unequal else "equal pi"
        where = "clustered" if self.clustered else "scattered"
        return f"{self.per_million}/M, {pi}, {where}, {self.labels} labels"


@dataclass(frozen=True)
class Population:
    """Every span: its document, whether it is positive, and its inclusion probability."""

    document: npt.NDArray[np.uint64]
    present: npt.NDArray[np.bool_]
    pi: npt.NDArray[np.float64]

    @property
    def rate(self) -> float:
        return 1e6 * float(self.present.mean())

    @property
    def oracle_width(self) -> float:
        """Width of a normal interval with the true standard deviation of the estimate."""
        pi = self.pi[self.present]
        return 2 * 1.96 * 1e6 * float(np.sqrt(np.sum((1 - pi) / pi))) / len(self.pi)


def populate(cell: Cell, rng: np.random.Generator) -> Population:
    """Draw positives, four in five of them where a cue matches; clustered ones share documents."""
    document = np.repeat(np.arange(SPANS // PER_DOCUMENT), PER_DOCUMENT).astype(np.uint64)
    cued = rng.random(SPANS) < CUED
    wanted = round(cell.per_million * SPANS / 1e6)
    chance = np.where(cued, 0.8 / CUED, 0.2 / (1 - CUED))
    if cell.clustered:
        documents = rng.choice(SPANS // PER_DOCUMENT, max(1, wanted // 8), replace=False)
        chance = chance * np.isin(document, documents.astype(np.uint64))
    present = np.zeros(SPANS, bool)
    present[rng.choice(SPANS, wanted, replace=False, p=chance / chance.sum())] = True
    share = cell.labels / SPANS
    if cell.unequal:
        most = min(1.0, 0.6 * share / CUED)
        pi = np.where(cued, most, (share - most * CUED) / (1 - CUED))
    else:
        pi = np.full(SPANS, share)
    return Population(document, present, pi)


def coverage(cell: Cell, replicates: int, seed: int) -> tuple[int, float]:
    """How many intervals hold the truth, and their mean width as a multiple of the oracle's."""
    rng = np.random.default_rng([seed, cell.per_million, cell.unequal, cell.clustered, cell.labels])
    population = populate(cell, rng)
    covered, width = 0, 0.0
    for _ in range(replicates):
        drawn = rng.random(SPANS) < population.pi
        sample = Sample(
            behaviour="planted",
            corpus="population",
            label_set="drawn",
            reader_kind="human",
            document=population.document[drawn],
            pi=population.pi[drawn],
            multiplicity=np.ones(int(drawn.sum())),
            present=population.present[drawn],
            facets={},
        )
        rate = estimate(sample, Frame(SPANS, 100 * SPANS), Target("planted")).per_million_passages
        assert rate.low is not None
        assert rate.high is not None
        covered += rate.low <= population.rate <= rate.high
        width += (rate.high - rate.low) / replicates
    ratio = width / population.oracle_width
    print(
        f"{cell.name}: covered {covered / replicates:.3f}, "
        f"width {width:,.0f}/M, {ratio:.2f} of an oracle's"
    )
    return covered, ratio


def check(cell: Cell, replicates: int, seed: int, cells: int) -> None:
    """Coverage must not lie significantly below the target; levels shared over the cells."""
    covered, _ = coverage(cell, replicates, seed)
    p = binomtest(covered, replicates, TARGET, alternative="less").pvalue
    assert p > SIGNIFICANT / cells, f"{cell.name}: covered {covered} of {replicates}"


SMOKE = [
    Cell(100, unequal=True, clustered=False, labels=2000),
    Cell(500, unequal=True, clustered=True, labels=2000),
    Cell(5_000, unequal=False, clustered=True, labels=1000),
    Cell(20_000, unequal=True, clustered=True, labels=2000),
]
FULL = [
    Cell(per_million, unequal, clustered, labels)
    for per_million in (100, 500, 2_000, 5_000, 20_000)
    for unequal in (False, True)
    for clustered in (False, True)
    for labels in (600, 3000)
]


@pytest.mark.parametrize("cell", SMOKE, ids=lambda cell: cell.name)
def test_the_interval_holds_the_truth(cell: Cell) -> None:
    check(cell, replicates=250, seed=1, cells=1)


@pytest.mark.simulation
@pytest.mark.parametrize("cell", FULL, ids=lambda cell: cell.name)
def test_the_interval_holds_the_truth_over_the_whole_grid(cell: Cell) -> None:
    check(cell, replicates=4000, seed=2, cells=len(FULL))


def test_where_positives_are_many_the_interval_is_little_wider_than_an_oracle_s() -> None:
    plenty = Cell(20_000, unequal=False, clustered=False, labels=6000)
    _, ratio = coverage(plenty, replicates=100, seed=4)
    assert 1.0 <= ratio <= 1.25


def test_an_interval_that_takes_labels_for_the_population_would_miss_it() -> None:
    """Negative: the share of positive labels, as if pi were equal, does not cover."""
    rng = np.random.default_rng(3)
    population = populate(Cell(20_000, unequal=True, clustered=False, labels=2000), rng)
    covered = 0
    for _ in range(100):
        drawn = rng.random(SPANS) < population.pi
        positives = int(population.present[drawn].sum())
        share = binomtest(positives, int(drawn.sum())).proportion_ci()
        covered += share.low <= population.rate / 1e6 <= share.high
    assert binomtest(covered, 100, TARGET, alternative="less").pvalue < 1e-6
