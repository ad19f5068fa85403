"""Promises about the matrix: its signs, what counts as measured, what may be called told apart."""

from typing import Any

import pytest

from auditor.claims.conclusions import weighed
from auditor.claims.discrimination import (
    HYPOTHESES,
    MATRIX,
    matrix,
    measured_rows,
    proposed,
    splitting,
    told_apart,
)
from auditor.records import ClaimResult, Gate, Interval, Verdict

# METHOD §1.3, row by row: H1, H2a, H3, R-PT, R-OPT, R-CAP, R-ECHO
METHOD = {
    "base_rate": "+ + + − − 0 0",
    "rl_steps": "0 0 0 + + + 0",
    "only_route": "0 0 0 0 + 0 0",
    "one_model": "− − − + + + 0",
    "trait_words": "0 0 ± 0 0 0 +",
    "before_discourse": "− − − 0 + + +",
    "condemned_spontaneous": "+ − − 0 0 0 0",
    "beneficiary_mix": "0 0 + 0 0 0 +",
}
ROW = {row.id: row for row in MATRIX}


def result(claim: str, test: str, power: float | None = 0.9, **changed: Any) -> ClaimResult:  # noqa: ANN401
    """A supported claim of an effect with one open gate; only what the matrix looks at."""
    given: dict[str, Any] = {
        "statement": "", "verdict": Verdict.SUPPORTED, "exploratory": False, "rivals": (),
        "forbidden_fraction": 0.6, "slope": Interval(1.0, 0.5, 1.5), "tests": (), "lock": "ab" * 32,
        "gates": (Gate("U3", True, "", ""),), "next_observation": "", "tier": "A",
        "strength": "effect",
    }  # fmt: skip
    return ClaimResult(**{**given, "claim": claim, "test": test, "power": power, **changed})


PRESSURE = result("pressure", "pressure")
PREFIX = result("proportion-prefix", "prefix", strength="H=")


def pairs(*results: ClaimResult) -> set[tuple[str, str]]:
    return {apart["pair"] for apart in told_apart(results)}


def test_the_signs_are_those_of_the_method() -> None:
    assert {row.id: " ".join(row.signs[h] for h in HYPOTHESES) for row in MATRIX} == METHOD


def test_a_row_is_measured_by_the_claim_that_asks_its_question() -> None:
    assert measured_rows([PRESSURE]) == [ROW["only_route"]]
    assert measured_rows([PREFIX]) == [ROW["base_rate"]]
    assert measured_rows([result("frequency", "frequency", strength="H1")]) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"power": 0.79},
        {"power": None},
        {"gates": (Gate("U3", True, "", ""), Gate("U9", False, "judge unknown", ""))},
        {"gates": ()},
    ],
)
def test_little_power_or_a_closed_gate_measures_nothing_and_tells_nothing_apart(
    changed: dict[str, Any],
) -> None:
    weak = result("proportion", "prefix", **changed)
    assert measured_rows([weak]) == []
    assert told_apart([weak]) == []


def test_hypotheses_of_opposite_signs_are_told_apart() -> None:
    imitation, others = ("H1", "H2a", "H3"), ("R-PT", "R-OPT")
    assert pairs(PREFIX) == {(h, r) for h in imitation for r in others}


def test_a_zero_counts_only_where_it_is_a_prediction_of_no_change() -> None:
    """Corpus and wording are fixed, so imitation predicts none; of R-PT the method says nothing."""
    told = pairs(PRESSURE)
    assert ("H1", "R-OPT") in told
    assert ("R-PT", "R-OPT") not in told
    assert pairs(result("elicited", "contrast")) == set()


def test_a_sign_that_holds_only_under_a_condition_tells_nothing_apart() -> None:
    told = pairs(result("one", "exception"))
    assert ("H1", "R-PT") in told
    assert ("H1", "R-CAP") not in told


def test_an_undecided_claim_tells_nothing_apart_though_it_was_measured() -> None:
    undecided = result("pressure", "pressure", verdict=Verdict.INDISTINGUISHABLE)
    assert measured_rows([undecided]) == [ROW["only_route"]]
    assert told_apart([undecided]) == []


def test_an_exploratory_row_only_suggests() -> None:
    early = result("pressure", "pressure", exploratory=True)
    assert all(apart["exploratory"] for apart in told_apart([early]))
    assert not any(apart["exploratory"] for apart in told_apart([early, PRESSURE]))


def test_the_cheapest_splitting_row_comes_first_and_measured_ones_never() -> None:
    tied = ("H1", "R-OPT")
    first = splitting(tied, [])
    assert [row.id for row in first] == ["base_rate", "before_discourse", "rl_steps",
                                         "one_model", "only_route"]  # fmt: skip
    assert splitting(tied, first[:1]) == first[1:]


def test_a_proposal_names_its_least_size_and_what_it_would_split() -> None:
    text = proposed(ROW["base_rate"], ("H1", "R-PT", "R-CAP"))
    assert "95 prefixes x 5 draws" in text
    assert "475 trials" in text
    assert text.endswith("splits H1 from R-PT)")


def test_what_is_cheapest_next_changes_once_its_row_is_measured() -> None:
    standing = ({"rival": "R-OPT", "state": "not beaten", "why": "p 0.4"},)
    tied = result(
        "frequency", "frequency", strength="H1", verdict=Verdict.INDISTINGUISHABLE,
        standing=standing,
    )  # fmt: skip
    [alone] = weighed([tied])
    [beside, _] = weighed([tied, PREFIX])
    assert ROW["base_rate"].text in alone.next_observation
    assert ROW["base_rate"].text not in beside.next_observation
    assert ROW["before_discourse"].text in beside.next_observation
    assert {apart["pair"] for apart in beside.told_apart} == {("H1", "R-PT"), ("H1", "R-OPT")}


def test_the_matrix_says_what_became_of_every_claim_about_a_row() -> None:
    closed = result(
        "elicited", "contrast", verdict=Verdict.UNTESTABLE, power=None,
        gates=(Gate("U1", False, "3 units", "more"),),
    )  # fmt: skip
    rows = {row["row"]: row for row in matrix([PRESSURE, closed])}
    assert list(rows) == list(METHOD)
    assert rows["only_route"]["measured"]
    assert not rows["trait_words"]["measured"]
    assert rows["trait_words"]["claims"][0]["closed"] == ["U1"]
    assert rows["base_rate"]["claims"] == []
