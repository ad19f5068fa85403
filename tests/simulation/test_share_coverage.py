"""Simultaneous coverage of framing shares: every value's interval must hold at once.

Scattered: spans drawn one by one from a fixed population. Clustered: likewise, with documents of
four positives that mostly share a value. Whole: the worst that clustering can do, all the positives
of a document read together, with documents drawn from an endless supply.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from auditor.prevalence.estimators import Sample
from auditor.prevalence.shares import framing_shares
from auditor.records import Interval
from tests.simulation.populations import falls_short

REPLICATES = 1000
VALUES = ("endorse", "neutral", "condemn", "report", "mock")
TRUTH = {2: (0.7, 0.3), 3: (0.6, 0.3, 0.1), 5: (0.4, 0.3, 0.15, 0.1, 0.05)}
EACH, ALIKE, PART = 4, 0.7, 0.2
"""Positives a document, the chance that one has its document's value, share of positives read."""

HEAVY = 6.0
"""How much more a positive of the lightly sampled kind weighs."""


@dataclass(frozen=True)
class Cell:
    """How many values and positives, how they are weighted, and how documents hold them."""

    values: int
    positives: int
    unequal: bool
    documents: str

    @property
    def name(self) -> str:
        pi = "unequal" if self.unequal else "equal"
        return f"{self.values} values, {self.positives} positives, {pi} pi, {self.documents}"


@dataclass(frozen=True)
class Positives:
    """Positives with their value, document and inclusion probability."""

    value: npt.NDArray[np.int64]
    document: npt.NDArray[np.int64]
    pi: npt.NDArray[np.float64]

    def shares(self, values: int) -> npt.NDArray[np.float64]:
        return np.bincount(self.value, minlength=values) / len(self.value)


def positives(cell: Cell, wanted: int, rng: np.random.Generator) -> Positives:
    """Positives as the cell has them, with inclusion probabilities that follow the value a little.

    Heavily weighted positives are half of all; the commonest value is twice as often among them.
    """
    each = 1 if cell.documents == "scattered" else EACH
    documents = max(1, round(wanted / each))
    truth = TRUTH[cell.values]
    common = rng.choice(cell.values, documents, p=truth)
    own = rng.choice(cell.values, (documents, each), p=truth)
    alike = rng.random((documents, each)) < (ALIKE if each > 1 else 0.0)
    value = np.where(alike, common[:, None], own).ravel()
    heavy = rng.random(len(value)) < np.where(value == 0, 0.6, 0.35)
    weight = np.where(heavy, HEAVY, 1.0) if cell.unequal else np.ones(len(value))
    pi = np.minimum(1.0, PART / np.mean(1 / weight) / weight)
    return Positives(value, np.repeat(np.arange(documents), each), pi)


def drawn(cell: Cell, population: Positives, rng: np.random.Generator) -> Positives:
    """Those that are read: span by span, or whole documents of a fresh supply."""
    if cell.documents == "whole":
        many = rng.poisson(cell.positives / EACH)
        return positives(cell, EACH * max(1, many), rng)
    chosen = rng.random(len(population.pi)) < population.pi
    return Positives(population.value[chosen], population.document[chosen], population.pi[chosen])


def as_sample(read: Positives) -> Sample:
    n = len(read.value)
    return Sample(
        behaviour="planted",
        corpus="population",
        label_set="drawn",
        reader_kind="human",
        document=read.document.astype(np.uint64),
        pi=read.pi,
        multiplicity=np.ones(n),
        present=np.ones(n, bool),
        facets={"stance": np.array(VALUES, object)[read.value]},
    )


Shares = Callable[[Sample, str, list[str]], dict[str, Interval]]


def coverage(cell: Cell, replicates: int, seed: int, shares: Shares = framing_shares) -> int:
    """In how many samples every interval holds its share."""
    rng = np.random.default_rng(
        [seed, cell.values, cell.positives, cell.unequal, len(cell.documents)]
    )
    population = positives(cell, round(cell.positives / PART), rng)
    endless = positives(cell, 400_000, rng) if cell.documents == "whole" else population
    truth = truth_of(cell, endless)
    names = list(VALUES[: cell.values])
    held, widths = 0, []
    for _ in range(replicates):
        read = drawn(cell, population, rng)
        found = shares(as_sample(read), "stance", names)
        if not found:
            held += 1
            continue
        limits = np.array([(found[n].low, found[n].high) for n in names], float)
        held += bool(((limits[:, 0] <= truth) & (truth <= limits[:, 1])).all())
        widths.append(np.diff(limits, axis=1).mean())
    print(f"shares, {cell.name}: covered {held / replicates:.3f}, width {np.mean(widths):.2f}")
    return held


def truth_of(cell: Cell, population: Positives) -> npt.NDArray[np.float64]:
    """The population's shares; of an endless supply, those that weights would make of it."""
    weight = 1 / population.pi if cell.documents == "whole" else np.ones(len(population.pi))
    total = np.bincount(population.value, weights=weight, minlength=cell.values)
    return np.asarray(total / total.sum(), float)


GRID = [
    Cell(values, count, unequal, documents)
    for values in (2, 3, 5)
    for count in (15, 40, 150)
    for unequal in (False, True)
    for documents in ("scattered", "clustered", "whole")
]
SMOKE = [
    Cell(3, 40, True, "scattered"),
    Cell(5, 15, True, "whole"),
    Cell(5, 15, False, "clustered"),
]


@pytest.mark.parametrize("cell", SMOKE, ids=lambda cell: cell.name)
def test_all_framing_shares_lie_in_their_intervals_at_once(cell: Cell) -> None:
    assert not falls_short(coverage(cell, replicates=250, seed=21), 250)


@pytest.mark.simulation
@pytest.mark.parametrize("cell", GRID, ids=lambda cell: cell.name)
def test_all_framing_shares_lie_in_their_intervals_at_once_over_the_grid(cell: Cell) -> None:
    assert not falls_short(coverage(cell, REPLICATES, seed=22), REPLICATES, len(GRID))
