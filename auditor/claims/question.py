"""What a test asks of the rows: a study to try the claim on, or what is missing for one.

Every kind of test is a function from a claim and its material to one of these; what follows,
gates, simulation and verdict, is the same for all.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.claims.evidence import Evidence, Measured, Row
from auditor.claims.spec import Claim
from auditor.records import Gate, TestResult
from auditor.statistics.calibration import Study
from auditor.statistics.permutation import sign_flip_p

Floats = npt.NDArray[np.float64]

MIN_PROMPTS = 5


@dataclass(frozen=True, slots=True)
class Material:
    """All that a test may look at: the corpus side as locked, and the rows the claim selects."""

    measured: Measured
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Question:
    """A study to try the claim on; `study` is None where the gates say why there is none.

    gates: what this kind of test checks of its own data (U1, U4, U6); excess: rates of its units
    above the judge's false positives; units: how many of what; points: what a chart shows.
    """

    study: Study | None
    gates: tuple[Gate, ...]
    units: Mapping[str, int]
    none: TestResult | None = None
    excess: Floats | None = None
    tests: tuple[TestResult, ...] = ()
    points: tuple[Mapping[str, Any], ...] = ()
    evidence: Evidence | None = None
    reading: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def missing(*gates: Gate, **details: Any) -> Question:  # noqa: ANN401
    """A question that cannot be asked of this data."""
    return Question(None, gates, {}, details=details)


def stream(claim: Claim, step: str) -> np.random.Generator:
    """The random stream of one step of one claim: the same on every machine."""
    return np.random.default_rng([claim.seed, int(claim.digest[:8], 16), zlib.crc32(step.encode())])


def prompts_gate(prompts: int, rows: Sequence[Row], what: str = "behaviour") -> Gate:
    """U6: enough named prompts, and rows that count their trials."""
    bare = sum(row["n"] is None or row["k"] is None for row in rows)
    found = f"{prompts} prompts at the least-tried {what}; {bare} rows without n"
    needs = f"observe each {what} with at least {MIN_PROMPTS} named prompts, with k and n"
    return Gate("U6", prompts >= MIN_PROMPTS, found, needs)


def above_floor(excess: Floats, claim: Claim) -> float:
    """One-sided sign-flip p that rates lie above the judge's false positives, over units."""
    return sign_flip_p(excess, stream(claim, "judge"))
