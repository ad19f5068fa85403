"""A contrast of units with few draws each, that may count unequally: prefixes, cases, transcripts.

Units of a probability sample count for all those they stand for, and may come in clusters: the
prefixes of one document. Where no unit was drawn twice, scatter cannot show and is none.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from auditor.records import Interval
from auditor.statistics.calibration import Fit
from auditor.statistics.clustered import weighted_interval
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
    Wretman 1992, §5.7). cluster: (units,), whose units may share whatever made them so; none: each
    its own. What the units of a cluster add to an average is added up before it is squared (§8.6),
    so that a cluster of copies counts once. Worlds are drawn unit by unit and fitted in the same
    way: they have the clusters' number and weights, while what units share shows in the error of
    the data alone.
    """

    weight: Floats = field(default_factory=lambda: np.ones(0))
    cluster: Ints = field(default_factory=lambda: np.ones(0, np.int64))

    @classmethod
    def of(
        cls, study: ContrastStudy, weight: Floats | None = None, cluster: Ints | None = None
    ) -> "SparseStudy":
        """The same trials."""
        equal = np.ones(len(study.k)) if weight is None else weight
        own = np.arange(len(study.k)) if cluster is None else cluster
        trials = (study.k, study.n, study.group, study.weights, study.judge)
        return cls(*trials, weight=equal, cluster=own)

    def fit(self) -> Fit:
        """Fit what was observed."""
        fit = super().fit()
        return fit if (self.n > 1).any() else replace(fit, spread=np.asarray(NO_SCATTER))

    def differences(self) -> Floats:
        """Each cluster's own difference of rates, as much of it as its units count."""
        return self._added(super().differences() * self._scaled)

    def limits(self, level: int) -> tuple[float, Interval]:
        """Design effect and interval of one level's rate, of a study of one group."""
        rates, n = (self.k / self.n)[:, level], self.n[:, level].astype(float)
        return weighted_interval(rates, n, self._scaled, self._clusters)

    def part(self, inside: npt.NDArray[np.bool_]) -> "SparseStudy":
        """Some of the units of a study of one group."""
        k, n, group = self.k[inside], self.n[inside], self.group[inside]
        weight, cluster = self.weight[inside], self._clusters[inside]
        return replace(self, k=k, n=n, group=group, weight=weight, cluster=cluster)

    def _fit(self, k: Ints, n: Ints) -> Dispersed:
        """Contrast and its error between clusters, never less than the binomial's."""
        rates = k / n
        mean = self._mean(rates)
        trials = np.square(self._units)[:, None] / self._sum(self._scaled[:, None] / n)
        p = self._true(mean, trials)
        slope = self.weights / (p * (1.0 - p) * self._youden)
        chance = np.clip(mean, 0.5 / trials, 1.0 - 0.5 / trials)
        binomial = (np.square(slope) * chance * (1.0 - chance) / trials).sum(axis=(-2, -1))
        pull = (slope[..., self.group, :] * (rates - mean[..., self.group, :])).sum(axis=-1)
        between = np.square(self._added(pull * self._part)).sum(axis=-1)
        estimate = (self.weights * logit(p)).sum(axis=(-2, -1))
        return Dispersed(estimate, between / binomial, np.sqrt(np.maximum(between, binomial)))

    def _added(self, values: Floats) -> Floats:
        """Sum over the units of a cluster; (…, units) → (…, clusters)."""
        order = np.argsort(self._clusters, kind="stable")
        starts = np.searchsorted(self._clusters[order], np.arange(self._clusters.max() + 1))
        added: Floats = np.add.reduceat(values[..., order], starts, axis=-1)
        return added

    @cached_property
    def _clusters(self) -> Ints:
        """Each unit's cluster, numbered from 0."""
        own = self.cluster if len(self.cluster) else np.arange(len(self.k))
        return np.unique(own, return_inverse=True)[1]

    @cached_property
    def _part(self) -> Floats:
        """Each unit's part of its group's average, widened for the clusters' own mean."""
        pairs = np.unique(np.stack([self.group, self._clusters]), axis=1)
        clusters = np.bincount(pairs[0], minlength=len(self.weights)).astype(float)
        wider = np.sqrt(clusters / np.maximum(clusters - 1.0, 1.0)) / self._units
        part: Floats = self._scaled * wider[self.group]
        return part

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
