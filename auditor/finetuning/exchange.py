"""Sides of training runs → a contrast between them: effect, interval, p.

An effect is a weighted sum of the log odds of average rates, each run counted once, with the
interval of `statistics.contrast`. Its p exchanges whole runs, never answers, and compares the
mean of their own log odds.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import permutation_test
from statsmodels.stats.multitest import multipletests

from auditor.finetuning.runs import Cell
from auditor.records import Interval
from auditor.statistics.calibration import Streams
from auditor.statistics.claimed import AtLeast, Trial
from auditor.statistics.contrast import ContrastStudy
from auditor.statistics.judge import PERFECT
from auditor.statistics.permutation import PERMUTATIONS, exact_sign_flip_p

ALPHA = 0.05
TAIL = ALPHA / 2.0
"""Half of what a two-sided 95 % interval leaves out."""

LEAST_RUNS = 3
"""Runs a side: simulated coverage of the 95 % interval is .88 to .92 with 2 a side, .90 to .94 with
3 and .92 to .96 with 4 to 12 (400 replicates each, rates .1 to .8, scatter of runs .2 to 1.7)."""

LEAST_PAIRS = 6
"""Pairs whose signs can be flipped to a two-sided p below 0.05: five give 2/32 at the least."""

SEED = 0

NOT_ESTIMATED = Interval(None, None, None)

Floats = npt.NDArray[np.float64]
Unit = Sequence[Cell]
"""One run's count at each level."""


@dataclass(frozen=True, slots=True)
class Contrasted:
    """A contrast between runs, in log odds; p is None where runs could not be exchanged.

    units: how many runs are on each side; pairs: of runs that were compared with each other.
    """

    effect: Interval
    units: Mapping[str, int]
    pairs: int = 0
    p: float | None = None
    p_holm: float | None = None
    method: str | None = None
    reason: str | None = None

    @property
    def testable(self) -> bool:
        """Whether there is a p that could have been below 0.05."""
        return self.p is not None


def streams_of(*names: str) -> Streams:
    """The random stream of each named step of one contrast, the same on every machine."""
    return lambda step: np.random.default_rng(
        [SEED, zlib.crc32("\n".join((*names, step)).encode())]
    )


def contrast_sides(
    sides: Mapping[str, Sequence[Unit]],
    weights: Sequence[float],
    levels: Sequence[float],
    streams: Streams,
) -> Contrasted:
    """Contrast sides of runs, each with a weight and each run with every level; two have a p."""
    units = {name: len(runs) for name, runs in sides.items()}
    if min(units.values()) < LEAST_RUNS:
        return untestable(units, f"it takes {LEAST_RUNS} runs or more on each side")
    counts = np.array([unit for runs in sides.values() for unit in runs], np.int64)
    group = np.repeat(np.arange(len(sides)), list(units.values()))
    found = Contrasted(_effect(counts, group, np.outer(weights, levels), streams), units)
    if len(sides) != 2:
        return replace(found, reason="no exchange of unpaired runs fits an interaction")
    least = 2.0 / math.comb(len(group), units[next(iter(sides))])
    if least > ALPHA:
        return replace(found, reason=f"{_listed(units)}: the smallest p is {least:.2g}; add runs")
    own = log_odds(counts) @ np.asarray(levels)
    exact = math.comb(len(group), int(group.sum())) <= PERMUTATIONS
    return replace(
        found,
        p=_exchanged_p(own[group == 0], own[group == 1], streams),
        method=f"{'every' if exact else f'{PERMUTATIONS:,} random'} exchange of runs between sides",
    )


def contrast_pairs(
    units: Mapping[str, int], pairs: Sequence[Unit], levels: Sequence[float], streams: Streams
) -> Contrasted:
    """Contrast runs that belong together, a pair's cells side by side; `units` are all there are.

    At least LEAST_PAIRS of them.
    """
    counts = np.array(pairs, np.int64)
    group = np.zeros(len(pairs), np.int64)
    effect = _effect(counts, group, np.asarray(levels)[None, :], streams)
    left = sum(units.values()) - len(units) * len(pairs)
    apart = f"; {left} runs without a partner left out" if left else ""
    return Contrasted(
        effect,
        units,
        len(pairs),
        p=exact_sign_flip_p(log_odds(counts) @ np.asarray(levels)),
        method=f"sign flips within pairs{apart}",
    )


def untestable(units: Mapping[str, int], needs: str) -> Contrasted:
    """A contrast there are too few runs for."""
    return Contrasted(NOT_ESTIMATED, units, reason=f"{_listed(units)}: {needs}")


def log_odds(counts: npt.NDArray[np.int64]) -> Floats:
    """Log odds of k of n, half a case added to either side (Gart 1966); (…, 2) → (…)."""
    k, n = counts[..., 0], counts[..., 1]
    odds: Floats = np.log((k + 0.5) / (n - k + 0.5))
    return odds


def with_holm(found: Mapping[Any, Contrasted]) -> dict[Any, Contrasted]:
    """The same contrasts, p adjusted by Holm (1979) for all that were tested."""
    tested = [key for key, one in found.items() if one.p is not None]
    ps = [found[key].p for key in tested]
    adjusted = dict(zip(tested, multipletests(ps, method="holm")[1] if ps else (), strict=True))
    return {
        key: replace(one, p_holm=float(adjusted[key])) if key in adjusted else one
        for key, one in found.items()
    }


def _effect(
    counts: npt.NDArray[np.int64], group: npt.NDArray[np.int64], weights: Floats, streams: Streams
) -> Interval:
    """Estimate and 95 % limits by simulation, with the scatter of runs that was shown."""
    study = ContrastStudy(counts[..., 0], counts[..., 1], group, weights, PERFECT)
    trial, fit = Trial(study, AtLeast(0.0), ALPHA, streams), study.fit()
    return trial.interval(fit, float(trial.at[0.0].flat.matched_scatter(fit.spread)))


def _exchanged_p(first: Floats, second: Floats, streams: Streams) -> float:
    """Two-sided p of a difference in means, dealing runs to sides anew; every deal if so few."""
    result = permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        permutation_type="independent",
        n_resamples=PERMUTATIONS,
        rng=streams("exchange"),
        vectorized=True,
    )
    return float(result.pvalue)


def _listed(units: Mapping[str, int]) -> str:
    return ", ".join(f"{many} {name}" for name, many in units.items())
