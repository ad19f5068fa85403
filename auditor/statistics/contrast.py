"""A contrast of rates as a study: units under several levels, in one or more groups.

The estimate is a weighted sum of the log odds of average rates, each unit counted once. Units are
prompts, scenarios or training seeds, never draws: its variance is that between units (a sandwich).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from auditor.statistics.calibration import Fit
from auditor.statistics.judge import Judge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
"""Gauss-Hermite quadrature over a standard normal effect."""

BISECTIONS = 40
MOST_SCATTER = 3.0
"""No estimated scatter is larger: beyond it every rate is near 0 or 1."""

REACH = np.linspace(-8.0, 8.0, 33)
"""Standard errors around the estimate at which worlds are simulated for its interval."""


@dataclass(frozen=True, slots=True)
class Dispersed(Fit):
    """An estimate with its standard error; the spread is in multiples of the binomial variance."""

    error: Floats


@dataclass(frozen=True)
class ContrastStudy:
    """Counts of units under levels.

    Scatter is read off the ratio of the variance between units to the binomial's: the variance
    itself moves with the rates, and that of a level without a case would be read as scatter.

    k, n: (units, levels); group: (units,); weights: (groups, levels), what each average rate's log
    odds adds to the effect. inexact: no predictor is measured here.
    """

    k: Ints
    n: Ints
    group: Ints
    weights: Floats
    judge: Judge
    inexact: bool = False

    def fit(self) -> Fit:
        """Fit what was observed."""
        return self._fit(self.k, self.n)

    @cached_property
    def effects(self) -> Floats:
        """Effects an interval may be read from."""
        fit = self.fit()
        grid: Floats = fit.estimate + REACH * dispersed(fit).error
        return grid

    @property
    def rates(self) -> Floats:
        """Observed average rates; (groups, levels)."""
        return self._mean(self.k / self.n)

    def worlds(
        self, effect: float, scatter: float, worlds: int, rng: np.random.Generator, exact: bool
    ) -> Fit:
        """Simulate and fit worlds with that contrast; scatter: of units at a level, in logits."""
        return self._fit(self._draw(effect, scatter, worlds, rng), self.n)

    def relabelled(self, relabellings: int, rng: np.random.Generator) -> Fit:
        """Fit outcomes dealt anew: levels within each unit, then units to groups."""
        shape = (relabellings, *self.k.shape)
        levels = rng.permuted(np.broadcast_to(np.arange(shape[2]), shape), axis=2)
        units = rng.permuted(np.broadcast_to(np.arange(shape[1]), shape[:2]), axis=1)
        k = np.take_along_axis(np.broadcast_to(self.k, shape), levels, axis=2)
        n = np.take_along_axis(np.broadcast_to(self.n, shape), levels, axis=2)
        take = units[:, :, None]
        return self._fit(np.take_along_axis(k, take, axis=1), np.take_along_axis(n, take, axis=1))

    def statistic(self, fit: Fit, effect: float) -> Floats:
        """The contrast's distance from `effect` in its own standard errors."""
        distance: Floats = (fit.estimate - effect) / dispersed(fit).error
        return distance

    def differences(self) -> Floats:
        """Each unit's own weighted difference of rates, for permutation; (units,)."""
        return np.asarray((self.k / self.n * np.sign(self.weights[self.group])).sum(axis=1))

    def _fit(self, k: Ints, n: Ints) -> Fit:
        """Contrast and its error between units; counts (…, units, levels).

        The error is never less than the binomial's: a level without a single case has none.
        """
        rates = k / n
        mean, trials = self._mean(rates), self._sum(np.broadcast_to(n, k.shape))
        p = self._true(mean, trials)
        slope = 1.0 / (p * (1.0 - p) * self._youden)
        least = 0.5 / trials
        chance = np.clip(mean, least, 1.0 - least)
        binomial = np.square(self.weights * slope) * chance * (1.0 - chance) / trials
        pull = (self.weights * slope)[..., self.group, :] * (rates - mean[..., self.group, :])
        between = np.square(pull.sum(axis=-1)) @ (1.0 / (self._units * self._freedom))[self.group]
        estimate = (self.weights * logit(p)).sum(axis=(-2, -1))
        chance = binomial.sum(axis=(-2, -1))
        return Dispersed(estimate, between / chance, np.sqrt(np.maximum(between, chance)))

    def _draw(self, effect: float, scatter: float, worlds: int, rng: np.random.Generator) -> Ints:
        """Counts of worlds whose average rates are the observed ones moved to the contrast."""
        trials = self._sum(self.n)
        p = self._true(self.rates, trials)
        variance = np.square(self.weights != 0) / (trials * p * (1.0 - p))
        short = effect - float((self.weights * logit(p)).sum())
        total = float((np.square(self.weights) * variance).sum())
        moved = expit(logit(p) + variance * self.weights * short / total)
        common = self._unit_scatter
        centre = _conditional(moved, float(np.hypot(common, scatter)))[self.group]
        shape = (worlds, *self.k.shape)
        eta = centre + common * rng.standard_normal((*shape[:2], 1))
        eta = eta + scatter * rng.standard_normal(shape)
        return rng.binomial(self.n, self.judge.reports(expit(eta)))

    @cached_property
    def _unit_scatter(self) -> float:
        """Standard deviation of units over all their levels, in logits, by moments.

        The covariance of a unit's rates between levels, by the derivative p (1 - p); 0 for one
        level, where it cannot be told from the scatter at that level.
        """
        levels = self.k.shape[1]
        mean = self._mean(self.k / self.n)
        p = self._true(mean, self._sum(self.n))
        away = (self.k / self.n - mean[self.group]) / self._youden
        slope = (p * (1.0 - p))[self.group]
        pairs = [(i, j) for i in range(levels) for j in range(i)]
        scale = (self._units / self._freedom)[self.group]
        shared = sum(float((away[:, i] * away[:, j] * scale).sum()) for i, j in pairs)
        steep = sum(float((slope[:, i] * slope[:, j]).sum()) for i, j in pairs)
        return float(np.sqrt(np.clip(shared / steep, 0.0, MOST_SCATTER**2))) if pairs else 0.0

    def _true(self, rates: Floats, trials: Floats) -> Floats:
        """True rates, half a trial away from 0 and 1 at the least."""
        least = 0.5 / trials
        p: Floats = np.clip(self.judge.truth(rates), least, 1.0 - least)
        return p

    @property
    def _youden(self) -> float:
        """By how much an observed rate moves with the true one."""
        return float(self.judge.reports(np.array(1.0)) - self.judge.reports(np.array(0.0)))

    @cached_property
    def _units(self) -> Floats:
        """Units of each group."""
        return np.bincount(self.group, minlength=len(self.weights)).astype(float)

    @cached_property
    def _freedom(self) -> Floats:
        return np.maximum(self._units - 1.0, 1.0)

    @cached_property
    def _member(self) -> Floats:
        member: Floats = (np.arange(len(self.weights))[:, None] == self.group).astype(float)
        return member

    def _sum(self, values: Ints | Floats) -> Floats:
        """Sum over the units of a group; (…, units, levels) → (…, groups, levels)."""
        summed: Floats = self._member @ values
        return summed

    def _mean(self, values: Floats) -> Floats:
        return self._sum(values) / self._units[:, None]


def dispersed(fit: Fit) -> Dispersed:
    """A fit of a contrast; raises TypeError for any other."""
    if not isinstance(fit, Dispersed):
        raise TypeError("a contrast reads its own fits alone")
    return fit


def _conditional(p: Floats, scatter: float) -> Floats:
    """The logit of a typical unit where the average rate is p and units scatter so much."""
    low, high = np.full(p.shape, -40.0), np.full(p.shape, 40.0)
    share = WEIGHTS / WEIGHTS.sum()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        average = expit(middle[..., None] + scatter * NODES) @ share
        high, low = np.where(average > p, middle, high), np.where(average > p, low, middle)
    solved: Floats = (low + high) / 2.0
    return solved
