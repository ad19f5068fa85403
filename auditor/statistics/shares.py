"""Which share of a treatment's rise over the base a control gives: runs drawn anew."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from auditor.records import Interval
from auditor.statistics.intervals import LEVEL

RESAMPLES = 9999
LEAST_RUNS = 3
"""Runs of a trained side below which their scatter is not known (see `random_share`)."""

TAIL = (1.0 - LEVEL) / 2.0
NOT_ESTIMATED = Interval(None, None, None)

Cell = tuple[int, int]
"""k and n of one run."""

Floats = npt.NDArray[np.float64]


def random_share(
    treatment: Sequence[Cell],
    random: Sequence[Cell],
    base: Sequence[Cell],
    rng: np.random.Generator,
) -> Interval:
    """(random - base) / (treatment - base) of average rates, with a bootstrap over runs.

    Nothing where a trained side has under LEAST_RUNS runs, or the limits of treatment - base
    include 0.
    """
    if min(len(treatment), len(random)) < LEAST_RUNS or not base:
        return NOT_ESTIMATED
    means = [float(np.mean([k / n for k, n in side])) for side in (treatment, random, base)]
    drawn = [_resampled(side, rng) for side in (treatment, random, base)]
    rise = drawn[0] - drawn[2]
    low, high = np.quantile(rise, (TAIL, 1.0 - TAIL))
    if low <= 0.0 <= high:
        return NOT_ESTIMATED
    rise[rise == 0.0] = np.nan
    limits = np.nanquantile((drawn[1] - drawn[2]) / rise, (TAIL, 1.0 - TAIL))
    return Interval((means[1] - means[2]) / (means[0] - means[2]), *map(float, limits))


def _resampled(side: Sequence[Cell], rng: np.random.Generator) -> Floats:
    """Average rates of resampled runs; of resampled answers where there is but one run.

    Deviations are stretched to those of a t interval, as Hesterberg (2015, section 3.2) does by
    level: coverage of the share is then .96 to .98 for 3 to 8 runs, and .78 to .92 without.
    """
    k, n = np.array(side, float).T
    if len(side) == 1:
        alone: Floats = rng.binomial(int(n[0]), k[0] / n[0], RESAMPLES) / n[0]
        return alone
    runs, rates = len(side), k / n
    drawn = rates[rng.integers(0, runs, (RESAMPLES, runs))].mean(axis=1)
    wider = math.sqrt(runs / (runs - 1)) * t.ppf(1.0 - TAIL, runs - 1) / norm.ppf(1.0 - TAIL)
    stretched: Floats = rates.mean() + wider * (drawn - rates.mean())
    return stretched
