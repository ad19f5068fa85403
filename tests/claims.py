"""A claim and rows made by hand, for every test that needs some."""

from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np

from auditor.claims.decide import assess, conclude
from auditor.claims.evidence import Measured
from auditor.claims.reading import read_claims
from auditor.claims.spec import Claim, Contrast, Design, Part, Scatter
from auditor.records import ClaimResult
from auditor.statistics.claimed import AtLeast
from auditor.statistics.judge import PERFECT

Rows = list[dict[str, Any]]

NOTHING = Measured({})
"""The corpus side of a claim about observations alone."""

CLAIM = replace(
    read_claims()["frequency"],
    id="hand-made", claimed=AtLeast(1.0), tier="A", seed=1, digest="0" * 32, rivals=(),
    scatter=Scatter(0.3, 0.1, 0.1), judge=PERFECT, design=Design(1, 1, 5, 40, 0.2),
)  # fmt: skip
"""A claim of proportion, by a perfect judge, about a corpus that is known."""


def claim(**changes: Any) -> Claim:  # noqa: ANN401
    """The claim of this module with some of its fields changed."""
    settings = {**CLAIM.settings, **changes.pop("settings", {})}
    return replace(CLAIM, settings=settings, **changes)


def observation(k: int | None, n: int | None, **given: Any) -> dict[str, Any]:  # noqa: ANN401
    """An observation; what is not given is the same in every row."""
    empty = {"study": "study", "model": "m", "behaviour": "b", "condition": None, "prompt": "p"}
    return {**empty, "unit": "draw", "factors": None, "k": k, "n": n, **given}


def decided(one: Claim, rows: Rows, measured: Measured = NOTHING, worlds: int = 99) -> ClaimResult:
    """The verdict on one claim, locked before these rows were seen."""
    [result] = conclude([assess(one, measured, rows, False, "ab" * 32, worlds)])
    return result


def closed(result: ClaimResult) -> set[str]:
    """The codes of the gates that failed."""
    return {gate.code for gate in result.gates if not gate.passed}


def stream(step: str) -> np.random.Generator:
    """A random stream for each named step, as a claim gives its trial."""
    return np.random.default_rng([1, crc32(step.encode())])


def between(first: str, second: str, factor: str = "condition", **changes: Any) -> Contrast:  # noqa: ANN401
    """Two levels of a factor within each prompt, the first less the second."""
    levels = (Part(1.0, {factor: first}), Part(-1.0, {factor: second}))
    return replace(Contrast(("prompt",), levels, (Part(1.0, {}),)), **changes)
