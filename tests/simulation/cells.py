"""The cells of METHOD §5's table: a planted world, a claim about it, and what must not happen.

`python -m tests.simulation.cells` runs them all and writes the table into the README.
"""

import argparse
import re
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from auditor.claims.slope import SlopeStudy
from auditor.statistics.calibration import Study
from auditor.statistics.claimed import AtLeast, Claimed, Trial, Within
from auditor.statistics.judge import Judge
from auditor.statistics.permutation import partial_slope_p, slope_p
from tests.simulation.worlds import (
    Arms,
    World,
    beside_rival,
    between_arms,
    in_contexts,
    over_behaviours,
    with_exception,
    with_framing,
)

ALPHA = 0.05
WORLDS = 199
REPLICATES = 400
MIN_POWER = 0.8
CLAIMED_WITHIN = 0.05

Floats = npt.NDArray[np.float64]
Drawn = tuple[Study, Floats | None]
"""A study, and the covariate of a rival that was measured beside it."""


@dataclass(frozen=True)
class Cell:
    """One cell: what is true, what is claimed of it, and what the claim's verdict may not be.

    truth: "holds" at its boundary or within, "fails" short of it, "rival" in the world for which
    power was claimed.
    """

    world: str
    claimed: Claimed
    truth: str
    draw: Callable[[np.random.Generator], Drawn]
    rival_effect: float = 0.0
    scatter: float = 0.7

    @property
    def name(self) -> str:
        """World and claim."""
        return f"{self.world}; effect {self.claimed}"


@dataclass(frozen=True)
class Outcome:
    """What so many studies of a cell ended with; shares.

    contradicted, supported: gates aside; testable: power of .8 or more claimed with the data;
    power: what the lock would have claimed; caught: contradicted among the testable.
    """

    replicates: int
    contradicted: float
    supported: float
    testable: float
    power: float
    caught: float | None


def run(cell: Cell, replicates: int = REPLICATES) -> Outcome:
    """Draw studies of a cell and test each."""
    seed = zlib.crc32(cell.name.encode())
    rng = np.random.default_rng(seed)
    rows = [_study(cell, [seed, number], *cell.draw(rng)) for number in range(replicates)]
    contradicted, supported, testable, power = np.array(rows, float).T
    tested = testable > 0
    return Outcome(
        replicates,
        float(contradicted.mean()),
        float(supported.mean()),
        float(testable.mean()),
        float(power.mean()),
        float(contradicted[tested].mean()) if tested.any() else None,
    )


def _study(
    cell: Cell, seed: list[int], study: Study, rival: Floats | None
) -> tuple[bool, bool, bool, float]:
    """Contradicted, supported, testable, and the power that was claimed."""
    streams = lambda step: np.random.default_rng([*seed, zlib.crc32(step.encode())])  # noqa: E731
    trial = Trial(study, cell.claimed, ALPHA, streams, WORLDS)
    fit = study.fit()
    null = next(iter(trial.at.values())).flat
    shown = float(null.matched_scatter(fit.spread))
    refuted = bool(cell.claimed.refutation(trial.at, fit) <= ALPHA)
    beyond = [float(cell.claimed.support(trial.at, fit)), *_others(cell, study, rival, streams)]
    promised = trial.power(cell.rival_effect, cell.scatter)
    found = trial.power(cell.rival_effect, max(cell.scatter, shown))
    return refuted, not refuted and max(beyond) <= ALPHA, found >= MIN_POWER, promised


def _others(
    cell: Cell, study: Study, rival: Floats | None, streams: Callable[[str], np.random.Generator]
) -> list[float]:
    """P of no relation, and of none beyond the rival's."""
    if not isinstance(cell.claimed, AtLeast) or not isinstance(study, SlopeStudy):
        return []
    x, effects, rng = study.cells.x, study.behaviour_effects, streams("none")
    none = (
        slope_p(x, effects, rng)
        if study.given is None
        else partial_slope_p(x, effects, study.given, rng)
    )
    return [none] if rival is None else [none, partial_slope_p(x, effects, rival, rng)]


def excess_p(share: float, replicates: int) -> float:
    """P of so many errors if each had a chance of 0.05."""
    return float(binomtest(round(share * replicates), replicates, ALPHA, "greater").pvalue)


def passes(cell: Cell, outcome: Outcome, cells: int) -> bool:
    """Whether no error is too frequent, Bonferroni over the cells, and power is as claimed."""
    wrong = {"holds": outcome.contradicted, "fails": outcome.supported, "rival": outcome.supported}
    if excess_p(wrong[cell.truth], outcome.replicates) <= ALPHA / cells:
        return False
    if cell.truth != "rival" or outcome.power < MIN_POWER:
        return True
    error = 2 * np.sqrt(outcome.power * (1 - outcome.power) / outcome.replicates)
    return bool(abs(outcome.contradicted - outcome.power) <= CLAIMED_WITHIN + error)


def _plain(world: World) -> Callable[[np.random.Generator], Drawn]:
    return lambda rng: (over_behaviours(world, rng), None)


def _rival(world: World, shape: str) -> Callable[[np.random.Generator], Drawn]:
    return lambda rng: beside_rival(world, 0.7, shape, rng)


def _framing(world: World, slope: float) -> Callable[[np.random.Generator], Drawn]:
    return lambda rng: (with_framing(world, slope, 0.5, rng), None)


def _context(world: World) -> Callable[[np.random.Generator], Drawn]:
    return lambda rng: (in_contexts(world, rng), None)


def _exception(world: World, size: float) -> Callable[[np.random.Generator], Drawn]:
    return lambda rng: (with_exception(world, size, rng), None)


def _arms(arms: Arms) -> Callable[[np.random.Generator], Drawn]:
    return lambda rng: (between_arms(arms, rng), None)


NOISY = Judge(0.9, 0.97)
PAIR = ((1.0, -1.0),)
FOUR = ((1.0,), (-1.0,), (-1.0,), (1.0,))
TWO_BY_TWO = ((1.0, -1.0), (-1.0, 1.0))
LN2, LN3 = float(np.log(2.0)), float(np.log(3.0))


def _odds(rate: float, effect: float) -> float:
    """The rate whose log odds are so much above another's."""
    odds = rate / (1 - rate) * float(np.exp(effect))
    return odds / (1 + odds)


BASE = World()
ROUGH = World(behaviour_scatter=1.5, frequency_error=0.5, prompts=5)
JUDGED = World(judge=NOISY, intercept=-3.0, behaviour_scatter=0.7)
FLOOR = World(intercept=-3.5, prompts=20, model_scatter=0.0, prompt_scatter=0.5)
MODELS = World(models=6, behaviours=8)

CELLS: tuple[Cell, ...] = (
    Cell("W1 beta 1, B 5", AtLeast(1.0), "holds", _plain(replace(BASE, slope=1.0, behaviours=5))),
    Cell(
        "W1 beta 1, B 8, tau 1.5, corpus error .5, J 5", AtLeast(1.0), "holds",
        _plain(replace(ROUGH, slope=1.0, behaviours=8)), scatter=1.5,
    ),
    Cell(
        "W1 beta 1, B 12, judge .9/.97", AtLeast(1.0), "holds", _plain(replace(JUDGED, slope=1.0)),
    ),
    Cell(
        "W1 beta .6, B 8, rates at the floor, J 20", AtLeast(0.6), "holds",
        _plain(replace(FLOOR, slope=0.6, behaviours=8)),
    ),
    Cell(
        "W1 beta .3, B 24", AtLeast(0.3), "holds", _plain(replace(BASE, slope=0.3, behaviours=24)),
    ),
    Cell(
        "W1 beta .3, B 12, tau 1.5, corpus error .5, J 5", AtLeast(0.3), "holds",
        _plain(replace(ROUGH, slope=0.3)), scatter=1.5,
    ),
    Cell("W1 beta .9, B 8", AtLeast(1.0), "fails", _plain(replace(BASE, slope=0.9, behaviours=8))),
    Cell(
        "W1 beta .9, B 12, judge .9/.97", AtLeast(1.0), "fails",
        _plain(replace(JUDGED, slope=0.9)),
    ),
    Cell(
        "W1 beta .27, B 24", AtLeast(0.3), "fails",
        _plain(replace(BASE, slope=0.27, behaviours=24)),
    ),
    Cell("W0, B 8", AtLeast(1.0), "rival", _plain(replace(BASE, behaviours=8))),
    Cell("W0, B 12, tau 1.5", AtLeast(1.0), "rival", _plain(replace(BASE, behaviour_scatter=1.5)),
         scatter=1.5),
    Cell("W0, B 24", AtLeast(0.3), "rival", _plain(replace(BASE, behaviours=24))),
    Cell("W-PT, covariate rho .7, B 16", AtLeast(0.3), "fails",
         _rival(replace(BASE, slope=1.2, behaviours=16), "linear")),
    Cell("W-CAP, threshold, rho .7, B 16", AtLeast(0.3), "fails",
         _rival(replace(BASE, slope=1.2, behaviours=16), "threshold")),
    Cell("W2a framing .3 given frequency, B 24", AtLeast(0.3), "holds",
         _framing(replace(BASE, slope=0.3, behaviours=24), 0.6)),
    Cell("W2a framing .27 given frequency, B 24", AtLeast(0.3), "fails",
         _framing(replace(BASE, slope=0.27, behaviours=24), 0.6)),
    Cell("W2b framing .3 given frequency, B 24", Within(0.3, 0.3), "holds",
         _framing(replace(BASE, slope=0.3, behaviours=24), 0.6), rival_effect=1.0),
    Cell("W3 context .5, B 12", AtLeast(0.5), "holds", _context(replace(BASE, slope=0.5))),
    Cell("W3 context .45, B 12", AtLeast(0.5), "fails", _context(replace(BASE, slope=0.45))),
    Cell("W= odds ratio 3, 100 prefixes x 5", Within(LN3, LN3), "holds",
         _arms(Arms(((_odds(0.1, LN3), 0.1),), PAIR, 100, (5, 1))), rival_effect=2.2, scatter=0.5),
    Cell("W= odds ratio 1/3, 100 prefixes x 5, as support", Within(0.0, LN3), "fails",
         _arms(Arms(((_odds(0.3, -LN3), 0.3),), PAIR, 100, (5, 1))), rival_effect=2.2, scatter=0.5),
    Cell("no exception, 6 models x 8 behaviours", Within(0.0, 3.0), "holds",
         _exception(MODELS, 0.0), rival_effect=3.0, scatter=0.5),
    Cell("exception of 3 logits, 6 models x 8 behaviours", Within(0.0, 3.0), "rival",
         _exception(MODELS, 3.0), rival_effect=3.0, scatter=0.5),
    Cell("W-ECHO: 10 prompts, neutral against role", AtLeast(LN3), "holds",
         _arms(Arms(((_odds(0.05, LN3), 0.05),), PAIR, 10, (10, 10))), scatter=0.5),
    Cell("W-OPT: two interventions, 5 seeds an arm", Within(LN2, LN2), "holds",
         _arms(Arms(((_odds(0.3, LN2),), (0.3,), (0.3,), (0.3,)), FOUR, 5, (100,),
                    unit_scatter=0.0)), rival_effect=1.6, scatter=0.5),
    Cell("cue against rephrased cue, 10 wordings each", AtLeast(1.0), "fails",
         _arms(Arms(((_odds(0.2, 0.9), 0.2), (0.2, 0.2)), TWO_BY_TWO, 10, (50, 50))), scatter=0.5),
)  # fmt: skip


def directional_fraction(replicates: int = 200) -> float:
    """Mean forbidden fraction of a claim that names a direction alone: about alpha, no more."""
    rng = np.random.default_rng(1)
    found = []
    for number in range(replicates):
        streams = lambda step, n=number: np.random.default_rng([n, zlib.crc32(step.encode())])  # noqa: E731
        trial = Trial(over_behaviours(BASE, rng), AtLeast(0.0), ALPHA, streams, WORLDS)
        found += [trial.refuted(other) for other in AtLeast(0.0).others(trial, 0.0, 0.7)]
    return float(np.mean(found))


def table(outcomes: Sequence[Outcome], forbidden: float) -> str:
    """The outcomes as Markdown; what may not happen too often is in bold."""
    lines = [
        "| world; claim | contradicted | supported | power claimed | contradicted where testable |",
        "|---|---|---|---|---|",
    ]
    for cell, one in zip(CELLS, outcomes, strict=True):
        no, yes = f"{one.contradicted:.3f}", f"{one.supported:.3f}"
        marked = {"holds": (f"**{no}**", yes)}.get(cell.truth, (no, f"**{yes}**"))
        ok = "" if passes(cell, one, len(CELLS)) else " (missed)"
        caught = "-" if one.caught is None else f"{one.caught:.3f} of {one.testable:.0%}"
        lines.append(
            f"| {cell.name}{ok} | {marked[0]} | {marked[1]} | {one.power:.2f} | {caught} |"
        )
    lines.append(f"| a claim of direction alone, forbidden fraction | {forbidden:.3f} | | | |")
    return "\n".join(lines)


START, END = "<!-- operating characteristics -->", "<!-- end of operating characteristics -->"


def main() -> None:
    """Run every cell and write the table between the README's marks."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--replicates", type=int, default=REPLICATES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="the file that holds the marks")
    chosen = parser.parse_args()
    numbers = range(len(CELLS))
    with ProcessPoolExecutor(chosen.workers) as pool:
        jobs = [pool.submit(_run_numbered, number, chosen.replicates) for number in numbers]
        outcomes = []
        for number, job in zip(numbers, jobs, strict=True):
            outcomes.append(job.result())
            print(CELLS[number].name, outcomes[-1], flush=True)
    written = table(outcomes, directional_fraction())
    print(written)
    if chosen.write:
        text = chosen.write.read_text()
        inside = re.compile(re.escape(START) + ".*?" + re.escape(END), re.DOTALL)
        chosen.write.write_text(inside.sub(lambda _: f"{START}\n{written}\n{END}", text))


def _run_numbered(number: int, replicates: int) -> Outcome:
    """Worlds hold functions, which do not travel between processes; their number does."""
    return run(CELLS[number], replicates)


if __name__ == "__main__":
    main()
