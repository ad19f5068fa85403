"""T2: does tuning change a behaviour, and in chat more than in agentic prompts? (METHOD §2, T2)

Columns: `base_or_tuned` (base, tuned), `setting` (chat, agentic), `prompt`, and `family` where
several models were observed before and after tuning; a family without both is left out. A prompt
is the unit. The scatter of shifts over behaviours is the first rung of the post-training ladder:
one shift for all (r = 0) leaves none, one along `refusal` (r = 1) leaves none beside it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from auditor.claims.evidence import Row, covariate, is_trial, value
from auditor.claims.question import Material, Question, stream
from auditor.claims.questions import contrast, parts
from auditor.claims.spec import Claim
from auditor.records import TestResult
from auditor.statistics.permutation import PERMUTATIONS, slope_p

Floats = npt.NDArray[np.float64]

STAGES = ("base", "tuned")
COVERAGE = "refusal"
"""Factor that says how far chat refusals cover a behaviour: z of METHOD §1.2."""

MIN_BEHAVIOURS = 3
MIN_COVERED = 5
"""Behaviours from which a shift along a covariate can reach .05 in every order."""


@dataclass(frozen=True, slots=True)
class Shifts:
    """How far tuning moved each prompt, in logits, its setting's mean taken out."""

    behaviours: tuple[str, ...]
    behaviour: npt.NDArray[np.int64]
    shift: Floats

    def means(self, shift: Floats) -> Floats:
        """Mean shift of each behaviour."""
        return np.bincount(self.behaviour, weights=shift) / np.bincount(self.behaviour)


def ask(claim: Claim, material: Material) -> Question:
    """Compare the shift in one setting with that in the other."""
    material = replace(material, rows=_both_stages(material.rows))
    question = contrast.ask(claim, material)
    if question.study is None or claim.contrast is None:
        return question
    shifts = parts.each_group(claim, claim.contrast, material.rows, "shift")
    moved = _shifts(material.rows)
    scatter = [] if moved is None else _over_behaviours(claim, material, moved)
    factors = ", ".join(f"{one.name} {parts.times(one.statistic)}" for one in shifts)
    return replace(
        question,
        tests=(*shifts, *scatter),
        reading=f"{parts.told(question.points)}. Tuning multiplied the odds: {factors}.",
    )


def _both_stages(rows: Sequence[Row]) -> list[Row]:
    """The rows of families that were observed both before and after tuning."""
    seen = defaultdict(set)
    for row in filter(is_trial, rows):
        seen[value(row, "family")].add(value(row, "base_or_tuned"))
    return [row for row in rows if seen[value(row, "family")] >= set(STAGES)]


def _shifts(rows: Sequence[Row]) -> Shifts | None:
    """Log odds after less log odds before, half a trial added; None for too few behaviours."""
    counts: dict[tuple[str, str, str], dict[str, tuple[int, int]]] = {}
    for row in filter(is_trial, rows):
        key = row["behaviour"], value(row, "setting"), value(row, "prompt")
        stages = counts.setdefault(key, {})
        k, n = stages.get(value(row, "base_or_tuned"), (0, 0))
        stages[value(row, "base_or_tuned")] = (k + row["k"], n + row["n"])
    moved = {
        key: _log_odds(*stages["tuned"]) - _log_odds(*stages["base"])
        for key, stages in sorted(counts.items())
        if set(STAGES) <= set(stages)
    }
    by_setting: dict[str, list[float]] = defaultdict(list)
    for (_, setting, _), shift in moved.items():
        by_setting[setting].append(shift)
    names = sorted({name for name, _, _ in moved})
    if len(names) < MIN_BEHAVIOURS or len(moved) <= len(names):
        return None
    left = [shift - np.mean(by_setting[setting]) for (_, setting, _), shift in moved.items()]
    return Shifts(tuple(names), np.array([names.index(b) for b, _, _ in moved]), np.array(left))


def _log_odds(k: int, n: int) -> float:
    return float(np.log((k + 0.5) / (n - k + 0.5)))


def _over_behaviours(claim: Claim, material: Material, moved: Shifts) -> list[TestResult]:
    """Scatter of shifts over behaviours (r = 0), and whether they follow the covariate (r = 1)."""
    tests = [_scatter(claim, moved, moved.shift, "scatter of shifts over behaviours")]
    z = covariate(material.rows, moved.behaviours, COVERAGE)
    if z is not None and len(z) >= MIN_COVERED:
        x, y = np.array(z), moved.means(moved.shift)
        p = slope_p(x, -y, stream(claim, "coverage"))
        along = np.polynomial.polynomial.polyfit(x, y, 1)
        name, method = f"shift falls with {COVERAGE}", "permutation of behaviours"
        tests.append(TestResult(name, float(along[1]), p, method))
        rest = moved.shift - np.polynomial.polynomial.polyval(x, along)[moved.behaviour]
        tests.append(_scatter(claim, moved, rest, f"scatter left beside {COVERAGE}"))
    return tests


def _scatter(claim: Claim, moved: Shifts, shift: Floats, name: str) -> TestResult:
    """Standard deviation of behaviours' shifts beyond that of their prompts, by one-way moments."""
    sizes = np.bincount(moved.behaviour)
    between, within = _squares(moved, shift)
    usual = (sizes.sum() - np.square(sizes).sum() / sizes.sum()) / (len(sizes) - 1)
    sd = float(np.sqrt(max(0.0, (between - within) / usual)))
    rng = stream(claim, name)
    dealt = [_squares(moved, rng.permutation(shift))[0] for _ in range(PERMUTATIONS)]
    p = float((1 + np.sum(np.array(dealt) >= between - 1e-9)) / (1 + PERMUTATIONS))
    detail = f"{len(sizes)} behaviours, {len(shift)} prompts"
    return TestResult(name, sd, p, "permutation of prompts among behaviours", detail)


def _squares(moved: Shifts, shift: Floats) -> tuple[float, float]:
    """Mean squares between and within behaviours."""
    sizes, means = np.bincount(moved.behaviour), moved.means(shift)
    between = float((sizes * np.square(means - shift.mean())).sum()) / (len(sizes) - 1)
    within = float(np.square(shift - means[moved.behaviour]).sum()) / (len(shift) - len(sizes))
    return between, within
