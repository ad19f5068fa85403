"""One average rate as a study: units of one group at one level, each counted once.

The effect is the rate's log odds above those of one in a thousand, next to never. Fits are compared
as rates, with no less variance than chance gives at the asked effect (a score statistic): log odds
of a rate near 0 have no usable error, and nothing seen at all must be the strongest evidence that
the rate is low.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from auditor.statistics.calibration import Fit
from auditor.statistics.contrast import ContrastStudy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEXT_TO_NEVER = 0.001
"""The rate that is an effect of 0."""

EFFECTS = np.linspace(-3.0, 13.0, 65)
"""Effects at which worlds are simulated for an interval: rates from 0.005 % to 99.8 %."""

MOST_RATE = 0.5


@dataclass(frozen=True)
class RateStudy(ContrastStudy):
    """Counts of units, (units, 1) each; the fit's estimate is their mean reported rate.

    allowed: worlds scatter no less than this, since hits are what shows a scatter and few are seen.
    With the shown scatter alone, a true rate of 1 % was refuted in 8.5 % of 600 simulated studies
    (20 units of 60 trials, scatter 1); with it in 3 to 5 %.
    """

    allowed: float = 0.0

    @property
    def effects(self) -> Floats:
        """Effects an interval may be read from."""
        return EFFECTS

    def worlds(
        self, effect: float, scatter: float, worlds: int, rng: np.random.Generator, exact: bool
    ) -> Fit:
        """Simulate and fit worlds whose average rate has this effect."""
        return super().worlds(effect + self._zero, max(scatter, self.allowed), worlds, rng, exact)

    def statistic(self, fit: Fit, effect: float) -> Floats:
        """The rate's distance from that of `effect`, in standard errors."""
        expected = self.judge.reports(expit(np.array(effect + self._zero)))
        chance = self._chance(fit.estimate)
        between = fit.spread * np.square(self._moved(fit.estimate))
        least = expected * (1.0 - expected) / self.n.sum()
        distance: Floats = (fit.estimate - expected) / np.sqrt(np.maximum(between + chance, least))
        return distance

    def relabelled(self, relabellings: int, rng: np.random.Generator) -> Fit:
        """Fit rates that might as well have been: log-uniform from half a trial to one half.

        There is nothing to deal anew where every unit has one rate.
        """
        low, high = np.log(0.5 / self.n.sum()), np.log(MOST_RATE)
        rates = np.exp(low + (high - low) * (np.arange(relabellings) + 0.5) / relabellings)
        fits = [
            self.worlds(float(logit(rate)) - self._zero, 0.0, 1, rng, exact=False) for rate in rates
        ]
        estimates = np.concatenate([fit.estimate for fit in fits])
        return Fit(estimates, np.concatenate([fit.spread for fit in fits]))

    @property
    def _zero(self) -> float:
        return float(logit(NEXT_TO_NEVER))

    def _fit(self, k: Ints, n: Ints) -> Fit:
        """Mean rate over units; its variance between them beyond chance, on the log-odds scale.

        On that scale the scatter shown at one rate can be told from worlds at another.
        """
        rates = (k / n)[..., 0]
        mean, units = rates.mean(axis=-1), rates.shape[-1]
        between = np.square(rates - mean[..., None]).sum(axis=-1) / (units * max(units - 1, 1))
        beyond = np.maximum(0.0, between - self._chance(mean))
        return Fit(np.asarray(mean), beyond / np.square(self._moved(mean)))

    def _chance(self, rate: Floats) -> Floats:
        """Binomial variance of a mean rate."""
        chance: Floats = self._moved(rate) / self.n.sum()
        return chance

    def _moved(self, rate: Floats) -> Floats:
        """By how much a rate moves with its log odds; half a trial away from 0 and 1."""
        least = 0.5 / self.n.sum()
        within = np.clip(rate, least, 1.0 - least)
        moved: Floats = within * (1.0 - within)
        return moved
