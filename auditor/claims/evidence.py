"""What a claim is tested on: what the corpora hold, as locked, and the rows that were observed.

Rows without k and n are never trials. Which behaviours enter depends on the corpus side and on
where rows exist, never on the outcomes.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.claims.model import Cells
from auditor.claims.spec import Claim
from auditor.errors import BadInput
from auditor.records import BehaviourKind, Gate

MAX_FOLD = 100.0
"""A frequency whose 95 % limits span two orders of magnitude says too little (METHOD §4.2, U10)."""

UNITS = {"prefix": "continuation", "verbatim": "copying"}
"""Tests that take rows of one unit alone, which no other test may take for trials of its own."""

AUTHOR = "human"
"""The model of rows that say what a text itself went on to show: one side of a prefix claim."""

Row = Mapping[str, Any]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


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
class Measured:
    """What the corpora hold, as far as a claim needs it: the part of a lock that predicts.

    frequencies: of every behaviour, of the claim's target; predictor: behaviour to its value and
    standard error; given: predictors held fixed, by name; contexts: log rate of each behaviour, and
    its standard error, in a framing or before a date; mixes: role to the counts of each
    beneficiary; placebo: log rates in each placebo corpus.
    """

    frequencies: Mapping[str, Frequency]
    predictor: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    contexts: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    mixes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    placebo: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    concordance: float | None = None

    def of_kind(self, kind: BehaviourKind) -> list[str]:
        """Usable behaviours of a kind that have a predictor."""
        return sorted(
            name
            for name in self.predictor
            if self.frequencies[name].kind is kind and self.frequencies[name].usable
        )

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Measured":
        """Back from JSON."""
        frequencies = {
            name: Frequency(**{**values, "kind": BehaviourKind(values["kind"])})
            for name, values in content["frequencies"].items()
        }
        predictor = {name: (x, se) for name, (x, se) in content["predictor"].items()}
        contexts = {
            text: {name: (x, se) for name, (x, se) in rates.items()}
            for text, rates in content["contexts"].items()
        }
        return cls(
            **{
                **content,
                "frequencies": frequencies,
                "predictor": predictor,
                "contexts": contexts,
            }
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """Cells and counts of one kind of behaviour, with the names of its units and arms."""

    behaviours: tuple[str, ...]
    cells: Cells
    counts: Ints
    prompts: int
    """The least number of named prompts any behaviour was tried with."""
    arms: tuple[tuple[str, str, str], ...]
    """Study, model and condition of each arm."""
    given: Floats | None = None


def value(row: Row, name: str) -> str:
    """A column or a factor of a row as text; empty where it has none.

    A factor comes before a column of its name, which is then the study's own word for it.
    """
    found = row["factors"].get(name, row.get(name))
    if isinstance(found, bool):
        return str(found).lower()
    return "" if found is None else str(found)


def select_rows(claim: Claim, rows: Iterable[Row]) -> list[Row]:
    """Keep the rows a claim is about; its names are patterns. Factors come out as a mapping."""
    models = (*claim.models, AUTHOR) if claim.test == "prefix" else claim.models
    columns = (("study", claim.studies), ("model", models), ("condition", claim.conditions))
    opened = ({**row, "factors": _factors(row)} for row in rows)
    return [
        row
        for row in opened
        if _is_unit_of(claim.test, row["unit"])
        and all(any(_matches(str(row[c] or ""), p) for p in names) for c, names in columns)
        and (claim.has_controls or _is_about(claim, row))
        and where(row, claim.where)
    ]


def where(row: Row, patterns: Mapping[str, str]) -> bool:
    """Whether a row has the named columns and factors; `a|b` is either, `!a` anything else."""
    return all(_matches(value(row, name), pattern) for name, pattern in patterns.items())


def is_trial(row: Row) -> bool:
    """Whether a row counts trials."""
    return row["k"] is not None and row["n"] is not None


def gather(rows: Sequence[Row], measured: Measured, kind: BehaviourKind) -> Evidence | None:
    """Join trials with a predictor for one kind of behaviour; None where they do not meet.

    None too where the predictor never varies: there is nothing to rise with.
    Cells are sorted, so that the order in which studies were read changes no simulated world.
    """
    wanted = set(measured.of_kind(kind))
    evidence = cells_of([row for row in rows if row["behaviour"] in wanted], measured)
    if evidence is None or (len(evidence.behaviours) > 1 and np.ptp(evidence.cells.x) == 0):
        return None
    return evidence


def cells_of(rows: Sequence[Row], measured: Measured | None = None) -> Evidence | None:
    """Lay trials out as cells of behaviours and arms; the predictor is 0 where none is given."""
    usable = sorted((row for row in rows if is_trial(row)), key=_place)
    if not usable:
        return None
    names, behaviour = _index(row["behaviour"] for row in usable)
    arms, arm = _index((row["study"], row["model"], row["condition"] or "") for row in usable)
    _, model = _index((row["study"], row["model"]) for row in usable)
    _, prompt = _index((row["behaviour"], row["prompt"] or "") for row in usable)
    predictor = measured.predictor if measured else dict.fromkeys(names, (0.0, 0.0))
    cells = Cells(
        behaviour=behaviour,
        arm=arm,
        model=model,
        prompt=prompt,
        trials=np.array([row["n"] for row in usable], np.int64),
        x=np.array([predictor[name][0] for name in names]),
        x_se=np.array([predictor[name][1] for name in names]),
    )
    given = list(measured.given.values()) if measured else []
    named: dict[str, set[str]] = {name: set() for name in names}
    for row in usable:
        named[row["behaviour"]] |= {row["prompt"]} - {None, ""}
    return Evidence(
        behaviours=tuple(names),
        cells=cells,
        counts=np.array([row["k"] for row in usable], np.int64),
        prompts=min(map(len, named.values())),
        arms=tuple(arms),
        given=np.array([[one[name] for one in given] for name in names]) if given else None,
    )


def covariate(rows: Sequence[Row], behaviours: Sequence[str], name: str) -> list[float] | None:
    """Mean of a factor a behaviour over its rows; None where any behaviour lacks it.

    None too where it never varies: such a column cannot tell behaviours apart. Raises BadInput.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        text = row["factors"].get(name)
        if text not in (None, ""):
            found.setdefault(row["behaviour"], []).append(_number(name, text, row))
    if any(behaviour not in found for behaviour in behaviours):
        return None
    means = [float(np.mean(found[behaviour])) for behaviour in behaviours]
    return means if np.ptp(means) > 0 else None


def planned_cells(claim: Claim, measured: Measured) -> Cells | None:
    """The cells the claim's design would fill, for power before outcomes; None for < 3 units."""
    units = measured.of_kind(BehaviourKind(claim.predictor.kind))
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
        x=np.array([measured.predictor[name][0] for name in units]),
        x_se=np.array([measured.predictor[name][1] for name in units]),
    )


def few(code: str, found: str, needs: str) -> Gate:
    """A gate that is closed because something was not observed."""
    return Gate(code, False, found, needs)


def _factors(row: Row) -> dict[str, Any]:
    found = row["factors"]
    opened: dict[str, Any] = json.loads(found) if isinstance(found, str) else found or {}
    return opened


def _is_about(claim: Claim, row: Row) -> bool:
    """Whether the claim names the behaviour; where it names none, any but controls."""
    if not claim.behaviours:
        return row.get("kind") in (None, BehaviourKind.BEHAVIOUR, claim.predictor.kind)
    return any(_matches(row["behaviour"], pattern) for pattern in claim.behaviours)


def _is_unit_of(test: str, unit: str) -> bool:
    return unit == UNITS[test] if test in UNITS else unit not in UNITS.values()


def _matches(text: str, pattern: str) -> bool:
    if pattern.startswith("!"):
        return not _matches(text, pattern[1:])
    return any(fnmatchcase(text, one) for one in pattern.split("|"))


def _place(row: Row) -> tuple[str, ...]:
    """What orders the rows: their cell, then their counts."""
    names = ("behaviour", "study", "model", "condition", "prompt", "n", "k")
    return tuple(str(row[name] or "") for name in names)


def _number(name: str, text: object, row: Row) -> float:
    try:
        number = float(str(text))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(
            f"{name} is {text!r} in a row of {row['behaviour']}, expected a number",
            f"correct the column {name} and observe the file again",
        )
    return number


def _index(keys: Iterable[Any]) -> tuple[list[Any], Ints]:
    """Number keys by sorted order; returns the keys and each one's number."""
    listed = list(keys)
    order = sorted(set(listed))
    number = {key: i for i, key in enumerate(order)}
    return order, np.array([number[key] for key in listed], np.int64)
