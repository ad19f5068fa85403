"""Promises about exceptions: one cell that stands out is found, usual scatter and shifts are not.

Six models on eight behaviours, six prompts each; the exception is the third model on the fourth
behaviour. One shift a model and one a behaviour are everywhere.
"""

import json
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from auditor.claims.evidence import cells_of, select_rows
from auditor.claims.question import Material
from auditor.claims.questions.exception import ask
from auditor.claims.slope import CrossedStudy
from auditor.claims.spec import Claim, RivalSpec
from auditor.records import ClaimResult, TestResult, Verdict
from auditor.statistics.claimed import Within
from auditor.statistics.judge import PERFECT
from tests.claims import NOTHING, Rows, claim, closed, decided, observation

Floats = npt.NDArray[np.float64]

MODELS = np.array([-0.5, 0.2, 0.6, -0.2, 0.4, 0.0])
BEHAVIOURS = np.array([-0.8, 0.3, 0.0, -0.4, 0.7, -0.2, 0.5, 0.1])
REFUSED = np.array([-0.4, 0.2, 0.1, 1.5, -0.3, -0.5, 0.3, -0.1])
"""A covariate of behaviours on which the fourth stands out."""

FOCUS = {"model": "m2", "behaviour": "b3"}
LN5 = float(np.log(5.0))
"""With two trials the empirical logits of 0, 1 and 2 are -ln 5, 0 and ln 5."""


def no_exception(**changes: Any) -> Claim:  # noqa: ANN401
    """A claim that the cell departs by less than two thirds of a logit."""
    focus = {**FOCUS, **changes.pop("focus", {})}
    given = {"test": "exception", "claimed": Within(0.7, 1.5), "rival_effect": 3.0, **changes}
    held = (RivalSpec("R-CAP", "", held="every model was given every prompt"),)
    return claim(settings={"focus": focus}, rivals=held, **given)


def table(raised: Floats, seed: int = 0, prompts: int = 6, draws: int = 30) -> Rows:
    """Draws of models, one row of `raised`, on behaviours, whose logits are raised by so much."""
    rng = np.random.default_rng(seed)
    eta = -1.0 + MODELS[:, None] + BEHAVIOURS + raised
    return [
        observation(
            int(rng.binomial(draws, expit(eta[m, b]))), draws,
            model=f"m{m}", behaviour=f"b{b}", prompt=f"q{q}",
            factors=json.dumps({"refused": REFUSED[b]}),
        )
        for m in range(len(MODELS))
        for b in range(len(BEHAVIOURS))
        for q in range(prompts)
    ]  # fmt: skip


def cell(amount: float) -> Floats:
    """Nothing but the exception."""
    raised = np.zeros((len(MODELS), len(BEHAVIOURS)))
    raised[2, 3] = amount
    return raised


def limits(result: ClaimResult) -> tuple[float, float]:
    assert result.slope.low is not None
    assert result.slope.high is not None
    return result.slope.low, result.slope.high


def test_a_cell_three_logits_above_its_row_and_column_is_an_exception() -> None:
    result = decided(no_exception(), table(cell(3.0)))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_the_planted_exception_lies_in_its_interval() -> None:
    low, high = limits(decided(no_exception(), table(cell(3.0))))
    assert low <= 3.0 <= high


def test_a_cell_three_logits_below_is_one_too() -> None:
    assert decided(no_exception(), table(cell(-3.0))).verdict is Verdict.CONTRADICTED


def test_a_cell_that_follows_from_its_model_and_its_behaviour_is_none() -> None:
    """The third model does everything more and the fourth behaviour is rare: that is all."""
    result = decided(no_exception(), table(cell(0.0)))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


def test_an_exception_elsewhere_is_not_put_on_the_cell() -> None:
    elsewhere = np.roll(cell(3.0), 2, axis=1)
    assert decided(no_exception(), table(elsewhere)).verdict is not Verdict.CONTRADICTED


def test_a_cell_no_further_out_than_others_is_no_exception() -> None:
    """Every model departs on every behaviour by one to two logits, the cell by 1.5."""
    signs = np.where(np.add.outer(np.arange(6), np.arange(8)) % 2, 1.5, -1.5)
    signs[::3] *= -1.0
    result = decided(no_exception(), table(signs))
    assert result.verdict is not Verdict.CONTRADICTED


def test_a_tilt_of_the_model_along_a_covariate_looks_like_an_exception_until_it_is_given() -> None:
    tilted = np.zeros((6, 8))
    tilted[2] = 2.0 * REFUSED
    bare = decided(no_exception(), table(tilted))
    given = decided(no_exception(focus={"post": "refused"}), table(tilted))
    assert bare.verdict is Verdict.CONTRADICTED
    assert given.verdict is not Verdict.CONTRADICTED
    low, high = limits(given)
    assert low <= 0.0 <= high


def test_an_exception_beyond_the_tilt_stays_one() -> None:
    raised = cell(4.0)
    raised[2] += 1.0 * REFUSED
    result = decided(no_exception(focus={"post": "refused"}), table(raised))
    assert result.slope.low is not None
    assert result.slope.low > 0.7


def test_a_covariate_that_nobody_observed_is_asked_for() -> None:
    result = decided(no_exception(focus={"post": "kindness"}), table(cell(3.0)))
    assert result.verdict is Verdict.UNTESTABLE
    assert "no factor 'kindness' of every behaviour" in [gate.value for gate in result.gates]


def test_a_cell_that_nobody_observed_is_named() -> None:
    rows = [r for r in table(cell(3.0)) if (r["model"], r["behaviour"]) != ("m2", "b3")]
    result = decided(no_exception(), rows)
    assert result.verdict is Verdict.UNTESTABLE
    assert "m2 on b3: no trials" in [gate.value for gate in result.gates if gate.code == "U1"]


def test_a_claim_that_names_no_cell_is_told_to() -> None:
    nameless = claim(test="exception", claimed=Within(0.7, 0.7), rival_effect=3.0)
    result = decided(nameless, table(cell(3.0)))
    assert result.verdict is Verdict.UNTESTABLE
    assert "[focus] model" in result.next_observation


@pytest.mark.parametrize(
    ("column", "last", "shut"),
    [("model", "m3", True), ("model", "m4", False), ("behaviour", "b4", True),
     ("behaviour", "b5", False)],
)  # fmt: skip
def test_usual_scatter_is_known_from_five_models_and_six_behaviours(
    column: str, last: str, shut: bool
) -> None:
    result = decided(no_exception(), [r for r in table(cell(3.0)) if r[column] <= last])
    assert ("U1" in closed(result)) is shut


def test_one_model_in_five_studies_is_one_model() -> None:
    rows = [{**r, "study": r["model"], "model": "m2"} for r in table(cell(3.0))]
    assert "U1" in closed(decided(no_exception(), rows))


def test_four_prompts_are_too_few() -> None:
    assert "U6" in closed(decided(no_exception(), table(cell(3.0), prompts=4)))


def difference(rows: Rows) -> TestResult:
    """Is there any difference between the model and the others on the behaviour?"""
    one = no_exception()
    [found] = ask(one, Material(NOTHING, select_rows(one, rows))).tests
    return found


def test_a_difference_is_read_off_the_prompts_that_both_were_given() -> None:
    """Six prompts, the model above the others on each: two signs among 64."""
    found = difference(table(cell(3.0)))
    assert found.p == pytest.approx(2 / 64)
    assert found.detail == "6 prompts given to it and to others"


def test_prompts_that_only_one_side_was_given_tell_of_no_difference() -> None:
    rows = table(cell(3.0))
    for row in rows:
        if row["model"] == "m2" and row["prompt"] <= "q1":
            row["prompt"] += " in other words"
    assert difference(rows).detail == "4 prompts given to it and to others"
    assert difference(rows).p == pytest.approx(2 / 16)


def test_no_shared_prompt_leaves_the_difference_untested() -> None:
    rows = table(cell(3.0))
    own = [{**r, "prompt": r["model"] + r["prompt"]} for r in rows]
    assert difference(own).p is None


def test_one_shared_prompt_tells_of_no_difference() -> None:
    rows = table(cell(3.0))
    own = [{**r, "prompt": r["model"] + r["prompt"]} if r["prompt"] > "q0" else r for r in rows]
    assert difference(own).p == 1.0


def test_unnamed_prompts_are_shared_by_nobody() -> None:
    assert difference([{**r, "prompt": None} for r in table(cell(3.0))]).p is None


def test_a_behaviour_that_no_other_model_was_given_makes_no_exception() -> None:
    lone = [observation(9, 20, model="m2", behaviour="lone", prompt=f"q{q}") for q in range(10)]
    result = decided(no_exception(focus={"behaviour": "lone"}), [*table(cell(0.0)), *lone])
    assert result.verdict is Verdict.UNTESTABLE
    assert result.slope.low is None


def test_equal_seeds_give_equal_results() -> None:
    assert decided(no_exception(), table(cell(1.0))) == decided(no_exception(), table(cell(1.0)))


def test_the_order_of_rows_changes_no_verdict() -> None:
    rows = table(cell(1.0))
    assert decided(no_exception(), rows[::-1]).slope == decided(no_exception(), rows).slope


def test_the_order_of_rows_changes_no_difference() -> None:
    rows = table(cell(0.2), prompts=20, draws=7)
    mixed = [difference(Random(seed).sample(rows, len(rows))) for seed in range(5)]
    assert mixed == [difference(rows)] * 5


def crossed(counts: list[list[int]], focus: tuple[int, int], tilt: Floats | None) -> CrossedStudy:
    """Two trials in each behaviour, a row, of each model."""
    rows = [
        observation(k, 2, behaviour=f"b{b}", model=f"m{m}")
        for b, row in enumerate(counts)
        for m, k in enumerate(row)
    ]
    evidence = cells_of(rows)
    assert evidence is not None
    _, groups = evidence.cells.groups
    focal = np.array([(b, m) == focus for b, m in groups.tolist()], float)
    return CrossedStudy.observed(evidence.cells, evidence.counts, PERFECT, focal, tilt)


def test_one_cell_above_an_even_table_is_the_whole_effect() -> None:
    even = [[1, 1, 1], [1, 2, 1], [1, 1, 1]]
    fit = crossed(even, (1, 1), None).fit()
    assert fit.estimate == pytest.approx(LN5)
    assert fit.spread == pytest.approx(0.0, abs=1e-12)


def test_rows_and_columns_of_a_table_are_no_effect() -> None:
    # in ln 5: row effects 0, 1 and column effects -1, 0; the corner is their sum
    fit = crossed([[0, 1, 1], [1, 2, 2], [1, 2, 2]], (1, 1), None).fit()
    assert fit.estimate == pytest.approx(0.0, abs=1e-9)


def test_what_a_cell_adds_is_the_difference_of_differences() -> None:
    # in ln 5: (1 - 0) - (0 - 0) = 1 from each of the other rows and columns
    fit = crossed([[1, 1], [1, 2]], (1, 1), None).fit()
    assert fit.estimate == pytest.approx(LN5)


def test_an_interaction_along_the_tilt_is_no_effect() -> None:
    # the second model rises along 0, 1, 2 by one ln 5 a step: its last cell is no surprise
    steps = np.array([0.0, 1.0, 2.0])
    counts = [[1, 0, 1], [1, 1, 1], [1, 2, 1]]
    assert crossed(counts, (2, 1), None).fit().estimate > 0.5
    given = crossed([*counts, [1, 1, 1]], (2, 1), np.append(steps, 1.0)).fit()
    assert given.estimate == pytest.approx(0.0, abs=1e-9)


def test_worlds_have_the_exception_they_were_given() -> None:
    evidence = cells_of(table(cell(1.0), draws=200))
    assert evidence is not None
    _, groups = evidence.cells.groups
    focal = np.array([(b, m) == (3, 2) for b, m in groups.tolist()], float)
    study = CrossedStudy.observed(evidence.cells, evidence.counts, PERFECT, focal)
    for effect in (-1.0, 0.0, 2.0):
        fits = study.worlds(effect, 0.0, 40, np.random.default_rng(1), exact=False)
        assert fits.estimate.mean() == pytest.approx(effect, abs=0.05)


def test_scatter_of_models_is_what_is_left_in_worlds() -> None:
    evidence = cells_of(table(cell(0.0), draws=200))
    assert evidence is not None
    _, groups = evidence.cells.groups
    focal = np.array([(b, m) == (3, 2) for b, m in groups.tolist()], float)
    study = CrossedStudy.observed(evidence.cells, evidence.counts, PERFECT, focal)
    fits = study.worlds(0.0, 0.5, 200, np.random.default_rng(2), exact=False)
    assert fits.spread.mean() == pytest.approx(0.25, rel=0.15)
