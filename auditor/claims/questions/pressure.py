"""T12: optimisation pressure, or imitation? Constraint x reward x training time (METHOD §2, T12)

Columns: `constraint` (on, off), `reachable` without violation (yes, no), the same scenario text
under all four (`prompt`, the unit), `step` of the checkpoint, `motive` = shaped where the training
shaped motives instead. The interaction, what the constraint adds where only a violation pays, is
tried at the last checkpoint; imitation predicts none, since corpus and text are the same.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auditor.claims.evidence import Row, value
from auditor.claims.layout import compare
from auditor.claims.question import MIN_PROMPTS, Material, Question
from auditor.claims.questions import contrast, parts
from auditor.claims.spec import Claim, Contrast
from auditor.records import TestResult
from auditor.statistics.permutation import exact_sign_flip_p

MIN_CHECKPOINTS = 5
SHAPED = "shaped"


def ask(claim: Claim, material: Material) -> Question:
    """Try the interaction at the last checkpoint; follow it over the others."""
    rows = [row for row in material.rows if value(row, "motive") != SHAPED]
    question = contrast.ask(claim, replace(material, rows=parts.last_steps(rows)))
    if question.study is None or claim.contrast is None:
        return question
    shaped = [row for row in material.rows if value(row, "motive") == SHAPED]
    tests = [*_over_checkpoints(claim, claim.contrast, rows)]
    if shaped:
        last = parts.last_steps(shaped)
        tests.append(parts.part(claim, claim.contrast, last, "interaction with motives shaped"))
    effect = parts.times(float(question.study.fit().estimate))
    reading = (
        f"{parts.told(question.points)}. The constraint's effect on the odds, where only a"
        f" violation is rewarded, is {effect} that elsewhere."
    )
    return replace(question, tests=tuple(tests), reading=reading)


def _over_checkpoints(claim: Claim, whole: Contrast, rows: Sequence[Row]) -> list[TestResult]:
    """The slope of each prompt's interaction over checkpoints; exact sign flips over prompts."""
    steps = sorted({step for row in rows if (step := parts.number(row, "step")) is not None})
    found: dict[str, dict[int, float]] = {}
    for place, step in enumerate(steps):
        own = [row for row in rows if parts.number(row, "step") == step]
        compared = compare(claim, whole, own)
        if compared is not None:
            for unit, apart in zip(
                compared.units, parts.differences(compared.study, whole), strict=True
            ):
                found.setdefault(unit, {})[place] = float(apart)
    whole_prompts = [list(one.values()) for one in found.values() if len(one) == len(steps)]
    if len(steps) < MIN_CHECKPOINTS or len(whole_prompts) < MIN_PROMPTS:
        return []
    order = np.arange(len(steps)) - (len(steps) - 1) / 2.0
    slopes = np.array(whole_prompts) @ order / (order @ order)
    detail = f"change of the rates' interaction a checkpoint; {len(steps)} checkpoints"
    detail += f", {len(slopes)} prompts"
    p = exact_sign_flip_p(slopes)
    name = "interaction over checkpoints"
    return [TestResult(name, float(slopes.mean()), p, "exact sign flips over prompts", detail)]
