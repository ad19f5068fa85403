"""Intervals for sums of weighted counts, where few or none were seen."""

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, chi2

from auditor.records import Counted, Interval

LEVEL = 0.95

Floats = npt.NDArray[np.float64]


def fay_feuer(totals: Floats, largest: float, level: float = LEVEL) -> Interval:
    """Gamma interval of Fay and Feuer (1997) for a sum of independent weighted totals.

    totals: weighted count of each independent unit (here: a document), zeros allowed, and negative
    ones where a score foresaw more than was seen; largest: the greatest total one unit could have
    had. Returns the sum with its limits, in the totals' unit.
    With nothing seen the lower limit is 0 and the upper is 3.69 times `largest` at 95 %.
    """
    tail = (1.0 - level) / 2.0
    y, v = float(totals.sum()), float(np.square(totals).sum())
    low = v / (2.0 * y) * float(chi2.ppf(tail, 2.0 * y * y / v)) if y > 0 else 0.0
    above, spread = y + largest, v + largest * largest
    high = spread / (2.0 * above) * float(chi2.ppf(1.0 - tail, 2.0 * above * above / spread))
    return Interval(y, low, high)


def log_standard_error(pi: Floats, amounts: Floats) -> float | None:
    """Standard error of the log of a frame's estimated count; None where nothing was seen.

    pi: inclusion probabilities of the spans that add something; amounts: what each adds, 1 for a
    positive. The Horvitz-Thompson variance under Poisson sampling, sum (1 - pi) (amount / pi)^2
    (Särndal, Swensson and Wretman 1992, eq. 3.5.3), and the delta method. A census has no error:
    the frame is what the rate is about.
    """
    total = float((amounts / pi).sum())
    if total <= 0.0:
        return None
    return float(np.sqrt(((1.0 - pi) * np.square(amounts / pi)).sum()) / total)


def clopper_pearson(k: int, n: int, level: float = LEVEL) -> Counted:
    """Exact interval of Clopper and Pearson (1934) for k of n; no estimate where n is 0."""
    if n == 0:
        return Counted(k, n, Interval(None, None, None))
    return Counted(k, n, Interval(k / n, *exact_limits(k, n, level)))


def exact_limits(seen: float, size: float, level: float = LEVEL) -> tuple[float, float]:
    """Limits of Clopper and Pearson (1934) for a share of so many draws, whole or not."""
    tail = (1.0 - level) / 2.0
    low = float(beta.ppf(tail, seen, size - seen + 1.0)) if seen > 0 else 0.0
    high = float(beta.ppf(1.0 - tail, seen + 1.0, size - seen)) if seen < size else 1.0
    return low, high
