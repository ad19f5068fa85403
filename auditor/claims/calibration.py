"""Every p-value of a slope claim, by simulation under the claim (METHOD §4.3).

The behaviour scatter is a nuisance: worlds are simulated once over a grid of it, the observed
residual variance picks the value (moment matching), and the p-value is read off there.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from auditor.claims.model import Cells, Fit, fit_slope, shrunken, simulate
from auditor.claims.spec import Judge, Scatter

Floats = npt.NDArray[np.float64]

SCATTER_GRID = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0])
"""Logit standard deviations of behaviours at which worlds are simulated."""

WORLDS = 999
"""Worlds a grid point: p-values down to 0.001 (METHOD asks for S >= 999)."""


@dataclass(frozen=True)
class Calibration:
    """Slopes simulated at one beta over the grid of scatter.

    slopes: (grid, worlds), sorted; residuals: (grid,) mean residual variance.
    """

    slopes: Floats
    residuals: Floats

    def matched_scatter(self, residual: Floats) -> Floats:
        """The scatter at which simulated residual variance is the observed one."""
        rising = np.maximum.accumulate(self.residuals)
        matched: Floats = np.interp(residual, rising, SCATTER_GRID)
        return matched

    def at_most(self, slope: Floats, scatter: Floats) -> Floats:
        """P(simulated slope <= slope) at a scatter: small where the data are too flat."""
        return self._read(slope, scatter, lower=True)

    def at_least(self, slope: Floats, scatter: Floats) -> Floats:
        """P(simulated slope >= slope) at a scatter: small where the data are steeper."""
        return self._read(slope, scatter, lower=False)

    def _read(self, slope: Floats, scatter: Floats, lower: bool) -> Floats:
        """Interpolate p between the two grid points around each scatter."""
        slope, scatter = np.broadcast_arrays(slope, scatter)
        worlds = self.slopes.shape[1]
        side: Literal["left", "right"] = "right" if lower else "left"
        ranks = np.stack([np.searchsorted(row, slope, side=side) for row in self.slopes])
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
    cells: Cells,
    beta: float,
    scatter: Scatter,
    judge: Judge,
    rates: Floats,
    rng: np.random.Generator,
    shrink: bool,
    worlds: int = WORLDS,
) -> Calibration:
    """Simulate the slope at `beta` over the scatter grid.

    shrink: draw true frequencies given measured ones (the fair null for a refutation); otherwise
    the measured ones are taken for true (the hard one for support).
    """
    fits = [
        worlds_at(
            cells, beta, replace(scatter, behaviour=float(s)), judge, rates, rng, shrink, worlds
        )
        for s in SCATTER_GRID
    ]
    slopes = np.sort(np.stack([fit.slope for fit in fits]), axis=1)
    return Calibration(slopes, np.array([fit.residual.mean() for fit in fits]))


def worlds_at(
    cells: Cells,
    beta: float,
    scatter: Scatter,
    judge: Judge,
    rates: Floats,
    rng: np.random.Generator,
    shrink: bool,
    worlds: int,
) -> Fit:
    """Simulate worlds at one beta and one scatter, and fit each of them."""
    if shrink:
        x = shrunken(cells.x, cells.x_se, worlds, rng)
    else:
        x = np.broadcast_to(cells.x, (worlds, cells.behaviours))
    counts = simulate(cells, x, beta, scatter, judge, rates, rng)
    return fit_slope(cells.x, cells.behaviour_effects(counts))
