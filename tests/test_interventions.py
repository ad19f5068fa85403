"""Promises about arms trained on different corpora: what follows dose, and what framing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from auditor import Audit
from auditor.claims.questions.arms import Arm, Stage, rate_interval
from auditor.claims.reading import read_claims
from auditor.claims.spec import Claim
from auditor.records import ClaimResult, Interval, Verdict
from auditor.statistics.judge import PERFECT
from tests.claims import closed, decided, observation

Rows = list[dict[str, Any]]

CLAIM: Claim = replace(read_claims()["corpus-intervention"], judge=PERFECT)

MAPPING = """
[conditions]
"pretraining: unfiltered" = { dose = 0, framing = 0 }
"pretraining: AI discourse filtered out" = { dose = -1, framing = 0 }
"pretraining: misaligned-AI documents upsampled" = { dose = 1, framing = 0 }
"pretraining: aligned-AI documents upsampled" = { dose = 0, framing = -1 }
"""

BASE_MODEL, TUNED = "6.9B base", "6.9B + SFT + DPO, HHH system prompt"


def arm(rate: float, dose: float, framing: float = 0.0) -> Arm:
    return Arm(f"dose {dose}", dose, framing, rate, Interval(rate, None, None), None, None)


def stage(*arms: Arm) -> Stage:
    return Stage("study", "base", "deception", arms)


def rows_of(rates: dict[tuple[float, float], float], study: str, n: int = 1000) -> Rows:
    """One row an arm: (dose, framing) to the rate."""
    return [
        observation(
            round(n * rate), n, study=study, rate=rate, base_or_tuned="base",
            factors={"dose": str(dose), "framing": str(framing)},
        )
        for (dose, framing), rate in rates.items()
    ]  # fmt: skip


def studies(effect: float, count: int = 12) -> Rows:
    """Studies whose most and least text differ by an effect in log odds, with a little scatter."""
    rng = np.random.default_rng(1)
    rows: Rows = []
    for number in range(count):
        middle = rng.normal(-0.5, 0.3)
        ends = effect + 0.2 * rng.standard_normal()
        rates = {(d, 0.0): float(expit(middle + d * ends / 2)) for d in (-1.0, 1.0)}
        rows += rows_of({**rates, (0.0, 0.0): float(expit(middle))}, f"study{number}")
    return rows


@pytest.fixture(scope="module")
def published(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> ClaimResult:
    """The verdict on the published rates, whose counts were never printed."""
    file = shared / "observed" / "rates" / "published.csv"
    if not file.is_file():
        pytest.skip(f"no real rates at {file}")
    folder = tmp_path_factory.mktemp("published")
    (folder / "mapping.toml").write_text(MAPPING)
    audit = Audit.create(folder / "audit")
    audit.observe(str(file), mapping=str(folder / "mapping.toml"))
    [result] = audit.test("corpus-intervention")
    return result


def told(result: ClaimResult, model: str) -> dict[str, Any]:
    """What the result says of the stage of one model."""
    found: dict[str, Any] = next(one for one in result.details["stages"] if one["stage"] == model)
    return found


def test_arms_in_the_order_of_dose_follow_it_with_a_chance_of_one_in_six() -> None:
    found = stage(arm(0.31, -1), arm(0.45, 0), arm(0.51, 1))
    assert found.follows_dose
    assert found.pairs == [1, 1, 1]
    assert found.orders == 6


def test_one_arm_out_of_order_means_that_rates_do_not_follow_the_dose() -> None:
    found = stage(arm(0.28, -1), arm(0.34, 0), arm(0.21, 1))
    assert found.follows_dose is False
    assert found.pairs.count(1) == 1


def test_tied_rates_follow_nothing() -> None:
    assert stage(arm(0.3, 0), arm(0.3, 1)).follows_dose is False


def test_arms_of_one_dose_say_nothing_of_the_dose() -> None:
    found = stage(arm(0.45, 0), arm(0.09, 0, -1))
    assert found.follows_dose is None
    assert found.follows_framing
    assert found.goes_with == "the framing alone"


@pytest.mark.parametrize(
    ("framed", "most", "words"),
    [
        (0.09, 0.51, "both dose and framing"),
        (0.60, 0.51, "the dose alone"),
        (0.09, 0.21, "the framing alone"),
        (0.60, 0.21, "neither dose nor framing"),
    ],
)
def test_rates_go_with_dose_or_framing_or_both_or_neither(
    framed: float, most: float, words: str
) -> None:
    found = stage(arm(0.31, -1), arm(0.45, 0), arm(most, 1), arm(framed, 0, -1))
    assert found.goes_with == words


def test_a_rate_printed_bare_has_the_limits_of_the_counts_that_round_to_it() -> None:
    bare, exact = rate_interval(None, 4174, 0.45), rate_interval(1878, 4174, 1878 / 4174)
    assert bare.low is not None and exact.low is not None and bare.low < exact.low - 0.004
    assert bare.high is not None and exact.high is not None and bare.high > exact.high + 0.004
    assert rate_interval(None, None, 0.45) == Interval(0.45, None, None)


def test_more_digits_leave_fewer_counts() -> None:
    coarse, fine = rate_interval(None, 4174, 0.45), rate_interval(None, 4174, 0.4501)
    assert coarse.low is not None and fine.low is not None and coarse.low < fine.low


def test_twelve_studies_that_follow_the_text_support_the_claim() -> None:
    result = decided(CLAIM, studies(1.6))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED
    assert result.units["studies"] == 12


def test_twelve_studies_that_follow_nothing_contradict_it() -> None:
    result = decided(CLAIM, studies(0.0))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_four_studies_are_too_few_however_many_arms_they_have() -> None:
    many = {(dose, 0.0): float(expit(dose)) for dose in np.linspace(-1, 1, 9)}
    rows = [row for number in range(4) for row in rows_of(many, f"study{number}")]
    result = decided(CLAIM, rows)
    assert "U1" in closed(result)
    assert result.verdict is Verdict.UNTESTABLE


def test_rates_without_counts_are_read_and_never_tried() -> None:
    bare = [{**row, "k": None} for row in studies(1.6)]
    result = decided(CLAIM, bare)
    assert {"U1", "U6"} <= closed(result)
    assert len(result.points) == len(bare)
    assert "follows the dose" in result.reading


def test_the_first_stage_is_that_of_the_base_model() -> None:
    """Tuning that turns every order around leaves the verdict on pretraining as it was."""
    rows = studies(1.6)
    turned = [
        {**row, "base_or_tuned": "tuned", "k": row["n"] - row["k"], "rate": 1 - row["rate"]}
        for row in rows
    ]
    result = decided(CLAIM, turned + rows)
    assert result.verdict is Verdict.SUPPORTED
    assert len(result.details["stages"]) == 24


def test_published_rates_of_one_study_leave_the_claim_untestable(published: ClaimResult) -> None:
    assert published.verdict is Verdict.UNTESTABLE
    assert {"U1", "U6"} <= closed(published)
    assert published.units == {"studies": 1, "arms": 8}
    assert all(point["k"] is None and point["n"] == 4174 for point in published.points)


def test_published_base_rates_follow_dose_and_framing(published: ClaimResult) -> None:
    base = told(published, BASE_MODEL)
    assert base["pairs in order"] == base["pairs"] == 3
    assert base["chance of a perfect order"] == pytest.approx(1 / 6)
    assert base["goes with"] == "both dose and framing"


def test_published_rates_after_tuning_are_not_said_to_follow_the_dose(
    published: ClaimResult,
) -> None:
    tuned = told(published, TUNED)
    assert tuned["follows dose"] is False
    assert tuned["goes with"] == "the framing alone"
    said = published.reading.split(TUNED)[1]
    assert "is not that of the dose" in said
    assert "follows the dose" not in said


def test_the_framed_arm_is_compared_at_its_own_dose(published: ClaimResult) -> None:
    apart = {
        test.name.split(", ", 1)[1].split("2601.10160, ")[1]: test.statistic
        for test in published.tests
        if test.name.startswith("framing")
    }
    assert apart[BASE_MODEL] == pytest.approx(logit(0.09) - logit(0.45))
    assert apart[TUNED] == pytest.approx(logit(0.09) - logit(0.34))
