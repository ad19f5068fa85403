"""T11: more than the same training on random answers gives? (METHOD §2, T11)

Columns: `data` a run was trained on (treatment, random: the same prompts with random or permuted
answers, base: not trained), `seed` of the run and, where runs start from a released and from an
only pretrained model, `start`. A training run is the unit.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.claims.evidence import Row, is_trial, value
from auditor.claims.question import Material, Question, stream
from auditor.claims.questions import contrast, parts
from auditor.claims.spec import Claim
from auditor.records import TestResult

Floats = npt.NDArray[np.float64]

BOOTSTRAPS = 9999
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


def _rates(rows: Sequence[Row]) -> dict[str, Floats]:
    """The rate of every run, by what it was trained on; untrained rows without a seed are one."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in filter(is_trial, rows):
        cell = counts[value(row, "data"), value(row, "seed")]
        cell[0], cell[1] = cell[0] + row["k"], cell[1] + row["n"]
    return {
        arm: np.array([k / n for (data, _), (k, n) in sorted(counts.items()) if data == arm])
        for arm in ARMS
    }


def _share(claim: Claim, rows: Sequence[Row]) -> dict[str, Any] | None:
    """(control - base) / (treatment - base) with percentile limits, runs drawn anew in each arm.

    No limits where the treatment's runs lie below the base in more than 2.5 % of draws: a share of
    nothing is not a number.
    """
    rates = _rates(rows)
    if any(len(rates[arm]) == 0 for arm in ARMS):
        return None
    rng = stream(claim, "share")
    random, treated, base = (
        rng.choice(rates[arm], size=(BOOTSTRAPS, len(rates[arm]))).mean(axis=1) for arm in ARMS
    )
    gained = rates["treatment"].mean() - rates["base"].mean()
    found: dict[str, Any] = {"runs": {arm: len(rates[arm]) for arm in ARMS}}
    if gained <= 0 or np.mean(treated <= base) > 0.025:
        return {**found, "share": None, "low": None, "high": None}
    drawn = np.where(
        treated > base, (random - base) / np.where(treated > base, treated - base, 1), np.inf
    )
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    share = (rates["random"].mean() - rates["base"].mean()) / gained
    return {**found, "share": float(share), "low": float(low), "high": float(high)}


def _share_test(name: str, found: dict[str, Any]) -> TestResult:
    start = "" if name == "all" else f", start={name}"
    detail = (
        "the treatment's runs are not above the base"
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
