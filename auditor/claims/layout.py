"""Rows that a contrast compares → its study: units under levels, like with like.

What the levels of a unit do not share is left out, and so is what not every group has; a unit whose
levels mix models or behaviours too differently would compare the mixtures, and is counted instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.claims.evidence import Row, is_trial, value, where
from auditor.claims.spec import Claim, Contrast, Part
from auditor.statistics.contrast import ContrastStudy

MOST_UNEVEN = 1.5
"""How much larger a model's, or a behaviour's, share of a unit's trials may be at one level than at
another: beyond it a difference between models would pass for one between levels."""

Levels = dict[int, tuple[int, int]]
"""Level to (k, n)."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A contrast laid out: its study, the names of its units, and how many were incomplete."""

    study: ContrastStudy
    units: tuple[str, ...]
    incomplete: int


def compare(claim: Claim, contrast: Contrast, rows: Sequence[Row]) -> Compared | None:
    """Lay a contrast out: units under every level, in their groups; None where no unit has all.

    Like is compared with like: within a unit only what every level was tried on (`alike`), between
    groups only what each has (`shared`). Trials of a unit at a level are then added up. A unit
    without every level, or whose levels are mixed too differently, is left out and counted.
    """
    cells: dict[tuple[int, tuple[str, ...]], dict[tuple[str, ...], Levels]] = {}
    for row, group, level in _placed(contrast, rows):
        unit = tuple(value(row, name) for name in contrast.unit)
        if all(unit):
            like = tuple(value(row, name) for name in contrast.alike)
            counts = cells.setdefault((group, unit), {}).setdefault(like, {})
            k, n = counts.get(level, (0, 0))
            counts[level] = (k + row["k"], n + row["n"])
    levels = range(len(contrast.levels))
    added = {key: _added(alike, len(levels)) for key, alike in sorted(cells.items())}
    whole = {key: counts for key, counts in added.items() if counts}
    groups = np.array([group for group, _ in whole], np.int64)
    if len(set(groups.tolist())) < len(contrast.groups):
        return None
    table = np.array([[counts[level] for level in levels] for counts in whole.values()], np.int64)
    weights = np.outer(
        [part.weight for part in contrast.groups], [part.weight for part in contrast.levels]
    )
    study = ContrastStudy(table[:, :, 0], table[:, :, 1], groups, weights, claim.judge)
    names = tuple(" ".join(unit) for _, unit in whole)
    return Compared(study, names, len(cells) - len(whole))


def _placed(contrast: Contrast, rows: Sequence[Row]) -> list[tuple[Row, int, int]]:
    """Trials with their group and level; of what `shared` names, only what every group has."""
    placed, seen = [], dict[tuple[str, ...], set[int]]()
    for row in filter(is_trial, rows):
        level, group = _part(row, contrast.levels), _part(row, contrast.groups)
        if level is not None and group is not None:
            placed.append((row, group, level))
            seen.setdefault(_shared(contrast, row), set()).add(group)
    groups = len(contrast.groups)
    return [one for one in placed if len(seen[_shared(contrast, one[0])]) == groups]


def _shared(contrast: Contrast, row: Row) -> tuple[str, ...]:
    return tuple(value(row, name) for name in contrast.shared)


def _added(alike: Mapping[tuple[str, ...], Levels], levels: int) -> Levels:
    """Counts of a unit at each level, over what all levels were tried on; empty if that is nothing.

    Empty too where the levels mix it so differently that adding up would compare the mixtures.
    """
    whole = [counts for counts in alike.values() if len(counts) == levels]
    trials = np.array([[counts[level][1] for level in range(levels)] for counts in whole], float)
    if not whole:
        return {}
    shares = trials / trials.sum(axis=0)
    if bool((shares.max(axis=1) > MOST_UNEVEN * shares.min(axis=1)).any()):
        return {}
    return {
        level: (sum(c[level][0] for c in whole), sum(c[level][1] for c in whole))
        for level in range(levels)
    }


def _part(row: Row, parts: Sequence[Part]) -> int | None:
    return next((number for number, part in enumerate(parts) if where(row, part.where)), None)
