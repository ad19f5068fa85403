"""Every p-value of a claim, by simulation under the claim (METHOD §4.3).

A study knows how to fit itself, to simulate worlds with a given effect and scatter, and to relabel
its outcomes. From that alone come refutation, support, power, the forbidden fraction and the
interval; the studies themselves are in `slope` and `contrast`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Streams = Callable[[str], np.random.Generator]
"""The random stream of a named step: the same on every machine and for any number of workers."""

SCATTER_GRID = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0])
"""Logit standard deviations of units at which worlds are simulated."""

WORLDS = 999
"""Worlds a grid point: p-values down to 0.001 (METHOD asks for S >= 999)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """An estimate and the variance left around it, over units; scalars or one entry a world."""

    estimate: Floats
    spread: Floats


class Study(Protocol):
    """Trials laid out for one question: an effect in logits, and the scatter of its units."""

    @property
    def effects(self) -> Floats:
        """The grid of effects an interval may be read from."""
        ...

    @property
    def inexact(self) -> bool:
        """Whether measured predictors differ from true ones.

        A world drawn given the measurements is then flatter than one that takes them for true.
        """
        ...

    def fit(self) -> Fit:
        """Fit what was observed."""
        ...

    def worlds(
        self, effect: float, scatter: float, worlds: int, rng: np.random.Generator, exact: bool
    ) -> Fit:
        """Simulate and fit worlds; exact: take measured predictors for true."""
        ...

    def relabelled(self, relabellings: int, rng: np.random.Generator) -> Fit:
        """Fit outcomes dealt anew to the units."""
        ...

    def statistic(self, fit: Fit, effect: float) -> Floats:
        """What is compared between the data and worlds with that effect."""
        ...


@dataclass(frozen=True)
class Calibration:
    """A statistic simulated at one effect over the grid of scatter.

    statistics: (grid, worlds), sorted; spreads: (grid,) mean spread.
    """

    statistics: Floats
    spreads: Floats

    def matched_scatter(self, spread: Floats) -> Floats:
        """The scatter at which simulated spread is the observed one (moment matching)."""
        matched: Floats = np.interp(spread, np.maximum.accumulate(self.spreads), SCATTER_GRID)
        return matched

    def at_most(self, statistic: Floats, scatter: Floats) -> Floats:
        """P(simulated <= statistic) at a scatter."""
        return self._read(statistic, scatter, lower=True)

    def at_least(self, statistic: Floats, scatter: Floats) -> Floats:
        """P(simulated >= statistic) at a scatter."""
        return self._read(statistic, scatter, lower=False)

    def _read(self, statistic: Floats, scatter: Floats, lower: bool) -> Floats:
        """Interpolate p between the two grid points around each scatter."""
        statistic, scatter = np.broadcast_arrays(statistic, scatter)
        worlds = self.statistics.shape[1]
        side: Literal["left", "right"] = "right" if lower else "left"
        ranks = np.stack([np.searchsorted(row, statistic, side=side) for row in self.statistics])
        count = ranks if lower else worlds - ranks
        p = (1 + count) / (1 + worlds)
        place = np.clip(np.interp(scatter, SCATTER_GRID, np.arange(len(SCATTER_GRID))), 0, None)
        below = np.minimum(place.astype(int), len(SCATTER_GRID) - 2)
        share = place - below
        take = np.take_along_axis
        first = take(p, below[None], axis=0)[0]
        second = take(p, below[None] + 1, axis=0)[0]
        read: Floats = (1 - share) * first + share * second
        return read


def calibrate(
    study: Study, effect: float, worlds: int, rng: np.random.Generator, exact: bool
) -> Calibration:
    """Simulate a study at one effect over the scatter grid."""
    fits = [study.worlds(effect, float(s), worlds, rng, exact) for s in SCATTER_GRID]
    statistics = np.stack([study.statistic(fit, effect) for fit in fits])
    spreads = np.array([fit.spread.mean() for fit in fits])
    return Calibration(np.sort(statistics, axis=1), spreads)


class Boundary:
    """One effect, and how surprising fits on either side of it would be.

    Errors in predictors flatten; whichever of the flat and the steep worlds makes the larger p is
    asked. The scatter is the shown one: the statistic is in its own standard errors, so that a
    scatter misjudged changes little.
    """

    def __init__(self, study: Study, effect: float, worlds: int, streams: Streams) -> None:
        """worlds: simulated a grid point; streams: a random stream for each named step."""
        self.study, self.effect = study, effect
        self._worlds, self._streams = worlds, streams

    def below(self, fit: Fit, least_scatter: float = 0.0) -> Floats:
        """P of fits this far below the effect."""
        null = self.flat if self.effect >= 0 else self.steep
        return null.at_most(self._statistic(fit), self._scatter(fit, null, least_scatter))

    def above(self, fit: Fit, least_scatter: float = 0.0) -> Floats:
        """P of fits this far above the effect."""
        null = self.steep if self.effect >= 0 else self.flat
        return null.at_least(self._statistic(fit), self._scatter(fit, null, least_scatter))

    @cached_property
    def flat(self) -> Calibration:
        """Worlds whose true predictors are drawn given the measured ones."""
        return self._calibrate(exact=False)

    @cached_property
    def steep(self) -> Calibration:
        """Worlds that take measured predictors for true."""
        return self._calibrate(exact=True) if self.study.inexact else self.flat

    def _statistic(self, fit: Fit) -> Floats:
        return self.study.statistic(fit, self.effect)

    def _scatter(self, fit: Fit, null: Calibration, least: float) -> Floats:
        return np.maximum(null.matched_scatter(fit.spread), least)

    def _calibrate(self, exact: bool) -> Calibration:
        rng = self._streams(f"boundary {self.effect:g} {'steep' if exact else 'flat'}")
        return calibrate(self.study, self.effect, self._worlds, rng, exact)
