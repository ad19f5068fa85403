"""A contrast of average rates over units: the common ground of T2, T8 to T12 and interactions.

The claim names the units, the levels within each and the groups of units, with their weights; the
effect is the weighted sum of log odds of average rates. Units are prompts, scenarios or seeds.
"""

import math

import numpy as np

from auditor.claims.evidence import few
from auditor.claims.layout import Compared, compare
from auditor.claims.question import MIN_PROMPTS, Material, Question, missing, stream
from auditor.claims.spec import Claim, Contrast
from auditor.records import Gate, TestResult
from auditor.statistics.claimed import Within
from auditor.statistics.clustered import prompt_interval
from auditor.statistics.permutation import PERMUTATIONS, sign_flip_p

MIN_GROUP = 3
"""Units in each of three groups or more: fewer leave no scatter to judge by."""


def ask(claim: Claim, material: Material) -> Question:
    """Compare the levels and groups that the claim names."""
    assert claim.contrast is not None
    return ask_contrast(claim, claim.contrast, material)


def ask_contrast(claim: Claim, contrast: Contrast, material: Material) -> Question:
    """Compare levels and groups of units."""
    compared = compare(claim, contrast, material.rows)
    if compared is None:
        return missing(few("U1", "no unit was tried under every level", _needs(contrast)))
    return Question(
        study=compared.study,
        gates=(_units_gate(claim, contrast, compared), _counts_gate(material)),
        units={"units": len(compared.units), "trials": int(compared.study.n.sum())},
        none=_no_effect(claim, compared),
        excess=_excess(claim, compared),
        points=_points(claim, contrast, compared),
    )


def smallest_p(sizes: list[int]) -> float:
    """The smallest one-sided p that exchanging units can give: the floor under any test of them."""
    if len(sizes) == 1:
        return 0.5 ** sizes[0]
    return 1.0 / math.comb(sizes[0] + sizes[1], sizes[0]) if len(sizes) == 2 else 0.0


def _units_gate(claim: Claim, contrast: Contrast, compared: Compared) -> Gate:
    sizes = np.bincount(compared.study.group, minlength=len(contrast.groups)).tolist()
    sides = 2 if isinstance(claim.claimed, Within) else 1
    floor = sides * smallest_p(sizes)
    enough = floor <= claim.alpha and (len(sizes) < 3 or min(sizes) >= MIN_GROUP)
    unit = " ".join(contrast.unit)
    value = f"{' + '.join(map(str, sizes))} units ({unit}); smallest p {floor:.3g}"
    if compared.incomplete:
        value += f"; {compared.incomplete} units without every level left out"
    return Gate("U1", enough, value, _needs(contrast))


def _counts_gate(material: Material) -> Gate:
    bare = sum(row["n"] is None or row["k"] is None for row in material.rows)
    whole = len(material.rows) - bare
    value = f"{whole} rows with k and n, {bare} without"
    return Gate("U6", whole > 0, value, "give k and n of every cell; a bare rate is no trial")


def _needs(contrast: Contrast) -> str:
    parts = [
        " and ".join(f"{name}={pattern}" for name, pattern in part.where.items())
        for part in (*contrast.levels, *contrast.groups)
        if part.where
    ]
    unit = " and ".join(contrast.unit)
    many = MIN_PROMPTS if len(contrast.groups) == 1 else "4 to 5"
    place = "" if len(contrast.groups) == 1 else " in each group"
    return f"observe {many} or more values of {unit}{place}, with: {'; '.join(parts)}"


def _no_effect(claim: Claim, compared: Compared) -> TestResult:
    """Exchange levels within units, or units between two groups; more groups have no exact test."""
    study, rng = compared.study, stream(claim, "no effect")
    estimate, groups = float(study.fit().estimate), len(study.weights)
    if groups == 1:
        p = sign_flip_p(study.differences(), rng)
        return TestResult("no effect", estimate, p, "sign flips over units")
    if groups > 2:
        return TestResult("no effect", estimate, None, "no exchange of units fits an interaction")
    side = np.sign(study.weights[np.arange(2), np.argmax(np.abs(study.weights), axis=1)])
    apart = study.differences() * side[study.group]
    scale = side[study.group] / np.bincount(study.group)[study.group]
    seen = float(apart @ scale)
    dealt = rng.permuted(np.tile(scale, (PERMUTATIONS, 1)), axis=1) @ apart
    p = float((1 + np.sum(dealt >= seen - 1e-12)) / (1 + PERMUTATIONS))
    return TestResult("no effect", estimate, p, "permutation of units between groups")


def _excess(claim: Claim, compared: Compared) -> np.ndarray:
    """Each unit's rate, its levels together, above the judge's false positives."""
    study = compared.study
    rate = study.k.sum(axis=1) / study.n.sum(axis=1)
    return np.asarray(rate - claim.judge.false_positives)


def _points(claim: Claim, contrast: Contrast, compared: Compared) -> tuple[dict[str, object], ...]:
    """Rate of every level in every group, with its counts and an interval that respects units."""
    study, points = compared.study, []
    for g, group in enumerate(contrast.groups):
        inside = study.group == g
        for number, level in enumerate(contrast.levels):
            k, n = study.k[inside, number], study.n[inside, number]
            alike = np.zeros(len(k), np.int64)
            effect, rate = prompt_interval(k, n, alike, claim.scatter.behaviour)
            points.append(
                {
                    "group": dict(group.where),
                    "level": dict(level.where),
                    "weight": group.weight * level.weight,
                    "units": int(inside.sum()),
                    "k": int(k.sum()),
                    "n": int(n.sum()),
                    "rate": rate.estimate,
                    "low": rate.low,
                    "high": rate.high,
                    "design_effect": effect,
                }
            )
    return tuple(points)
