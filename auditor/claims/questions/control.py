"""T11: more than the same training on random answers gives? (METHOD §2, T11)

Columns: `data` a run was trained on (treatment, random: the same prompts with random or permuted
answers, base: not trained), `seed` of the run and, where runs start from a released and from an
only pretrained model, `start`. A training run is the unit.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.claims.evidence import Row, is_trial, value
from auditor.claims.question import Material, Question, stream
from auditor.claims.questions import contrast, parts
from auditor.claims.spec import Claim
from auditor.records import TestResult
from auditor.statistics.shares import LEAST_RUNS, NOT_ESTIMATED, Cell, random_share

ARMS = ("random", "treatment", "base")


def ask(claim: Claim, material: Material) -> Question:
    """Compare trained with control-trained runs; say which share the control gives."""
    question = contrast.ask(claim, material)
    if question.study is None or claim.contrast is None:
        return question
    starts = sorted({value(row, "start") for row in material.rows} - {""})
    by_start = {one: [r for r in material.rows if value(r, "start") == one] for one in starts}
    shares = {
        name: found
        for name, rows in (by_start or {"all": list(material.rows)}).items()
        if (found := _share(claim, rows)) is not None
    }
    apart = [
        parts.part(claim, claim.contrast, rows, f"treatment less random, start={name}")
        for name, rows in by_start.items()
    ]
    return replace(
        question,
        tests=(*apart, *(_share_test(name, found) for name, found in shares.items())),
        details={"share that the control gives": shares} if shares else {},
        reading=f"{parts.told(question.points)}.{_said(shares)}",
    )


def _runs(rows: Sequence[Row]) -> dict[str, list[Cell]]:
    """k and n of every run, by what it was trained on; untrained rows without a seed are one."""
    counts: dict[tuple[str, str], Cell] = {}
    for row in filter(is_trial, rows):
        key = value(row, "data"), value(row, "seed")
        k, n = counts.get(key, (0, 0))
        counts[key] = (k + row["k"], n + row["n"])
    return {
        arm: [cell for (data, _), cell in sorted(counts.items()) if data == arm] for arm in ARMS
    }


def _share(claim: Claim, rows: Sequence[Row]) -> dict[str, Any] | None:
    """(control - base) / (treatment - base) with the limits of `random_share`.

    None where an arm has no run; nothing where the treatment cannot be told to lie above the base.
    """
    runs = _runs(rows)
    if not all(runs.values()):
        return None
    rates = {arm: float(np.mean([k / n for k, n in cells])) for arm, cells in runs.items()}
    share = NOT_ESTIMATED
    if rates["treatment"] > rates["base"]:
        share = random_share(
            runs["treatment"], runs["random"], runs["base"], stream(claim, "share")
        )
    counted = {arm: len(cells) for arm, cells in runs.items()}
    return {"runs": counted, "share": share.estimate, "low": share.low, "high": share.high}


def _share_test(name: str, found: dict[str, Any]) -> TestResult:
    start = "" if name == "all" else f", start={name}"
    detail = (
        f"the treatment is not shown to rise above the base, or has under {LEAST_RUNS} runs"
        if found["share"] is None
        else f"95 % {found['low']:.2g} to {found['high']:.2g}"
    )
    return TestResult(
        f"share that the control gives{start}", found["share"], None, "bootstrap over runs", detail
    )


def _said(shares: dict[str, dict[str, Any]]) -> str:
    return "".join(
        f" Training on random answers gives {parts.share(one['share'])}"
        f" ({parts.share(one['low'])} to {parts.share(one['high'])}) of the treatment's gain"
        f"{'' if name == 'all' else f' from start={name}'}."
        for name, one in shares.items()
        if one["share"] is not None
    )
