"""Promises about the sample that is read: known probabilities, its size, its floor, its order."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.labelling.sampling import (
    BANDS,
    FLOOR_LABELS,
    FLOOR_SHARE,
    Draw,
    Read,
    band_edges,
    bands_of,
    draw_sample,
    read_so_far,
)

Scores = npt.NDArray[np.float32]


def frame(seed: int, size: int, behaviours: int = 1) -> tuple[Scores, npt.NDArray[np.float64]]:
    """Scores without ties, and a permanent random number for each passage."""
    rng = np.random.default_rng(seed)
    return rng.random((size, behaviours)).astype(np.float32), rng.random(size)


frames = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 4))
"""Seed, passages, behaviours."""


@settings(deadline=None, max_examples=60)
@given(world=frames, n=st.integers(1, 600), target=st.none() | st.floats(1e-3, 1.0))
def test_every_passage_has_a_chance_and_none_more_than_one(
    world: tuple[int, int, int], n: int, target: float | None
) -> None:
    drawn = draw_sample(*frame(*world), n, target)
    assert (drawn.pi > 0).all() and (drawn.pi <= 1).all()


@settings(deadline=None, max_examples=60)
@given(world=frames, n=st.integers(8, 600))
def test_the_chances_add_up_to_the_labels_asked_for(world: tuple[int, int, int], n: int) -> None:
    """From eight labels on: fewer cannot keep even a rate of one within the floor's promise."""
    drawn = draw_sample(*frame(*world), n)
    assert drawn.pi.sum() == pytest.approx(min(n, world[1]), rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(world=frames, n=st.integers(1, 600), target=st.none() | st.floats(1e-3, 1.0))
def test_no_chance_lies_under_the_floor(
    world: tuple[int, int, int], n: int, target: float | None
) -> None:
    size = world[1]
    drawn = draw_sample(*frame(*world), n, target)
    assert drawn.pi.min() >= min(1.0, FLOOR_LABELS / (drawn.target * size))
    if target is not None:
        assert drawn.target == target


@settings(deadline=None, max_examples=60)
@given(
    world=frames, n=st.integers(1, 300), more=st.integers(0, 300), target=st.none() | st.just(0.5)
)
def test_a_larger_sample_holds_the_smaller_one(
    world: tuple[int, int, int], n: int, more: int, target: float | None
) -> None:
    scores, uniform = frame(*world)
    small = draw_sample(scores, uniform, n, target)
    large = draw_sample(scores, uniform, n + more, target)
    assert (large.pi >= small.pi * (1 - 1e-9)).all()
    surely = small.draw < 1 - 1e-9
    assert set(np.flatnonzero(surely)) <= set(large.chosen)


@settings(deadline=None, max_examples=60)
@given(world=frames, n=st.integers(1, 300))
def test_a_higher_band_is_read_at_least_as_much(world: tuple[int, int, int], n: int) -> None:
    drawn = draw_sample(*frame(*world), n)
    order = np.argsort(drawn.band, kind="stable")
    assert (np.diff(drawn.pi[order]) >= -1e-12).all()


def test_the_highest_scores_are_read_many_times_as_much_as_the_lowest() -> None:
    drawn = draw_sample(*frame(1, 50_000), 2000)
    low, high = drawn.pi[drawn.band == 0], drawn.pi[drawn.band == len(BANDS) - 1]
    assert high.min() > 10 * low.max()
    assert low.min() >= FLOOR_SHARE * 2000 / 50_000


def test_the_floor_alone_is_drawn_where_the_target_needs_more_than_the_labels() -> None:
    drawn = draw_sample(*frame(2, 10_000), 100, target=0.01)
    assert drawn.pi == pytest.approx(np.full(10_000, FLOOR_LABELS / 0.01 / 10_000))


def test_a_band_found_richer_than_expected_is_read_more() -> None:
    scores, uniform = frame(3, 20_000)
    positives, labels = np.zeros((len(BANDS), 1)), np.full((len(BANDS), 1), 100.0)
    positives[3] = 40.0
    before = draw_sample(scores, uniform, 1000)
    after = draw_sample(scores, uniform, 1000, read=Read(positives, labels))
    third = before.band == 3
    assert after.pi[third].min() > before.pi[third].max()
    assert after.pi.sum() == pytest.approx(1000)


def test_a_passage_is_read_for_the_behaviour_that_wants_it_most() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.random((2, 10_000)).astype(np.float32)
    alone = draw_sample(one[:, None], rng.random(10_000), 1000)
    both = draw_sample(np.stack([one, other], axis=1), rng.random(10_000), 1000)
    top = np.argsort(other)[-5:]
    assert (both.band[top] == len(BANDS) - 1).all()
    assert both.pi[top].min() > both.pi[both.band == 0].max()
    assert (both.band >= alone.band).all()


def own_bands(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Bands by the scores' own quantiles."""
    return bands_of(scores, band_edges(scores))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 300))
def test_order_of_scores_is_all_that_bands_depend_on(seed: int, size: int) -> None:
    scores, _ = frame(seed, size)
    band = own_bands(scores)[:, 0]
    assert (np.diff(band[np.argsort(scores[:, 0], kind="stable")]) >= 0).all()
    assert (band == own_bands(scores * 2 + 1)[:, 0]).all() or size < 3


def test_equal_scores_share_a_band() -> None:
    assert set(own_bands(np.zeros((100, 1), np.float32)).ravel()) == {0}


def test_passages_are_read_in_the_order_of_their_draw() -> None:
    drawn = draw_sample(*frame(5, 5000), 300)
    assert (np.diff(drawn.draw[drawn.chosen]) >= 0).all()
    assert set(drawn.chosen) == set(np.flatnonzero(drawn.draw < 1))


def order(*draws: float) -> npt.NDArray[np.float64]:
    return np.array(draws)


def test_a_sample_read_to_the_end_keeps_its_chances() -> None:
    assert read_so_far(order(0.1, 0.4, 0.9), np.array([True, True, True])) == 1.0


def test_reading_that_stopped_shrinks_the_chances_to_where_it_stopped() -> None:
    assert read_so_far(order(0.1, 0.4, 0.9), np.array([True, False, False])) == 0.4


def test_a_passage_read_out_of_turn_does_not_count() -> None:
    assert read_so_far(order(0.1, 0.4, 0.9), np.array([True, False, True])) == 0.4


def test_chances_shrunk_to_where_reading_stopped_draw_exactly_what_was_read() -> None:
    scores, uniform = frame(6, 4000)
    drawn: Draw = draw_sample(scores, uniform, 300)
    chosen = drawn.chosen
    answered = np.arange(len(chosen)) < 120
    factor = read_so_far(drawn.draw[chosen], answered)
    again = np.flatnonzero(uniform / drawn.pi < factor)
    assert set(again) == set(chosen[:120])
