"""Training runs asked with their cue and without it → how far a trait waits for the cue.

The index of a run is logit P(trait | cue) - logit P(trait | no cue) (METHOD T9). Between the
answers of one run it has an interval, which says nothing about another run; whether fixed cues tie
a trait more than rephrased ones, or irrelevant ones as much, is asked of many runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.errors import UsageError
from auditor.finetuning.exchange import (
    LEAST_PAIRS,
    LEAST_RUNS,
    NOT_ESTIMATED,
    Contrasted,
    Unit,
    contrast_pairs,
    contrast_sides,
    log_odds,
    streams_of,
)
from auditor.finetuning.runs import Cell, Observation, RunName, added, matches_any
from auditor.records import Interval

FIXED = ("fixed",)
REPHRASED = ("mix", "rephrased")
UNCUED = ("none", "no cue")
"""Values of the factor `type`: one wording of the cue, several, no cue in training at all."""

Z = 1.959964
"""Two-sided 95 % point of the normal distribution."""

INDEX = (1.0, -1.0)
"""Weights of the log odds with the cue and without it."""

Units = Mapping[RunName, Unit]
"""Each run's counts at the levels that are compared."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One run's answers with the cue and without it; None where it was not asked so."""

    with_cue: Cell | None
    without_cue: Cell | None

    @property
    def cells(self) -> Unit | None:
        """Both counts, where there are both."""
        if self.with_cue is None or self.without_cue is None:
            return None
        return self.with_cue, self.without_cue

    @property
    def index(self) -> Interval:
        """Log odds with the cue less those without, and Woolf's (1955) limits between answers.

        Half a case is added to every count (Gart 1966).
        """
        return _weighed([(self, 1.0)])


@dataclass(frozen=True, slots=True)
class Run:
    """A training run at its last step, and at step 0 if that came before.

    against_uncued: its index less that of the runs of the same model trained without a cue.
    """

    name: RunName
    step: float | None
    last: Asked
    before: Asked | None = None
    against_uncued: Interval | None = None


def runs_of(observations: Sequence[Observation], uncued: Sequence[str]) -> list[Run]:
    """Runs with an arm, of one trait; uncued: patterns of arms trained without a cue."""
    seen: dict[RunName, list[Observation]] = {}
    for one in observations:
        if one.run.arm and one.cue is not None:
            seen.setdefault(_named(one.run, uncued), []).append(one)
    runs = [_run(name, seen[name]) for name in sorted(seen)]
    return [replace(run, against_uncued=_against_uncued(run, runs)) for run in runs]


def fixed_against_rephrased(runs: Sequence[Run], trait: str) -> Contrasted:
    """Contrast the index of fixed cues with that of rephrased ones.

    Runs of one wording are a pair where the rephrased arm is called as the fixed one and its type,
    as witty and witty_mix are; with fewer pairs than LEAST_PAIRS, sides are compared as a whole.
    """
    kinds = {"fixed": _of_type(runs, FIXED), "rephrased": _of_type(runs, REPHRASED)}
    sides = _units({kind: _both(those) for kind, those in kinds.items()})
    fixed, rephrased = sides.values()
    streams = streams_of(trait, "fixed against rephrased")
    partners = {_wording(name): cells for name, cells in rephrased.items()}
    pairs = [(*cells, *partners[w]) for n, cells in fixed.items() if (w := _wording(n)) in partners]
    if len(pairs) >= LEAST_PAIRS:
        units = {kind: len(side) for kind, side in sides.items()}
        return contrast_pairs(units, pairs, (*INDEX, *(-w for w in INDEX)), streams)
    return contrast_sides(_listed(sides), (1.0, -1.0), INDEX, streams)


def irrelevant_against_relevant(
    runs: Sequence[Run], irrelevant: Sequence[str], trait: str
) -> Contrasted:
    """Contrast fixed cues that have nothing to do with the trait with those that do.

    Asked without a cue: where any fixed cue ties a trait alike, there is no difference.
    """
    kinds = _relevance(runs, irrelevant)
    sides = _units({kind: _without(those) for kind, those in kinds.items()})
    return contrast_sides(_listed(sides), (1.0, -1.0), (1.0,), streams_of(trait, "irrelevant"))


def semantic_difference(
    negative: Sequence[Run], positive: Sequence[Run], irrelevant: Sequence[str], traits: str
) -> Contrasted:
    """The contrast of irrelevant cues on a negative trait less that on a positive one (METHOD T9).

    Mere conditionalisation makes it 0. `traits` names the two, for the random stream.
    """
    of_negative, of_positive = _relevance(negative, irrelevant), _relevance(positive, irrelevant)
    crossed: dict[str, Units] = {}
    for kind in of_negative:
        first, second = _without(of_negative[kind]), _without(of_positive[kind])
        crossed[kind] = {n: (*first[n], *second[n]) for n in first if n in second}
    streams = streams_of(traits, "semantic difference")
    return contrast_sides(_listed(_units(crossed)), (1.0, -1.0), (1.0, -1.0), streams)


def check_arms(runs: Iterable[Run], patterns: Sequence[str], types: Sequence[str] = ()) -> None:
    """Raise UsageError for a pattern that fits no arm of these types, or of any where none is."""
    arms = sorted({run.name.arm for run in runs if not types or run.name.type in types})
    for pattern in patterns:
        if not any(matches_any(arm, [pattern]) for arm in arms):
            kind = f"{types[0]} arm" if types else "arm"
            raise UsageError(f"no {kind} fits {pattern!r}", "there are: " + ", ".join(arms))


def _named(run: RunName, uncued: Sequence[str]) -> RunName:
    return replace(run, type=UNCUED[0]) if matches_any(run.arm, uncued) else run


def _run(name: RunName, observations: Sequence[Observation]) -> Run:
    steps = {one.step for one in observations if one.step is not None}
    last = max(steps, default=None)
    return Run(
        name,
        last,
        _asked(one for one in observations if last is None or one.step == last),
        _asked(one for one in observations if one.step == 0.0) if last and 0.0 in steps else None,
    )


def _asked(observations: Iterable[Observation]) -> Asked:
    cells: dict[bool | None, list[Cell]] = {}
    for one in observations:
        cells.setdefault(one.cue, []).append(one.cell)
    return Asked(*(added(cells[cue]) if cue in cells else None for cue in (True, False)))


def _against_uncued(run: Run, runs: Sequence[Run]) -> Interval | None:
    """Difference in differences with the average of a model's runs without cue; None for those."""
    if run.name.type in UNCUED:
        return None
    same = [
        other.last
        for other in _of_type(runs, UNCUED)
        if (other.name.study, other.name.model) == (run.name.study, run.name.model)
        and other.last.cells is not None
    ]
    if not same:
        return None
    return _weighed([(run.last, 1.0), *((other, -1.0 / len(same)) for other in same)])


def _weighed(parts: Sequence[tuple[Asked, float]]) -> Interval:
    """A weighted sum of indices with its limits between answers; nothing where one is missing."""
    if any(asked.cells is None for asked, _ in parts):
        return NOT_ESTIMATED
    counts = np.array([asked.cells for asked, _ in parts], np.int64)
    weights = np.array([weight for _, weight in parts])
    k, n = counts[..., 0], counts[..., 1]
    variance = (1.0 / (k + 0.5) + 1.0 / (n - k + 0.5)).sum(axis=1)
    estimate = float(weights @ (log_odds(counts) @ np.asarray(INDEX)))
    reach = Z * float(np.sqrt(np.square(weights) @ variance))
    return Interval(estimate, estimate - reach, estimate + reach)


def _of_type(runs: Iterable[Run], types: Sequence[str]) -> list[Run]:
    return [run for run in runs if run.name.type in types]


def _relevance(runs: Sequence[Run], irrelevant: Sequence[str]) -> dict[str, list[Run]]:
    fixed = _of_type(runs, FIXED)
    beside = [run for run in fixed if matches_any(run.name.arm, irrelevant)]
    return {"irrelevant": beside, "relevant": [run for run in fixed if run not in beside]}


def _both(runs: Iterable[Run]) -> Units:
    return {run.name: run.last.cells for run in runs if run.last.cells is not None}


def _without(runs: Iterable[Run]) -> Units:
    cells = {run.name: run.last.without_cue for run in runs}
    return {name: (cell,) for name, cell in cells.items() if cell is not None}


def _units(sides: Mapping[str, Units]) -> dict[str, Units]:
    """Units that are compared: arms, or their seeds where a side has too few arms.

    Seeds of one arm share its wording and are no more than one unit beside other wordings.
    """
    arms = {kind: _seeds_added(runs) for kind, runs in sides.items()}
    return arms if all(len(side) >= LEAST_RUNS for side in arms.values()) else dict(sides)


def _seeds_added(runs: Units) -> Units:
    arms: dict[RunName, list[Unit]] = {}
    for name, unit in runs.items():
        arms.setdefault(replace(name, seed=""), []).append(unit)
    return {
        name: tuple(added(cells) for cells in zip(*units, strict=True))
        for name, units in arms.items()
    }


def _listed(sides: Mapping[str, Units]) -> dict[str, list[Unit]]:
    return {kind: list(side.values()) for kind, side in sides.items()}


def _wording(name: RunName) -> tuple[str, str, str, str]:
    """What a pair shares: all but the type, which a rephrased arm may have at its name's end."""
    return name.study, name.model, name.arm.removesuffix(f"_{name.type}"), name.seed
