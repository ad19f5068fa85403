"""What a verdict is printed with: rates, standing rivals, what would reverse it, its limits.

Pure functions of what `decide` has at hand. Rates of models come with intervals that respect
prompts: draws of one prompt are alike, and count for less than as many prompts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from auditor.claims.discrimination import COLUMN, measured_rows, proposed, splitting, told_apart
from auditor.claims.evidence import AUTHOR, Measured, Row, is_trial, value, where
from auditor.claims.gates import MIN_CONCORDANCE, Findings
from auditor.claims.spec import Claim
from auditor.records import BehaviourKind, ClaimResult, Gate, Rival, Verdict
from auditor.statistics.claimed import AtLeast, Within
from auditor.statistics.clustered import prompt_interval
from auditor.statistics.intervals import LEVEL

RIVALS = ("R-PT", "R-OPT", "R-CAP", "R-ECHO")
"""Explanations that stand against any imitation claim until they are measured (METHOD §1.3)."""

UNMEASURED = "not measured"
UNBEATEN = "not beaten"

FEW_UNITS = 12
"""Units below which their scatter is little known: METHOD §4.2 asks for 8 to 12 at the least."""

ARM = ("study", "model", "condition")

BASES, RUNGS, STEPS = ("base_or_tuned",), ("rung", "placebo"), ("motive", "step")
SPLIT = {"prefix": BASES, "elicitation": RUNGS, "pressure": STEPS}
"""Columns by which a kind of test treats rows of one arm unlike."""

Floats = npt.NDArray[np.float64]
Known = Mapping[str, Any]


def corpus_rates(claim: Claim, measured: Measured) -> tuple[Known, ...]:
    """How common each behaviour of the claim is, in the framing it counts, the commonest first."""
    framing = "" if claim.predictor.against else claim.predictor.target
    kind = BehaviourKind(claim.predictor.kind)
    found = [f for f in measured.frequencies.values() if f.kind is kind]
    same = ("behaviour", "corpus", "labels", "positives", "method")
    return tuple(
        {
            **{name: getattr(f, name) for name in same},
            "framing": framing,
            "per_million": {"estimate": f.estimate, "low": f.low, "high": f.high},
            "used": f.usable,
        }
        for f in sorted(found, key=lambda f: (-f.estimate, f.behaviour))
    )


def model_rates(
    claim: Claim, measured: Measured, rows: Sequence[Row], used: Collection[str]
) -> tuple[Known, ...]:
    """How often each model showed the claim's behaviours under each condition, prompts respected.

    used: the behaviours that were tested; none stands for every row that is no control.
    """
    arms: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        part = _part(claim, row)
        if (
            is_trial(row)
            and row["n"] > 0
            and part is not None
            and _about(claim, row, measured, used)
        ):
            arms.setdefault((*(row[name] or "" for name in ARM), part), []).append(row)
    return tuple(
        {**dict(zip((*ARM, "part"), arm, strict=True)), **_rate(members, claim.scatter.prompt)}
        for arm, members in sorted(arms.items())
    )


def part_rates(claim: Claim, points: Sequence[Known], rows: Sequence[Row]) -> tuple[Known, ...]:
    """How often each part of a contrast showed it: the rates that are compared, and no others."""
    named = {row["model"] for row in rows if is_trial(row) and _part(claim, row) is not None}
    models = sorted(named - {AUTHOR})
    model = models[0] if len(models) == 1 else f"{len(models)} models"
    counts = ("k", "n", "rate", "low", "high", "design_effect")
    return tuple(
        {
            **{"study": "", "model": model, "condition": "", "prompts": point["units"]},
            "part": " ".join(
                f"{name}={text}"
                for where_ in (point["group"], point["level"])
                for name, text in where_.items()
            ),
            **{name: point[name] for name in counts},
        }
        for point in points
    )


def standing(claim: Claim, rivals: Iterable[Rival]) -> tuple[Known, ...]:
    """The rivals a verdict has not disposed of: unmeasured ones, and those not beaten.

    Rivals that an imitation claim never names stand as well.
    """
    found = {rival.rival: _state(rival, claim.alpha) for rival in rivals}
    if claim.strength in COLUMN:
        unnamed = (UNMEASURED, "the claim names no measure of it")
        found |= {name: unnamed for name in RIVALS if name not in found}
    return tuple(
        {"rival": name, "state": state, "why": why} for name, (state, why) in found.items() if state
    )


def reversal(
    found: Findings, gates: Sequence[Gate], verdict: Verdict, open_rivals: Sequence[Known]
) -> tuple[str, ...]:
    """What would have to be observed for another verdict, in numbers where there are some."""
    if verdict is Verdict.UNTESTABLE:
        return tuple(f"{gate.code} opened: {gate.needs}" for gate in gates if not gate.passed)
    claim, lines = found.claim, _estimates(found, verdict)
    if verdict is Verdict.SUPPORTED and open_rivals:
        names = " or ".join(one["rival"] for one in open_rivals)
        lines.append(f"{names} measured, and the effect given it with p above {claim.alpha:g}")
    if claim.of_text and claim.tier != "A" and verdict is not Verdict.INDISTINGUISHABLE:
        lines.append(
            "corpora nearer to the training data that rank the behaviours otherwise "
            f"(Kendall W below {MIN_CONCORDANCE:g} with these)"
        )
    return tuple(lines)


def limits(found: Findings, exploratory: bool, lock: str | None) -> tuple[str, ...]:
    """What a reader must hold against the verdict, whatever it is."""
    claim = found.claim
    judge, units = claim.judge, _units(found)
    said = {
        "tier B: proxy corpora stand for the training data": claim.of_text and claim.tier == "B",
        "tier C: the training data are unknown": claim.of_text and claim.tier == "C",
        "exploratory: outcomes were read before a lock, so that it suggests at most": exploratory,
        "the lock is local: it binds whoever made it and proves nothing to others": lock,
        "observational: text and behaviour go together, which does not say why":
            claim.evidence == "obs",
        "rates in the corpus rest on labels, by people or a model: auditor measure says which":
            any(f.labels for f in found.measured.frequencies.values()),
        "the library and its detectors are English": claim.of_text,
        f"the judge's rates are stated, not measured here (sensitivity {judge.sensitivity}, "
        f"specificity {judge.specificity})": judge.known,
        f"the scatter of units is estimated from {units} alone": 0 < units < FEW_UNITS,
        f"supported only where {claim.after} is, tested in the same run": claim.after,
        "behaviours may have been chosen because models were seen to show them": claim.of_text,
    }  # fmt: skip
    return tuple(text for text, holds in said.items() if holds)


def weighed(results: Sequence[ClaimResult]) -> list[ClaimResult]:
    """Add to each result what the others bear on: the pairs told apart, the next observation.

    A claim about a hypothesis names the pairs it is one of; any other, those it told apart itself.
    """
    rows, apart = measured_rows(results), told_apart(results)
    found = []
    for result in results:
        own = COLUMN.get(result.strength)
        pairs = [a for a in apart if own in a["pair"]] if own else told_apart([result])
        following = next_observation(result, splitting(_tied(result), rows)[:1])
        found.append(replace(result, told_apart=tuple(pairs), next_observation=following))
    return found


def next_observation(result: ClaimResult, split: Sequence[Any]) -> str:
    """What opens a closed gate, else the rivals to measure and the cheapest splitting row."""
    closed = [f"{gate.code}: {gate.needs}" for gate in result.gates if not gate.passed]
    if closed:
        return "; ".join(closed)
    unmeasured = [one["rival"] for one in result.standing if one["state"] == UNMEASURED]
    steps = [f"measure {', '.join(unmeasured)}"] if unmeasured else []
    steps += [proposed(row, _tied(result)) for row in split]
    if result.verdict is Verdict.INDISTINGUISHABLE:
        ends = " at the ends of the predictor's range" if result.test == "frequency" else ""
        steps.append(f"add units{ends}")
    return "; ".join(steps) or "repeat on models and behaviours held out from this study"


def _tied(result: ClaimResult) -> list[str]:
    """Hypotheses that may still be true: standing rivals, and the claim's own unless refuted."""
    own = COLUMN.get(result.strength)
    rivals = [one["rival"] for one in result.standing]
    return [own, *rivals] if own and result.verdict is not Verdict.CONTRADICTED else rivals


def _rate(rows: Sequence[Row], scatter: float) -> dict[str, Any]:
    """A rate with its counts and interval; rows without a prompt are one prompt a behaviour."""
    prompts: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        counts = prompts.setdefault((row["behaviour"], row["prompt"] or ""), [0, 0])
        counts[0] += row["k"]
        counts[1] += row["n"]
    names = sorted({behaviour for behaviour, _ in prompts})
    k, n = np.array(list(prompts.values()), float).T
    stratum = np.array([names.index(behaviour) for behaviour, _ in prompts])
    effect, interval = prompt_interval(k, n, stratum, scatter)
    return {
        "behaviours": len(names),
        "prompts": sum(bool(prompt) for _, prompt in prompts),
        "k": int(k.sum()),
        "n": int(n.sum()),
        "rate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "design_effect": effect,
    }


def _about(claim: Claim, row: Row, measured: Measured, used: Collection[str]) -> bool:
    known = measured.frequencies.get(row["behaviour"])
    own = known is None or known.kind == claim.predictor.kind
    return row["behaviour"] in used if used else own


def _part(claim: Claim, row: Row) -> str | None:
    """What a row's rate is of besides its arm: group and level; None where a contrast has none."""
    said: dict[str, str] = {}
    contrast = claim.contrast
    for parts in (contrast.groups, contrast.levels) if contrast else ():
        part = next((part for part in parts if where(row, part.where)), None)
        if part is None:
            return None
        said |= part.where
    said |= {name: text for name in SPLIT.get(claim.test, ()) if (text := value(row, name))}
    return " ".join(f"{name}={text}" for name, text in said.items() if name not in ARM)


def _state(rival: Rival, alpha: float) -> tuple[str, str]:
    """How a rival stands; empty where it is beaten, or held fixed by the design."""
    if not rival.measured:
        return UNMEASURED, rival.detail
    if rival.p is None or rival.p <= alpha:
        return "", rival.detail
    return UNBEATEN, f"p {rival.p:.2g}, {rival.detail}"


def _units(found: Findings) -> int:
    """How many units the scatter was estimated from."""
    evidence, units = found.question.evidence, found.question.units
    return len(evidence.behaviours) if evidence else int(units.get("units", 0))


def _estimates(found: Findings, verdict: Verdict) -> list[str]:
    """Estimates of a study of as many units that would refute the claim, or show it.

    A limit away from the claim's number by the normal quantile times the standard error that the
    95 % interval implies (METHOD §4.4).
    """
    claim, tested = found.claim, found.tested
    if tested is None or tested.effect.low is None or tested.effect.high is None:
        return [f"a repeat whose p is on the other side of {claim.alpha:g}"]
    error = (tested.effect.high - tested.effect.low) / (2.0 * norm.ppf((1.0 + LEVEL) / 2.0))
    refutes, withstands, shows, misses = _critical(claim, error)
    study = "a repeat of as many units that estimates"
    against = f"{study} {refutes}, which would refute the claim"
    return {
        Verdict.CONTRADICTED: [f"{study} {withstands}, its p above {claim.alpha:g}"],
        Verdict.SUPPORTED: [against, f"{study} {misses}, which would no longer show it"],
        Verdict.INDISTINGUISHABLE: [against, f"{study} {shows}, which would show it"],
    }[verdict]


def _critical(claim: Claim, error: float) -> tuple[str, str, str, str]:
    """Estimates that refute the claim, that do not, that show it and that do not, in words."""
    if isinstance(claim.claimed, AtLeast):
        away = norm.ppf(1.0 - claim.alpha) * error
        low, high = f"{claim.claimed.least - away:.2f}", f"{claim.claimed.least + away:.2f}"
        return f"{low} or less", f"above {low}", f"{high} or more", f"below {high}"
    assert isinstance(claim.claimed, Within)
    outside = f"{claim.claimed.margin + norm.ppf(1.0 - claim.alpha / 2.0) * error:.2f}"
    inside = claim.claimed.reach - norm.ppf(1.0 - claim.alpha) * error
    near = f"within {inside:.2f} of 0" if inside > 0 else "0, and more precise than these"
    far = f"{max(inside, 0.0):.2f} or more from 0"
    return f"{outside} or more from 0", f"less than {outside} from 0", near, far
