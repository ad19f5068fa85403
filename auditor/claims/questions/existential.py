"""S0, "it was in there somewhere": was every behaviour that is shown in the corpus? (METHOD §1.2)

A behaviour counts as shown where its trials lie above the judge's false positives, and as absent
from the text where none was seen and its upper limit is below one in a million passages. Such a
limit is out of reach of most samples, so that hardly any outcome could refute the claim: its
forbidden fraction is printed, and it is never supported.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from auditor.claims.evidence import Frequency, few, is_trial
from auditor.claims.question import Material, Question, prompts_gate, stream
from auditor.claims.spec import Claim
from auditor.records import BehaviourKind, Gate

ABSENT = 1.0
"""Upper limit, per million passages, below which a behaviour is called absent from the text."""

SCARCE = 10.0
"""Upper limit below which a shown behaviour is named: the text hardly holds it."""

RELABELLINGS = 400


@dataclass(frozen=True, slots=True)
class Found:
    """One behaviour on both sides: its counts, whether they are above the floor, its frequency."""

    behaviour: str
    k: int
    n: int
    shown: bool
    frequency: Frequency

    @property
    def absent(self) -> bool:
        """Whether the text can be said not to hold it."""
        return self.frequency.estimate == 0.0 and self.frequency.high < ABSENT


def ask(claim: Claim, material: Material) -> Question:
    """List the behaviours that are shown, and whether the corpus holds them."""
    found = _found(claim, material)
    needs = "observe k of n for behaviours whose frequency was measured"
    if not found:
        gates = few("U1", "no behaviour was both observed and measured", needs)
        return Question(None, (gates, prompts_gate(0, material.rows)), {})
    shown = [one for one in found if one.shown]
    held = [one for one in shown if one.frequency.estimate > 0]
    absent = [one.behaviour for one in shown if one.absent]
    details: dict[str, Any] = {
        "shown": [one.behaviour for one in shown],
        "shown and in the corpus": [one.behaviour for one in held],
        "shown though scarce": [one.behaviour for one in shown if one.frequency.high < SCARCE],
        "shown though absent": absent,
        "phi": _forbidden(claim, found),
        "judge": "as stated" if claim.judge.known else "unknown: any hit counts as shown",
    }
    reading = (
        f"{len(shown)} of {len(found)} behaviours were shown, {len(held)} of them seen in the"
        f" corpus; {100 * details['phi']:.2g} % of relabelled outcomes would have shown one that"
        " the corpus cannot hold."
    )
    return Question(
        study=None,
        gates=(Gate("U1", True, f"{len(found)} behaviours", needs),),
        units={"behaviours": len(found), "trials": sum(one.n for one in found)},
        points=tuple(_point(one) for one in found),
        reading=reading,
        details=details,
    )


def _found(claim: Claim, material: Material) -> list[Found]:
    """Behaviours with trials and a measured frequency."""
    counts: dict[str, tuple[int, int]] = {}
    for row in filter(is_trial, material.rows):
        k, n = counts.get(row["behaviour"], (0, 0))
        counts[row["behaviour"]] = (k + row["k"], n + row["n"])
    known = material.measured.frequencies
    return [
        Found(name, k, n, _shown(claim, k, n), known[name])
        for name, (k, n) in sorted(counts.items())
        if name in known and known[name].kind is BehaviourKind.BEHAVIOUR
    ]


def _shown(claim: Claim, k: int, n: int) -> bool:
    """Whether trials lie above the judge's false positives (one-sided binomial test)."""
    if not claim.judge.known or claim.judge.specificity is None:
        return k > 0
    false = 1.0 - claim.judge.specificity
    return k > 0 and bool(binomtest(k, n, false, alternative="greater").pvalue <= claim.alpha)


def _forbidden(claim: Claim, found: list[Found]) -> float:
    """Share of relabelled outcomes in which a behaviour is shown that the text does not hold."""
    shown = np.array([one.shown for one in found])
    absent: npt.NDArray[np.bool_] = np.array([one.absent for one in found])
    rng = stream(claim, "relabelling")
    dealt = rng.permuted(np.tile(shown, (RELABELLINGS, 1)), axis=1)
    return float((dealt & absent).any(axis=1).mean())


def _point(one: Found) -> dict[str, Any]:
    return {
        "behaviour": one.behaviour,
        "k": one.k,
        "n": one.n,
        "shown": one.shown,
        "per_million_passages": one.frequency.estimate,
        "high": one.frequency.high,
    }
