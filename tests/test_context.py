"""Promises about matching text: rates rise with it within behaviours, whatever their levels.

Eight behaviours under two conditions, each with its own text; or under three models, each with its
own cutoff. Ten prompts, a perfect judge.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from auditor.claims.evidence import Frequency, Measured
from auditor.claims.spec import Claim, RivalSpec
from auditor.records import BehaviourKind, ClaimResult, Verdict
from auditor.statistics.claimed import AtLeast, Within
from tests.claims import Rows, claim, closed, decided, observation

Floats = npt.NDArray[np.float64]

CONTEXTS = {"*chat*": "mode=first_person", "agent*": "mode=fiction"}
CUTOFFS = {"old": "2019", "middle": "2021", "new": "2023"}

LEVELS = np.array([-1.5, -0.8, 0.9, 0.2, 1.4, -0.3, 0.6, -1.1])
"""What each behaviour does on its own, in logits."""

CHAT = np.array([0.0, 2.0, 1.0, 3.0, -1.0, 0.5, -2.0, 1.5])
AGENT = np.array([1.5, -0.5, 2.0, 0.0, 1.0, -1.0, 0.5, 3.0])
"""Log rate of each behaviour in the text that goes with a condition."""

BEFORE = np.array(
    [[0.0, 0.0, 2.0], [0.0, 3.0, 4.0], [1.0, 1.0, 1.0], [2.0, 2.5, 3.0],
     [0.0, 0.0, 4.0], [3.0, 3.0, 3.5], [0.0, 1.0, 1.5], [2.0, 4.0, 4.0]]
)  # fmt: skip
"""Log rate of each behaviour before each cutoff."""


def corpus(texts: dict[str, Floats]) -> Measured:
    """Behaviours that are all measured, and their log rates in each text."""
    names = [f"b{i}" for i in range(len(LEVELS))]
    kind = BehaviourKind.BEHAVIOUR
    frequencies = {n: Frequency(n, kind, 9.0, 8.0, 10.0, 0.1, "exact", 900, 90, "c") for n in names}
    logs = {
        text: {name: (one, 0.0) for name, one in zip(names, x.tolist(), strict=True)}
        for text, x in texts.items()
    }
    return Measured(frequencies, {name: (0.0, 0.1) for name in names}, contexts=logs)


TEXTS = corpus({"mode=first_person": CHAT, "mode=fiction": AGENT})
DATES = corpus({year: BEFORE[:, i] for i, year in enumerate(CUTOFFS.values())})


def follows(setting: str = "contexts", **changes: Any) -> Claim:  # noqa: ANN401
    """A claim that rates rise with matching text by 0.3 a log unit."""
    texts = changes.pop(setting, CONTEXTS if setting == "contexts" else CUTOFFS)
    held = (RivalSpec("R-CAP", "", held="one model under both conditions"),)
    given = {"test": "context", "claimed": AtLeast(0.3), "rivals": held, **changes}
    return claim(settings={setting: texts}, **given)


def rows(eta: Floats, arms: list[dict[str, str]], prompts: int = 10, draws: int = 20) -> Rows:
    """Draws of behaviours, a row of `eta`, under arms, a column."""
    rng = np.random.default_rng(5)
    return [
        observation(
            int(rng.binomial(draws, expit(eta[b, a]))), draws,
            behaviour=f"b{b}", prompt=f"q{q}", **arm,
        )
        for b in range(len(eta))
        for a, arm in enumerate(arms)
        for q in range(prompts)
    ]  # fmt: skip


CONDITIONS = [{"condition": "long chat"}, {"condition": "agent-1"}]


def under_conditions(slope: float, levels: Floats = LEVELS, **size: int) -> Rows:
    """Rates that follow the text of their condition."""
    text = np.stack([CHAT, AGENT], axis=1)
    return rows(levels[:, None] + slope * text + np.array([0.0, 0.7]), CONDITIONS, **size)


def by_models(slope: float) -> Rows:
    """Rates that follow the text from before the cutoff of their model."""
    arms = [{"model": name} for name in CUTOFFS]
    return rows(LEVELS[:, None] + slope * BEFORE + np.array([-1.0, 0.0, 0.5]), arms)


def limits(result: ClaimResult) -> tuple[float, float]:
    assert result.slope.low is not None
    assert result.slope.high is not None
    return result.slope.low, result.slope.high


@pytest.mark.parametrize("slope", [0.0, 0.4, 0.8])
def test_the_slope_within_behaviours_lies_in_its_interval(slope: float) -> None:
    low, high = limits(decided(follows(), under_conditions(slope), TEXTS))
    assert low <= slope <= high


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_the_slope_over_cutoffs_lies_in_its_interval(slope: float) -> None:
    low, high = limits(decided(follows("cutoffs"), by_models(slope), DATES))
    assert low <= slope <= high


def test_rates_that_follow_the_text_of_their_condition_support_the_claim() -> None:
    result = decided(follows(), under_conditions(0.8), TEXTS)
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED


def test_rates_that_do_not_move_with_the_text_contradict_it() -> None:
    result = decided(follows(), under_conditions(0.0), TEXTS)
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_rates_that_move_against_the_text_contradict_that_they_stand_still() -> None:
    still = follows(claimed=Within(0.1, 0.3), rival_effect=0.5)
    assert decided(still, under_conditions(-0.6), TEXTS).verdict is Verdict.CONTRADICTED


def test_what_a_behaviour_does_on_its_own_does_not_matter() -> None:
    """Levels that follow the mean of both texts would carry a slope over behaviours."""
    tempting = -(CHAT + AGENT)
    low, high = limits(decided(follows(), under_conditions(0.0, tempting), TEXTS))
    assert low <= 0.0 <= high
    assert high < 0.4


def test_what_a_condition_does_to_all_behaviours_alike_does_not_matter() -> None:
    raised = [
        {**r, "k": min(20, r["k"] + 5)} if r["condition"] == "agent-1" else r
        for r in under_conditions(0.0)
    ]
    low, high = limits(decided(follows(), raised, TEXTS))
    assert low <= 0.0 <= high


def test_a_newer_model_that_does_everything_more_shows_no_slope() -> None:
    low, high = limits(decided(follows("cutoffs"), by_models(0.0), DATES))
    assert low <= 0.0 <= high


def test_text_that_holds_all_behaviours_in_the_same_proportions_tells_nothing() -> None:
    alike = corpus({"mode=first_person": CHAT, "mode=fiction": CHAT + 2.0})
    result = decided(follows(), under_conditions(0.8), alike)
    assert result.verdict is Verdict.UNTESTABLE
    assert "same proportions" in " ".join(gate.value for gate in result.gates)


@pytest.mark.parametrize("contexts", [{}, {"*": "mode=fiction"}, {"a": "x=y", "b": "x=y"}])
def test_one_text_alone_is_no_context(contexts: dict[str, str]) -> None:
    result = decided(follows(contexts=contexts), under_conditions(0.8), TEXTS)
    assert result.verdict is Verdict.UNTESTABLE
    assert "[contexts]" in result.next_observation


def test_a_condition_that_goes_with_no_text_is_left_out() -> None:
    other = rows(np.zeros((8, 1)), [{"condition": "tool"}])
    bare = decided(follows(), under_conditions(0.4), TEXTS)
    more = decided(follows(), [*under_conditions(0.4), *other], TEXTS)
    assert (more.slope, more.units) == (bare.slope, bare.units)


def test_the_first_pattern_that_fits_a_condition_is_its_text() -> None:
    named = {"long chat": "mode=first_person", "*": "mode=fiction"}
    result = decided(follows(contexts=named), under_conditions(0.4), TEXTS)
    assert result.slope == decided(follows(), under_conditions(0.4), TEXTS).slope


def test_behaviours_that_were_not_measured_in_every_text_are_left_out() -> None:
    partial = corpus({"mode=first_person": CHAT, "mode=fiction": AGENT})
    contexts = {text: dict(logs) for text, logs in partial.contexts.items()}
    del contexts["mode=fiction"]["b0"]
    seen = Measured(partial.frequencies, partial.predictor, contexts=contexts)
    assert decided(follows(), under_conditions(0.4), seen).units["behaviours"] == 7


def test_placebos_and_positive_controls_are_no_behaviours_of_the_claim() -> None:
    first = TEXTS.frequencies["b0"]
    placebo = replace(first, behaviour="tea", kind=BehaviourKind.PLACEBO)
    logs = {text: {**known, "tea": (1.0, 0.0)} for text, known in TEXTS.contexts.items()}
    seen = Measured({**TEXTS.frequencies, "tea": placebo}, TEXTS.predictor, contexts=logs)
    drunk = [{**r, "behaviour": "tea", "k": 0} for r in under_conditions(0.4)[:20]]
    result = decided(follows(), [*under_conditions(0.4), *drunk], seen)
    assert result.units["behaviours"] == 8


@pytest.mark.parametrize(("behaviours", "shut"), [(4, True), (5, False)])
def test_four_behaviours_are_too_few(behaviours: int, shut: bool) -> None:
    some = [r for r in under_conditions(0.8) if r["behaviour"] < f"b{behaviours}"]
    assert ("U1" in closed(decided(follows(), some, TEXTS))) is shut


def test_four_prompts_are_too_few() -> None:
    assert "U6" in closed(decided(follows(), under_conditions(0.8, prompts=4), TEXTS))


def test_the_order_of_rows_changes_nothing() -> None:
    seen = under_conditions(0.4)
    assert decided(follows(), seen[::-1], TEXTS) == decided(follows(), seen, TEXTS)


def test_equal_seeds_give_equal_results() -> None:
    first, second = (decided(follows(), under_conditions(0.4), TEXTS) for _ in range(2))
    assert first == second
