"""Arms of one model pretrained on different corpora: do rates follow the text? (METHOD §0.6, §1.2)

Columns: `dose`, the ln change of the amount of text that portrays the behaviour (-1, 0, 1 say the
order where amounts are not known), `framing` (-1 where text that shows the opposite was added, 0
none), `base_or_tuned`; a row without that is its model's own stage. Plain words become these by a
mapping: [conditions] "filtered out" = { dose = -1, framing = 0 }.

Stages are read one by one: does the order of rates follow the dose among arms of one framing, does
the framed arm lie lower at the same dose, both or neither? One study is one unit, however many arms
it has. Its effect is the log odds with most of the text less those with least, at its first stage.
A rate printed without its counts is read, and never a trial.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.claims.evidence import Row, is_trial, value
from auditor.claims.question import Material, Question
from auditor.claims.questions import parts
from auditor.claims.questions.arms import Arm, Stage, rate_interval
from auditor.claims.spec import Claim
from auditor.records import Gate, TestResult
from auditor.statistics.contrast import ContrastStudy
from auditor.statistics.permutation import exact_sign_flip_p

Floats = npt.NDArray[np.float64]

MIN_STUDIES = 5
"""Five signs are the fewest of which all alike reach .05."""

BASE = "base"
NEEDS = (
    f"observe {MIN_STUDIES} or more studies, arms with dose and framing, with k and n; a mapping"
    ' attaches them: [conditions] "filtered out" = { dose = -1, framing = 0 }'
)

Study = tuple[Stage, ...]
"""The first stage of one study: one entry a behaviour."""


def ask(claim: Claim, material: Material) -> Question:
    """Read every stage; try most against least of the text over studies."""
    stages = _stages(material.rows)
    first = _first_stages(stages)
    counts = [ends for one in first if (ends := _ends(one)) is not None]
    study = _contrast(claim, counts) if len(counts) >= MIN_STUDIES else None
    taus = np.array([np.mean([pair for stage in one for pair in stage.pairs]) for one in first])
    return Question(
        study=study,
        gates=_gates(material.rows, first, len(counts)),
        units={"studies": len(first), "arms": sum(len(one.arms) for one in stages)},
        none=_no_order(taus) if len(taus) > 1 else None,
        excess=None if study is None else _excess(claim, study),
        tests=tuple(test for one in stages for test in _tests(one)),
        points=tuple(point for one in stages for point in _points(one)),
        reading=" ".join(_reading(one) for one in stages),
        details={"stages": [_detail(one) for one in stages]},
    )


def _stages(rows: Sequence[Row]) -> list[Stage]:
    """The stages of every study, those of base models first."""
    found: dict[tuple[str, str, str], list[Arm]] = {}
    for row in rows:
        dose = parts.number(row, "dose")
        if dose is not None and row["rate"] is not None:
            key = row["study"], value(row, "base_or_tuned") or row["model"], row["behaviour"]
            found.setdefault(key, []).append(_arm(row, dose))
    stages = [Stage(*key, tuple(arms)) for key, arms in found.items()]
    return sorted(stages, key=_place)


def _place(stage: Stage) -> tuple[str, bool, str, str]:
    return stage.study, BASE not in stage.name.lower().split(), stage.name, stage.behaviour


def _arm(row: Row, dose: float) -> Arm:
    k, n, rate = row["k"], row["n"], row["rate"]
    framing = parts.number(row, "framing") or 0.0
    return Arm(row["condition"] or "", dose, framing, rate, rate_interval(k, n, rate), k, n)


def _first_stages(stages: Sequence[Stage]) -> list[Study]:
    """Each study's first stage with two doses; one that was never a base model's comes last."""
    first: dict[str, list[Stage]] = {}
    for one in stages:
        same = first.get(one.study)
        if one.pairs and (same is None or same[0].name == one.name):
            first.setdefault(one.study, []).append(one)
    return [tuple(study) for study in first.values()]


def _ends(study: Study) -> tuple[tuple[int, int], ...] | None:
    """Counts with most and with least of the text, behaviours added; None where one has none."""
    ends = []
    for end in (-1, 0):
        k, n = 0, 0
        for stage in study:
            dose = stage.unframed[end].dose
            for arm in stage.unframed:
                if arm.dose == dose and arm.k is not None and arm.n is not None:
                    k, n = k + arm.k, n + arm.n
        ends.append((k, n))
    return tuple(ends) if all(n for _, n in ends) else None


def _contrast(claim: Claim, counts: Sequence[tuple[tuple[int, int], ...]]) -> ContrastStudy:
    """Studies as units, most and least text as levels."""
    table = np.array(counts, np.int64)
    group, weights = np.zeros(len(table), np.int64), np.array([[1.0, -1.0]])
    return ContrastStudy(table[:, :, 0], table[:, :, 1], group, weights, claim.judge)


def _gates(rows: Sequence[Row], first: Sequence[Study], counted: int) -> tuple[Gate, ...]:
    dosed = [row for row in rows if parts.number(row, "dose") is not None]
    bare = sum(not is_trial(row) for row in dosed)
    found = f"studies whose arms differ in dose: {len(first)}, with k and n at both ends: {counted}"
    rows_found = f"{len(dosed)} rows with a dose, {bare} of them without k or n"
    return (
        Gate("U1", counted >= MIN_STUDIES, found, NEEDS),
        Gate("U6", counted > 0, rows_found, "give k and n: a bare rate is no trial"),
    )


def _excess(claim: Claim, study: ContrastStudy) -> Floats:
    """Each study's rate above the judge's false positives."""
    rates = study.k.sum(axis=1) / study.n.sum(axis=1)
    return np.asarray(rates - claim.judge.false_positives)


def _no_order(taus: Floats) -> TestResult:
    """Kendall's tau of rate and dose within each study; exact sign flips over studies."""
    p, method = exact_sign_flip_p(taus), "exact sign flips over studies"
    return TestResult("no order", float(taus.mean()), p, method, f"{len(taus)} studies")


def _tests(stage: Stage) -> list[TestResult]:
    """The stage's order, with its chance, and each framed arm against one of the same dose."""
    tests = []
    where = f"{stage.study}, {stage.name}"
    if stage.pairs:
        tau, chance = float(np.mean(stage.pairs)), 1.0 / stage.orders
        method = "Kendall's tau; chance of a perfect order"
        p = chance if stage.follows_dose else None
        tests.append(TestResult(f"dose, {where}", tau, p, method, _in_order(stage)))
    for arm, other in stage.framed:
        apart = arm.log_odds - other.log_odds
        sides = f"{_shown(arm)} against {_shown(other)} at the same dose"
        tests.append(TestResult(f"framing, {where}", apart, None, "difference of log odds", sides))
    return tests


def _in_order(stage: Stage) -> str:
    return f"{stage.pairs.count(1)} of {len(stage.pairs)} pairs of arms in order"


def _shown(arm: Arm) -> str:
    low, high = arm.interval.low, arm.interval.high
    limits = "" if low is None or high is None else f" ({parts.share(low)} to {parts.share(high)})"
    return parts.share(arm.rate) + limits


def _reading(stage: Stage) -> str:
    """What the arms of one stage show."""
    said = []
    if stage.pairs:
        rates = ", ".join(_shown(arm) for arm in stage.unframed)
        found = f"from least to most text {rates}; {_in_order(stage)}"
        said.append(
            f"the order of rates follows the dose ({found}, chance 1 in {stage.orders})"
            if stage.follows_dose
            else f"the order of rates is not that of the dose ({found})"
        )
    for arm, other in stage.framed:
        side = "above" if arm.rate > other.rate else "below" if arm.rate < other.rate else "at"
        said.append(
            f"the arm with framed text added shows {_shown(arm)}, {side} the {_shown(other)} of the"
            " same dose, which only the framing tells apart"
        )
    if not said:
        return f"{stage.study}, {stage.name}: no two arms can be compared."
    return f"{stage.study}, {stage.name}: {'; '.join(said)}; rates go with {stage.goes_with}."


def _detail(stage: Stage) -> Mapping[str, Any]:
    return {
        "study": stage.study,
        "stage": stage.name,
        "behaviour": stage.behaviour,
        "follows dose": stage.follows_dose,
        "pairs in order": stage.pairs.count(1),
        "pairs": len(stage.pairs),
        "chance of a perfect order": 1.0 / stage.orders if stage.pairs else None,
        "follows framing": stage.follows_framing,
        "goes with": stage.goes_with,
    }


def _points(stage: Stage) -> list[dict[str, Any]]:
    """Arms by dose, framed ones last; limits of bare rates are of counts that round to them."""
    return [
        {
            "study": stage.study,
            "stage": stage.name,
            "behaviour": stage.behaviour,
            "condition": arm.condition,
            "dose": arm.dose,
            "framing": arm.framing,
            "rate": arm.rate,
            "low": arm.interval.low,
            "high": arm.interval.high,
            "k": arm.k,
            "n": arm.n,
        }
        for arm in sorted(stage.arms, key=lambda arm: (arm.framing != 0, arm.dose))
    ]
