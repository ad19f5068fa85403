"""Planted worlds for the claim tests: studies drawn from known effects, scatter and judges."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from auditor.claims.model import Cells
from auditor.claims.slope import CrossedStudy, SlopeStudy
from auditor.statistics.contrast import ContrastStudy
from auditor.statistics.judge import PERFECT, Judge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """What is true of a study over behaviours, and how well it is measured."""

    slope: float = 0.0
    behaviours: int = 12
    models: int = 4
    prompts: int = 10
    draws: int = 10
    behaviour_scatter: float = 0.7
    model_scatter: float = 0.5
    prompt_scatter: float = 1.0
    frequency_error: float = 0.0
    frequency_spread: float = 1.5
    judge: Judge = PERFECT
    intercept: float = -1.5


def over_behaviours(world: World, rng: np.random.Generator) -> SlopeStudy:
    """Behaviours whose logits rise with their log frequency."""
    x = world.frequency_spread * rng.standard_normal(world.behaviours)
    return _slopes(world, x, world.slope * x, rng)


def beside_rival(
    world: World, correlation: float, shape: str, rng: np.random.Generator
) -> tuple[SlopeStudy, Floats]:
    """A rival's covariate carries the whole relation, and frequency goes with it.

    shape: "linear", or "threshold" for a capability that is there or not.
    """
    z, other = rng.standard_normal((2, world.behaviours))
    x = correlation * z + np.sqrt(1 - correlation**2) * other
    carried = z if shape == "linear" else 2.0 * (z > 0) - 1.0
    raised = world.slope * world.frequency_spread * carried
    return _slopes(world, world.frequency_spread * x, raised, rng), z


def with_framing(
    world: World, frequency_slope: float, correlation: float, rng: np.random.Generator
) -> SlopeStudy:
    """Framing raises the logits by `world.slope`; it goes with frequency, which is held fixed."""
    g, other = rng.standard_normal((2, world.behaviours))
    x = world.frequency_spread * (correlation * g + np.sqrt(1 - correlation**2) * other)
    raised = world.slope * world.frequency_spread * g + frequency_slope * x
    return _slopes(world, world.frequency_spread * g, raised, rng, given=x[:, None])


def in_contexts(world: World, rng: np.random.Generator) -> CrossedStudy:
    """Within behaviours, rates move with what the text of a condition holds."""
    cells, counts_of = _layout(world, rng)
    _, pairs = cells.groups
    predictor = rng.standard_normal(len(pairs))
    own = 1.5 * rng.standard_normal(world.behaviours)
    linear = (own[pairs[:, 0]] + world.slope * predictor)[cells.groups[0]]
    return CrossedStudy.observed(cells, counts_of(linear), world.judge, predictor)


def with_exception(world: World, size: float, rng: np.random.Generator) -> CrossedStudy:
    """One model does one behaviour more than its other rates would say."""
    cells, counts_of = _layout(world, rng)
    group, pairs = cells.groups
    focal = ((pairs[:, 0] == 0) & (pairs[:, 1] == 0)).astype(float)
    own = 1.5 * rng.standard_normal(world.behaviours)
    counts = counts_of(own[cells.behaviour] + size * focal[group])
    return CrossedStudy.observed(cells, counts, world.judge, focal)


@dataclass(frozen=True)
class Arms:
    """What is true of a contrast: average rates, (groups, levels), and the scatter of units."""

    rates: tuple[tuple[float, ...], ...]
    weights: tuple[tuple[float, ...], ...]
    units: int
    draws: tuple[int, ...]
    unit_scatter: float = 1.0
    level_scatter: float = 0.5
    judge: Judge = PERFECT

    @property
    def effect(self) -> float:
        """The contrast of log odds that is planted."""
        return float((np.array(self.weights) * logit(np.array(self.rates))).sum())


def between_arms(arms: Arms, rng: np.random.Generator) -> ContrastStudy:
    """Units of each group under every level, each unit with an effect of its own."""
    rates, weights = np.array(arms.rates), np.array(arms.weights)
    group = np.repeat(np.arange(len(rates)), arms.units)
    centre = centred(rates, float(np.hypot(arms.unit_scatter, arms.level_scatter)))[group]
    eta = centre + arms.unit_scatter * rng.standard_normal((len(group), 1))
    eta = eta + arms.level_scatter * rng.standard_normal(eta.shape)
    n = np.broadcast_to(np.array(arms.draws), eta.shape)
    k = rng.binomial(n, arms.judge.reports(expit(eta)))
    return ContrastStudy(k, n, group, weights, arms.judge)


def centred(rates: Floats, scatter: float) -> Floats:
    """The logit of the typical unit where the average rate is so much, by many draws."""
    z = scatter * np.random.default_rng(0).standard_normal(20_000)
    low, high = np.full(rates.shape, -20.0), np.full(rates.shape, 20.0)
    for _ in range(30):
        middle = (low + high) / 2
        above = expit(middle[..., None] + z).mean(axis=-1) > rates
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    centre: Floats = (low + high) / 2
    return centre


def _slopes(
    world: World,
    x: Floats,
    raised: Floats,
    rng: np.random.Generator,
    given: Floats | None = None,
) -> SlopeStudy:
    """A study of behaviours whose logits are raised by so much, apart from scatter."""
    errors = np.full(world.behaviours, world.frequency_error)
    measured = x + errors * rng.standard_normal(world.behaviours)
    cells, counts_of = _layout(world, rng, measured, errors)
    u = world.behaviour_scatter * rng.standard_normal(world.behaviours)
    counts = counts_of((raised - raised.mean() + u)[cells.behaviour])
    return SlopeStudy.observed(cells, counts, world.judge, given)


def _layout(
    world: World,
    rng: np.random.Generator,
    x: Floats | None = None,
    errors: Floats | None = None,
) -> tuple[Cells, Callable[[Floats], Ints]]:
    """A full design, and how counts are drawn in it from linear predictors of its cells."""
    shape = (world.behaviours, world.models, world.prompts)
    behaviour, model, prompt = (index.ravel() for index in np.indices(shape))
    zeros = np.zeros(world.behaviours)
    cells = Cells(
        behaviour=behaviour,
        arm=model,
        model=model,
        prompt=behaviour * world.prompts + prompt,
        trials=np.full(behaviour.shape, world.draws, np.int64),
        x=zeros if x is None else x,
        x_se=zeros if errors is None else errors,
    )

    def counts_of(linear: Floats) -> Ints:
        v = world.model_scatter * rng.standard_normal(shape[:2])
        w = world.prompt_scatter * rng.standard_normal((world.behaviours, world.prompts))
        a = world.intercept + 0.5 * rng.standard_normal(world.models)
        p = expit(a[model] + linear + v[behaviour, model] + w[behaviour, prompt])
        return rng.binomial(world.draws, world.judge.reports(p))

    return cells, counts_of
