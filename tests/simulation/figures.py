"""METHOD's simulated figures, derived again with this project's own worlds and tests.

`python -m tests.simulation.figures` prints a line each: what METHOD says, and what comes out here.
"""

import argparse
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit
from scipy.stats import fisher_exact, t

from auditor.claims.slope import SlopeStudy
from auditor.statistics.calibration import Streams
from auditor.statistics.claimed import AtLeast, Trial, Within
from auditor.statistics.permutation import slope_p
from tests.simulation.test_error_rates import pooled_glm_p
from tests.simulation.worlds import World, over_behaviours, with_exception

ALPHA, WORLDS = 0.05, 199
PLANNED = World(frequency_spread=2.0, model_scatter=0.0, prompt_scatter=0.5)
"""METHOD §4.2: 4 models, 10 prompts x 10 draws, log frequencies with standard deviation 2."""


def streams(number: int) -> Streams:
    """Random streams of one study."""
    return lambda step: np.random.default_rng([number, zlib.crc32(step.encode())])


def share(replicates: int, happens: Callable[[int, np.random.Generator], bool]) -> float:
    """Share of studies in which something happens."""
    rng = np.random.default_rng(1)
    return float(np.mean([happens(number, rng) for number in range(replicates)]))


def forbidden(least: float, behaviours: int, replicates: int) -> float:
    """Share of relabelled outcomes that refute a claim, in worlds of slope 1 with scatter 1."""
    world = replace(PLANNED, slope=1.0, behaviours=behaviours, behaviour_scatter=1.0)
    rng = np.random.default_rng(2)
    found = []
    for number in range(replicates):
        trial = Trial(over_behaviours(world, rng), AtLeast(least), ALPHA, streams(number), WORLDS)
        found += [trial.refuted(fit) for fit in AtLeast(least).others(trial, 0.0, 1.0)]
    return float(np.mean(found))


def refuting_power(least: float, behaviours: int, scatter: float, replicates: int) -> float:
    """Share of worlds without a relation that refute the claim."""
    world = replace(PLANNED, behaviours=behaviours, behaviour_scatter=scatter)

    def refutes(number: int, rng: np.random.Generator) -> bool:
        study = over_behaviours(world, rng)
        trial = Trial(study, AtLeast(least), ALPHA, streams(number), WORLDS)
        return bool(AtLeast(least).refutation(trial.at, study.fit()) <= ALPHA)

    return share(replicates, refutes)


def pooled_fisher(prompts: int, replicates: int) -> float:
    """False differences of two models by Fisher's test on pooled draws (prompt x model sd 1)."""

    def differs(number: int, rng: np.random.Generator) -> bool:
        p = expit(-1.0 + rng.standard_normal((2, prompts)))
        k = rng.binomial(60 // prompts, p).sum(axis=1)
        return bool(fisher_exact([[k[0], 60 - k[0]], [k[1], 60 - k[1]]]).pvalue <= ALPHA)

    return share(replicates, differs)


def glm(replicates: int) -> tuple[float, float]:
    """False relations found by the pooled GLM, and by permuting behaviours."""
    rng = np.random.default_rng(3)
    studies = [over_behaviours(PLANNED, rng) for _ in range(replicates)]
    naive = np.mean([pooled_glm_p(study) <= ALPHA for study in studies])
    found = [slope_p(s.cells.x, s.behaviour_effects, rng) <= ALPHA for s in studies]
    return float(naive), float(np.mean(found))


def least_squares(world: World, replicates: int) -> tuple[float, float]:
    """False refutations of a true slope of 1 by a t test, and by simulation."""

    def naive(study: SlopeStudy) -> bool:
        return bool(t.cdf(study.statistic(study.fit(), 1.0), study.cells.behaviours - 2) <= ALPHA)

    rng, plain, ours = np.random.default_rng(4), 0, 0
    for number in range(replicates):
        study = over_behaviours(world, rng)
        trial = Trial(study, AtLeast(1.0), ALPHA, streams(number), WORLDS)
        plain += naive(study)
        ours += bool(AtLeast(1.0).refutation(trial.at, study.fit()) <= ALPHA)
    return plain / replicates, ours / replicates


def exception(size: float, replicates: int) -> tuple[float, float]:
    """Exceptions called where models scatter by .5: without that scatter, and with it."""
    world, claimed = World(models=6, behaviours=8), Within(0.0, 3.0)
    rng, bare, ours = np.random.default_rng(5), 0, 0
    for number in range(replicates):
        study = with_exception(world, size, rng)
        at = Trial(study, claimed, ALPHA, streams(number), WORLDS).at
        fit = study.fit()
        distance = float(study.statistic(fit, 0.0))
        quiet = at[0.0].flat.statistics[0]
        raw = distance * np.sqrt(float(fit.spread) / at[0.0].flat.spreads[0])
        bare += 2 * min(np.mean(quiet >= raw), np.mean(quiet <= raw)) <= ALPHA
        ours += bool(claimed.refutation(at, fit) <= ALPHA)
    return bare / replicates, ours / replicates


def main() -> None:
    """Print every figure beside METHOD's."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--replicates", type=int, default=200)
    n = parser.parse_args().replicates
    few = max(n // 10, 10)
    for least, method in ((0.0, ".04-.06 at any B"), (0.3, ".13 .19 .34"), (1.0, ".64 .86 .95+")):
        found = " ".join(f"{forbidden(least, b, few):.2f}" for b in (8, 12, 24))
        print(f"forbidden fraction of beta >= {least:g} at B = 8, 12, 24: {found} ({method})")
    planned = {
        (1.0, 0.7): ".94 1 1",
        (1.0, 1.5): ".73 .91 1",
        (0.3, 0.7): ".49 .66 .93",
        (0.3, 1.5): ".15 .29 .53",
    }
    for (least, scatter), said in planned.items():
        found = " ".join(f"{refuting_power(least, b, scatter, n):.2f}" for b in (8, 12, 24))
        print(f"power, beta >= {least:g}, scatter {scatter:g}, B = 8, 12, 24: {found} ({said})")
    found = " ".join(f"{pooled_fisher(prompts, 10 * n):.2f}" for prompts in (1, 3, 6))
    print(f"false differences by pooled Fisher, 1, 3, 6 prompts: {found} (.41 .31 .25)")
    naive, ours = glm(n)
    print(f"false relations: pooled GLM {naive:.2f} (.33-.45), permutation {ours:.3f} (.04-.06)")
    floor = replace(PLANNED, slope=1.0, intercept=-3.5, behaviour_scatter=1.5, frequency_error=0.5)
    for name, world in (("plain", replace(PLANNED, slope=1.0)), ("floor and errors", floor)):
        naive, ours = least_squares(world, n)
        print(f"false refutations, {name}: t test {naive:.2f} (.18-.80), ours {ours:.3f} (.02-.06)")
    for size, said in ((0.0, "false: .18-.34, .04-.06"), (3.0, "power with it .95")):
        bare, ours = exception(size, n)
        print(f"exception of {size:g}: scatter left out {bare:.2f}, with it {ours:.2f} ({said})")


if __name__ == "__main__":
    main()
