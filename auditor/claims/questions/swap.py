"""T6: the same request with another object: is the order that of what the corpus holds?

Objects are behaviours of the library, templates are prompts given with every object: money, power,
paperclips in one sentence. The slope over objects is the frequency question on that matched design;
within templates the order is tested by Page's L.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import page_trend_test

from auditor.claims.evidence import Measured, Row, is_trial
from auditor.claims.question import Material, Question, missing
from auditor.claims.questions.frequency import MIN_BEHAVIOURS, units_gate
from auditor.claims.questions.frequency import ask as ask_frequency
from auditor.claims.spec import Claim
from auditor.records import BehaviourKind, Gate, TestResult

MIN_TEMPLATES = 10
"""METHOD §2, T6."""

LEAST_RANKED = 2
"""Templates without which Page's test is not defined."""

Arm = tuple[str, str, str]
Block = dict[Arm, dict[str, tuple[int, int]]]
"""What one template got: k and n of each object, for each study, model and condition."""


@dataclass(frozen=True, slots=True)
class Design:
    """Rows of the arms that were given a template with every object.

    objects: from the rarest to the most frequent; rates: (templates, objects), means over arms;
    partial: templates that no arm was given whole.
    """

    objects: tuple[str, ...]
    rows: Sequence[Row]
    rates: npt.NDArray[np.float64]
    partial: int


def ask(claim: Claim, material: Material) -> Question:
    """Ask the frequency question of matched templates, and order the objects within each."""
    design = _matched(claim, material)
    gate = _templates_gate(design)
    if len(design.objects) < MIN_BEHAVIOURS or len(design.rates) < LEAST_RANKED:
        return missing(units_gate(len(design.objects), MIN_BEHAVIOURS), gate)
    asked = ask_frequency(claim, Material(material.measured, design.rows))
    if asked.study is None:
        return asked
    kept = [one for one in asked.gates if one.code != "U6"]
    slope = () if asked.none is None else (asked.none,)
    return replace(
        asked,
        gates=(*kept, gate),
        units={**asked.units, "prompts": len(design.rates)},
        none=_page(design, material.measured),
        tests=slope,
        reading=_reading(design),
        details={"rates": dict(zip(design.objects, design.rates.mean(axis=0), strict=True))},
    )


def _matched(claim: Claim, material: Material) -> Design:
    measured = material.measured
    known = measured.of_kind(BehaviourKind(claim.predictor.kind))
    rows = [row for row in material.rows if is_trial(row) and row["prompt"]]
    seen = {row["behaviour"] for row in rows}
    objects = sorted(seen & set(known), key=lambda name: (measured.predictor[name][0], name))
    blocks = _blocks([row for row in rows if row["behaviour"] in objects])
    whole = {
        template: [arm for arm, found in arms.items() if len(found) == len(objects)]
        for template, arms in blocks.items()
    }
    rates = [
        [np.mean([k / n for k, n in (blocks[t][arm][name] for arm in arms)]) for name in objects]
        for t, arms in whole.items()
        if arms
    ]
    kept = [r for r in rows if r["behaviour"] in objects and _arm(r) in whole[r["prompt"]]]
    return Design(tuple(objects), kept, np.array(rates), sum(not arms for arms in whole.values()))


def _blocks(rows: Sequence[Row]) -> Mapping[str, Block]:
    """Counts of every template, arm and object, draws and seeds added up."""
    blocks: dict[str, Block] = {}
    for row in rows:
        found = blocks.setdefault(row["prompt"], {}).setdefault(_arm(row), {})
        k, n = found.get(row["behaviour"], (0, 0))
        found[row["behaviour"]] = (k + row["k"], n + row["n"])
    return dict(sorted(blocks.items()))


def _arm(row: Row) -> Arm:
    return row["study"], row["model"], row["condition"] or ""


def _templates_gate(design: Design) -> Gate:
    found = f"{len(design.rates)} templates given with every object"
    found += f"; {design.partial} given with some are left out" if design.partial else ""
    needs = (
        f"observe at least {MIN_TEMPLATES} prompts with every object: the same prompt id for each"
    )
    return Gate("U6", len(design.rates) >= MIN_TEMPLATES, found, needs)


def _page(design: Design, measured: Measured) -> TestResult:
    """Page's L (1963) over templates, the order of objects as the claim locked it.

    Its null is that objects do not differ at all; that other differences than the predictor's make
    no slope is for the study to say, whose units are the objects.
    """
    result = page_trend_test(design.rates)
    method = f"Page's L within templates, {result.method}"
    detail = "predicted order: " + " < ".join(design.objects)
    values = [measured.predictor[name][0] for name in design.objects]
    tied = [name for name, x in zip(design.objects, values, strict=True) if values.count(x) > 1]
    detail += f"; ties in the predictor broken by name: {', '.join(tied)}" if tied else ""
    return TestResult("no trend", float(result.statistic), float(result.pvalue), method, detail)


def _reading(design: Design) -> str:
    means = design.rates.mean(axis=0).tolist()
    shown = ", ".join(f"{o} {m:.1%}" for o, m in zip(design.objects, means, strict=True))
    return (
        f"Over {len(design.rates)} templates, from the rarest object in the corpus to the most "
        f"frequent: {shown}"
    )
