"""H3 and T13: does a behaviour's rate move with the text that matches a condition or a model?

Within behaviours: the predictor is the log rate of the behaviour in the framing that goes with a
condition ([contexts]), or before the cutoff of a model ([cutoffs]); what behaviours and arms do
on their own is taken out, so that intrinsic ease and capability cannot carry the slope (METHOD
§1.2 H3, §2 T13).
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from auditor.claims.evidence import Evidence, Row, cells_of, few
from auditor.claims.question import Material, Question, missing, prompts_gate
from auditor.claims.questions.exception import NOTHING_LEFT
from auditor.claims.questions.frequency import MIN_BEHAVIOURS, excess, units, units_gate
from auditor.claims.slope import CrossedStudy
from auditor.claims.spec import Claim
from auditor.records import BehaviourKind, TestResult

Floats = npt.NDArray[np.float64]

MOST_FALSE = 0.02
"""Judge's false positives that a behaviour seen before its text must exceed."""

PLACE = {"contexts": 2, "cutoffs": 1}
"""Where in an arm (study, model, condition) the pattern of a setting is looked for."""


def ask(claim: Claim, material: Material) -> Question:
    """Regress within behaviours on the log rate in matching text."""
    onset = claim.test == "onset" or bool(claim.settings["cutoffs"])
    setting = "cutoffs" if onset else "contexts"
    patterns = claim.settings[setting]
    if len(set(patterns.values())) < 2:
        example = '"*chat*" = "mode=first_person"' if setting == "contexts" else '"GPT-2" = "2019"'
        needs = f"say in a copy of the claim which text goes with which: [{setting}] {example}"
        return missing(few("U1", f"fewer than two {setting} named", needs))
    there = [material.measured.contexts.get(text, {}) for text in set(patterns.values())]
    known = {
        name
        for name, frequency in material.measured.frequencies.items()
        if frequency.kind is BehaviourKind.BEHAVIOUR
        and frequency.usable
        and sum(name in known_there for known_there in there) > 1
    }
    held = material.measured.contexts
    rows = [
        row
        for row in material.rows
        if row["behaviour"] in known
        and row["behaviour"] in held.get(_text(_arm(row), setting, patterns), {})
    ]
    evidence = cells_of(rows)
    if evidence is None or len(evidence.behaviours) < MIN_BEHAVIOURS:
        found = len(evidence.behaviours) if evidence else 0
        return missing(units_gate(found, MIN_BEHAVIOURS), prompts_gate(0, material.rows))
    _, pairs = evidence.cells.groups
    texts = [_text(arm, setting, patterns) for arm in evidence.arms]
    predictor, error = np.array([held[texts[a]][evidence.behaviours[b]] for b, a in pairs]).T
    study = CrossedStudy.observed(
        evidence.cells, evidence.counts, claim.judge, predictor, error=error
    )
    if float(np.ptp(study.within)) < NOTHING_LEFT:
        value = "the text of every condition holds the behaviours in the same proportions"
        return missing(few("U8", value, "choose conditions whose text differs"))
    return Question(
        study=study,
        gates=(
            units_gate(len(evidence.behaviours), MIN_BEHAVIOURS),
            prompts_gate(evidence.prompts, material.rows),
        ),
        units=units(evidence),
        excess=excess(claim, evidence),
        tests=tuple(_precedence(evidence, predictor)) if setting == "cutoffs" else (),
        evidence=evidence,
    )


def _precedence(evidence: Evidence, predictor: Floats) -> Iterable[TestResult]:
    """Behaviours shown by models whose text held none: more than a judge's false positives?

    Binomial, against MOST_FALSE positives: 6 of 100, or 4 of 50, are needed (METHOD §2, T13).
    """
    _, pairs = evidence.cells.groups
    k, n = evidence.cells.totals(evidence.counts)
    for number, name in enumerate(evidence.behaviours):
        before = (pairs[:, 0] == number) & (predictor == 0.0)
        seen, trials = int(k[before].sum()), int(n[before].sum())
        if trials:
            p = float(binomtest(seen, trials, MOST_FALSE, "greater").pvalue)
            method = f"binomial against {MOST_FALSE:.0%} false positives"
            yield TestResult(f"{name} before the text", None, p, method, f"{seen} of {trials}")


def _arm(row: Row) -> tuple[str, str, str]:
    return row["study"], row["model"], row["condition"] or ""


def _text(arm: tuple[str, str, str], setting: str, patterns: Mapping[str, str]) -> str:
    """The text that goes with an arm: that of the first pattern it matches; empty for none."""
    name = arm[PLACE[setting]]
    return next((text for pattern, text in patterns.items() if fnmatchcase(name, pattern)), "")
