"""Planted worlds for the claim tests: a study drawn from known slopes, scatter and judge."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from auditor.claims.evidence import Evidence
from auditor.claims.model import Cells, fit_slope
from auditor.claims.slope import fair_null, refutation, stream, support_p
from auditor.claims.spec import Claim, Design, Judge, Scatter
from auditor.statistics.permutation import slope_p

WORLDS = 199

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """One cell of the grid: what is true, and how well it is measured."""

    slope: float
    behaviours: int = 12
    models: int = 4
    prompts: int = 10
    draws: int = 10
    behaviour_scatter: float = 0.7
    model_scatter: float = 0.3
    prompt_scatter: float = 0.5
    frequency_error: float = 0.0
    frequency_spread: float = 1.5
    sensitivity: float = 1.0
    specificity: float = 1.0
    intercept: float = -1.5


def claim(world: World, beta_min: float, allowed: float | None = None) -> Claim:
    """A claim about such a world that knows its nuisances; `allowed` is its behaviour scatter."""
    scatter = Scatter(
        world.behaviour_scatter if allowed is None else allowed,
        world.model_scatter,
        world.prompt_scatter,
    )
    return Claim(
        id="planted", statement="", strength="H1", beta_min=beta_min, alpha=0.05, seed=1,
        behaviours=(), target="", corpora=("*",), tier="A", studies=("*",), models=("*",),
        conditions=("*",), scatter=scatter, judge=Judge(world.sensitivity, world.specificity),
        design=Design(world.models, 1, world.prompts, world.draws, 0.2), rivals=(),
        control_beta_min=0.3, digest="0" * 32,
    )  # fmt: skip


def draw(world: World, rng: np.random.Generator) -> Evidence:
    """Draw a study: measured log frequencies and counts."""
    x = world.frequency_spread * rng.standard_normal(world.behaviours)
    return _study(world, x, world.slope * (x - x.mean()), rng)


def draw_rival(
    world: World, correlation: float, rng: np.random.Generator
) -> tuple[Evidence, Floats]:
    """Draw a study in which a rival's covariate carries the slope, and frequency goes with it."""
    z, other = rng.standard_normal((2, world.behaviours))
    x = correlation * z + np.sqrt(1 - correlation**2) * other
    slopes = world.slope * world.frequency_spread * (z - z.mean())
    return _study(world, world.frequency_spread * x, slopes, rng), z


def _study(world: World, x: Floats, raised: Floats, rng: np.random.Generator) -> Evidence:
    """A study of behaviours whose logits are raised by so much, apart from scatter."""
    shape = (world.behaviours, world.models, world.prompts)
    behaviour, model, prompt = (index.ravel() for index in np.indices(shape))
    errors = np.full(world.behaviours, world.frequency_error)
    u = world.behaviour_scatter * rng.standard_normal(world.behaviours)
    v = world.model_scatter * rng.standard_normal(shape[:2])
    w = world.prompt_scatter * rng.standard_normal((world.behaviours, world.prompts))
    a = world.intercept + 0.5 * rng.standard_normal(world.models)
    eta = a[model] + raised[behaviour] + u[behaviour]
    p = expit(eta + v[behaviour, model] + w[behaviour, prompt])
    judged = world.sensitivity * p + (1 - world.specificity) * (1 - p)
    cells = Cells(
        behaviour=behaviour,
        arm=model,
        model=model,
        prompt=behaviour * world.prompts + prompt,
        trials=np.full(behaviour.shape, world.draws, np.int64),
        x=x + errors * rng.standard_normal(world.behaviours),
        x_se=errors,
    )
    names = tuple(f"b{i:02d}" for i in range(world.behaviours))
    return Evidence(names, cells, rng.binomial(world.draws, judged))


def p_values(one: Claim, evidence: Evidence) -> tuple[float, float, float]:
    """(refutation, support, no relation) of one study."""
    effects = evidence.cells.behaviour_effects(evidence.counts)
    observed = fit_slope(evidence.cells.x, effects)
    refute = float(refutation(fair_null(one, evidence, WORLDS), observed, one))
    support = support_p(one, evidence, one.judge, WORLDS)
    return refute, support, slope_p(evidence.cells.x, effects, stream(one, "none"))


def error_rates(world: World, beta_min: float, replicates: int, seed: int) -> tuple[float, float]:
    """Share of studies called contradicted, and supported, at alpha = 0.05."""
    rng = np.random.default_rng(seed)
    refuted = supported = 0
    for number in range(replicates):
        one = replace(claim(world, beta_min), seed=number)
        refute, support, none = p_values(one, draw(world, rng))
        refuted += refute <= one.alpha
        supported += refute > one.alpha and max(support, none) <= one.alpha
    return refuted / replicates, supported / replicates
