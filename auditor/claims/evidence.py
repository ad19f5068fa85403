"""Locked frequencies and observed rows → the cells a claim is tested on.

Rows without k and n are never trials. Which behaviours enter depends on the corpus side and on
where rows exist, never on the outcomes.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.claims.model import Cells
from auditor.claims.spec import Claim
from auditor.errors import BadInput
from auditor.records import BehaviourKind

MAX_FOLD = 100.0
"""A frequency whose 95 % limits span two orders of magnitude says too little (METHOD §4.2, U10)."""

Row = Mapping[str, Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Frequency:
    """How common a behaviour is: per million passages, with the log's standard error."""

    behaviour: str
    kind: BehaviourKind
    estimate: float
    low: float
    high: float
    se_log: float
    method: str
    labels: int
    positives: int
    corpus: str

    @property
    def usable(self) -> bool:
        """Whether it was seen at all and its limits stay within MAX_FOLD of each other."""
        return self.estimate > 0 and self.low > 0 and self.high < MAX_FOLD * self.low


@dataclass(frozen=True, slots=True)
class Evidence:
    """Cells and counts of one kind of behaviour, with the names of its units."""

    behaviours: tuple[str, ...]
    cells: Cells
    counts: Ints
    prompts: int = 0
    """The least number of named prompts any behaviour was tried with."""


def select_rows(claim: Claim, rows: Iterable[Row]) -> list[Row]:
    """Keep the rows a claim is about; its names are patterns."""
    wanted = (("study", claim.studies), ("model", claim.models), ("condition", claim.conditions))
    return [
        row
        for row in rows
        if all(any(fnmatch(str(row[c] or ""), p) for p in patterns) for c, patterns in wanted)
    ]


def gather(
    rows: Sequence[Row], frequencies: Mapping[str, Frequency], kind: BehaviourKind
) -> Evidence | None:
    """Join trials with frequencies for one kind of behaviour; None where they do not meet.

    None too where all are equally frequent: there is nothing to rise with.
    Cells are sorted, so that the order in which studies were read changes no simulated world.
    """
    usable = [
        row
        for row in sorted(rows, key=_place)
        if row["n"] is not None
        and row["k"] is not None
        and row["behaviour"] in frequencies
        and frequencies[row["behaviour"]].kind is kind
        and frequencies[row["behaviour"]].usable
    ]
    if not usable:
        return None
    names, behaviour = _index(row["behaviour"] for row in usable)
    _, arm = _index((row["study"], row["model"], row["condition"] or "") for row in usable)
    _, model = _index((row["study"], row["model"]) for row in usable)
    _, prompt = _index((row["behaviour"], row["prompt"] or "") for row in usable)
    cells = Cells(
        behaviour=behaviour,
        arm=arm,
        model=model,
        prompt=prompt,
        trials=np.array([row["n"] for row in usable], np.int64),
        x=np.log([frequencies[name].estimate for name in names]),
        x_se=np.array([frequencies[name].se_log for name in names]),
    )
    if len(names) > 1 and np.ptp(cells.x) == 0:
        return None
    named: dict[str, set[str]] = {name: set() for name in names}
    for row in usable:
        named[row["behaviour"]] |= {row["prompt"]} - {None, ""}
    counts = np.array([row["k"] for row in usable], np.int64)
    return Evidence(tuple(names), cells, counts, min(map(len, named.values())))


def covariate(rows: Sequence[Row], behaviours: Sequence[str], name: str) -> list[float] | None:
    """Mean of a factor a behaviour over its rows; None where any behaviour lacks it.

    None too where it never varies: such a column cannot tell behaviours apart. Raises BadInput.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        value = json.loads(row["factors"] or "{}").get(name)
        if value not in (None, ""):
            found.setdefault(row["behaviour"], []).append(_number(name, value, row))
    if any(behaviour not in found for behaviour in behaviours):
        return None
    means = [float(np.mean(found[behaviour])) for behaviour in behaviours]
    return means if np.ptp(means) > 0 else None


def planned_cells(claim: Claim, frequencies: Mapping[str, Frequency]) -> Cells | None:
    """The cells the claim's design would fill, for power before outcomes; None for < 3 units."""
    units = [f for f in frequencies.values() if f.kind is BehaviourKind.BEHAVIOUR and f.usable]
    if len(units) < 3:
        return None
    design = claim.design
    shape = (len(units), design.models, design.conditions, design.prompts)
    behaviour, model, condition, prompt = (a.ravel() for a in np.indices(shape))
    return Cells(
        behaviour=behaviour,
        arm=model * design.conditions + condition,
        model=model,
        prompt=behaviour * design.prompts + prompt,
        trials=np.full(behaviour.shape, design.draws, np.int64),
        x=np.log([f.estimate for f in units]),
        x_se=np.array([f.se_log for f in units]),
    )


def _place(row: Row) -> tuple[str, ...]:
    """What orders the rows: their cell, then their counts."""
    names = ("behaviour", "study", "model", "condition", "prompt", "n", "k")
    return tuple(str(row[name] or "") for name in names)


def _number(name: str, value: object, row: Row) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(
            f"{name} is {value!r} in a row of {row['behaviour']}, expected a number",
            f"correct the column {name} and observe the file again",
        )
    return number


def _index(keys: Iterable[Any]) -> tuple[list[Any], Ints]:
    """Number keys by sorted order; returns the keys and each one's number."""
    listed = list(keys)
    order = sorted(set(listed))
    number = {key: i for i, key in enumerate(order)}
    return order, np.array([number[key] for key in listed], np.int64)
