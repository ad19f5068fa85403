"""Training runs → the two contrasts that need no cue: random answers, two interventions at once.

Rows say in the factor `data` what a run was trained on (METHOD T11), or in `intervention` what was
done to it; runs, told apart by their seeds, are the units.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditor.finetuning.exchange import (
    LEAST_PAIRS,
    Contrasted,
    contrast_pairs,
    contrast_sides,
    streams_of,
)
from auditor.finetuning.runs import Cell, Observation, added
from auditor.records import Interval
from auditor.statistics.shares import random_share

TREATMENT, RANDOM, BASE = "treatment", "random", "base"
"""Values of the factor `data`: trained on the answers asked of, on random ones, not at all."""

NONE, BOTH = "none", "both"
"""Values of the factor `intervention` beside two names; `both` may also be written a+b."""


@dataclass(frozen=True, slots=True)
class Transmission:
    """What training on the answers gives beyond training on random ones (METHOD T11).

    share: of the rise in rate over base, what random answers alone give; None where the rise
    cannot be told from none. counts: k and n of each side.
    """

    beyond_random: Contrasted
    share: Interval
    counts: Mapping[str, Cell]


def transmission(observations: Sequence[Observation], trait: str) -> Transmission | None:
    """Compare runs by the factor `data`; None where no row has it."""
    sides = _sides(observations, "data", (TREATMENT, RANDOM, BASE))
    if not any(sides.values()):
        return None
    streams = streams_of(trait, "data")
    shown = {name: [[cell] for cell in sides[name].values()] for name in (TREATMENT, RANDOM)}
    return Transmission(
        contrast_sides(shown, (1.0, -1.0), (1.0,), streams),
        random_share(
            list(sides[TREATMENT].values()),
            list(sides[RANDOM].values()),
            list(sides[BASE].values()),
            streams("share"),
        ),
        {name: added(side.values()) for name, side in sides.items()},
    )


@dataclass(frozen=True, slots=True)
class Combination:
    """Two interventions at once: what both do beyond the sum of each, and beyond either alone."""

    names: tuple[str, str]
    interaction: Contrasted
    against: Mapping[str, Contrasted]
    counts: Mapping[str, Cell]


def combinations(observations: Sequence[Observation], trait: str) -> list[Combination]:
    """Compare runs by the factor `intervention`: none, two names, and both of them."""
    values = sorted({one.intervention for one in observations} - {""})
    single = [value for value in values if value not in (NONE, BOTH) and "+" not in value]
    both = {value: value.split("+") for value in values if "+" in value}
    if BOTH in values:
        both[BOTH] = single
    return [
        _combination(observations, (names[0], names[1]), value, trait)
        for value, names in both.items()
        if len(names) == 2 and set(names) <= set(single)
    ]


def _combination(
    observations: Sequence[Observation], names: tuple[str, str], both: str, trait: str
) -> Combination:
    sides = _sides(observations, "intervention", (both, *names, NONE))
    streams = streams_of(trait, "intervention", *names)
    runs = {name: [[cell] for cell in side.values()] for name, side in sides.items()}
    whole = [key for key in sides[both] if all(key in side for side in sides.values())]
    signs = (1.0, -1.0, -1.0, 1.0)
    if len(whole) >= LEAST_PAIRS:
        rows = [[side[key] for side in sides.values()] for key in whole]
        units = {name: len(side) for name, side in sides.items()}
        interaction = contrast_pairs(units, rows, signs, streams)
    else:
        interaction = contrast_sides(runs, signs, (1.0,), streams)
    alone = {
        name: contrast_sides(
            {both: runs[both], name: runs[name]},
            (1.0, -1.0),
            (1.0,),
            streams_of(trait, "intervention", *names, name),
        )
        for name in names
    }
    counts = {name: added(side.values()) for name, side in sides.items()}
    return Combination(names, interaction, alone, counts)


def _sides(
    observations: Iterable[Observation], factor: str, values: Sequence[str]
) -> dict[str, dict[tuple[str, ...], Cell]]:
    """Count each run of each value of a factor, by study, model, arm and seed.

    What was asked with a training cue is another question and left out.
    """
    asked = [one for one in observations if one.cue is not True]
    return {value: _counted([o for o in asked if getattr(o, factor) == value]) for value in values}


def _counted(observations: Sequence[Observation]) -> dict[tuple[str, ...], Cell]:
    """k and n of each run; a side's one arm is no part of a run's name, which pairs it by seed."""
    several = len({one.run.arm for one in observations}) > 1
    cells: dict[tuple[str, ...], list[Cell]] = {}
    for one in observations:
        run = one.run
        key = (run.study, run.model, run.arm if several else "", run.seed)
        cells.setdefault(key, []).append(one.cell)
    return {key: added(cells[key]) for key in sorted(cells)}
