"""What is claimed of an effect, and what a study says about it.

`AtLeast`: the effect is so much or more. `Within`: it is so much or less, either way. Both answer
the same questions of any study: how surprising are the data if the claim holds, how surprising if
it just fails, and how often would other worlds have refuted it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from auditor.records import Interval
from auditor.statistics.calibration import WORLDS, Boundary, Fit, Streams, Study

Floats = npt.NDArray[np.float64]

RELABELLINGS = 400
"""Relabelled outcomes behind the forbidden fraction: its Monte-Carlo error stays under 0.025."""

RIVALS = 8
"""Rival worlds' effects, at the midpoints of so many equal shares of their distribution."""

ALLOWED_STEPS = 7
"""Scatters, from none to all that is allowed, of which the least favourable is shown."""

INTERVAL_WORLDS = 299
LIMITS = (0.5, 0.975, 0.025)
"""Shares of worlds at or below the data that make an estimate and its 95 % limits."""

At = Mapping[float, Boundary]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The effect is `least` or more."""

    least: float

    @property
    def boundaries(self) -> tuple[float, ...]:
        """Effects at which the claim just holds, or just fails."""
        return (self.least,)

    def refutation(self, at: At, fit: Fit, least_scatter: float = 0.0) -> Floats:
        """P of fits so far below the claim, if it holds."""
        return at[self.least].below(fit, least_scatter)

    def support(self, at: At, fit: Fit) -> Floats:
        """P of fits so far above it, if the effect is only `least`."""
        return at[self.least].above(fit)

    def others(self, trial: "Trial", rival: float, scatter: float) -> list[Fit]:
        """Outcomes that might as well have been: those observed, dealt anew to the units."""
        return [trial.study.relabelled(RELABELLINGS, trial.streams("relabelling"))]

    def __str__(self) -> str:
        """Say it as reports do."""
        return f"at least {self.least:.3g}"


@dataclass(frozen=True, slots=True)
class Within:
    """The effect is `margin` or less, either way.

    reach: shown by ruling out effects this large (two one-sided tests, Schuirmann 1987).
    """

    margin: float
    reach: float

    @property
    def boundaries(self) -> tuple[float, ...]:
        """Effects at which the claim just holds, or just fails."""
        return (self.margin, -self.margin, self.reach, -self.reach)

    def refutation(self, at: At, fit: Fit, least_scatter: float = 0.0) -> Floats:
        """P of fits so far outside, if the effect is at the nearer margin; both sides count."""
        above = at[self.margin].above(fit, least_scatter)
        below = at[-self.margin].below(fit, least_scatter)
        return np.minimum(1.0, 2.0 * np.minimum(above, below))

    def support(self, at: At, fit: Fit) -> Floats:
        """P of fits so close to 0, if the effect is as large as `reach`."""
        return np.maximum(at[self.reach].below(fit), at[-self.reach].above(fit))

    def others(self, trial: "Trial", rival: float, scatter: float) -> list[Fit]:
        """Outcomes of rival worlds, effects normal around 0 with standard deviation `rival`.

        Dealing outcomes anew would make worlds in which the claim is true.
        """
        rng = trial.streams("rival worlds")
        effects = abs(rival) * norm.ppf((np.arange(RIVALS) + 0.5) / RIVALS)
        size = RELABELLINGS // RIVALS
        return [trial.study.worlds(float(e), scatter, size, rng, exact=False) for e in effects]

    def __str__(self) -> str:
        """Say it as reports do."""
        return f"within {self.margin:.3g} of 0"


Claimed = AtLeast | Within


@dataclass(frozen=True, slots=True)
class Tested:
    """Everything a study says about a claim; scatter in logits.

    p_refute_if_allowed: the largest for any scatter the claim allows, a sensitivity line.
    """

    effect: Interval
    scatter: float
    p_refute: float
    p_refute_if_allowed: float
    p_support: float
    forbidden_fraction: float
    power: float

    __test__ = False


class Trial:
    """A study and a claim about its effect, brought together."""

    def __init__(
        self, study: Study, claimed: Claimed, alpha: float, streams: Streams, worlds: int = WORLDS
    ) -> None:
        """streams: a random stream for each named step; worlds: simulated a grid point."""
        self.study, self.claimed, self.alpha = study, claimed, alpha
        self.streams, self.worlds = streams, worlds
        self.at = {e: Boundary(study, e, worlds, streams) for e in claimed.boundaries}

    def test(self, rival: float, allowed: float) -> Tested:
        """Test what was observed.

        rival: the effect in the nearest rival world; allowed: the scatter the claim allows. Power
        and the interval take the larger of the allowed and the shown scatter.
        """
        fit = self.study.fit()
        null = next(iter(self.at.values())).flat
        shown = float(null.matched_scatter(fit.spread))
        larger = max(allowed, shown)
        others = self.claimed.others(self, rival, larger)
        return Tested(
            effect=self.interval(fit, larger),
            scatter=shown,
            p_refute=float(self.claimed.refutation(self.at, fit)),
            p_refute_if_allowed=max(
                float(self.claimed.refutation(self.at, fit, least))
                for least in np.linspace(0.0, allowed, ALLOWED_STEPS)
            ),
            p_support=float(self.claimed.support(self.at, fit)),
            forbidden_fraction=float(np.mean([self.refuted(other) for other in others])),
            power=self.power(rival, larger),
        )

    def refuted(self, fit: Fit) -> float:
        """Share of fits that refute the claim."""
        return float(np.mean(self.claimed.refutation(self.at, fit) <= self.alpha))

    def power(self, effect: float, scatter: float) -> float:
        """Chance to refute the claim in a world with that effect and scatter."""
        rng = self.streams("power")
        return self.refuted(self.study.worlds(effect, scatter, self.worlds, rng, exact=False))

    def interval(self, fit: Fit, scatter: float) -> Interval:
        """Estimate and 95 % limits: the effects whose worlds would give the data (inversion)."""
        rng = self.streams("interval")
        below = []
        for effect in self.study.effects:
            worlds = self.study.worlds(float(effect), scatter, INTERVAL_WORLDS, rng, exact=False)
            seen = self.study.statistic(fit, float(effect))
            below.append(np.mean(self.study.statistic(worlds, float(effect)) <= seen))
        return Interval(*(_crossing(self.study.effects, np.array(below), at) for at in LIMITS))


def _crossing(effects: Floats, below: Floats, level: float) -> float | None:
    """The effect at which the share of worlds at or below the data falls to a level."""
    falling = np.minimum.accumulate(below)
    if not falling[-1] <= level <= falling[0]:
        return None
    return float(np.interp(-level, -falling, effects))
