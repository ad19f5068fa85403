"""Promises about contrasts: log odds by hand, units rather than draws, floors that are named."""

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.claims.evidence import select_rows
from auditor.claims.layout import compare
from auditor.claims.question import Material, Question
from auditor.claims.questions.contrast import ask, smallest_p
from auditor.claims.spec import Claim, Contrast, Part, RivalSpec
from auditor.records import ClaimResult, Verdict
from auditor.statistics.claimed import AtLeast, Trial, Within
from auditor.statistics.contrast import ContrastStudy, dispersed
from auditor.statistics.judge import PERFECT, Judge
from tests.claims import NOTHING, Rows, between, claim, closed, decided, observation, stream

Floats = npt.NDArray[np.float64]
Counts = list[list[int]]

PAIR = [[1.0, -1.0]]
TWO_GROUPS = [[1.0], [-1.0]]
FOUR = [[1.0, -1.0], [-1.0, 1.0]]
WORLDS = 199


def study(
    k: Counts, n: int, weights: list[list[float]], group: list[int], judge: Judge = PERFECT
) -> ContrastStudy:
    counts = np.array(k)
    return ContrastStudy(
        counts, np.full(counts.shape, n), np.array(group), np.array(weights), judge
    )


def pairs(k: Counts, n: int = 10, judge: Judge = PERFECT) -> ContrastStudy:
    """Units under two levels each, the first less the second."""
    return study(k, n, PAIR, [0] * len(k), judge)


def groups(first: list[int], second: list[int], n: int = 10) -> ContrastStudy:
    """Units of one group less those of another, a level each."""
    group = [0] * len(first) + [1] * len(second)
    return study([[k] for k in (*first, *second)], n, TWO_GROUPS, group)


def test_the_effect_is_the_difference_of_the_log_odds_of_average_rates() -> None:
    # averages 1/2 and 1/5, however the units differ: ln 1 - ln 1/4
    assert pairs([[5, 2]] * 6).fit().estimate == pytest.approx(np.log(4))
    assert pairs([[9, 0], [1, 4]]).fit().estimate == pytest.approx(np.log(4))


def test_groups_of_units_are_compared_by_their_average_rates() -> None:
    # 4/5 and 1/5: ln 4 + ln 4
    assert groups([7, 8, 9], [2, 1, 3]).fit().estimate == pytest.approx(np.log(16))


def test_each_unit_counts_once_however_often_it_was_tried() -> None:
    # 90 of 100 and 1 of 10 average to 1/2, the other level is at 1/2
    one = ContrastStudy(
        np.array([[90, 50], [1, 5]]), np.array([[100, 100], [10, 10]]), np.zeros(2, int),
        np.array(PAIR), PERFECT,
    )  # fmt: skip
    assert one.fit().estimate == pytest.approx(0.0)


def test_an_interaction_is_the_difference_of_differences() -> None:
    # ln 16 in the first group, ln 4 in the second
    both = study([[8, 2]] * 4 + [[5, 2]] * 4, 10, FOUR, [0] * 4 + [1] * 4)
    assert both.fit().estimate == pytest.approx(np.log(4))


def test_the_judge_s_errors_are_taken_out_of_the_rates() -> None:
    # 0.5 and 0.26 reported by a judge of 0.9 and 0.9: true 0.5 and 0.2
    judged = pairs([[25, 13]] * 6, 50, Judge(0.9, 0.9))
    assert judged.fit().estimate == pytest.approx(np.log(4))


def error(one: ContrastStudy) -> float:
    """Standard error of a study's effect."""
    return float(dispersed(one.fit()).error)


def test_units_that_are_all_alike_still_have_the_variance_of_their_draws() -> None:
    # 60 draws at 1/2 and at 1/5: 1 / (60 / 4) + 1 / (60 * 0.16)
    assert error(pairs([[5, 2]] * 6)) ** 2 == pytest.approx(1 / 15 + 1 / 9.6)


def test_units_that_differ_have_the_variance_between_them() -> None:
    # rates 0.2 and 0.8 around 0.5, slope 4: pulls of 1.2; 2 * 1.44 / (2 * 1) for each group
    assert error(groups([2, 8], [2, 8])) ** 2 == pytest.approx(2 * 1.44)


def test_a_unit_that_does_everything_more_adds_nothing_to_the_variance() -> None:
    alike, apart = pairs([[5, 5], [5, 5]]), pairs([[2, 2], [8, 8]])
    assert error(apart) == pytest.approx(error(alike))


cells = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=2, max_size=8)


@given(cells)
def test_the_variance_is_never_less_than_that_of_independent_draws(
    counts: list[tuple[int, int]],
) -> None:
    one = pairs([list(pair) for pair in counts])
    trials = 10 * len(counts)
    p = np.clip(one.rates, 0.5 / trials, 1 - 0.5 / trials)
    assert error(one) ** 2 >= (1 / (trials * p * (1 - p))).sum() - 1e-9


@given(cells, st.randoms(use_true_random=False))
def test_the_order_of_units_changes_nothing(counts: list[tuple[int, int]], random: Random) -> None:
    mixed = random.sample(counts, len(counts))
    one, two = (pairs([list(pair) for pair in some]).fit() for some in (counts, mixed))
    assert one.estimate == pytest.approx(two.estimate)
    assert one.spread == pytest.approx(two.spread)


@given(cells)
def test_turning_the_contrast_round_turns_the_effect_round(counts: list[tuple[int, int]]) -> None:
    one, two = (pairs([list(pair)[::step] for pair in counts]).fit() for step in (1, -1))
    assert one.estimate == pytest.approx(-two.estimate)
    assert one.spread == pytest.approx(two.spread)


@pytest.mark.parametrize("scatter", [0.0, 0.8, 1.7])
def test_worlds_have_the_average_rates_of_the_effect_they_were_given(scatter: float) -> None:
    many = pairs([[300, 500]] * 200, 1000)
    fits = many.worlds(1.0, scatter, 40, np.random.default_rng(1), exact=True)
    assert fits.estimate.mean() == pytest.approx(1.0, abs=0.05)


def test_worlds_of_groups_have_the_effect_they_were_given() -> None:
    many = groups([300] * 100, [500] * 100, 1000)
    fits = many.worlds(-0.5, 0.5, 40, np.random.default_rng(2), exact=True)
    assert fits.estimate.mean() == pytest.approx(-0.5, abs=0.05)


def test_scatter_of_units_widens_worlds_as_the_sandwich_says() -> None:
    many = pairs([[400, 500]] * 50, 1000)
    fits = many.worlds(0.0, 0.8, 400, np.random.default_rng(3), exact=True)
    assert fits.estimate.var() == pytest.approx(np.square(dispersed(fits).error).mean(), rel=0.2)


def test_outcomes_dealt_anew_have_no_effect_on_average() -> None:
    for one in (pairs([[9, 1]] * 8), groups([9] * 5, [1] * 5)):
        dealt = one.relabelled(2000, np.random.default_rng(4)).estimate
        assert abs(dealt.mean()) < 4 * dealt.std() / np.sqrt(2000)


EMPTY = [
    pairs([[0, 10]] * 6),
    pairs([[10, 0]] * 6),
    pairs([[0, 0]] * 6),
    pairs([[10, 10]] * 6),
    groups([0] * 4, [10] * 4),
    groups([0] * 4, [0] * 4),
    study([[0, 10]] * 3 + [[10, 0]] * 3, 10, FOUR, [0] * 3 + [1] * 3),
    pairs([[0, 10]] * 6, 10, Judge(0.8, 0.9)),
]


@pytest.mark.parametrize("one", EMPTY)
@pytest.mark.parametrize("claimed", [AtLeast(0.5), Within(0.5, 0.9)])
def test_levels_without_a_case_or_full_of_them_give_finite_numbers(
    one: ContrastStudy, claimed: AtLeast | Within
) -> None:
    fit = one.fit()
    assert np.isfinite(fit.estimate)
    assert 0 < error(one) < np.inf
    tested = Trial(one, claimed, 0.05, stream, WORLDS).test(rival=1.5, allowed=0.3)
    assert 0 < tested.p_refute <= 1
    assert 0 < tested.p_support <= 1
    assert 0 <= tested.power <= 1


def test_two_levels_without_a_case_do_not_differ() -> None:
    nothing = Trial(pairs([[0, 0]] * 8), AtLeast(0.5), 0.05, stream, WORLDS).test(0.0, 0.3)
    assert pairs([[0, 0]] * 8).fit().estimate == pytest.approx(0.0)
    assert nothing.p_support > 0.2


def test_a_margin_is_refuted_by_a_large_contrast_alone() -> None:
    def p(k: Counts) -> float:
        return Trial(pairs(k, 100), Within(0.5, 0.5), 0.05, stream, WORLDS).test(1.5, 0.1).p_refute

    near = [[50, 52], [47, 45], [55, 52], [49, 50], [51, 55], [44, 45]]
    far = [[50, 12], [47, 15], [55, 12], [49, 10], [51, 15], [44, 15]]
    assert p(far) <= 0.05 < p(near)


def test_a_margin_is_supported_by_many_draws_and_left_open_by_few() -> None:
    def p(n: int) -> float:
        units = [[0.5, 0.52], [0.46, 0.44], [0.54, 0.52], [0.5, 0.5], [0.5, 0.54], [0.44, 0.44]]
        one = pairs([[round(n * rate) for rate in unit] for unit in units], n)
        return Trial(one, Within(0.5, 0.5), 0.05, stream, WORLDS).test(1.5, 0.1).p_support

    assert p(1000) <= 0.05 < p(10)


# --- the question ---

HELD = (RivalSpec("R-CAP", "", held="the same model under both"),)


def asking(contrast: Contrast | None = None, **changes: Any) -> Claim:  # noqa: ANN401
    """A claim that a threat raises the log odds by 0.9 or more."""
    given = {"test": "contrast", "claimed": AtLeast(0.9), "rivals": HELD, **changes}
    return claim(contrast=contrast or between("threat", "plain"), **given)


VARIED = (1, 0, -1, 1, -1, 0, 1, -1, 0, 0)
"""By how much of twenty draws a prompt departs from its level."""


def trials(threat: int, plain: int, units: int = 10, n: int = 20, **given: Any) -> Rows:  # noqa: ANN401
    """Counts of prompts under a threat and without one."""
    return [
        observation(max(0, k + VARIED[i]), n, condition=level, prompt=f"q{i}", **given)
        for i in range(units)
        for level, k in (("threat", threat), ("plain", plain))
    ]


def question(one: Claim, rows: Rows) -> Question:
    return ask(one, Material(NOTHING, select_rows(one, rows)))


def gate(result: ClaimResult, code: str) -> str:
    """What a gate found."""
    [value] = [g.value for g in result.gates if g.code == code]
    return value


def test_a_threat_that_raises_the_odds_ninefold_supports_that_it_raises_them() -> None:
    result = decided(asking(), trials(15, 5))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


def test_a_threat_that_lowers_the_odds_contradicts_that_it_raises_them() -> None:
    assert decided(asking(), trials(6, 12)).verdict is Verdict.CONTRADICTED


def test_a_threat_that_matters_contradicts_that_it_does_not() -> None:
    one = asking(claimed=Within(0.4, 0.4), rival_effect=1.5)
    assert decided(one, trials(15, 5)).verdict is Verdict.CONTRADICTED


def test_draws_of_a_prompt_in_several_rows_are_added_up() -> None:
    halves = [{**row, "k": row["k"] - 3, "n": 12} for row in trials(12, 6)]
    halves += [{**row, "k": 3, "n": 8} for row in trials(12, 6)]
    assert question(asking(), halves).points == question(asking(), trials(12, 6)).points


def test_a_unit_without_every_level_is_left_out_and_counted() -> None:
    rows = [*trials(12, 6), observation(20, 20, condition="threat", prompt="threatened only")]
    result = decided(asking(), rows)
    assert result.units == {"units": 10, "trials": 400}
    assert "1 units without every level left out" in gate(result, "U1")


def test_rows_under_no_level_and_rows_without_n_are_no_trials() -> None:
    odd = [observation(20, 20, condition="other", prompt=f"q{i}") for i in range(10)]
    bare = [observation(None, None, condition="threat", prompt=f"q{i}") for i in range(10)]
    assert decided(asking(), [*trials(12, 6), *odd, *bare]).units["trials"] == 400


def test_rows_without_a_name_for_their_unit_are_no_trials() -> None:
    unnamed = [observation(20, 20, condition=level, prompt=None) for level in ("threat", "plain")]
    assert decided(asking(), [*trials(12, 6), *unnamed]).units["trials"] == 400


def test_a_unit_may_be_named_by_several_columns_and_factors() -> None:
    by_model = between("threat", "plain", unit=("prompt", "model", "seed"))
    rows = [
        {**row, "model": model, "factors": {"seed": seed}}
        for row in trials(12, 6)
        for model in "ab"
        for seed in (1, 2)
    ]
    assert decided(asking(by_model), rows).units["units"] == 10 * 2 * 2


def test_levels_may_be_all_other_values_or_one_of_several() -> None:
    rows = trials(12, 6) + trials(12, 6, units=5)
    for row in rows[20:]:
        row["condition"] = {"threat": "threat", "plain": "bribe"}[row["condition"]]
    others = between("threat", "!threat")
    named = between("threat", "plain|bribe")
    assert question(asking(others), rows).points[1]["k"] == sum(
        row["k"] for row in rows if row["condition"] != "threat"
    )
    assert question(asking(named), rows).units == question(asking(others), rows).units


def test_no_unit_under_both_levels_leaves_nothing_to_compare() -> None:
    rows = [
        row for row in trials(12, 6) if (row["condition"] == "threat") == (row["prompt"] < "q5")
    ]
    result = decided(asking(), rows)
    assert result.verdict is Verdict.UNTESTABLE
    assert gate(result, "U1") == "no unit was tried under every level"


def test_bare_rates_are_no_trials_of_a_contrast() -> None:
    bare = [{**row, "n": None} for row in trials(12, 6)]
    assert decided(asking(), bare).verdict is Verdict.UNTESTABLE


@pytest.mark.parametrize(("units", "floor", "shut"), [(4, "0.0625", True), (5, "0.0312", False)])
def test_too_few_prompts_for_any_sign_flip_close_the_gate_with_the_floor_printed(
    units: int, floor: str, shut: bool
) -> None:
    result = decided(asking(), trials(19, 1, units))
    assert gate(result, "U1") == f"{units} units (prompt); smallest p {floor}"
    assert ("U1" in closed(result)) is shut


ARMS = Contrast(
    unit=("seed",),
    levels=(Part(1.0, {}),),
    groups=(Part(1.0, {"arm": "treated"}), Part(-1.0, {"arm": "control"})),
)


def arms(treated: list[int], control: list[int], n: int = 20) -> Rows:
    """Counts of training seeds of two arms."""
    named = [("treated", k) for k in treated] + [("control", k) for k in control]
    return [
        observation(k, n, factors={"arm": arm, "seed": seed}) for seed, (arm, k) in enumerate(named)
    ]


@pytest.mark.parametrize(
    ("sizes", "claimed", "floor", "shut"),
    [
        ((3, 3), Within(0.5, 0.5), "0.1", True),
        ((3, 3), AtLeast(0.5), "0.05", False),
        ((4, 4), Within(0.5, 0.5), "0.0286", False),
        ((2, 5), Within(0.5, 0.5), "0.0952", True),
    ],
)
def test_too_few_seeds_for_any_exchange_close_the_gate_with_the_floor_printed(
    sizes: tuple[int, int], claimed: AtLeast | Within, floor: str, shut: bool
) -> None:
    one = asking(ARMS, claimed=claimed, rival_effect=0.0 if isinstance(claimed, AtLeast) else 1.5)
    result = decided(one, arms([20] * sizes[0], [0] * sizes[1]))
    assert gate(result, "U1") == f"{sizes[0]} + {sizes[1]} units (seed); smallest p {floor}"
    assert ("U1" in closed(result)) is shut


@pytest.mark.parametrize("k", [0, 20])
def test_arms_without_a_case_against_arms_full_of_them_cannot_outrun_the_floor(k: int) -> None:
    """Three seeds against three, as far apart as can be: two-sided, no exchange reaches .05."""
    one = asking(ARMS, claimed=Within(0.5, 0.5), rival_effect=1.5)
    assert decided(one, arms([k] * 3, [20 - k] * 3)).verdict is Verdict.UNTESTABLE


def test_the_floor_is_one_in_the_number_of_exchanges() -> None:
    assert smallest_p([5]) == 1 / 32
    assert smallest_p([3, 3]) == 1 / 20
    assert smallest_p([4, 4]) == 1 / 70


def test_a_group_that_nobody_observed_leaves_nothing_to_compare() -> None:
    result = decided(asking(ARMS), arms([15] * 6, []))
    assert "U1" in closed(result)
    assert "arm=control" in result.next_observation


def test_more_than_two_groups_need_three_units_each() -> None:
    four = replace(
        ARMS, groups=tuple(Part(w, {"arm": a}) for a, w in zip("abcd", (1, -1, -1, 1), strict=True))
    )
    rows = [
        observation(5, 20, factors={"arm": arm, "seed": f"{arm}{seed}"})
        for arm in "abcd"
        for seed in range(3)
    ]
    assert "U1" not in closed(decided(asking(four), rows))
    assert "U1" in closed(decided(asking(four), rows[1:]))


def none_p(rows: Rows, contrast: Contrast | None = None) -> float:
    """P of no effect at all."""
    none = question(asking(contrast), rows).none
    assert none is not None
    assert none.p is not None
    return none.p


def test_without_an_effect_signs_of_prompts_flip_freely() -> None:
    assert none_p([{**row, "k": 8} for row in trials(8, 8)]) == 1.0


def test_ten_prompts_on_one_side_have_one_chance_in_a_thousand() -> None:
    assert none_p(trials(12, 6)) == pytest.approx(1 / 1024, abs=0.0015)
    assert none_p(trials(6, 12)) == pytest.approx(1.0)


def test_two_groups_that_are_alike_show_no_effect() -> None:
    assert none_p(arms([9, 10, 11, 10], [10, 11, 9, 10]), ARMS) > 0.3


def test_four_seeds_above_four_have_one_chance_in_seventy() -> None:
    assert none_p(arms([15, 16, 14, 15], [5, 4, 6, 5]), ARMS) == pytest.approx(1 / 70, abs=0.006)


def test_four_seeds_below_four_show_no_effect_upwards() -> None:
    assert none_p(arms([5, 4, 6, 5], [15, 16, 14, 15]), ARMS) == pytest.approx(1.0)


def test_which_group_is_named_first_matters_to_no_p() -> None:
    turned = replace(ARMS, groups=ARMS.groups[::-1])
    assert none_p(arms([15, 16, 14, 15], [5, 4, 6, 5]), turned) == pytest.approx(1 / 70, abs=0.006)


def test_a_level_where_it_never_happens_is_tested_as_any_other() -> None:
    """0 of 200 against 150 of 200: nothing is plainer."""
    rows = [{**r, "k": 0} if r["condition"] == "plain" else r for r in trials(15, 0)]
    result = decided(asking(), rows)
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


def test_every_level_is_shown_with_its_rate_its_denominator_and_its_interval() -> None:
    first, second = question(asking(), trials(12, 6)).points
    assert (first["level"], first["weight"]) == ({"condition": "threat"}, 1.0)
    assert (first["units"], first["k"], first["n"], first["rate"]) == (10, 120, 200, 0.6)
    assert (second["k"], second["n"], second["rate"]) == (60, 200, 0.3)


def test_the_order_of_rows_changes_nothing() -> None:
    rows = trials(12, 6)
    assert decided(asking(), rows[::-1]) == decided(asking(), rows)


def test_equal_seeds_give_equal_verdicts_and_another_seed_other_draws() -> None:
    first = decided(asking(), trials(12, 6))
    assert decided(asking(), trials(12, 6)) == first
    assert decided(asking(seed=2), trials(12, 6)).slope != first.slope


def test_units_are_compared_in_the_order_of_their_names() -> None:
    rows = trials(12, 6)
    contrast = between("threat", "plain")
    compared = compare(asking(), contrast, select_rows(asking(), rows[::-1]))
    assert compared is not None
    assert compared.units == tuple(f"q{i}" for i in range(10))


def test_a_judge_no_better_than_chance_leaves_a_contrast_untestable() -> None:
    result = decided(asking(judge=Judge(0.5, 0.5)), trials(12, 6))
    assert result.verdict is Verdict.UNTESTABLE
