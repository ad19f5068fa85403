"""Rows of rates files → what training runs were seen to do: run, step, prompt, k of n.

What a row was about is in its factors, be they columns or pairs of its condition
("arm=witty; type=fixed; step=313; prompt=with cue"). A row without k and n is no trial; rows that
say nothing of a run are counted with the reason.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

WITH_CUE, WITHOUT_CUE = "with cue*", "without cue*"
"""What the factor `prompt` says of an evaluation, in any case of letters."""

MARKS = ("arm", "data", "intervention")
"""Factors of which a row of a training run has one at least."""

BARE = "no k and n: a bare rate is no trial"
NO_PROMPT = f"arm whose prompt is neither {WITH_CUE!r} nor {WITHOUT_CUE!r}"
NO_STEP = "step is not a number"

Row = Mapping[str, Any]
Cell = tuple[int, int]
"""k of n."""


@dataclass(frozen=True, slots=True, order=True)
class RunName:
    """Which training run: `type` says how its cue was worded, `seed` is empty where not given."""

    study: str
    model: str
    type: str
    arm: str
    seed: str


@dataclass(frozen=True, slots=True)
class Observation:
    """k of n answers of one run that show a trait; cue is None where the prompt does not say."""

    run: RunName
    trait: str
    step: float | None
    cue: bool | None
    data: str
    intervention: str
    k: int
    n: int

    @property
    def cell(self) -> Cell:
        """Its count with its denominator."""
        return self.k, self.n


@dataclass(frozen=True, slots=True)
class Observed:
    """What rows said of training runs; `left_out` counts rows that said nothing, by trait and why.

    others: rows of no training run at all.
    """

    observations: tuple[Observation, ...]
    left_out: Mapping[tuple[str, str], int]
    others: int

    @property
    def traits(self) -> list[str]:
        """Every trait a run was looked at for, even if no row counts it."""
        named = {one.trait for one in self.observations}
        return sorted(named | {trait for trait, _ in self.left_out})

    def of_trait(self, trait: str) -> list[Observation]:
        """The observations of one trait."""
        return [one for one in self.observations if one.trait == trait]


def read_observations(rows: Iterable[Row], where: Mapping[str, str]) -> Observed:
    """Read the rows that meet `where`: column or factor to a pattern.

    In a pattern `a|b` is either, `!a` anything else.
    """
    found: list[Observation] = []
    left_out: Counter[tuple[str, str]] = Counter()
    others = 0
    for row in rows:
        opened = {**row, "factors": json.loads(row["factors"] or "{}")}
        if not all(_matches(_value(opened, name), pattern) for name, pattern in where.items()):
            continue
        if not any(_value(opened, name) for name in MARKS):
            others += 1
        elif reason := _unusable(opened):
            left_out[opened["behaviour"], reason] += 1
        else:
            found.append(_observation(opened))
    return Observed(tuple(found), left_out, others)


def last_of_runs(observations: Iterable[Observation]) -> list[Observation]:
    """Observations of each run at its own last step."""
    listed = list(observations)
    last: dict[RunName, float] = {}
    for one in listed:
        last[one.run] = max(last.get(one.run, -math.inf), _step(one))
    return [one for one in listed if _step(one) == last[one.run]]


def added(cells: Iterable[Cell]) -> Cell:
    """Add counts up."""
    listed = list(cells)
    return sum(k for k, _ in listed), sum(n for _, n in listed)


def matches_any(text: str, patterns: Sequence[str]) -> bool:
    """Whether a name fits one of the patterns."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _step(observation: Observation) -> float:
    return -math.inf if observation.step is None else observation.step


def _unusable(row: Row) -> str | None:
    """Why a row of a run counts nothing; None where it does."""
    if row["k"] is None or row["n"] is None:
        return BARE
    if _value(row, "step") and _number(_value(row, "step")) is None:
        return NO_STEP
    only_arm = not _value(row, "data") and not _value(row, "intervention")
    return NO_PROMPT if only_arm and _cue(row) is None else None


def _observation(row: Row) -> Observation:
    return Observation(
        run=RunName(
            study=_value(row, "study"),
            model=_value(row, "model"),
            type=_value(row, "type"),
            arm=_value(row, "arm"),
            seed=_value(row, "seed"),
        ),
        trait=row["behaviour"],
        step=_number(_value(row, "step")),
        cue=_cue(row),
        data=_value(row, "data"),
        intervention=_value(row, "intervention"),
        k=row["k"],
        n=row["n"],
    )


def _cue(row: Row) -> bool | None:
    prompt = _value(row, "prompt").lower()
    if fnmatchcase(prompt, WITH_CUE):
        return True
    return False if fnmatchcase(prompt, WITHOUT_CUE) else None


def _value(row: Row, name: str) -> str:
    """A factor as text, or else a column; empty where the row has neither."""
    found = row["factors"].get(name, row.get(name))
    return "" if found is None else str(found)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _matches(text: str, pattern: str) -> bool:
    if pattern.startswith("!"):
        return not _matches(text, pattern[1:])
    return matches_any(text, pattern.split("|"))
