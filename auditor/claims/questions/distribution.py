"""T10: is a trait that only emerges suppressed more than one the data show? (METHOD §2, T10)

Columns: `distribution` of the trait (in: the lower 95 % limit of its prevalence in the fine-tuning
data is above 1 %; out: the upper limit is below 0.1 %; leave others out), `arm` (none, inoculated:
against another trait than the row's), `seed` of the training run and `trio`, the three traits that
were trained and evaluated together. A training run is the unit, and changes arms within its trio.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auditor.claims.evidence import Row, value
from auditor.claims.layout import Compared, compare
from auditor.claims.question import Material, Question, stream
from auditor.claims.questions import contrast, parts
from auditor.claims.spec import Claim, Contrast
from auditor.records import Gate, TestResult
from auditor.statistics.permutation import PERMUTATIONS

MIN_SEEDS, MIN_TRIOS = 5, 3
"""Training runs of each arm in a trio, and trios (METHOD §2, T10)."""


def ask(claim: Claim, material: Material) -> Question:
    """Compare the suppression of the two kinds of trait."""
    question = contrast.ask(claim, material)
    if question.study is None or claim.contrast is None:
        return question
    compared = compare(claim, claim.contrast, material.rows)
    assert compared is not None
    trio = _trios(claim.contrast, compared, material.rows)
    effect = parts.times(float(question.study.fit().estimate))
    return replace(
        question,
        gates=(*question.gates, _blocks(compared, trio)),
        none=_within_trios(claim, claim.contrast, compared, trio),
        tests=tuple(parts.each_level(claim, claim.contrast, material.rows, "not inoculated less")),
        reading=f"{parts.told(question.points)}. The off-target inoculation lowered the odds of the"
        f" out-of-distribution trait {effect} as much.",
    )


def _trios(whole: Contrast, compared: Compared, rows: Sequence[Row]) -> list[str]:
    """The trio of each unit."""
    named = {" ".join(value(row, name) for name in whole.unit): value(row, "trio") for row in rows}
    return [named[unit] for unit in compared.units]


def _blocks(compared: Compared, trio: Sequence[str]) -> Gate:
    """U1: enough runs of each arm in enough trios."""
    runs = Counter(zip(trio, compared.study.group.tolist(), strict=True))
    fewest = min(runs[name, group] for name in set(trio) for group in (0, 1))
    found = f"{len(set(trio))} trios, {fewest} runs in the smallest arm of one"
    needs = f"train {MIN_SEEDS} or more seeds an arm in each of {MIN_TRIOS} or more trios"
    enough = len(set(trio)) >= MIN_TRIOS and fewest >= MIN_SEEDS
    return Gate("U1", enough, found, needs)


def _within_trios(
    claim: Claim, whole: Contrast, compared: Compared, trio: Sequence[str]
) -> TestResult:
    """One-sided permutation of runs between arms, each trio on its own; on rates."""
    study, rng = compared.study, stream(claim, "trios")
    side = np.sign([group.weight for group in whole.groups])[study.group]
    apart = parts.differences(study, whole)
    seen, dealt = 0.0, np.zeros(PERMUTATIONS)
    for name in sorted(set(trio)):
        inside = np.array(trio) == name
        own, sides = apart[inside], np.tile(side[inside], (PERMUTATIONS, 1))
        seen += float(side[inside] @ own) / inside.sum()
        dealt += rng.permuted(sides, axis=1) @ own / inside.sum()
    p = float((1 + np.sum(dealt >= seen - 1e-12)) / (1 + PERMUTATIONS))
    estimate = float(study.fit().estimate)
    return TestResult("no effect", estimate, p, "permutation of runs between arms within trios")
