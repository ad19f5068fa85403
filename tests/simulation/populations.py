"""Fixed populations of a million spans with planted positives, and Poisson samples of them.

Only the drawn spans are touched in a replicate; truth is the population's own count. Oracle widths
come from the estimator's true standard deviation.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from auditor.prevalence.estimators import Frame, Sample, estimate
from auditor.prevalence.targets import Target
from auditor.records import Prevalence

TARGET = 0.94
SIGNIFICANT = 1e-3
SPANS, PER_DOCUMENT, PER_CLUSTER = 1_000_000, 20, 8
MATCHED = 0.8
"""Share of the positives that a cue matches."""

CUED_LABELS = 0.6
"""Share of the labels that an unequal plan spends where the cue matches."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cell:
    """One population and one way of sampling it; cued: share of spans that the cue matches."""

    per_million: int
    unequal: bool
    clustered: bool
    labels: int
    cued: float = 0.15

    @property
    def name(self) -> str:
        pi = f"unequal pi ({self.cued:g} cued)" if self.unequal else "equal pi"
        where = "clustered" if self.clustered else "scattered"
        return f"{self.per_million}/M, {pi}, {where}, {self.labels} labels"

    def rng(self, seed: int) -> np.random.Generator:
        """A stream of this cell's own."""
        return np.random.default_rng(
            [seed, self.per_million, self.unequal, self.clustered, self.labels]
        )


@dataclass(frozen=True)
class Population:
    """Every span: whether it is positive and matched by the cue, and its detector's score."""

    present: Mask
    cued: Mask
    pi_cued: float
    pi_other: float
    score: Floats | None = None

    @property
    def rate(self) -> float:
        return 1e6 * float(self.present.mean())

    @property
    def pi(self) -> Floats:
        return np.where(self.cued, self.pi_cued, self.pi_other)

    @property
    def frame(self) -> Frame:
        score = None if self.score is None else float(self.score.mean())
        return Frame(len(self.present), 100 * len(self.present), score)

    def oracle_width(self, amounts: npt.NDArray[np.generic]) -> float:
        """Width of a normal interval with the true standard deviation of the estimate."""
        variance = float(np.sum((1 / self.pi - 1) * np.square(amounts.astype(float))))
        return 2 * 1.96 * 1e6 * float(np.sqrt(variance)) / len(self.present)

    def explained(self) -> tuple[float, float]:
        """Share of the estimate's variance that the score can take away, and lambda for it."""
        assert self.score is not None
        excess, spread = self.score - self.score.mean(), 1 / self.pi - 1
        both, own = float(spread[self.present] @ excess[self.present]), float(spread @ excess**2)
        weight = float(np.clip(both / own, 0.0, 1.0))
        whole = float(spread[self.present].sum())
        return (2 * weight * both - weight**2 * own) / whole, weight


def populate(cell: Cell, rng: np.random.Generator) -> Population:
    """Draw positives, most of them where a cue matches.

    Clustered: the cue matches whole documents, and positives lie some eight to a document.
    """
    wanted = round(cell.per_million * SPANS / 1e6)
    each = PER_DOCUMENT if cell.clustered else 1
    cued = rng.random(SPANS // each) < cell.cued
    chance = np.where(cued, MATCHED / cell.cued, (1 - MATCHED) / (1 - cell.cued))
    places = max(1, wanted // PER_CLUSTER) if cell.clustered else wanted
    chosen = rng.choice(len(cued), places, replace=False, p=chance / chance.sum())
    spans = (chosen[:, None] * each + np.arange(each)).ravel()
    present = np.zeros(SPANS, bool)
    present[rng.choice(spans, wanted, replace=False)] = True
    cued = np.repeat(cued, each)
    share = cell.labels / SPANS
    most = min(1.0, CUED_LABELS * share / cued.mean()) if cell.unequal else share
    rest = (cell.labels - most * cued.sum()) / (~cued).sum() if cell.unequal else share
    return Population(present, cued, float(most), float(rest))


def score(population: Population, explained: float, rng: np.random.Generator) -> Population:
    """Give a population a score that takes `explained` of the unscored estimate's variance away.

    The score sees a part of the positives, sounds as many false alarms among spans of the same
    kind, and murmurs over the rest; the part that it sees is found by halving.
    """
    n, positives = len(population.present), np.flatnonzero(population.present)
    murmur = rng.random(n) * population.present.mean() / 2
    like = np.where(population.cued, MATCHED / population.cued.mean(), 1 - MATCHED)
    alarms = rng.choice(n, len(positives), replace=False, p=like / like.sum())
    murmur[alarms] = rng.beta(1.2, 2.5, len(alarms))
    order, loud = rng.random(len(positives)), rng.beta(3.0, 1.0, len(positives))

    def seeing(part: float) -> Population:
        values = murmur.copy()
        seen = order < part
        values[positives[seen]] = loud[seen]
        return replace(population, score=values)

    low, high = 0.0, 1.0
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (middle, high) if seeing(middle).explained()[0] < explained else (low, middle)
    return seeing(high)


def drawer(population: Population) -> "Drawer":
    """Prepare a population for many draws."""
    parts = [
        (np.flatnonzero(population.cued), population.pi_cued),
        (np.flatnonzero(~population.cued), population.pi_other),
    ]
    return Drawer(population, parts)


@dataclass(frozen=True)
class Drawer:
    """Poisson samples of a population, at the cost of the spans drawn."""

    population: Population
    parts: list[tuple[Ints, float]]

    def draw(self, rng: np.random.Generator) -> Sample:
        """One sample, its spans in no order."""
        chosen, pi = [], []
        for members, chance in self.parts:
            n = rng.binomial(len(members), chance)
            chosen.append(members[rng.choice(len(members), n, replace=False, shuffle=False)])
            pi.append(np.full(n, chance))
        return sample_of(self.population, np.concatenate(chosen), np.concatenate(pi))


def sample_of(population: Population, chosen: Ints, pi: Floats) -> Sample:
    """The chosen spans as the estimators take them."""
    return Sample(
        behaviour="planted",
        corpus="population",
        label_set="drawn",
        reader_kind="human",
        document=(chosen // PER_DOCUMENT).astype(np.uint64),
        pi=pi,
        multiplicity=np.ones(len(chosen)),
        present=population.present[chosen],
        facets={},
        score=None if population.score is None else population.score[chosen],
    )


def rate_of(sample: Sample, frame: Frame) -> Prevalence:
    return estimate(sample, frame, Target("planted"))


def limits(row: Prevalence) -> tuple[float, float]:
    low, high = row.per_million_passages.low, row.per_million_passages.high
    assert low is not None and high is not None
    return low, high


def falls_short(covered: int, replicates: int, cells: int = 1) -> bool:
    """Whether coverage lies significantly below the target; levels shared over the cells."""
    p = binomtest(covered, replicates, TARGET, alternative="less").pvalue
    return bool(p <= SIGNIFICANT / cells)
