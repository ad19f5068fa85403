"""Promises about verdicts: what each gate closes on, and what the planted studies end with."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from auditor import Audit
from auditor.claims.decide import decide
from auditor.claims.evidence import Frequency
from auditor.claims.spec import Claim, Design, Judge, RivalSpec, Scatter
from auditor.cli.verdicts import verdict_text
from auditor.errors import BadInput
from auditor.records import BehaviourKind, ClaimResult, Gate, Verdict
from tests.planted import FIXTURE

Rows = list[dict[str, Any]]

CLAIM = Claim(
    id="hand-made", statement="Proportion", strength="H1", beta_min=1.0, alpha=0.05, seed=1,
    behaviours=(), target="", corpora=("*",), tier="A", studies=("*",), models=("*",),
    conditions=("*",), scatter=Scatter(0.3, 0.1, 0.1), judge=Judge(0.95, 0.98),
    design=Design(1, 1, 5, 40, 0.2),
    rivals=(RivalSpec("R-CAP", "difficulty"), RivalSpec("R-PT", "refusal")),
    control_beta_min=0.3, digest="0" * 32,
)  # fmt: skip
UNITS = 12
LOG_FREQUENCY = np.linspace(-2.0, 2.0, UNITS)
DIFFICULTY = np.tile([0.5, -0.5, -0.5, 0.5], 3)
"""Unrelated to frequency: its product with any straight line over four neighbours sums to zero."""


def frequencies(units: int = UNITS) -> dict[str, Frequency]:
    """Known to a tenth of a log unit: behaviours b…, placebos p…, positive controls c…."""
    kinds = {"b": BehaviourKind.BEHAVIOUR, "p": BehaviourKind.PLACEBO}
    found = {}
    for letter in "bpc":
        kind = kinds.get(letter, BehaviourKind.POSITIVE_CONTROL)
        for number, x in enumerate(LOG_FREQUENCY[:units] if letter == "b" else LOG_FREQUENCY):
            name, rate = f"{letter}{number:02d}", 1000 * float(np.exp(x))
            found[name] = Frequency(
                name, kind, rate, 0.8 * rate, 1.2 * rate, 0.1, "fay_feuer", 900, 90, "books"
            )
    return found


def rows(slope: float, units: int = UNITS) -> Rows:
    """Counts of forty on the curve itself, seen by a judge of 0.95 and 0.98; no chance in them."""
    slopes = {"b": (slope, 0.95, 0.98), "p": (0.0, 0.95, 0.98), "c": (1.0, 1.0, 1.0)}
    found: Rows = []
    for name in frequencies(units):
        beta, sensitivity, specificity = slopes[name[0]]
        number = int(name[1:])
        p = expit(-1.0 + beta * LOG_FREQUENCY[number]) if name[0] != "p" else 0.0
        k = round(40 * (sensitivity * p + (1 - specificity) * (1 - p)))
        factors = json.dumps({"difficulty": str(DIFFICULTY[number])})
        found += [
            {
                "study": "study", "model": "m", "behaviour": name, "condition": "chat",
                "k": k, "n": 40, "prompt": f"{name}-{j}", "factors": factors,
            }
            for j in range(5)
        ]  # fmt: skip
    return found


def decided(
    slope: float = 2.0, claim: Claim = CLAIM, observed: Rows | None = None, **changed: object
) -> ClaimResult:
    """Decide on hand-made evidence."""
    given: dict[str, Any] = {
        "frequencies": frequencies(),
        "rows": rows(slope) if observed is None else observed,
        "exploratory": False,
        "lock": "ab" * 32,
    }
    return decide(claim, **{**given, **changed})


def closed(result: ClaimResult) -> set[str]:
    """The codes of the gates that failed."""
    return {gate.code for gate in result.gates if not gate.passed}


def only(observed: Rows, wanted: Callable[[dict[str, Any]], bool]) -> Rows:
    return [row for row in observed if wanted(row)]


def with_factor(observed: Rows, values: Callable[[int], object]) -> Rows:
    """The rows with another difficulty for each behaviour."""
    return [
        {**row, "factors": json.dumps({"difficulty": values(int(row["behaviour"][1:]))})}
        for row in observed
    ]


def test_a_slope_well_above_the_claim_supports_it() -> None:
    result = decided(2.0)
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


def test_no_slope_contradicts_a_claim_of_proportion() -> None:
    result = decided(0.0)
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_a_slope_at_the_boundary_is_neither_supported_nor_contradicted() -> None:
    assert decided(1.0).verdict is Verdict.INDISTINGUISHABLE


def test_without_a_measured_rival_the_best_verdict_is_indistinguishable() -> None:
    bare = [{**row, "factors": None} for row in rows(2.0)]
    result = decided(observed=bare)
    assert closed(result) == set()
    assert result.verdict is Verdict.INDISTINGUISHABLE
    assert "R-CAP" in result.next_observation


def test_a_covariate_that_never_varies_measures_no_rival() -> None:
    result = decided(observed=with_factor(rows(2.0), lambda _: 0.5))
    assert {rival.rival for rival in result.rivals if rival.measured} == {"R-JUDGE"}
    assert result.verdict is Verdict.INDISTINGUISHABLE


def test_a_rival_that_explains_the_slope_as_well_forbids_support() -> None:
    """Difficulty follows frequency (|rho| just below the gate) and the effects exactly."""
    near = 0.78 * LOG_FREQUENCY / LOG_FREQUENCY.std() + 0.62 * DIFFICULTY / DIFFICULTY.std()
    observed = with_factor(rows(2.0), lambda number: float(near[number]))
    for row in observed:
        if row["behaviour"].startswith("b"):
            row["k"] = round(40 * expit(-1.0 + 1.5 * near[int(row["behaviour"][1:])]))
    result = decided(observed=observed)
    assert closed(result) == set()
    assert result.verdict is Verdict.INDISTINGUISHABLE


FIRST = [f"b{i:02d}" for i in range(UNITS)]

UNTESTABLE: Mapping[str, tuple[dict[str, Any], set[str]]] = {
    "four behaviours": (
        {"observed": only(rows(2.0), lambda r: r["behaviour"] not in FIRST[:8])}, {"U1"},
    ),
    "one behaviour": ({"observed": only(rows(2.0), lambda r: r["behaviour"][1:] == "05")}, {"U1"}),
    "no rows": ({"observed": []}, {"U1", "U6", "U7"}),
    "beta_min 0": ({"claim": replace(CLAIM, beta_min=0.0)}, {"U2"}),
    "beta_min below 0": ({"claim": replace(CLAIM, beta_min=-0.3)}, {"U2"}),
    "huge scatter": ({"claim": replace(CLAIM, scatter=Scatter(3.0, 0.1, 0.1))}, {"U3"}),
    "a proxy corpus alone": ({"claim": replace(CLAIM, tier="B")}, {"U5"}),
    "proxies at odds": ({"claim": replace(CLAIM, tier="B"), "concordance": 0.69}, {"U5"}),
    "unknown corpus": ({"claim": replace(CLAIM, tier="C"), "concordance": 1.0}, {"U5"}),
    "four prompts": ({"observed": only(rows(2.0), lambda r: r["prompt"][-1] != "4")}, {"U6"}),
    "unnamed prompts": ({"observed": [{**r, "prompt": None} for r in rows(2.0)]}, {"U6"}),
    "no n": ({"observed": [{**r, "n": None} for r in rows(2.0)]}, {"U1", "U6"}),
    "no placebos": ({"observed": only(rows(2.0), lambda r: r["behaviour"][0] != "p")}, {"U7"}),
    "no controls": ({"observed": only(rows(2.0), lambda r: r["behaviour"][0] != "c")}, {"U7"}),
    "controls that fail": (
        {"observed": [{**r, "k": 10} if r["behaviour"][0] == "c" else r for r in rows(2.0)]},
        {"U7"},
    ),
    "collinear rival": (
        {"observed": with_factor(rows(2.0), lambda number: -3.0 * LOG_FREQUENCY[number])},
        {"U8"},
    ),
    "judge unknown": ({"claim": replace(CLAIM, judge=Judge(None, None))}, {"U9"}),
    "a poor judge": ({"claim": replace(CLAIM, judge=Judge(0.8, 0.79))}, {"U9"}),
    "rates at the judge's floor": (
        # four of 200 trials: what specificity 0.98 gives where nothing was done
        {
            "observed": [
                {**r, "k": int(r["prompt"][-1] != "4")} if r["behaviour"][0] == "b" else r
                for r in rows(2.0)
            ]
        },
        {"U9"},
    ),
    "wide intervals": (
        {
            "frequencies": {
                name: replace(f, high=100 * f.low) if name in FIRST[:7] else f
                for name, f in frequencies().items()
            }
        },
        {"U10"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", UNTESTABLE)
def test_a_closed_gate_makes_a_claim_untestable_and_names_its_code(why: str) -> None:
    changed, codes = UNTESTABLE[why]
    result = decided(**changed)
    assert result.verdict is Verdict.UNTESTABLE
    assert codes <= closed(result)


@pytest.mark.parametrize(
    "why", ["a proxy corpus alone", "four prompts", "collinear rival", "judge unknown"]
)
def test_one_fault_closes_one_gate_and_the_next_observation_says_what_opens_it(why: str) -> None:
    changed, codes = UNTESTABLE[why]
    result = decided(**changed)
    assert closed(result) == codes
    [gate] = [gate for gate in result.gates if not gate.passed]
    assert result.next_observation == f"{gate.code}: {gate.needs}"


def test_proxy_corpora_that_agree_are_enough() -> None:
    result = decided(claim=replace(CLAIM, tier="B"), concordance=0.7)
    assert result.verdict is Verdict.SUPPORTED


def test_five_behaviours_are_enough_for_the_first_gate() -> None:
    result = decided(observed=only(rows(2.0), lambda r: r["behaviour"] not in FIRST[:7]))
    assert "U1" not in closed(result)


def test_a_covariate_that_is_not_a_number_is_bad_input() -> None:
    with pytest.raises(BadInput, match="difficulty"):
        decided(observed=with_factor(rows(2.0), lambda _: "hard"))


def test_rows_with_and_without_a_condition_stand_together() -> None:
    mixed = [{**r, "condition": None if r["prompt"][-1] == "0" else "chat"} for r in rows(2.0)]
    assert decided(observed=mixed).units["trials"] == 12 * 5 * 40


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_every_verdict_says_what_it_rests_on_and_what_to_do_next(slope: float) -> None:
    result = decided(slope)
    assert {gate.code for gate in result.gates} == {
        "U1", "U2", "U3", "U5", "U6", "U7", "U8", "U9", "U10",
    }  # fmt: skip
    assert all(isinstance(gate, Gate) and gate.value for gate in result.gates)
    assert all(test.p is not None and 0 < test.p <= 1 for test in result.tests)
    assert {rival.rival for rival in result.rivals} == {"R-JUDGE", "R-CAP", "R-PT"}
    assert result.next_observation
    assert result.power is not None
    assert result.forbidden_fraction is not None
    assert result.units == {"behaviours": 12, "models": 1, "prompts": 60, "trials": 2400}
    assert len(result.points) == UNITS


def test_a_second_decision_is_the_first() -> None:
    assert decided(2.0) == decided(2.0)


def test_the_order_of_the_rows_decides_nothing() -> None:
    assert decided(observed=rows(1.4)[::-1]) == decided(observed=rows(1.4))


def test_rows_without_n_are_never_trials() -> None:
    bare = [{**row, "n": None, "prompt": "bare"} for row in rows(0.0)]
    result = decided(observed=rows(2.0) + bare)
    assert result.units["trials"] == 2400
    assert result.verdict is Verdict.SUPPORTED


def test_an_exploratory_verdict_only_suggests() -> None:
    result = decided(2.0, exploratory=True, lock=None)
    assert verdict_text(result) == "suggests supported"
    assert verdict_text(decided(2.0)) == "supported"


@pytest.fixture(scope="module")
def planted(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequence[ClaimResult]:
    """Verdicts on the two planted studies of the fixture, locked before they were observed."""
    root = tmp_path_factory.mktemp("verdicts") / "copy"
    shutil.copytree(built, root)
    return Audit.open(root).test(*map(str, sorted((FIXTURE / "claims").glob("*.toml"))))


def test_the_study_that_imitates_is_supported(planted: Sequence[ClaimResult]) -> None:
    result = planted[0]
    assert (result.claim, result.verdict) == ("fixture-imitates", Verdict.SUPPORTED)
    assert not result.exploratory
    assert result.lock


def test_the_planted_slope_lies_in_its_interval(planted: Sequence[ClaimResult]) -> None:
    slope = planted[0].slope
    assert slope.low is not None
    assert slope.high is not None
    assert slope.low <= 1.6 <= slope.high


def test_the_study_without_a_relation_contradicts(planted: Sequence[ClaimResult]) -> None:
    result = planted[1]
    assert (result.claim, result.verdict) == ("fixture-unrelated", Verdict.CONTRADICTED)
    assert not result.exploratory
    assert result.power is not None
    assert result.power >= 0.8
