"""A slope over behaviours as a study: do rates rise with what the text holds?

The estimate is the least-squares slope of behaviour effects on the predictor, other predictors
held fixed; behaviours are the units, and their scatter is what the variance left shows.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from auditor.claims.model import Cells, estimated_scatter, shrunken, simulate
from auditor.claims.spec import Scatter
from auditor.statistics.calibration import Fit
from auditor.statistics.contrast import REACH
from auditor.statistics.judge import Judge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EFFECTS = np.concatenate([np.arange(-3.0, 4.0, 0.25), np.arange(4.0, 10.1, 1.0)])
"""Slopes at which worlds are simulated for an interval; a limit beyond them is not given."""


@dataclass(frozen=True)
class SlopeStudy:
    """Trials of behaviours whose predictor is `cells.x`.

    given: (behaviours, others) predictors held fixed; rates: (arms,) shares that simulated arms
    are matched to; counts is None where nothing was observed yet.
    """

    cells: Cells
    judge: Judge
    scatter: Scatter
    rates: Floats
    counts: Ints | None = None
    given: Floats | None = None
    effects: Floats = field(default_factory=lambda: EFFECTS)

    @classmethod
    def observed(
        cls, cells: Cells, counts: Ints, judge: Judge, given: Floats | None = None
    ) -> "SlopeStudy":
        """A study of counts, its scatter between models and prompts estimated from them."""
        scatter = Scatter(0.0, *estimated_scatter(cells, counts))
        return cls(cells, judge, scatter, cells.arm_rates(counts), counts, given)

    @property
    def inexact(self) -> bool:
        """Whether the predictor was measured with error."""
        return bool(np.any(self.cells.x_se > 0))

    @cached_property
    def behaviour_effects(self) -> Floats:
        """Effects of the behaviours in logits, as observed."""
        if self.counts is None:
            raise ValueError("nothing was observed yet")
        return self.cells.behaviour_effects(self.counts)

    def fit(self) -> Fit:
        """Fit what was observed."""
        return self.fit_effects(self.behaviour_effects)

    def fit_effects(self, effects: Floats) -> Fit:
        """Regress behaviour effects, (behaviours,) or (worlds, behaviours), on the predictor."""
        slope = effects @ self._rest / (self._rest @ self._rest)
        left = effects - effects @ self._hat - np.multiply.outer(slope, self._rest)
        freedom = self.cells.behaviours - 1 - round(float(np.trace(self._hat)))
        return Fit(np.asarray(slope), np.square(left).sum(axis=-1) / max(freedom, 1))

    def worlds(
        self, effect: float, scatter: float, worlds: int, rng: np.random.Generator, exact: bool
    ) -> Fit:
        """Simulate and fit worlds whose slope is `effect`."""
        cells = self.cells
        x = (
            np.broadcast_to(cells.x, (worlds, cells.behaviours))
            if exact
            else shrunken(cells.x, cells.x_se, worlds, rng)
        )
        linear = effect * (x - x.mean(axis=1, keepdims=True)) + self._others(effect)
        spread = Scatter(scatter, self.scatter.model, self.scatter.prompt)
        _, pairs = cells.groups
        counts = simulate(cells, linear[:, pairs[:, 0]], spread, self.judge, self.rates, rng)
        return self.fit_effects(cells.behaviour_effects(counts))

    def relabelled(self, relabellings: int, rng: np.random.Generator) -> Fit:
        """Fit the behaviours' effects dealt anew."""
        dealt = rng.permuted(np.tile(self.behaviour_effects, (relabellings, 1)), axis=1)
        return self.fit_effects(dealt)

    def statistic(self, fit: Fit, effect: float) -> Floats:
        """The slope's distance from `effect` in its own standard errors."""
        error = np.sqrt(fit.spread / (self._rest @ self._rest))
        distance: Floats = (fit.estimate - effect) / np.maximum(error, 1e-9)
        return distance

    def _others(self, effect: float) -> Floats:
        """What the given predictors add, fitted with the slope held at `effect`; (behaviours,)."""
        if self.given is None or self.counts is None:
            return np.zeros(self.cells.behaviours)
        centred = self.given - self.given.mean(axis=0)
        target = self.behaviour_effects - effect * (self.cells.x - self.cells.x.mean())
        added: Floats = centred @ np.linalg.lstsq(centred, target, rcond=None)[0]
        return added

    @cached_property
    def _hat(self) -> Floats:
        """The projection onto a constant and the given predictors."""
        ones = np.ones((self.cells.behaviours, 1))
        design = ones if self.given is None else np.column_stack([ones, self.given])
        hat: Floats = design @ np.linalg.pinv(design)
        return hat

    @cached_property
    def _rest(self) -> Floats:
        """The predictor without what the given ones tell."""
        rest: Floats = self.cells.x - self._hat @ self.cells.x
        return rest


@dataclass(frozen=True)
class CrossedStudy:
    """Trials whose predictor differs between the arms of a behaviour.

    predictor: (groups,), a behaviour under an arm each. What behaviours and arms do on their own is
    taken out; the scatter is that of models within behaviours. tilt: (behaviours,) a covariate
    along which each arm may tilt.
    """

    cells: Cells
    counts: Ints
    judge: Judge
    prompt_scatter: float
    predictor: Floats
    tilt: Floats | None = None
    error: Floats | None = None

    @classmethod
    def observed(
        cls,
        cells: Cells,
        counts: Ints,
        judge: Judge,
        predictor: Floats,
        tilt: Floats | None = None,
        error: Floats | None = None,
    ) -> "CrossedStudy":
        """A study of counts, its scatter between prompts estimated from them."""
        prompt_scatter = estimated_scatter(cells, counts)[1]
        return cls(cells, counts, judge, prompt_scatter, predictor, tilt, error)

    @property
    def inexact(self) -> bool:
        """Whether the predictor was measured with error."""
        return self.error is not None and bool(np.any(self.error > 0))

    @cached_property
    def effects(self) -> Floats:
        """Effects an interval may be read from."""
        fit = self.fit()
        grid: Floats = fit.estimate + REACH * np.sqrt(fit.spread / (self._rest @ self._rest))
        return grid

    @property
    def within(self) -> Floats:
        """The predictor without what behaviours and arms tell; (groups,)."""
        return self._rest

    def fit(self) -> Fit:
        """Fit what was observed."""
        return self._fit(self.cells.logits(self.counts))

    def worlds(
        self, effect: float, scatter: float, worlds: int, rng: np.random.Generator, exact: bool
    ) -> Fit:
        """Simulate and fit worlds with that effect, all else as fitted given it."""
        true = np.broadcast_to(self.predictor, (worlds, len(self.predictor)))
        if self.error is not None and self.inexact and not exact:
            true = true - self._rest + shrunken(self._rest, self.error, worlds, rng)
        logits = self.cells.logits(self.counts) - effect * self.predictor
        linear = self._hat @ logits + effect * true
        spread = Scatter(0.0, scatter, self.prompt_scatter)
        rates = self.cells.arm_rates(self.counts)
        counts = simulate(self.cells, linear, spread, self.judge, rates, rng)
        return self._fit(self.cells.logits(counts))

    def relabelled(self, relabellings: int, rng: np.random.Generator) -> Fit:
        """Fit what behaviours and arms leave, dealt anew."""
        logits = self.cells.logits(self.counts)
        left = logits - self._hat @ logits
        return self._fit(rng.permuted(np.tile(left, (relabellings, 1)), axis=1))

    def statistic(self, fit: Fit, effect: float) -> Floats:
        """The effect's distance from `effect` in its own standard errors."""
        error = np.sqrt(fit.spread / (self._rest @ self._rest))
        distance: Floats = (fit.estimate - effect) / np.maximum(error, 1e-9)
        return distance

    def _fit(self, logits: Floats) -> Fit:
        estimate = logits @ self._rest / (self._rest @ self._rest)
        left = logits - logits @ self._hat - np.multiply.outer(estimate, self._rest)
        freedom = len(self.predictor) - round(float(np.trace(self._hat))) - 1
        return Fit(np.asarray(estimate), np.square(left).sum(axis=-1) / max(freedom, 1))

    @cached_property
    def _hat(self) -> Floats:
        """The projection of group logits onto behaviours, arms and the arms' tilts."""
        design = self.cells.design
        if self.tilt is not None:
            _, pairs = self.cells.groups
            arms = design[:, self.cells.behaviours :]
            design = np.column_stack([design, arms * self.tilt[pairs[:, 0]][:, None]])
        hat: Floats = design @ np.linalg.pinv(design)
        return hat

    @cached_property
    def _rest(self) -> Floats:
        """The predictor without what behaviours and arms tell."""
        rest: Floats = self.predictor - self._hat @ self.predictor
        return rest
