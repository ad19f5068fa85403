"""T14: do transcripts that show a behaviour copy the corpus more than others of the same models do?

The unit is a transcript; its outcome is whether `trace` found a run of words copied from a passage
there. Those of the same model that do not show it are the placebos. Copies are verified on the
text, so the judge's errors are about which transcripts show it, never about the copies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

from auditor.claims.evidence import Row, value
from auditor.claims.question import Material, Question, missing
from auditor.claims.questions.contrast import ask_contrast
from auditor.claims.questions.prefix import corpus_gate
from auditor.claims.spec import Claim, Contrast, Part
from auditor.records import Gate, TestResult
from auditor.statistics.contrast import ContrastStudy
from auditor.statistics.judge import PERFECT
from auditor.statistics.sparse import SparseStudy

Floats = npt.NDArray[np.float64]

SHOWN, NOT_SHOWN = "true", "false"
COPYING = Contrast(
    unit=("transcript",),
    levels=(Part(1.0, {}),),
    groups=(Part(1.0, {"shown": SHOWN}), Part(-1.0, {"shown": NOT_SHOWN})),
)
MIN_PLACEBOS, MIN_SHOWN = 19, 5
"""19 placebos: the least with which one transcript can be placed beyond .05 (METHOD §2, T14)."""


def ask(claim: Claim, material: Material) -> Question:
    """Compare transcripts that show one of the claim's behaviours with those that show none."""
    transcripts = _transcripts(material.rows)
    rows = _same_models(transcripts)
    sizes = [sum(value(row, "shown") == side for row in rows) for side in (SHOWN, NOT_SHOWN)]
    gates = (_units_gate(*sizes), corpus_gate(claim), _traced_gate(len(transcripts)))
    matched = Material(material.measured, rows)
    asked = ask_contrast(replace(claim, judge=PERFECT), COPYING, matched)
    if not isinstance(asked.study, ContrastStudy):
        return missing(*gates)
    return replace(
        asked,
        study=SparseStudy.of(asked.study),
        gates=gates,
        units={"shown": sizes[0], "not_shown": sizes[1]},
        excess=_excess(claim, rows),
        tests=(_lengths(rows),),
        reading=_reading(rows, sizes),
        details={"other_models_left_out": len(transcripts) - len(rows)},
    )


def _transcripts(rows: Sequence[Row]) -> list[Row]:
    """One row a transcript: shown where any of the behaviours is; a placebo shows none of them."""
    kept: dict[str, Row] = {}
    for row in rows:
        name = value(row, "transcript")
        if name not in kept or value(row, "shown") == SHOWN:
            kept[name] = row
    return [kept[name] for name in sorted(kept)]


def _same_models(rows: Sequence[Row]) -> list[Row]:
    """Transcripts of models that both show it somewhere and somewhere do not."""
    sides: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        sides.setdefault(_model(row), set()).add(value(row, "shown"))
    return [row for row in rows if sides[_model(row)] == {SHOWN, NOT_SHOWN}]


def _model(row: Row) -> tuple[str, str]:
    return row["study"], row["model"]


def _units_gate(shown: int, placebos: int) -> Gate:
    found = f"{shown} traced transcripts that show it, {placebos} of the same models that do not"
    needs = f"trace {MIN_SHOWN} transcripts that show it and {MIN_PLACEBOS} that do not, or more"
    return Gate("U1", shown >= MIN_SHOWN and placebos >= MIN_PLACEBOS, found, needs)


def _traced_gate(transcripts: int) -> Gate:
    found = f"{transcripts} transcripts that were judged and traced"
    needs = "run auditor trace, after the last auditor index, on transcripts with judged behaviours"
    return Gate("U6", transcripts > 0, found, needs)


def _excess(claim: Claim, rows: Sequence[Row]) -> Floats:
    """Whether each transcript shows it, above the judge's false positives."""
    shown = np.array([value(row, "shown") == SHOWN for row in rows], float)
    return shown - (1.0 - (claim.judge.specificity or 0.0))


def _lengths(rows: Sequence[Row]) -> TestResult:
    """Longer transcripts hold more copies by chance alone: whether the two sides differ in length.

    Mann and Whitney (1947), two-sided; the statistic is the ratio of the medians.
    """
    name, method = "length of those that show it", "Mann-Whitney, characters the model wrote"
    sides: Mapping[str, list[float]] = {SHOWN: [], NOT_SHOWN: []}
    for row in rows:
        if text := value(row, "characters"):
            sides[value(row, "shown")].append(float(text))
    if not all(sides.values()):
        return TestResult(name, None, None, method, "not run: lengths unknown")
    shown, others = (float(np.median(side)) for side in sides.values())
    p = float(mannwhitneyu(*sides.values()).pvalue)
    detail = f"median {shown:.0f} characters where shown, {others:.0f} elsewhere"
    return TestResult(name, shown / max(others, 1.0), p, method, detail)


def _reading(rows: Sequence[Row], sizes: Sequence[int]) -> str:
    copied = [
        sum(row["k"] for row in rows if value(row, "shown") == side) for side in (SHOWN, NOT_SHOWN)
    ]
    return (
        f"{copied[0]} of {sizes[0]} transcripts that show it hold words copied from the corpus, "
        f"and {copied[1]} of {sizes[1]} that do not; unlike words speak against copying alone, not "
        "against other imitation"
    )
