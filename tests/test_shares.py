"""Promises about framing shares: hand-checkable divisions, and what positives are worth."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from statsmodels.stats.proportion import multinomial_proportions_confint

from auditor.prevalence.estimators import Sample
from auditor.prevalence.shares import effective_size, framing_shares
from auditor.records import Interval

STANCES = ("endorse", "neutral", "condemn")


def sample(
    stance: Sequence[str | None],
    pi: list[float] | None = None,
    document: list[int] | None = None,
) -> Sample:
    """Positives of one behaviour; each its own document, drawn for sure, unless said."""
    n = len(stance)
    return Sample(
        behaviour="coercion",
        corpus="c",
        label_set="s",
        reader_kind="human",
        document=np.array(document or range(n), np.uint64),
        pi=np.array(pi or [1.0] * n),
        multiplicity=np.ones(n),
        present=np.ones(n, bool),
        facets={"stance": np.array(stance, object)},
    )


def shares(read: Sample) -> dict[str, Interval]:
    return framing_shares(read, "stance", STANCES)


def width(interval: Interval) -> float:
    assert interval.low is not None and interval.high is not None
    return interval.high - interval.low


def test_three_of_four_condemn() -> None:
    found = shares(sample(["condemn", "condemn", "condemn", "endorse"]))
    assert {k: v.estimate for k, v in found.items()} == {
        "endorse": 0.25,
        "neutral": 0.0,
        "condemn": 0.75,
    }


def test_a_positive_drawn_one_in_three_counts_for_three() -> None:
    found = shares(sample(["condemn", "endorse"], pi=[1 / 3, 1.0]))
    assert found["condemn"].estimate == pytest.approx(0.75)


def test_nothing_coded_has_no_shares() -> None:
    assert shares(sample([])) == {}
    assert shares(sample([None, None])) == {}


def test_a_positive_nobody_coded_counts_for_no_value() -> None:
    found = shares(sample(["condemn", None, "endorse"]))
    assert found["condemn"].estimate == pytest.approx(0.5)


def test_single_positives_of_equal_weight_give_goodmans_limits() -> None:
    counts = [12, 5, 3]
    read = [stance for stance, n in zip(STANCES, counts, strict=True) for _ in range(n)]
    expected = multinomial_proportions_confint(counts, alpha=0.05, method="goodman")
    found = shares(sample(read))
    assert [(v.low, v.high) for v in found.values()] == [
        pytest.approx(tuple(limits)) for limits in expected
    ]


def test_the_same_positives_in_few_documents_say_less() -> None:
    read = ["condemn", "condemn", "endorse", "endorse"] * 6
    apart = shares(sample(read))
    together = shares(sample(read, document=[i // 2 for i in range(24)]))
    assert width(together["condemn"]) > 1.2 * width(apart["condemn"])


def test_unequal_weights_say_less() -> None:
    read = ["condemn", "endorse"] * 12
    equal, unequal = sample(read), sample(read, pi=[1.0] * 20 + [0.05] * 4)
    assert width(shares(unequal)["condemn"]) > 1.5 * width(shares(equal)["condemn"])


def test_all_alike_in_four_documents_are_worth_fewer_than_four_positives() -> None:
    document = np.repeat(np.arange(4), 5).astype(np.uint64)
    found = np.stack([np.ones(20), np.zeros(20)])
    size = effective_size(document, np.ones(20), found, np.array([1.0, 0.0]))
    assert 1.0 <= size < 4.0


positives = st.lists(
    st.tuples(st.sampled_from(STANCES), st.floats(0.05, 1.0), st.integers(1, 5)),
    min_size=1,
    max_size=30,
)


@given(read=positives)
@example(read=[("condemn", 0.5, 1), ("condemn", 0.08501826746901245, 2)])
def test_shares_add_up_to_one_and_lie_in_their_limits(read: list[tuple[str, float, int]]) -> None:
    stance, pi, document = map(list, zip(*read, strict=True))
    found = shares(sample(stance, pi, document))
    total = 0.0
    for interval in found.values():
        assert interval.estimate is not None
        assert interval.low is not None and interval.high is not None
        assert 0.0 <= interval.low <= interval.estimate + 1e-9
        assert interval.estimate - 1e-9 <= interval.high <= 1.0
        total += interval.estimate
    assert total == pytest.approx(1.0)


@given(read=positives, factor=st.floats(0.1, 1.0))
@example(
    read=[("endorse", 1.0, 2), ("endorse", 0.75, 3), ("endorse", 0.5625, 1), ("endorse", 1.0, 2)],
    factor=0.109375,
)
def test_weights_matter_only_beside_each_other(
    read: list[tuple[str, float, int]], factor: float
) -> None:
    stance, pi, document = map(list, zip(*read, strict=True))
    one = shares(sample(stance, pi, document))
    other = shares(sample(stance, [p * factor for p in pi], document))
    for value, interval in one.items():
        assert other[value].estimate == pytest.approx(interval.estimate)
        assert other[value].high == pytest.approx(interval.high, rel=1e-6)


@given(read=positives)
def test_positives_are_never_worth_more_than_they_are(read: list[tuple[str, float, int]]) -> None:
    stance, pi, document = map(list, zip(*read, strict=True))
    weight = 1 / np.array(pi)
    found = np.array([[s == value for s in stance] for value in STANCES], float)
    portions = found @ weight / weight.sum()
    size = effective_size(np.array(document, np.uint64), weight, found, portions)
    assert 1.0 <= size <= len(read) * (1 + 1e-9)
