"""Two kinds of unit with one outcome each, compared within strata: transcripts within models.

The effect is Mantel and Haenszel's (1959) log odds ratio, which the strata have in common: strata
may differ as they like in how often the outcome occurs and in how many of either kind they hold.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from auditor.statistics.calibration import Fit
from auditor.statistics.contrast import BISECTIONS, REACH, Dispersed, dispersed
from auditor.statistics.permutation import PERMUTATIONS
from auditor.statistics.sparse import NO_SCATTER

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FAR = 40.0
"""Log odds beyond which no rate lies."""


@dataclass(frozen=True)
class StratifiedStudy:
    """Units with the outcome and all units; (strata, 2), the second kind is compared with.

    One outcome a unit shows no scatter: there is none in worlds either.
    """

    k: Ints
    n: Ints
    inexact: bool = False

    def fit(self) -> Fit:
        """Fit what was observed."""
        return replace(self._fit(self.k), spread=np.asarray(NO_SCATTER))

    @property
    def effects(self) -> Floats:
        """Effects an interval may be read from."""
        fit = self._fit(self.k)
        grid: Floats = fit.estimate + REACH * fit.error
        return grid

    def worlds(
        self, effect: float, scatter: float, worlds: int, rng: np.random.Generator, exact: bool
    ) -> Fit:
        """Simulate and fit worlds with that odds ratio in every stratum, and its outcomes."""
        p = self._rates(effect)
        return self._fit(rng.binomial(self.n, p, (worlds, *self.n.shape)))

    def relabelled(self, relabellings: int, rng: np.random.Generator) -> Fit:
        """Fit outcomes dealt anew within each stratum."""
        return self._fit(self._dealt(relabellings, rng))

    def statistic(self, fit: Fit, effect: float) -> Floats:
        """The effect's distance from `effect` in its own standard errors."""
        distance: Floats = (fit.estimate - effect) / dispersed(fit).error
        return distance

    def no_effect_p(self, rng: np.random.Generator) -> float:
        """One-sided p that the first kind has more outcomes, dealt anew within strata."""
        dealt = self._dealt(PERMUTATIONS, rng)[..., 0].sum(axis=-1)
        return float((1 + np.sum(dealt >= self.k[:, 0].sum())) / (1 + PERMUTATIONS))

    def _dealt(self, deals: int, rng: np.random.Generator) -> Ints:
        outcomes, units = self.k.sum(axis=1), self.n.sum(axis=1)
        first = rng.hypergeometric(
            outcomes, units - outcomes, self.n[:, 0], (deals, len(self.n))
        ).astype(np.int64)
        return np.stack([first, outcomes - first], axis=-1)

    def _fit(self, k: Ints) -> Dispersed:
        """Log odds ratio with the error of Robins, Breslow and Greenland (1986); (…, strata, 2).

        Half a unit of the smallest side is the least that speaks for or against.
        """
        size, other = self.n.sum(axis=1), self.n - k
        more, fewer = k[..., 0] * other[..., 1] / size, k[..., 1] * other[..., 0] / size
        alike = (k[..., 0] + other[..., 1]) / size
        least = 0.5 * float((self.n.min(axis=1) / size).min())
        r, s = (np.maximum(one.sum(axis=-1), least) for one in (more, fewer))
        variance = (alike * more).sum(axis=-1) / (2.0 * r * r)
        variance += (alike * fewer + (1.0 - alike) * more).sum(axis=-1) / (2.0 * r * s)
        variance += ((1.0 - alike) * fewer).sum(axis=-1) / (2.0 * s * s)
        nothing = (more + fewer).sum(axis=-1) == 0
        error = np.sqrt(np.where(nothing, 2.0 / least, variance))
        return Dispersed(np.log(r / s), np.zeros_like(error), error)

    def _rates(self, effect: float) -> Floats:
        """Rates with that log odds ratio that expect each stratum's outcomes; (strata, 2).

        Half an outcome at the least, and half a unit without one.
        """
        outcomes = np.clip(self.k.sum(axis=1), 0.5, self.n.sum(axis=1) - 0.5)
        apart = np.array([effect, 0.0])
        low, high = np.full(len(self.n), -FAR), np.full(len(self.n), FAR)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2.0
            above = (self.n * expit(middle[:, None] + apart)).sum(axis=1) > outcomes
            high, low = np.where(above, middle, high), np.where(above, low, middle)
        rates: Floats = expit(((low + high) / 2.0)[:, None] + apart)
        return rates
