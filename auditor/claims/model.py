"""One model of the data (METHOD §1.1) and its simulation: counts with judge error and scatter.

    k ~ Binomial(n, Se p + (1 - Sp)(1 - p))
    logit p = a_mc + theta x + u_b + v_bm + w_bj

Behaviours are the unit. Statistics are read off the empirical logits of groups: a behaviour under
an arm, all its prompts together.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from auditor.claims.spec import Scatter
from auditor.statistics.judge import Judge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MARGINAL = 0.346
"""A logistic curve averaged over a normal effect of variance s2 is close to a logistic curve
shrunk by sqrt(1 + 0.346 s2) (Zeger, Liang and Albert 1988, c2 = (16 sqrt 3 / 15 pi)^2)."""

BISECTIONS = 22
"""Halvings of [-12, 12] logits: an intercept to within 1e-5."""

MOST_SCATTER = 3.0
"""No estimated scatter is larger: beyond it every rate is near 0 or 1."""


@dataclass(frozen=True)
class Cells:
    """The trials of a study, one entry a prompt of a behaviour under a model and a condition.

    behaviour, arm (a model under a condition), model, prompt (unique over behaviours): indices;
    trials: n; all of shape (cells,). `x`, `x_se`: predictor a behaviour and its standard error.
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

    @property
    def arms(self) -> int:
        """Number of models under a condition."""
        return int(self.arm.max()) + 1

    @cached_property
    def groups(self) -> tuple[Ints, Ints]:
        """Behaviour x arm of each cell as one index, and the (behaviour, arm) of each index."""
        pairs = np.stack([self.behaviour, self.arm], axis=1)
        unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
        return inverse.reshape(-1), unique

    @cached_property
    def design(self) -> Floats:
        """Indicators of each group's behaviour and arm; (groups, behaviours + arms)."""
        _, pairs = self.groups
        design = np.zeros((len(pairs), self.behaviours + self.arms))
        design[np.arange(len(pairs)), pairs[:, 0]] = 1.0
        design[np.arange(len(pairs)), self.behaviours + pairs[:, 1]] = 1.0
        return design

    @cached_property
    def effects(self) -> Floats:
        """The linear map from group logits to behaviour effects, arms taken out by least squares.

        Shape (behaviours, groups); effects sum to zero.
        """
        inverse = np.linalg.pinv(self.design)[: self.behaviours]
        centred: Floats = inverse - inverse.mean(axis=0)
        return centred

    @cached_property
    def left(self) -> Floats:
        """The projection of group logits onto what behaviours and arms leave; (groups, groups)."""
        left: Floats = np.eye(len(self.design)) - self.design @ np.linalg.pinv(self.design)
        return left

    def totals(self, counts: Ints) -> tuple[Floats, Floats]:
        """Positive trials and trials of each group; counts (cells,) or (worlds, cells)."""
        group, pairs = self.groups
        return _sum_by(counts, group, len(pairs)), _sum_by(self.trials, group, len(pairs))

    def logits(self, counts: Ints) -> Floats:
        """Empirical logits of the groups; (…, groups)."""
        k, n = self.totals(counts)
        logits: Floats = np.log((k + 0.5) / (n - k + 0.5))
        return logits

    def behaviour_effects(self, counts: Ints) -> Floats:
        """Effects of the behaviours in logits; counts (cells,) or (worlds, cells)."""
        effects: Floats = self.logits(counts) @ self.effects.T
        return effects

    def arm_rates(self, counts: Ints) -> Floats:
        """Observed share of positive trials in each arm, behaviours weighted equally; (arms,)."""
        _, pairs = self.groups
        k, n = self.totals(counts)
        means: Floats = np.bincount(pairs[:, 1], weights=k / n) / np.bincount(pairs[:, 1])
        return means


def shrunken(x: Floats, se: Floats, worlds: int, rng: np.random.Generator) -> Floats:
    """Draw true predictors given measured ones: a normal prior fitted to x; (worlds, n)."""
    prior = max(float(x.var(ddof=1) - np.square(se).mean()), 0.1 * float(x.var(ddof=1)))
    weight = prior / (prior + np.square(se))
    mean = x.mean() + weight * (x - x.mean())
    draws: Floats = mean + np.sqrt(weight) * se * rng.standard_normal((worlds, len(x)))
    return draws


def estimated_scatter(cells: Cells, counts: Ints) -> tuple[float, float]:
    """Standard deviations between models within a behaviour, and between prompts, in logits.

    By moments. Prompts: the variance of their rates within a group beyond the binomial's, on the
    logit scale by the derivative p (1 - p) (delta method). Models: what behaviours and arms leave
    of the groups' logits, beyond binomial error and prompts that no other model was given.
    """
    group, _ = cells.groups
    k, n = cells.totals(counts)
    p = (k + 0.5) / (n + 1.0)
    rate = counts / cells.trials
    members = np.bincount(group)
    slope = p * (1.0 - p)
    chance = slope[group] / cells.trials
    beyond = np.square(rate - (k / n)[group]) * (members / np.maximum(members - 1, 1))[group]
    many = members[group] > 1
    excess = float((beyond - chance)[many].sum())
    between = excess / max(float(np.square(slope[group])[many].sum()), 1e-12)
    prompt = float(np.sqrt(np.clip(between, 0.0, MOST_SCATTER**2)))
    freedom = float(np.trace(cells.left))
    if freedom < 1:
        return 0.0, prompt
    residual = float(np.square(cells.left @ cells.logits(counts)).sum()) / freedom
    error = float((np.diag(cells.left) * (1.0 / (k + 0.5) + 1.0 / (n - k + 0.5))).sum()) / freedom
    alone = len(np.unique(cells.prompt)) == len(cells.prompt)
    error += prompt**2 * float(np.mean(1.0 / members)) if alone else 0.0
    return float(np.sqrt(np.clip(residual - error, 0.0, MOST_SCATTER**2))), prompt


def simulate(
    cells: Cells,
    linear: Floats,
    scatter: Scatter,
    judge: Judge,
    rates: Floats,
    rng: np.random.Generator,
) -> Ints:
    """Draw counts of worlds whose groups have these linear predictors, apart from their arms.

    linear: (worlds, groups); rates: (arms,) observed shares that each arm's intercept is matched
    to. Returns (worlds, cells).
    """
    worlds = len(linear)
    group, _ = cells.groups
    deviations = (
        (scatter.behaviour, cells.behaviour),
        (scatter.model, cells.behaviour * (cells.model.max() + 1) + cells.model),
        (scatter.prompt, cells.prompt),
    )
    total = scatter.behaviour**2 + scatter.model**2 + scatter.prompt**2
    intercepts = _intercepts(cells, linear, total, judge, rates)
    eta = (linear + intercepts)[:, group]
    for deviation, index in deviations:
        if deviation:
            eta = eta + deviation * rng.standard_normal((worlds, int(index.max()) + 1))[:, index]
    return rng.binomial(cells.trials, judge.reports(expit(eta)))


def _intercepts(
    cells: Cells, linear: Floats, variance: float, judge: Judge, rates: Floats
) -> Floats:
    """Each arm's intercept, at which its expected observed rate is `rates`; (worlds, groups)."""
    _, pairs = cells.groups
    linear = linear[:1] if linear.strides[0] == 0 else linear  # every world is alike
    shrink = np.sqrt(1.0 + MARGINAL * variance)
    arms = np.zeros((len(pairs), len(rates)))
    arms[np.arange(len(pairs)), pairs[:, 1]] = 1.0
    arms /= arms.sum(axis=0)
    low = np.full((len(linear), len(rates)), -12.0)
    high = -low
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        p = judge.reports(expit((linear + middle[:, pairs[:, 1]]) / shrink))
        too_high = p @ arms > rates
        high, low = np.where(too_high, middle, high), np.where(too_high, low, middle)
    solved: Floats = ((low + high) / 2.0)[:, pairs[:, 1]]
    return solved


def _sum_by(values: Ints, group: Ints, groups: int) -> Floats:
    """Sum the last axis by group; (…, cells) → (…, groups)."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(groups))
    sums: Floats = np.add.reduceat(values[..., order], starts, axis=-1).astype(float)
    return sums
