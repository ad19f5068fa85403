"""Promises about the model of the data: effects by hand, and worlds that are what they claim."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.claims.model import Cells, estimated_scatter, shrunken, simulate
from auditor.claims.slope import SlopeStudy
from auditor.claims.spec import Scatter
from auditor.statistics.judge import PERFECT, Judge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP = np.log(5.0)
"""With two trials the empirical logits of 0, 1 and 2 are -ln 5, 0 and ln 5."""

STILL = Scatter(0.0, 0.0, 0.0)
LOOSE = Scatter(0.7, 0.3, 0.5)
X = np.linspace(-2.0, 2.0, 9)


def layout(x: Floats, arms: int, prompts: int, trials: int) -> Cells:
    """A full design: every behaviour under every arm with its own prompts."""
    behaviour, arm, prompt = (i.ravel() for i in np.indices((len(x), arms, prompts)))
    return Cells(
        behaviour=behaviour,
        arm=arm,
        model=arm,
        prompt=behaviour * prompts + prompt,
        trials=np.full(behaviour.shape, trials, np.int64),
        x=x,
        x_se=np.zeros(len(x)),
    )


def pairs(behaviour: list[int], arm: list[int], behaviours: int) -> Cells:
    """Two trials in each named behaviour and arm."""
    return Cells(
        behaviour=np.array(behaviour),
        arm=np.array(arm),
        model=np.array(arm),
        prompt=np.array(behaviour),
        trials=np.full(len(arm), 2, np.int64),
        x=np.arange(behaviours, dtype=float),
        x_se=np.zeros(behaviours),
    )


def worlds(
    cells: Cells,
    slope: float,
    scatter: Scatter,
    judge: Judge,
    rates: Floats,
    number: int,
    seed: int,
) -> Ints:
    """Counts of worlds whose behaviours rise with `cells.x`; (worlds, cells)."""
    _, groups = cells.groups
    linear = np.broadcast_to(slope * cells.x[groups[:, 0]], (number, len(groups)))
    return simulate(cells, linear, scatter, judge, rates, np.random.default_rng(seed))


def slopes(cells: Cells, counts: Ints) -> Floats:
    """Least-squares slope of the behaviours' effects in each world."""
    study = SlopeStudy(cells, PERFECT, STILL, np.array([]))
    return study.fit_effects(cells.behaviour_effects(counts)).estimate


def table(rows: list[list[int]]) -> Floats:
    """Effects of behaviours, in units of ln 5, from counts of two: a row a behaviour."""
    cells = layout(np.arange(len(rows), dtype=float), len(rows[0]), 1, 2)
    effects: Floats = cells.behaviour_effects(np.array(rows).ravel()) / STEP
    return effects


def test_effects_of_a_balanced_layout_are_row_means_less_the_grand_mean() -> None:
    # logits in ln 5: (-1, 0), (0, 1), (0, -1); row means -1/2, 1/2, -1/2; grand mean -1/6
    assert table([[0, 1], [1, 2], [1, 0]]) == pytest.approx([-1 / 3, 2 / 3, -1 / 3])


def test_a_model_that_does_everything_more_changes_no_effect() -> None:
    alone = table([[0, 0], [0, 0], [1, 1]])
    shifted = table([[0, 1], [0, 1], [1, 2]])
    assert shifted == pytest.approx(alone)
    assert shifted == pytest.approx([-1 / 3, -1 / 3, 2 / 3])


def test_a_behaviour_tried_on_one_model_alone_is_not_credited_with_that_model() -> None:
    # arm 1 lies one step above arm 0 everywhere; behaviour 2 was tried in arm 1 alone
    cells = pairs([0, 0, 1, 1, 2], [0, 1, 0, 1, 1], behaviours=3)
    effects = cells.behaviour_effects(np.array([0, 1, 0, 1, 2])) / STEP
    assert effects == pytest.approx([-1 / 3, -1 / 3, 2 / 3])


def test_prompts_of_one_behaviour_and_arm_are_pooled_before_the_logit() -> None:
    cells = layout(np.arange(2.0), 1, 2, 1)
    assert cells.behaviour_effects(np.array([0, 0, 1, 1])) / STEP == pytest.approx([-1, 1])


@given(st.lists(st.integers(0, 20), min_size=24, max_size=24), st.randoms(use_true_random=False))
def test_effects_sum_to_zero_and_do_not_depend_on_the_order_of_rows(
    counts: list[int], random: object
) -> None:
    cells, k = layout(np.arange(4.0), 3, 2, 20), np.array(counts)
    order = np.array(sorted(range(24), key=lambda _: random.random()))  # type: ignore[attr-defined]
    mixed = Cells(
        cells.behaviour[order], cells.arm[order], cells.model[order], cells.prompt[order],
        cells.trials[order], cells.x, cells.x_se,
    )  # fmt: skip
    effects = cells.behaviour_effects(k)
    assert effects.sum() == pytest.approx(0.0, abs=1e-9)
    assert mixed.behaviour_effects(k[order]) == pytest.approx(effects, abs=1e-9)


def test_arm_rates_weigh_behaviours_equally_however_often_they_were_tried() -> None:
    cells = Cells(
        behaviour=np.array([0, 1]),
        arm=np.array([0, 0]),
        model=np.array([0, 0]),
        prompt=np.array([0, 1]),
        trials=np.array([10, 1000]),
        x=np.arange(2.0),
        x_se=np.zeros(2),
    )
    assert cells.arm_rates(np.array([5, 100])) == pytest.approx([0.3])  # (0.5 + 0.1) / 2


def fitted(
    x: list[float], effects: list[float], given: Floats | None = None
) -> tuple[float, float]:
    """Slope of the effects on x, and the variance left around it."""
    cells = layout(np.array(x), 1, 1, 1)
    study = SlopeStudy(cells, PERFECT, STILL, np.array([0.5]), given=given)
    fit = study.fit_effects(np.array(effects))
    return float(fit.estimate), float(fit.spread)


def test_a_slope_and_its_residual_variance_by_hand() -> None:
    # residuals -.1 .3 -.3 .1 over two degrees of freedom
    assert fitted([0, 1, 2, 3], [0, 1, 1, 2]) == pytest.approx((0.6, 0.1))


def test_a_slope_with_another_predictor_held_fixed_by_hand() -> None:
    # effects are x + 10 z; z alone separates the last two
    z = np.array([[0.0], [0.0], [0.0], [1.0], [1.0]])
    assert fitted([0, 1, 2, 2, 3], [0, 1, 2, 12, 13], z) == pytest.approx((1.0, 0.0), abs=1e-9)


def test_a_predictor_held_fixed_takes_a_degree_of_freedom() -> None:
    # around either mean: x -.5 .5, effects (0, 1) and (0, 2): slope 1.5, residuals .25 four times
    z = np.array([[0.0], [0.0], [1.0], [1.0]])
    assert fitted([0, 1, 0, 1], [0, 1, 0, 2], z) == pytest.approx((1.5, 4 * 0.25**2 / 1))


def test_the_slope_is_measured_in_its_own_standard_errors() -> None:
    # variance left 0.1, sum of squares of x 5: standard error sqrt(0.02)
    study = SlopeStudy(layout(np.arange(4.0), 1, 1, 1), PERFECT, STILL, np.array([0.5]))
    fit = study.fit_effects(np.array([0.0, 1.0, 1.0, 2.0]))
    assert study.statistic(fit, 0.2) == pytest.approx(0.4 / np.sqrt(0.02))


@pytest.mark.parametrize("beta", [-0.5, 0.0, 0.5, 1.0])
def test_many_trials_without_scatter_give_the_planted_slope_back(beta: float) -> None:
    cells = layout(X, 2, 1, 200_000)
    counts = worlds(cells, beta, STILL, PERFECT, np.array([0.4, 0.5]), 20, seed=1)
    assert slopes(cells, counts) == pytest.approx(np.full(20, beta), abs=0.02)


@pytest.mark.parametrize(
    ("beta", "scatter", "judge"),
    [
        (0.0, STILL, PERFECT),
        (1.0, STILL, Judge(0.9, 0.95)),
        (1.0, LOOSE, PERFECT),
        (0.3, Scatter(1.5, 0.5, 1.0), Judge(0.9, 0.97)),
    ],
)
def test_simulated_arms_show_the_rates_they_were_given(
    beta: float, scatter: Scatter, judge: Judge
) -> None:
    cells, rates = layout(X, 3, 5, 20), np.array([0.08, 0.2, 0.5])
    counts = worlds(cells, beta, scatter, judge, rates, 600, seed=2)
    shown = np.array([cells.arm_rates(k) for k in counts])
    error = shown.std(axis=0, ddof=1) / np.sqrt(len(shown))
    # half a point more: the curve averaged over scatter is an approximation (MARGINAL)
    assert np.all(np.abs(shown.mean(axis=0) - rates) <= 4 * error + 0.005)


def test_a_judge_that_errs_puts_a_floor_and_a_ceiling_on_rates() -> None:
    cells = layout(X, 2, 5, 200)
    counts = worlds(cells, 0.0, STILL, Judge(0.8, 0.9), np.array([0.0, 1.0]), 50, seed=3)
    shown = np.mean([cells.arm_rates(k) for k in counts], axis=0)
    assert shown == pytest.approx([0.1, 0.8], abs=0.005)


def test_a_judge_that_errs_flattens_the_slope() -> None:
    cells, rates = layout(X, 1, 5, 2000), np.array([0.4])
    sharp, blurred = (
        slopes(cells, worlds(cells, 1.0, STILL, judge, rates, 50, seed=4)).mean()
        for judge in (PERFECT, Judge(0.85, 0.85))
    )
    assert blurred < 0.75 * sharp


def test_scatter_between_behaviours_is_what_is_left_around_the_line() -> None:
    cells = layout(X, 1, 1, 20_000)
    counts = worlds(cells, 0.0, Scatter(0.6, 0.0, 0.0), PERFECT, np.array([0.5]), 600, seed=5)
    study = SlopeStudy(cells, PERFECT, STILL, np.array([0.5]))
    fits = study.fit_effects(cells.behaviour_effects(counts))
    assert fits.spread.mean() == pytest.approx(0.36, rel=0.1)


@pytest.mark.parametrize(("model", "prompt"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.6), (0.5, 0.8)])
def test_scatter_between_models_and_between_prompts_is_found_again(
    model: float, prompt: float
) -> None:
    cells, rates = layout(X, 4, 10, 30), np.array([0.3, 0.4, 0.5, 0.6])
    drawn = worlds(cells, 0.3, Scatter(0.0, model, prompt), PERFECT, rates, 40, seed=9)
    found = np.mean([estimated_scatter(cells, counts) for counts in drawn], axis=0)
    assert found == pytest.approx([model, prompt], abs=0.12)


def test_one_prompt_a_cell_shows_no_scatter_of_prompts() -> None:
    cells = layout(X, 3, 1, 30)
    counts = np.random.default_rng(10).binomial(30, 0.4, size=len(cells.trials))
    assert estimated_scatter(cells, counts)[1] == 0.0


def test_one_model_shows_no_scatter_of_models() -> None:
    cells = layout(X, 1, 10, 30)
    drawn = worlds(cells, 1.0, Scatter(0.5, 0.5, 0.5), PERFECT, np.array([0.4]), 1, seed=11)
    assert estimated_scatter(cells, drawn[0])[0] == 0.0


def test_frequencies_measured_without_error_are_drawn_as_they_are() -> None:
    draws = shrunken(X, np.zeros(len(X)), 5, np.random.default_rng(6))
    assert draws == pytest.approx(np.tile(X, (5, 1)))


def test_uncertain_frequencies_are_drawn_nearer_their_mean() -> None:
    # variance of x is 4, of error 1: prior variance 3, weight 3/4, standard deviation sqrt(3/4)
    x = np.array([8.0, 10.0, 12.0])
    draws = shrunken(x, np.ones(3), 40_000, np.random.default_rng(7))
    assert draws.mean(axis=0) == pytest.approx([8.5, 10.0, 11.5], abs=0.02)
    assert draws.std(axis=0) == pytest.approx(np.full(3, np.sqrt(0.75)), abs=0.02)


def test_the_less_certain_of_two_frequencies_is_drawn_the_more() -> None:
    x, se = np.array([0.0, 3.0, 6.0]), np.array([0.1, 0.5, 1.5])
    means = shrunken(x, se, 40_000, np.random.default_rng(8)).mean(axis=0)
    assert 6.0 - means[2] > means[0] - 0.0 > 0.0
