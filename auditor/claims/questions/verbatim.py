"""T14: do transcripts that show a behaviour copy the corpus more than others of the same models do?

The unit is a transcript; its outcome is whether `trace` found a run of words copied from a passage
there. Those of the same model that do not show it are the placebos: transcripts are compared within
models, which differ in how often they copy and in how often they show it. Copies are verified on
the text, so the judge's errors are about which transcripts show it, never about the copies.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

from auditor.claims.evidence import Row, is_trial, value
from auditor.claims.question import Material, Question, missing, stream
from auditor.claims.questions.prefix import corpus_gate
from auditor.claims.spec import Claim
from auditor.records import Gate, TestResult
from auditor.statistics.intervals import clopper_pearson
from auditor.statistics.stratified import StratifiedStudy

Floats = npt.NDArray[np.float64]
Model = tuple[str, str]

SHOWN, NOT_SHOWN = "true", "false"
SIDES = (SHOWN, NOT_SHOWN)
MIN_PLACEBOS, MIN_SHOWN = 19, 5
"""19 placebos: the least with which one transcript can be placed beyond .05 (METHOD §2, T14)."""


def ask(claim: Claim, material: Material) -> Question:
    """Compare transcripts that show one of the claim's behaviours with those that show none."""
    transcripts = _transcripts([row for row in material.rows if is_trial(row)])
    rows = _same_models(transcripts)
    sizes = [sum(value(row, "shown") == side for row in rows) for side in SIDES]
    gates = (_units_gate(*sizes), corpus_gate(claim), _traced_gate(len(transcripts)))
    if not rows:
        return missing(*gates)
    models = sorted({_model(row) for row in rows})
    study = _within(models, rows)
    return Question(
        study=study,
        gates=gates,
        units={"shown": sizes[0], "not_shown": sizes[1]},
        none=_no_effect(claim, study),
        excess=_excess(claim, rows),
        tests=(_lengths(rows),),
        points=tuple(_points(models, study)),
        reading=_reading(study),
        details={"other_models_left_out": len(transcripts) - len(rows)},
    )


def _within(models: Sequence[Model], rows: Sequence[Row]) -> StratifiedStudy:
    """Copies and transcripts of each model, where it is shown and where it is not."""
    counts = np.zeros((2, len(models), 2), np.int64)
    for row in rows:
        place = models.index(_model(row)), SIDES.index(value(row, "shown"))
        counts[(slice(None), *place)] += (row["k"], row["n"])
    return StratifiedStudy(*counts)


def _no_effect(claim: Claim, study: StratifiedStudy) -> TestResult:
    p = study.no_effect_p(stream(claim, "no effect"))
    method = "permutation of transcripts within models"
    return TestResult("no effect", float(study.fit().estimate), p, method)


def _points(models: Sequence[Model], study: StratifiedStudy) -> list[dict[str, Any]]:
    """How many transcripts of each model copy, on either side; transcripts are no clusters."""
    points = []
    for number, (_, model) in enumerate(models):
        name = {"model": model} if len(models) > 1 else {}
        for place, side in enumerate(SIDES):
            k, n = int(study.k[number, place]), int(study.n[number, place])
            rate = clopper_pearson(k, n).interval
            points.append(
                {
                    "group": {**name, "shown": side},
                    "level": {},
                    "units": n,
                    "k": k,
                    "n": n,
                    "rate": rate.estimate,
                    "low": rate.low,
                    "high": rate.high,
                    "design_effect": 1.0,
                }
            )
    return points


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


def _model(row: Row) -> Model:
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
    return shown - claim.judge.false_positives


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


def _reading(study: StratifiedStudy) -> str:
    copied, sizes = study.k.sum(axis=0), study.n.sum(axis=0)
    ratio = float(np.exp(study.fit().estimate))
    return (
        f"{copied[0]} of {sizes[0]} transcripts that show it hold words copied from the corpus, "
        f"and {copied[1]} of {sizes[1]} that do not, within models an odds ratio of {ratio:.2f}; "
        "unlike words speak against copying alone, not against other imitation"
    )
