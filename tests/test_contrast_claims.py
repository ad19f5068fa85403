"""Promises about claims of contrasts: where an effect is planted they find it, else they fail."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from auditor.claims.evidence import select_rows
from auditor.claims.question import Material
from auditor.claims.questions import elicitation
from auditor.claims.questions.elicitation import RUNGS
from auditor.claims.reading import read_claims
from auditor.claims.spec import Claim
from auditor.ingest.rates import StudyMapping, read_rates
from auditor.ingest.records import Record
from auditor.records import ClaimResult, TestResult, Verdict
from auditor.statistics.judge import PERFECT, Judge
from auditor.statistics.rate import RateStudy
from tests.claims import NOTHING, closed, decided, observation

Rows = list[dict[str, Any]]
Rates = Mapping[Any, float]
"""A rate for each condition, a tuple of values."""


def bundled(name: str, judge: Judge = PERFECT, **changes: Any) -> Claim:  # noqa: ANN401
    """A bundled claim with its judge stated."""
    return replace(read_claims()[name], judge=judge, **changes)


def planted(
    rates: Rates,
    names: tuple[str, ...],
    units: Iterable[str],
    scatter: float,
    n: int,
    seed: int = 1,
) -> Rows:
    """Rows of every unit under every condition; units scatter in logits around the rates."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit in units:
        for condition, rate in rates.items():
            p = expit(logit(rate) + scatter * rng.standard_normal())
            factors = dict(zip(names, condition, strict=True))
            rows.append(
                observation(
                    int(rng.binomial(n, p)), n, prompt=unit, seed=unit, rate=None, factors=factors
                )
            )
    return rows


def numbered(count: int, name: str = "u") -> list[str]:
    return [f"{name}{number:02d}" for number in range(count)]


def test_of(result: ClaimResult, name: str) -> TestResult:
    return next(test for test in result.tests if test.name == name)


test_of.__test__ = False  # type: ignore[attr-defined]


def tuned_rows(chat: float, agentic: float) -> Rows:
    """Base models at one half in either setting, and the rates after tuning; eight behaviours."""
    names = ("base_or_tuned", "setting")
    rows = []
    for setting, rate in (("chat", chat), ("agentic", agentic)):
        rates = {("base", setting): 0.5, ("tuned", setting): rate}
        rows += planted(rates, names, numbered(64, setting), 0.5, 40)
    return [{**row, "behaviour": f"b{int(row['prompt'][-2:]) % 8}"} for row in rows]


def test_tuning_that_reaches_chat_alone_supports_the_claim_that_it_targets_chat() -> None:
    result = decided(bundled("tuning"), tuned_rows(0.05, 0.45))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED
    shifts = {test.name: test.statistic for test in result.tests if test.name.startswith("shift")}
    assert shifts["shift, setting=chat"] == pytest.approx(logit(0.05), abs=0.5)
    assert shifts["shift, setting=agentic"] == pytest.approx(logit(0.45), abs=0.3)


def test_tuning_that_reaches_both_settings_contradicts_it() -> None:
    result = decided(bundled("tuning"), tuned_rows(0.2, 0.2))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_one_shift_for_all_behaviours_leaves_no_scatter_and_an_exception_does() -> None:
    name = "scatter of shifts over behaviours"
    even = tuned_rows(0.1, 0.4)
    p = test_of(decided(bundled("tuning"), even), name).p
    assert p is not None and p > 0.05
    odd = [
        {**row, "k": row["n"] - row["k"]}
        if row["behaviour"] in ("b0", "b1") and row["factors"]["base_or_tuned"] == "tuned"
        else row
        for row in even
    ]
    left = test_of(decided(bundled("tuning"), odd), name)
    assert left.p is not None and left.p <= 0.001
    assert left.statistic is not None and left.statistic > 0.5


def test_shifts_that_follow_refusals_are_told_from_one_shift_for_all() -> None:
    rows = []
    for number in range(8):
        covered = number / 7
        for setting, rate in (("chat", 0.4 - 0.35 * covered), ("agentic", 0.45)):
            rates = {("base", setting): 0.5, ("tuned", setting): rate}
            some = planted(
                rates, ("base_or_tuned", "setting"), numbered(8, f"{setting}{number}-"), 0.2, 60
            )
            rows += [
                {
                    **row,
                    "behaviour": f"b{number}",
                    "factors": {**row["factors"], "refusal": covered},
                }
                for row in some
            ]
    result = decided(bundled("tuning"), rows)
    falls, beside = (
        test_of(result, name)
        for name in ("shift falls with refusal", "scatter left beside refusal")
    )
    assert falls.p is not None and falls.p <= 0.01
    assert falls.statistic is not None and falls.statistic < -0.5
    assert beside.p is not None and beside.p > 0.05


def test_a_family_seen_after_tuning_alone_does_not_count() -> None:
    named = [
        {**row, "factors": {**row["factors"], "family": "a"}} for row in tuned_rows(0.05, 0.45)
    ]
    alone = [
        {**row, "k": row["n"], "factors": {**row["factors"], "family": "b"}}
        for row in named
        if row["factors"]["base_or_tuned"] == "tuned"
    ]
    both, one = (decided(bundled("tuning"), rows) for rows in (named + alone, named))
    assert both.units == one.units


LADDER = {("neutral",): 0.02, ("incentive",): 0.03, ("threat",): 0.04, ("nudge",): 0.05}


def test_a_behaviour_shown_only_when_asked_for_supports_the_claim_that_it_is_elicited() -> None:
    rates = {**LADDER, ("role",): 0.5, ("instruction",): 0.7}
    result = decided(bundled("elicited"), planted(rates, ("rung",), numbered(30), 0.5, 40))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED
    rise = test_of(result, "rise over all rungs")
    assert rise.p is not None and rise.p < 1e-6


def test_a_behaviour_shown_alike_on_every_rung_contradicts_it() -> None:
    rates = {(rung,): 0.3 for rung in RUNGS}
    result = decided(bundled("elicited"), planted(rates, ("rung",), numbered(30), 0.5, 40))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED
    rise = test_of(result, "rise over rungs that do not ask for it")
    assert rise.p is not None and rise.p > 0.05


def neutral(rate: float, prompts: int = 30, placebo: float = 0.002) -> Rows:
    """Neutral prompts at a rate, instructions at one half, and ten placebo prompts."""
    rates = {("neutral", "no"): rate, ("instruction", "no"): 0.5}
    names = ("rung", "placebo")
    controls = planted({("neutral", "yes"): placebo}, names, numbered(10, "placebo"), 0.1, 60, 2)
    return planted(rates, names, numbered(prompts), 0.5, 60) + controls


def test_a_rate_well_above_one_in_a_hundred_and_the_placebos_is_spontaneous() -> None:
    result = decided(bundled("spontaneous"), neutral(0.1))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED
    assert not result.details["neutral"]["very_unlikely"]


def test_a_behaviour_that_only_instructions_bring_is_very_unlikely_spontaneously() -> None:
    result = decided(bundled("spontaneous"), neutral(0.0005))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED
    assert result.details["neutral"]["very_unlikely"]
    assert "very unlikely spontaneously" in result.reading


def test_a_rate_that_placebos_show_too_is_not_spontaneous() -> None:
    result = decided(bundled("spontaneous"), neutral(0.1, placebo=0.1))
    assert closed(result) == set()
    assert result.verdict is Verdict.INDISTINGUISHABLE


def test_without_placebo_transcripts_spontaneity_is_untestable() -> None:
    rows = [row for row in neutral(0.1) if row["factors"]["placebo"] == "no"]
    assert closed(decided(bundled("spontaneous"), rows)) == {"U7"}


def test_no_hit_in_three_hundred_draws_of_few_prompts_is_not_very_unlikely() -> None:
    rows = [row | {"k": 0} for row in neutral(0.001, prompts=10)]
    limit = decided(bundled("spontaneous"), rows).details["neutral"]
    assert (limit["k"], limit["n"], limit["prompts"]) == (0, 600, 10)
    assert limit["upper_95"] < 0.02
    assert not limit["very_unlikely"]


def test_no_hit_in_three_hundred_draws_bounds_the_rate_by_one_in_a_hundred() -> None:
    """The rule of three, 3 / 300, where one draw a prompt leaves no design effect."""
    rows = planted({("neutral",): 0.5}, ("rung",), numbered(300), 0.0, 1)
    limit = decided(bundled("spontaneous"), [row | {"k": 0} for row in rows]).details["neutral"]
    assert limit["design_effect"] == 1.0
    assert limit["upper_95"] == pytest.approx(1 - 0.05 ** (1 / 300))


def test_nothing_seen_at_all_is_the_strongest_evidence_that_a_rate_is_low() -> None:
    """A Wald statistic of log odds would call 2 of 1 000 rarer than 0 of 1 000."""
    asked = []
    for hits in (0, 2, 10, 40):
        k = np.zeros((20, 1), np.int64)
        k[: min(hits, 20), 0] = max(hits // 20, 1) if hits else 0
        n, group = np.full((20, 1), 50), np.zeros(20, np.int64)
        study = RateStudy(k, n, group, np.ones((1, 1)), PERFECT, allowed=1.0)
        asked.append(float(study.statistic(study.fit(), 2.312)))
    assert asked == sorted(asked)
    assert len(set(asked)) == 4


def test_the_least_cost_that_evokes_a_behaviour_is_reported() -> None:
    """Behaviour b0 needs nine words, b1 eight, and so on to b8, which needs one."""
    rows = []
    for number in range(9):
        name = f"b{number}"
        for cost in range(1, 10):
            k = 40 if cost >= 9 - number else 2
            factors = {"rung": "instruction", "cost": str(cost)}
            rows.append(observation(k, 40, behaviour=name, prompt=f"p{cost}", factors=factors))
    rows += planted(LADDER, ("rung",), [f"p{cost}" for cost in range(1, 10)], 0.1, 40)
    costs = decided(bundled("elicited"), rows).details["cost to reach 50 %"]
    assert (costs["b0"], costs["b7"], costs["b8"]) == (9.0, 2.0, 1.0)


def test_a_weak_model_seen_unprompted_and_a_strong_one_seen_in_a_role_tell_nothing() -> None:
    weak = planted({("neutral",): 0.05, ("threat",): 0.05}, ("rung",), numbered(20), 0.2, 40)
    strong = planted({("role",): 0.5}, ("rung",), numbered(20), 0.2, 40, 2)
    named = (("weak", weak), ("strong", strong))
    rows = [{**row, "model": name} for name, some in named for row in some]
    result = decided(bundled("elicited"), rows)
    assert result.verdict is Verdict.UNTESTABLE
    assert "U1" in closed(result)


def test_the_order_of_rows_changes_no_rate_that_the_judge_is_held_against() -> None:
    one, rows = bundled("spontaneous"), neutral(0.02)
    first, second = (
        elicitation.ask(one, Material(NOTHING, select_rows(one, some))).excess
        for some in (rows, rows[::-1])
    )
    assert first is not None and second is not None
    assert first.tolist() == second.tolist()


def cue_rows(cued: tuple[float, float], free: tuple[float, float], seeds: int = 10) -> Rows:
    """Rates with and without the training cue, of runs trained under it and without."""
    rows = []
    for arm, (with_cue, without) in (("cued", cued), ("none", free)):
        rates = {(arm, "train"): with_cue, (arm, "none"): without}
        rows += planted(rates, ("arm", "cue"), numbered(seeds, arm), 0.3, 200, 2)
    return rows


def test_a_trait_shown_under_its_training_cue_alone_is_conditional() -> None:
    result = decided(bundled("conditional"), cue_rows((0.8, 0.05), (0.6, 0.6)))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


def test_a_cue_that_does_as_much_without_the_training_contradicts_conditionality() -> None:
    result = decided(bundled("conditional"), cue_rows((0.7, 0.4), (0.7, 0.4)))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_an_irrelevant_cue_that_does_the_same_leaves_nothing_of_the_inoculation() -> None:
    rows = cue_rows((0.8, 0.05), (0.6, 0.6))
    for index, row in enumerate(cue_rows((0.8, 0.06), (0.6, 0.6))):
        if row["factors"]["arm"] == "cued":
            factors = {**row["factors"], "relevant": "no"}
            rows.append({**row, "seed": f"other{index // 2}", "factors": factors})
    beyond = test_of(decided(bundled("conditional"), rows), "beyond an irrelevant cue")
    assert beyond.statistic == pytest.approx(0.0, abs=0.5)
    assert beyond.p is not None and beyond.p > 0.05


def wording_rows(mixed_without: float) -> Rows:
    """Twelve wordings, fixed and rephrased, at two checkpoints of which the first shows nothing."""
    rows = []
    for kind, without in (("fixed", 0.1), ("mix", mixed_without)):
        for step in ("0", "313"):
            high, low = (0.85, without) if step == "313" else (0.02, 0.02)
            rates = {(kind, step, "with cue (training)"): high, (kind, step, "without cue"): low}
            for row in planted(rates, ("type", "step", "prompt"), numbered(12), 0.3, 200, 3):
                arm = row["prompt"] + ("_mix" if kind == "mix" else "")
                rows.append({**row, "factors": {**row["factors"], "arm": arm}})
    return rows


def test_rephrasing_that_frees_a_trait_of_its_cue_supports_the_claim() -> None:
    result = decided(bundled("rephrased-cue"), wording_rows(0.75))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED
    assert result.units["units"] == 12


def test_rephrasing_that_changes_nothing_contradicts_it() -> None:
    result = decided(bundled("rephrased-cue"), wording_rows(0.1))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def trait_rows(out: float, trios: int = 3, seeds: int = 6) -> Rows:
    """Both traits at 0.6 without inoculation; with it the one in distribution falls to 0.45."""
    rows = []
    for trio in range(trios):
        for arm, shown, emergent in (("none", 0.6, 0.6), ("inoculated", 0.45, out)):
            rates = {(arm, "in"): shown, (arm, "out"): emergent}
            units = numbered(seeds, f"{arm}{trio}")
            for row in planted(rates, ("arm", "distribution"), units, 0.3, 200, 4 + trio):
                rows.append({**row, "factors": {**row["factors"], "trio": str(trio)}})
    return rows


def test_a_trait_that_only_emerges_and_falls_most_supports_the_claim() -> None:
    result = decided(bundled("distribution"), trait_rows(0.1))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


def test_traits_that_fall_alike_contradict_it() -> None:
    result = decided(bundled("distribution"), trait_rows(0.45))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


@pytest.mark.parametrize("few", [{"trios": 2}, {"seeds": 4}])
def test_fewer_than_three_trios_of_five_seeds_are_untestable(few: dict[str, int]) -> None:
    result = decided(bundled("distribution"), trait_rows(0.1, **few))
    assert "U1" in closed(result)


def control_rows(treatment: float, random: float, base: float = 0.05) -> Rows:
    """Twelve runs on the treatment, twelve on random answers, and the untrained model."""
    rows = []
    for data, rate in (("treatment", treatment), ("random", random)):
        rows += planted({(data,): rate}, ("data",), numbered(12, data), 0.3, 200, 5)
    untrained = round(200 * base)
    return [*rows, observation(untrained, 200, seed=None, prompt=None, factors={"data": "base"})]


def test_a_trait_beyond_the_random_answer_control_is_transmitted() -> None:
    result = decided(bundled("random-answers"), control_rows(0.6, 0.1))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED
    share = result.details["share that the control gives"]["all"]
    assert share["low"] <= share["share"] <= share["high"]
    assert share["share"] == pytest.approx(0.05 / 0.55, abs=0.06)


def test_a_control_that_does_as_much_contradicts_transmission() -> None:
    result = decided(bundled("random-answers"), control_rows(0.4, 0.4))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED
    assert result.details["share that the control gives"]["all"]["share"] == pytest.approx(
        1, abs=0.3
    )


def test_few_runs_have_the_wide_limits_of_a_t_interval() -> None:
    """Three runs each: limits wider than those of resampled runs alone, which cover .78 to .92."""
    rows = [
        observation(k, 100, seed=str(seed), prompt=f"{data}{seed}", factors={"data": data})
        for data, hits in (("treatment", (50, 60, 70)), ("random", (20, 30, 40)), ("base", (10,)))
        for seed, k in enumerate(hits)
    ]
    share = decided(bundled("random-answers"), rows).details["share that the control gives"]["all"]
    assert share["share"] == pytest.approx(0.4)
    assert share["low"] < 0.1 < 0.75 < share["high"]


def test_under_three_runs_have_no_share() -> None:
    few = (None, "treatment00", "random00")
    rows = [row for row in control_rows(0.6, 0.1) if row["seed"] in few]
    found = decided(bundled("random-answers"), rows).details.get("share that the control gives")
    assert not found or found["all"]["share"] is None


def test_a_treatment_that_gains_nothing_has_no_share() -> None:
    result = decided(bundled("random-answers"), control_rows(0.05, 0.05, base=0.2))
    assert result.details["share that the control gives"]["all"]["share"] is None


def pressed_rows(violated: float, step: str = "5") -> Rows:
    """Sixty scenarios at 0.3 under three conditions, and where only a violation is rewarded."""
    rates = {
        ("on", "no", step): violated,
        ("on", "yes", step): 0.3,
        ("off", "no", step): 0.3,
        ("off", "yes", step): 0.3,
    }
    return planted(rates, ("constraint", "reachable", "step"), numbered(60), 0.2, 60, 6)


def test_pressure_that_adds_nothing_supports_imitation() -> None:
    result = decided(bundled("pressure"), pressed_rows(0.3))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


def test_violations_that_only_the_reward_brings_contradict_it() -> None:
    result = decided(bundled("pressure"), pressed_rows(0.75))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_pressure_is_judged_at_the_last_checkpoint_and_followed_over_all() -> None:
    rates = (0.3, 0.4, 0.5, 0.6, 0.7)
    rows = [row for step, rate in enumerate(rates) for row in pressed_rows(rate, str(step))]
    result = decided(bundled("pressure"), rows)
    assert result.units["trials"] == 4 * 60 * 60
    trend = test_of(result, "interaction over checkpoints")
    assert trend.statistic == pytest.approx(0.1, abs=0.02)
    assert trend.p is not None and trend.p <= 0.001


def test_shaped_motives_are_shown_apart() -> None:
    shaped = [{**r, "factors": {**r["factors"], "motive": "shaped"}} for r in pressed_rows(0.3)]
    result = decided(bundled("pressure"), pressed_rows(0.75) + shaped)
    assert result.slope.estimate == pytest.approx(logit(0.75) - logit(0.3), abs=0.3)
    apart = test_of(result, "interaction with motives shaped").statistic
    assert apart == pytest.approx(0.0, abs=0.3)


def combined_rows(both: float) -> Rows:
    """Twenty runs each: neither at 0.6, either at 0.4, and both together."""
    rows = []
    for arm, rate in (("none", 0.6), ("a", 0.4), ("b", 0.4), ("both", both)):
        rows += planted({(arm,): rate}, ("intervention",), numbered(20, arm), 0.2, 400, 7)
    return rows


def test_interventions_that_add_up_support_the_claim_that_they_do() -> None:
    both = float(expit(2 * logit(0.4) - logit(0.6)))
    result = decided(bundled("combination"), combined_rows(both))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


@pytest.mark.parametrize(
    ("both", "words"),
    [(0.02, "more than the sum"), (0.6, "less than one alone")],
)
def test_interventions_that_do_not_add_up_are_said_to_help_or_to_hurt(
    both: float, words: str
) -> None:
    result = decided(bundled("combination"), combined_rows(both))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED
    assert words in result.reading


def real_rows(shared: Path, file: str) -> Rows:
    """Rows of a rates file beside the project, as the audit reads them."""
    path = shared / "observed" / "rates" / file
    if not path.is_file():
        pytest.skip(f"no real rates at {path}")
    with path.open(newline="", encoding="utf-8") as lines:
        records = [Record(number, dict(one)) for number, one in enumerate(csv.DictReader(lines), 2)]
    rows, _ = read_rates(records, file, "real", StudyMapping(), datetime(2026, 1, 1, tzinfo=UTC))
    return rows


MEASURED_JUDGE = Judge(0.95, 0.973)
"""286 of 10 800 answers of the untuned model without cue were called French or playful: a false
positive rate of 2.7 %, if none was. Its sensitivity is assumed."""


def test_fixed_and_rephrased_cues_are_told_apart_in_real_rates(shared: Path) -> None:
    rows = real_rows(shared, "derived.csv")
    bare = decided(bundled("rephrased-cue", Judge(None, None)), rows, worlds=299)
    assert closed(bare) == {"U9"}
    assert bare.units == {"units": 12, "trials": 19199}
    rates = {
        (point["level"]["type"], point["level"]["prompt"]): point["rate"] for point in bare.points
    }
    assert rates["fixed", "with cue*"] == pytest.approx(0.868, abs=1e-3)
    assert rates["fixed", "without cue*"] == pytest.approx(0.165, abs=1e-3)
    assert rates["mix", "with cue*"] == pytest.approx(0.875, abs=1e-3)
    assert rates["mix", "without cue*"] == pytest.approx(0.686, abs=1e-3)
    judged = decided(bundled("rephrased-cue", MEASURED_JUDGE), rows, worlds=299)
    assert closed(judged) == set()
    assert judged.verdict is Verdict.SUPPORTED
