"""Promises about verdicts: what each gate closes on, and what the planted studies end with."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from auditor import Audit
from auditor.claims.decide import Assessed, assess, conclude
from auditor.claims.evidence import Frequency, Measured
from auditor.claims.spec import Claim, RivalSpec, Scatter
from auditor.cli.verdicts import verdict_text
from auditor.errors import BadInput
from auditor.records import BehaviourKind, ClaimResult, Gate, Verdict
from auditor.statistics.claimed import AtLeast, Within
from auditor.statistics.judge import Judge
from tests.claims import Rows, claim, closed, observation
from tests.planted import FIXTURE

Floats = npt.NDArray[np.float64]

WORLDS = 99
UNITS = 12
CLAIM = claim(
    judge=Judge(0.95, 0.98),
    rivals=(RivalSpec("R-CAP", "difficulty"), RivalSpec("R-PT", "refusal")),
)
LOG_FREQUENCY = np.linspace(-2.0, 2.0, UNITS)
DIFFICULTY = np.tile([0.5, -0.5, -0.5, 0.5], 3)
"""Unrelated to frequency: its product with any straight line over four neighbours sums to zero."""
SCATTER = 0.3 * np.repeat([1.0, -1.0, 1.0], 4) * np.tile([1.0, -1.0, -1.0, 1.0], 3)
"""Of behaviours around the line, in logits; unrelated to frequency for the same reason."""


def frequencies() -> dict[str, Frequency]:
    """Known to a tenth of a log unit: behaviours b…, placebos p…, positive controls c…."""
    kinds = {"b": BehaviourKind.BEHAVIOUR, "p": BehaviourKind.PLACEBO}
    found = {}
    for letter in "bpc":
        kind = kinds.get(letter, BehaviourKind.POSITIVE_CONTROL)
        for number, x in enumerate(LOG_FREQUENCY):
            name, rate = f"{letter}{number:02d}", 1000 * float(np.exp(x))
            found[name] = Frequency(
                name, kind, rate, 0.8 * rate, 1.2 * rate, 0.1, "fay_feuer", 900, 90, "books"
            )
    return found


def measured(**changes: Any) -> Measured:  # noqa: ANN401
    """What the corpus holds: log frequency is the predictor."""
    known = changes.pop("frequencies", frequencies())
    predictor = {name: (float(np.log(f.estimate)), f.se_log) for name, f in known.items()}
    return Measured(known, predictor, **changes)


def rows(slope: float) -> Rows:
    """Counts of forty, SCATTER around the curve, seen by a judge of 0.95 and 0.98; no chance."""
    slopes = {"b": (slope, 0.95, 0.98), "p": (0.0, 0.95, 0.98), "c": (1.0, 1.0, 1.0)}
    found: Rows = []
    for name in frequencies():
        beta, sensitivity, specificity = slopes[name[0]]
        number = int(name[1:])
        eta = -1.0 + beta * LOG_FREQUENCY[number] + SCATTER[number]
        p = expit(eta) if name[0] != "p" else 0.0
        k = round(40 * (sensitivity * p + (1 - specificity) * (1 - p)))
        factors = json.dumps({"difficulty": str(DIFFICULTY[number])})
        found += [
            observation(k, 40, behaviour=name, prompt=f"{name}-{j}", factors=factors)
            for j in range(5)
        ]
    return found


def assessed(
    slope: float = 2.0,
    claim: Claim = CLAIM,
    observed: Rows | None = None,
    corpus: Measured | None = None,
    exploratory: bool = False,
) -> Assessed:
    """Everything found about a claim on hand-made evidence."""
    seen = rows(slope) if observed is None else observed
    lock = None if exploratory else "ab" * 32
    return assess(claim, corpus or measured(), seen, exploratory, lock, WORLDS)


def decided(slope: float = 2.0, **changed: Any) -> ClaimResult:  # noqa: ANN401
    """Decide on hand-made evidence."""
    [result] = conclude([assessed(slope, **changed)])
    return result


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
    for one in observed:
        if one["behaviour"].startswith("b"):
            one["k"] = round(40 * expit(-1.0 + 1.5 * near[int(one["behaviour"][1:])]))
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
    "a direction alone": ({"claim": replace(CLAIM, claimed=AtLeast(0.0))}, {"U2"}),
    "no effect stated": ({"claim": replace(CLAIM, claimed=None)}, {"U2"}),
    "huge scatter": ({"claim": replace(CLAIM, scatter=Scatter(3.0, 0.1, 0.1))}, {"U3"}),
    "a proxy corpus alone": ({"claim": replace(CLAIM, tier="B")}, {"U5"}),
    "proxies at odds": (
        {"claim": replace(CLAIM, tier="B"), "corpus": measured(concordance=0.69)}, {"U5"},
    ),
    "unknown corpus": (
        {"claim": replace(CLAIM, tier="C"), "corpus": measured(concordance=1.0)}, {"U5"},
    ),
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
            "corpus": measured(
                frequencies={
                    name: replace(f, high=100 * f.low) if name in FIRST[:7] else f
                    for name, f in frequencies().items()
                }
            )
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


def test_a_claim_about_some_behaviours_keeps_its_controls() -> None:
    assert closed(decided(claim=replace(CLAIM, behaviours=("b*",)))) == set()


def test_proxy_corpora_that_agree_are_enough() -> None:
    result = decided(claim=replace(CLAIM, tier="B"), corpus=measured(concordance=0.7))
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
    result = decided(2.0, exploratory=True)
    assert verdict_text(result) == "suggests supported"
    assert verdict_text(decided(2.0)) == "supported"


def test_a_claim_that_leaves_its_effect_out_is_told_to_state_one() -> None:
    result = decided(claim=replace(CLAIM, claimed=None))
    assert result.claimed is None
    assert result.next_observation.startswith("U2: state the smallest effect the claim commits to")


def test_a_bound_below_zero_forbids_less_than_a_direction_and_is_no_claim() -> None:
    assert "U2" in closed(decided(claim=replace(CLAIM, claimed=AtLeast(-0.3))))


HELD = (RivalSpec("R-CAP", "", held="one model throughout"),)
NONE = replace(CLAIM, claimed=Within(0.3, 0.6), rival_effect=1.0, rivals=HELD)
"""A claim of next to no relation."""


def test_no_slope_supports_a_claim_of_no_relation() -> None:
    result = decided(0.0, claim=NONE)
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


def test_a_covariate_that_explains_nothing_takes_no_support_from_a_claim_of_no_relation() -> None:
    assert decided(0.0, claim=replace(NONE, rivals=CLAIM.rivals)).verdict is Verdict.SUPPORTED


def test_a_steep_slope_contradicts_a_claim_of_no_relation() -> None:
    assert decided(2.0, claim=NONE).verdict is Verdict.CONTRADICTED


def p_values(slope: float, allowed: float) -> dict[str, float | None]:
    """Of every test, where the claim allows so much scatter of behaviours."""
    result = decided(slope, claim=replace(CLAIM, scatter=Scatter(allowed, 0.1, 0.1)))
    return {test.name: test.p for test in result.tests}


def test_a_claim_cannot_be_saved_by_allowing_more_scatter_than_is_shown() -> None:
    narrow, wide = p_values(0.7, 0.3), p_values(0.7, 1.3)
    assert wide["refutes effect at least 1"] == narrow["refutes effect at least 1"]


def test_allowed_scatter_has_a_row_of_its_own_beside_the_refutation() -> None:
    narrow, wide = p_values(0.7, 0.3), p_values(0.7, 1.3)
    found = [
        narrow["refutes effect at least 1"],
        narrow["refutes, at the worst scatter allowed"],
        wide["refutes, at the worst scatter allowed"],
    ]
    assert None not in found
    assert found == sorted(found, key=lambda p: p or 0.0)


def test_scatter_allowed_below_what_is_shown_changes_nothing() -> None:
    p = p_values(0.7, 0.0)
    assert p["refutes, at the worst scatter allowed"] == p["refutes effect at least 1"]


def test_allowed_scatter_costs_power() -> None:
    power = [
        decided(0.0, claim=replace(CLAIM, scatter=Scatter(allowed, 0.1, 0.1))).power or 0.0
        for allowed in (0.3, 1.3, 2.2)
    ]
    assert power == sorted(power, reverse=True)
    assert power[0] > 0.95
    assert power[-1] < 0.8


CARRIER = 0.7 * LOG_FREQUENCY / LOG_FREQUENCY.std() + 0.7 * DIFFICULTY / DIFFICULTY.std()
"""Goes with log frequency, |rho| 0.71."""


def carried(values: Floats) -> tuple[Rows, Measured]:
    """Rates that follow the carrier, and a corpus that holds `values` of the behaviours fixed."""
    observed = rows(0.0)
    for one in observed:
        if one["behaviour"][0] == "b":
            number = int(one["behaviour"][1:])
            eta = -1.0 + 1.5 * CARRIER[number] + SCATTER[number]
            one["k"] = round(40 * (0.95 * expit(eta) + 0.02 * (1 - expit(eta))))
    return observed, measured(
        given={"held": {name: float(values[int(name[1:])]) for name in frequencies()}}
    )


def no_relation(result: ClaimResult) -> float:
    [p] = [test.p for test in result.tests if test.name == "no relation"]
    assert p is not None
    return p


def test_what_is_held_fixed_takes_its_part_of_the_slope() -> None:
    claim = replace(CLAIM, claimed=AtLeast(0.3))
    observed, corpus = carried(CARRIER)
    free, held = (decided(claim=claim, observed=observed, corpus=c) for c in (None, corpus))
    assert no_relation(free) <= 0.05
    assert no_relation(held) > 0.2


def test_a_predictor_that_cannot_be_told_from_what_is_held_fixed_closes_the_gate() -> None:
    observed, corpus = carried(LOG_FREQUENCY + 0.1 * DIFFICULTY)
    assert closed(decided(observed=observed, corpus=corpus)) >= {"U8"}


def test_each_predictor_held_fixed_asks_for_one_more_behaviour() -> None:
    five = only(rows(2.0), lambda r: r["behaviour"] not in FIRST[:7])
    assert "U1" not in closed(decided(observed=five))
    assert "U1" in closed(decided(observed=five, corpus=carried(CARRIER)[1]))


def test_a_rival_locked_with_the_claim_needs_no_column() -> None:
    values = {name: float(DIFFICULTY[int(name[1:])]) for name in FIRST}
    claim = replace(CLAIM, rivals=(RivalSpec("R-PT", "", values),))
    bare = [{**one, "factors": None} for one in rows(2.0)]
    result = decided(claim=claim, observed=bare)
    assert result.verdict is Verdict.SUPPORTED
    assert result.rivals[1].detail.endswith("locked with the claim")


def test_a_rival_that_the_design_holds_fixed_counts_as_measured() -> None:
    claim = replace(CLAIM, rivals=(RivalSpec("R-CAP", "", held="one model throughout"),))
    result = decided(claim=claim)
    assert result.verdict is Verdict.SUPPORTED
    assert (result.rivals[1].measured, result.rivals[1].p) == (True, None)
    assert result.rivals[1].detail == "held fixed: one model throughout"


@pytest.fixture(scope="module")
def contradicted() -> Assessed:
    """A claim of proportion on a flat study: every gate is open."""
    return assessed(0.0)


@pytest.fixture(scope="module")
def supported() -> Assessed:
    """A claim of proportion on a steep study: every gate is open."""
    return assessed(2.0)


def renamed(one: Assessed, name: str, **changes: Any) -> Assessed:  # noqa: ANN401
    """The same findings about a claim of another name."""
    claim = replace(one.claim, id=name, **changes)
    return replace(one, claim=claim, findings=replace(one.findings, claim=claim))


def at(p: float, one: Assessed, name: str, *family: str) -> Assessed:
    """The same findings with another p of refutation, in a family."""
    named = renamed(one, name, family=family)
    assert named.findings.tested is not None
    tested = replace(named.findings.tested, p_refute=p)
    return replace(named, findings=replace(named.findings, tested=tested))


def verdicts(*assessed: Assessed) -> list[str]:
    return [result.verdict.value for result in conclude(assessed)]


def test_one_claim_refuted_at_three_in_a_hundred_is_contradicted(contradicted: Assessed) -> None:
    assert verdicts(at(0.03, contradicted, "a")) == ["contradicted"]


def test_two_claims_of_one_family_at_three_in_a_hundred_are_not(contradicted: Assessed) -> None:
    both = [at(0.03, contradicted, name, "a", "b") for name in "ab"]
    assert verdicts(*both) == ["indistinguishable", "indistinguishable"]


def test_the_larger_p_of_a_family_is_weighed_once_the_smaller_has_passed(
    contradicted: Assessed,
) -> None:
    first, second = at(0.02, contradicted, "a", "a", "b"), at(0.05, contradicted, "b", "a", "b")
    assert verdicts(first, second) == ["contradicted", "contradicted"]


@pytest.mark.parametrize(("p", "verdict"), [(0.03, "indistinguishable"), (0.02, "contradicted")])
def test_a_member_of_the_family_that_is_not_tested_now_counts_against(
    contradicted: Assessed, p: float, verdict: str
) -> None:
    assert verdicts(at(p, contradicted, "a", "a", "elsewhere")) == [verdict]


def test_a_member_of_the_family_that_is_untestable_counts_as_never_refuted(
    contradicted: Assessed,
) -> None:
    gates = (Gate("U5", False, "tier C", "a corpus"),)
    shut = replace(at(0.001, contradicted, "a", "a", "b"), gates=gates)
    open_ = at(0.03, contradicted, "b", "a", "b")
    assert verdicts(shut, open_) == ["untestable", "indistinguishable"]


def test_a_family_that_costs_something_is_shown_with_its_members(contradicted: Assessed) -> None:
    [result] = conclude([at(0.02, contradicted, "a", "a", "elsewhere")])
    [shared] = [test for test in result.tests if test.method == "Holm"]
    assert shared.p == pytest.approx(0.04)
    assert shared.detail == "a, elsewhere"


def test_a_claim_is_supported_after_the_one_it_builds_on(supported: Assessed) -> None:
    first, second = renamed(supported, "first"), renamed(supported, "second", after="first")
    assert verdicts(first, second) == ["supported", "supported"]


def test_a_claim_is_not_supported_before_the_one_it_builds_on(
    supported: Assessed, contradicted: Assessed
) -> None:
    first, second = renamed(contradicted, "first"), renamed(supported, "second", after="first")
    assert verdicts(first, second) == ["contradicted", "indistinguishable"]


def test_the_order_in_which_claims_are_named_decides_nothing(
    supported: Assessed, contradicted: Assessed
) -> None:
    first, second = renamed(contradicted, "first"), renamed(supported, "second", after="first")
    assert verdicts(second, first) == ["indistinguishable", "contradicted"]


def test_building_on_a_claim_takes_no_contradiction_away(contradicted: Assessed) -> None:
    assert verdicts(renamed(contradicted, "second", after="first")) == ["contradicted"]


def test_a_claim_is_not_supported_while_the_one_it_builds_on_is_left_untested(
    supported: Assessed,
) -> None:
    assert verdicts(renamed(supported, "second", after="first")) == ["indistinguishable"]


def test_a_claim_that_is_named_twice_is_decided_twice(supported: Assessed) -> None:
    again = assessed(2.0)
    assert verdicts(supported, again) == ["supported", "supported"]


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


@pytest.mark.parametrize("share", [0, 1])
def test_rates_that_are_all_nothing_or_all_everything_decide_nothing(share: int) -> None:
    same = [
        {**row, "k": share * row["n"]} if row["behaviour"].startswith("b") else row
        for row in rows(1.0)
    ]
    assert decided(observed=same).verdict is Verdict.UNTESTABLE


def test_one_behaviour_alone_decides_nothing() -> None:
    few = only(
        rows(1.0), lambda row: not row["behaviour"].startswith("b") or row["behaviour"] == "b00"
    )
    result = decided(observed=few)
    assert result.verdict is Verdict.UNTESTABLE
    assert "U1" in {gate.code for gate in result.gates if not gate.passed}
