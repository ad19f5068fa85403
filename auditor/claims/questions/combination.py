"""Do two interventions together do what they do apart, added up? (DEBATE, question 16)

Columns: `intervention` of a training run (both, a, b, none) and its `seed`, the unit. The effect is
the interaction in log odds: both, less a, less b, plus none.
"""

from collections.abc import Mapping
from dataclasses import replace

from auditor.claims.question import Material, Question
from auditor.claims.questions import contrast, parts
from auditor.claims.spec import Claim, Contrast
from auditor.records import TestResult
from auditor.statistics.claimed import Within

COMBINED = ("a", "b", "both")


def ask(claim: Claim, material: Material) -> Question:
    """Try the interaction; show what each intervention does alone."""
    question = contrast.ask(claim, material)
    if question.study is None or claim.contrast is None:
        return question
    alone = _alone(claim, claim.contrast, material)
    effect = float(question.study.fit().estimate)
    reading = (
        f"{parts.told(question.points)}. Together the odds are {parts.times(effect)} what the two"
        f" effects add up to{_direction(claim, effect, alone)}."
    )
    return replace(question, tests=tuple(alone.values()), reading=reading)


def _alone(claim: Claim, whole: Contrast, material: Material) -> dict[str, TestResult]:
    """Each intervention, and both, against none."""
    arms = {group.where.get("intervention", ""): group for group in whole.groups}
    if not {*COMBINED, "none"} <= set(arms):
        return {}
    none = replace(arms["none"], weight=-1.0)
    return {
        name: parts.part(
            claim,
            replace(whole, groups=(replace(arms[name], weight=1.0), none)),
            material.rows,
            f"{name} less none",
        )
        for name in COMBINED
    }


def _direction(claim: Claim, effect: float, alone: Mapping[str, TestResult]) -> str:
    """Whether combining helps or hurts, where both interventions move the odds the same way.

    Nothing is said of an effect within the claim's margin.
    """
    if isinstance(claim.claimed, Within) and abs(effect) <= claim.claimed.margin:
        return ", within the margin"
    moved = {name: one.statistic or 0.0 for name, one in alone.items()}
    if not moved or moved["a"] * moved["b"] <= 0:
        return ""
    sign = 1.0 if moved["a"] > 0 else -1.0
    if sign * effect > 0:
        return ": combining helps, they do more than the sum"
    if sign * moved["both"] < max(sign * moved["a"], sign * moved["b"]):
        return ": combining hurts, they do less than one alone"
    return ": they do less than the sum, and more than one alone"
