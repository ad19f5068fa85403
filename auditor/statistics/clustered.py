"""The rate of draws that come in clusters: prompts, scenarios or training runs."""

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from auditor.records import Interval
from auditor.statistics.intervals import LEVEL, exact_limits

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
        size *= _few(total, freedom)
    else:
        inside = (float(k.sum()) + 0.5) / (total + 1.0)
        effect = 1.0 + (total / len(n) - 1.0) * inside * (1.0 - inside) * scatter**2
    return effect, Interval(rate, *exact_limits(rate * size / effect, size / effect))


def weighted_interval(
    rates: Floats, n: Floats, weight: Floats, cluster: npt.NDArray[np.int64]
) -> tuple[float, Interval]:
    """Design effect and 95 % interval of an average of weighted units that come in clusters.

    rates, n, weight: of each unit; cluster: its number, from 0. The average is Hájek's, its
    variance that between clusters (Särndal, Swensson and Wretman 1992, §5.7, §8.6) and never less
    than of so weighted, independent draws; limits as in `prompt_interval`. Where the rate is 0 or 1
    a cluster counts as one draw.
    """
    share, clusters = weight / weight.sum(), int(cluster.max()) + 1
    rate = float(np.clip(share @ rates, 0.0, 1.0))
    size, total = 1.0 / float(np.square(np.bincount(cluster, share)).sum()), float(n.sum())
    if clusters > 1 and 0.0 < rate < 1.0:
        pulls = np.square(np.bincount(cluster, share * (rates - rate))).sum()
        least = rate * (1.0 - rate) * float((np.square(share) / n).sum())
        variance = max(least, float(pulls) * clusters / (clusters - 1.0))
        size = rate * (1.0 - rate) / variance * _few(total, clusters - 1)
    return total / size, Interval(rate, *exact_limits(rate * size, size))


def _few(draws: float, freedom: int) -> float:
    """What draws of few clusters count for (Korn and Graubard 1998): (t_draws / t_freedom)^2."""
    tail = (1.0 + LEVEL) / 2.0
    ratio = float(t.ppf(tail, max(draws - 1.0, 1.0)) / t.ppf(tail, freedom))
    return min(1.0, ratio**2)
