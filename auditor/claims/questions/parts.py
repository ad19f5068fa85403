"""What the contrasts share: their parts on their own, their rates in words, the last checkpoint.

A part is a smaller contrast of the same units, with an exact or permuted p of its own; such rows
stand beside the claim's test and never decide it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import permutation_test

from auditor.claims.evidence import Row, value
from auditor.claims.layout import compare
from auditor.claims.spec import Claim, Contrast, Part
from auditor.records import TestResult
from auditor.statistics.contrast import ContrastStudy
from auditor.statistics.permutation import PERMUTATIONS, exact_sign_flip_p

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EVERYTHING = (Part(1.0, {}),)
"""The only level, or the only group, of a contrast that has no other."""

MIN_UNITS = 2
"""Units of a group below which exchanging them says nothing."""


def part(claim: Claim, contrast: Contrast, rows: Sequence[Row], name: str) -> TestResult:
    """A smaller contrast by itself: its effect in logits, two-sided p where units exchange."""
    compared = compare(claim, contrast, rows)
    if compared is None:
        return TestResult(name, None, None, "contrast", "no unit under every level")
    study = compared.study
    sizes = np.bincount(study.group, minlength=len(contrast.groups))
    detail = f"{' + '.join(map(str, sizes))} units ({' '.join(contrast.unit)})"
    method, p = _exchanged(differences(study, contrast), study.group)
    return TestResult(name, float(study.fit().estimate), p, method, detail)


def each_group(
    claim: Claim, contrast: Contrast, rows: Sequence[Row], what: str
) -> list[TestResult]:
    """What the levels do within each group on its own."""
    return [
        part(claim, replace(contrast, groups=(Part(1.0, group.where),)), rows, _name(what, group))
        for group in contrast.groups
    ]


def each_level(
    claim: Claim, contrast: Contrast, rows: Sequence[Row], what: str
) -> list[TestResult]:
    """What the groups differ by at each level on its own."""
    return [
        part(claim, replace(contrast, levels=(Part(1.0, level.where),)), rows, _name(what, level))
        for level in contrast.levels
    ]


def each_behaviour(claim: Claim, contrast: Contrast, rows: Sequence[Row]) -> list[TestResult]:
    """The whole effect for each behaviour on its own, where there are several."""
    names = sorted({row["behaviour"] for row in rows})
    found = [
        part(claim, contrast, [row for row in rows if row["behaviour"] == name], name)
        for name in names
    ]
    return [one for one in found if one.statistic is not None] if len(names) > 1 else []


def differences(study: ContrastStudy, contrast: Contrast) -> Floats:
    """Each unit's rates added up with the signs of its levels; (units,)."""
    signs = np.sign([level.weight for level in contrast.levels])
    apart: Floats = (study.k / study.n) @ signs
    return apart


def told(points: Iterable[Mapping[str, Any]]) -> str:
    """The rates of a contrast in words: each group's, level by level, with their counts."""
    groups: dict[str, list[str]] = {}
    for point in points:
        level = labelled(point["level"])
        shown = f"{level} {counted(point)}" if level else counted(point)
        groups.setdefault(labelled(point["group"]), []).append(shown)
    return "; ".join(
        f"{group}: {', '.join(rates)}" if group else ", ".join(rates)
        for group, rates in groups.items()
    )


def counted(point: Mapping[str, Any]) -> str:
    """A rate with its counts: 3 of 40 (7.5 %)."""
    return f"{point['k']} of {point['n']} ({share(point['k'] / point['n'])})"


def share(rate: float) -> str:
    """A share as text."""
    return f"{100.0 * rate:.3g} %"


def labelled(where: Mapping[str, str]) -> str:
    """The observations that a part takes, as text."""
    return " ".join(f"{name}={pattern}" for name, pattern in where.items())


def times(effect: float | None) -> str:
    """An effect in logits as a factor on the odds."""
    return "an unknown number of times" if effect is None else f"{math.exp(effect):.2g} times"


def number(row: Row, name: str) -> float | None:
    """A column or factor as a number; None where it is none."""
    try:
        found = float(value(row, name))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def last_steps(rows: Sequence[Row]) -> list[Row]:
    """The rows of the last checkpoint of each training run; all rows where no `step` is given.

    A run is a study's model and `arm`.
    """
    last: dict[tuple[str, str, str], float] = {}
    for row in rows:
        step = number(row, "step")
        if step is not None:
            last[_run(row)] = max(step, last.get(_run(row), step))
    return [row for row in rows if number(row, "step") == last.get(_run(row))]


def _run(row: Row) -> tuple[str, str, str]:
    return row["study"], row["model"], value(row, "arm")


def _name(what: str, one: Part) -> str:
    return f"{what}, {labelled(one.where)}" if one.where else what


def _exchanged(apart: Floats, group: Ints) -> tuple[str, float | None]:
    """Sign flips over the units of one group, or units exchanged between two; on rates."""
    sides = [apart[group == number] for number in range(int(group.max()) + 1)]
    if min(map(len, sides)) < MIN_UNITS or len(sides) > 2:
        return "contrast", None
    if len(sides) == 1:
        return "exact sign flips over units", exact_sign_flip_p(apart)
    return "permutation of units between groups", exchange_p(*sides)


def exchange_p(first: Floats, second: Floats) -> float:
    """Two-sided p that two groups of units differ; every exchange where they are few enough."""
    result = permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(0),
        vectorized=True,
    )
    return float(result.pvalue)
