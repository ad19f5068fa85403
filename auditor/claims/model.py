"""One model of the data (METHOD §1.1) and its simulation: counts with judge error and scatter.

    k ~ Binomial(n, Se p + (1 - Sp)(1 - p))
    logit p = a_mc + beta x_b + u_b + v_bm + w_bj

Behaviours are the unit. The statistic is the slope of behaviour effects, estimated from empirical
logits after the effects of model and condition are taken out, on the log frequency in the corpus.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from auditor.claims.spec import Judge, Scatter

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MARGINAL = 0.346
"""A logistic curve averaged over a normal effect of variance s2 is close to a logistic curve
shrunk by sqrt(1 + 0.346 s2) (Zeger, Liang and Albert 1988, c2 = (16 sqrt 3 / 15 pi)^2)."""


BISECTIONS = 22
"""Halvings of [-12, 12] logits: an intercept to within 1e-5."""


@dataclass(frozen=True)
class Cells:
    """The trials of a study, one entry a prompt of a behaviour under a model and a condition.

    behaviour, arm (a model under a condition), model, prompt (unique over behaviours): indices;
    trials: n; all of shape (cells,). `x`, `x_se`: log frequency a behaviour and its standard error.
    """

    behaviour: Ints
    arm: Ints
    model: Ints
    prompt: Ints
    trials: Ints
    x: Floats
    x_se: Floats

    @property
    def behaviours(self) -> int:
        """Number of behaviours: the number of units."""
        return len(self.x)

    @cached_property
    def groups(self) -> tuple[Ints, Ints]:
        """Behaviour x arm of each cell as one index, and the (behaviour, arm) of each index."""
        pairs = np.stack([self.behaviour, self.arm], axis=1)
        unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
        return inverse.reshape(-1), unique

    @cached_property
    def effects(self) -> Floats:
        """The linear map from group logits to behaviour effects, arms taken out by least squares.

        Shape (behaviours, groups); effects sum to zero.
        """
        _, pairs = self.groups
        arms = int(self.arm.max()) + 1
        design = np.zeros((len(pairs), self.behaviours + arms))
        design[np.arange(len(pairs)), pairs[:, 0]] = 1.0
        design[np.arange(len(pairs)), self.behaviours + pairs[:, 1]] = 1.0
        inverse = np.linalg.pinv(design)[: self.behaviours]
        centred: Floats = inverse - inverse.mean(axis=0)
        return centred

    def behaviour_effects(self, counts: Ints) -> Floats:
        """Effects of the behaviours in logits; counts (cells,) or (worlds, cells)."""
        group, pairs = self.groups
        k = _sum_by(counts, group, len(pairs))
        n = _sum_by(self.trials, group, len(pairs))
        logits = np.log((k + 0.5) / (n - k + 0.5))
        effects: Floats = logits @ self.effects.T
        return effects

    def arm_rates(self, counts: Ints) -> Floats:
        """Observed share of positive trials in each arm, behaviours weighted equally; (arms,)."""
        group, pairs = self.groups
        rates = _sum_by(counts, group, len(pairs)) / _sum_by(self.trials, group, len(pairs))
        arms = pairs[:, 1]
        means: Floats = np.bincount(arms, weights=rates) / np.bincount(arms)
        return means


@dataclass(frozen=True, slots=True)
class Fit:
    """A slope and the variance left around it, over behaviours; scalars or one entry a world."""

    slope: Floats
    residual: Floats


def fit_slope(x: Floats, effects: Floats) -> Fit:
    """Regress behaviour effects on x; effects (behaviours,) or (worlds, behaviours)."""
    centred = x - x.mean()
    slope = effects @ centred / (centred @ centred)
    left = effects - effects.mean(axis=-1, keepdims=True) - np.multiply.outer(slope, centred)
    return Fit(np.asarray(slope), np.square(left).sum(axis=-1) / (len(x) - 2))


def shrunken(x: Floats, se: Floats, worlds: int, rng: np.random.Generator) -> Floats:
    """Draw true log frequencies given measured ones: a normal prior fitted to x; (worlds, n)."""
    prior = max(float(x.var(ddof=1) - np.square(se).mean()), 0.1 * float(x.var(ddof=1)))
    weight = prior / (prior + np.square(se))
    mean = x.mean() + weight * (x - x.mean())
    draws: Floats = mean + np.sqrt(weight) * se * rng.standard_normal((worlds, len(x)))
    return draws


def simulate(
    cells: Cells,
    x: Floats,
    beta: float,
    scatter: Scatter,
    judge: Judge,
    rates: Floats,
    rng: np.random.Generator,
) -> Ints:
    """Draw counts of worlds in which log frequency raises the logit by `beta`.

    x: (worlds, behaviours) true log frequencies; rates: (arms,) observed shares that each arm's
    intercept is matched to. Returns (worlds, cells).
    """
    worlds = len(x)
    deviations = (
        (scatter.behaviour, cells.behaviour),
        (scatter.model, cells.behaviour * (cells.model.max() + 1) + cells.model),
        (scatter.prompt, cells.prompt),
    )
    eta = beta * (x - x.mean(axis=1, keepdims=True))[:, cells.behaviour]
    for deviation, index in deviations:
        if deviation:
            eta = eta + deviation * rng.standard_normal((worlds, int(index.max()) + 1))[:, index]
    total = scatter.behaviour**2 + scatter.model**2 + scatter.prompt**2
    intercepts = _intercepts(cells, x, beta, total, judge, rates)
    p = _judged(expit(eta + intercepts[:, cells.arm]), judge)
    return rng.binomial(cells.trials, p)


def _intercepts(
    cells: Cells, x: Floats, beta: float, variance: float, judge: Judge, rates: Floats
) -> Floats:
    """Solve each arm's intercept so that its expected observed rate is `rates`; (worlds, arms)."""
    _, pairs = cells.groups
    x = x[:1] if x.strides[0] == 0 else x  # every world has the same frequencies
    shrink = np.sqrt(1.0 + MARGINAL * variance)
    linear = beta * (x - x.mean(axis=1, keepdims=True))
    present = np.zeros((len(rates), cells.behaviours))
    present[pairs[:, 1], pairs[:, 0]] = 1.0
    present /= present.sum(axis=1, keepdims=True)
    low = np.full((len(x), len(rates)), -12.0)
    high = -low
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        p = _judged(expit((linear[:, None, :] + middle[:, :, None]) / shrink), judge)
        too_high = (p * present).sum(axis=2) > rates
        high, low = np.where(too_high, middle, high), np.where(too_high, low, middle)
    solved: Floats = (low + high) / 2.0
    return solved


def _judged(p: Floats, judge: Judge) -> Floats:
    """The rate a judge reports for a true rate."""
    se = 1.0 if judge.sensitivity is None else judge.sensitivity
    sp = 1.0 if judge.specificity is None else judge.specificity
    out: Floats = se * p + (1.0 - sp) * (1.0 - p)
    return out


def _sum_by(values: Ints, group: Ints, groups: int) -> Floats:
    """Sum the last axis by group; (…, cells) → (…, groups)."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(groups))
    sums: Floats = np.add.reduceat(values[..., order], starts, axis=-1).astype(float)
    return sums
