"""A contrast of units with few draws each, that may count unequally: prefixes, cases, transcripts.

Units of a probability sample count for all those they stand for. Where no unit was drawn twice,
scatter cannot show and is none.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from auditor.statistics.calibration import Fit
from auditor.statistics.contrast import ContrastStudy, Dispersed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NO_SCATTER = -1.0
"""A spread below that of any world: scatter that does not show is read as none."""


@dataclass(frozen=True)
class SparseStudy(ContrastStudy):
    """A contrast of weighted units.

    weight: (units,), inverse to the chance of a unit to be drawn, in any scale; none: all alike.
    Averages are Hájek's and their variance is that of their linearisation (Särndal, Swensson and
    Wretman 1992, §5.7).
    """

    weight: Floats = field(default_factory=lambda: np.ones(0))

    @classmethod
    def of(cls, study: ContrastStudy, weight: Floats | None = None) -> "SparseStudy":
        """The same trials."""
        equal = np.ones(len(study.k)) if weight is None else weight
        return cls(study.k, study.n, study.group, study.weights, study.judge, weight=equal)

    def fit(self) -> Fit:
        """Fit what was observed."""
        fit = super().fit()
        return fit if (self.n > 1).any() else replace(fit, spread=np.asarray(NO_SCATTER))

    def differences(self) -> Floats:
        """Each unit's own difference of rates, as much of it as the unit counts."""
        return super().differences() * self._scaled

    def part(self, inside: npt.NDArray[np.bool_]) -> "SparseStudy":
        """Some of the units of a study of one group."""
        k, n, group = self.k[inside], self.n[inside], self.group[inside]
        return replace(self, k=k, n=n, group=group, weight=self.weight[inside])

    def _fit(self, k: Ints, n: Ints) -> Dispersed:
        """Contrast and its error between units, never less than the binomial's."""
        rates = k / n
        mean = self._mean(rates)
        trials = np.square(self._units)[:, None] / self._sum(self._scaled[:, None] / n)
        p = self._true(mean, trials)
        slope = self.weights / (p * (1.0 - p) * self._youden)
        chance = np.clip(mean, 0.5 / trials, 1.0 - 0.5 / trials)
        binomial = (np.square(slope) * chance * (1.0 - chance) / trials).sum(axis=(-2, -1))
        pull = (slope[..., self.group, :] * (rates - mean[..., self.group, :])).sum(axis=-1)
        free = (1.0 / (self._units * self._freedom))[self.group]
        between = np.square(pull * self._scaled) @ free
        estimate = (self.weights * logit(p)).sum(axis=(-2, -1))
        return Dispersed(estimate, between / binomial, np.sqrt(np.maximum(between, binomial)))

    @cached_property
    def _scaled(self) -> Floats:
        """Weights whose mean in each group is 1."""
        weight = self.weight if len(self.weight) else np.ones(len(self.k))
        mean = np.bincount(self.group, weights=weight) / self._units
        scaled: Floats = weight / mean[self.group]
        return scaled

    @cached_property
    def _member(self) -> Floats:
        """How much each unit counts in its group; (groups, units)."""
        groups = np.arange(len(self.weights))[:, None]
        member: Floats = (groups == self.group) * self._scaled
        return member
