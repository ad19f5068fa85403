"""The rate of draws that come in clusters: prompts, scenarios or training runs."""

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, t

from auditor.records import Interval
from auditor.statistics.intervals import LEVEL

Floats = npt.NDArray[np.float64]


def prompt_interval(
    k: Floats, n: Floats, behaviour: npt.NDArray[np.int64], scatter: float
) -> tuple[float, Interval]:
    """Design effect of prompts, at least 1, and the 95 % interval of a rate that respects it.

    k, n, behaviour: an entry a prompt. The effect is the rate's variance over that of as many
    independent draws (Kish 1965, §8.2), prompts being clusters within behaviours: the sum of
    m / (m - 1) sum (e - mean e)^2 with e = k - r n, over r (1 - r) sum n. Limits are Clopper and
    Pearson's for n over the effect, times (t_{n-1} / t_{prompts - behaviours})^2 for few prompts
    (Korn and Graubard 1998). Prompts that cannot show a scatter, one to a behaviour or no rate
    between 0 and 1, are given the claim's, in logits: 1 + (n / prompts - 1) r (1 - r) scatter^2.
    """
    total, rate = float(n.sum()), float(k.sum() / n.sum())
    members = np.bincount(behaviour)[behaviour]
    many, size = members > 1, total
    freedom = int(many.sum()) - len(set(behaviour[many].tolist()))
    if freedom and 0.0 < rate < 1.0:
        away = k - rate * n
        mean = np.bincount(behaviour, weights=away)[behaviour] / members
        square = (np.square(away - mean) * members / np.maximum(members - 1, 1))[many].sum()
        effect = max(1.0, float(square / (rate * (1.0 - rate) * n[many].sum())))
        tail = (1.0 + LEVEL) / 2.0
        size *= min(1.0, float(t.ppf(tail, max(total - 1.0, 1.0)) / t.ppf(tail, freedom)) ** 2)
    else:
        inside = (float(k.sum()) + 0.5) / (total + 1.0)
        effect = 1.0 + (total / len(n) - 1.0) * inside * (1.0 - inside) * scatter**2
    return effect, Interval(rate, *_clopper_pearson(rate, size / effect))


def _clopper_pearson(rate: float, size: float) -> tuple[float, float]:
    """Limits of Clopper and Pearson (1934) for a share of so many draws, whole or not."""
    tail, seen = (1.0 - LEVEL) / 2.0, rate * size
    low = float(beta.ppf(tail, seen, size - seen + 1.0)) if rate > 0 else 0.0
    high = float(beta.ppf(1.0 - tail, seen + 1.0, size - seen)) if rate < 1 else 1.0
    return low, high
