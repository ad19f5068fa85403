"""What agreement and sensitivity say, against hand, sklearn and scipy."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import cohen_kappa_score

from auditor.behaviours.spec import choose, read_library
from auditor.labelling.agreement import (
    Agreement,
    agree,
    disagreements,
    sensitivity,
)
from auditor.labelling.codebook import Codebook, Judgement, passage_codebook
from auditor.records import Interval
from auditor.statistics.intervals import clopper_pearson

BOOK = passage_codebook(choose(read_library(), ("deception", "coercion")))
ONE = Codebook(BOOK.behaviours[:1], {"stance": ("endorse", "neutral", "condemn")})
WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def judged(*answers: Sequence[str] | None) -> dict[str, Judgement]:
    """Answers in order; a word is a behaviour, or deception with a stance."""
    return {
        f"p{n}": Judgement(
            f"p{n}", None if a is None else tuple(map(label, a)), "r", "human", "session", WHEN
        )
        for n, a in enumerate(answers)
    }


def label(word: str) -> dict[str, str | None]:
    stances = ONE.facets["stance"]
    return {"id": "deception", "stance": word} if word in stances else {"id": word}


def compare(
    first: dict[str, Judgement], second: dict[str, Judgement], codebook: Codebook = BOOK
) -> Agreement:
    documents = {key: number // 2 for number, key in enumerate(first)}
    return agree(first, second, codebook, documents, np.random.default_rng(0))


def test_kappa_is_what_a_hand_computes() -> None:
    # 20 both, 5 and 10 alone, 15 neither: observed .7, expected .5·.6 + .5·.4 = .5
    yes, no = ["deception"], list[str]()
    first = judged(*[yes] * 25, *[no] * 25)
    second = judged(*[yes] * 20, *[no] * 5, *[yes] * 10, *[no] * 15)
    row = compare(first, second).behaviours[0]
    assert (row.both, row.only_first, row.only_second, row.neither) == (20, 5, 10, 15)
    assert (row.items, row.one) == (50, 15)
    assert row.kappa.estimate == pytest.approx(0.4)
    assert row.kappa.low is not None and row.kappa.high is not None
    assert 0 < row.kappa.low < 0.4 < row.kappa.high < 0.8
    assert row.positive == pytest.approx(40 / 55)
    assert row.negative == pytest.approx(30 / 45)


MARKS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40)


@given(MARKS)
@settings(max_examples=25, deadline=None)
def test_kappa_is_what_sklearn_computes(marks: list[tuple[bool, bool]]) -> None:
    a, b = zip(*marks, strict=True)
    assume(len({*a, *b}) == 2)
    first, second = (judged(*(["deception"] if mark else [] for mark in side)) for side in (a, b))
    row = compare(first, second, ONE).behaviours[0]
    assert row.kappa.estimate == pytest.approx(cohen_kappa_score(a, b))


@given(st.lists(st.booleans(), min_size=2, max_size=40))
@settings(max_examples=25, deadline=None)
def test_a_reader_agrees_with_itself(marks: list[bool]) -> None:
    assume(len(set(marks)) == 2)
    same = judged(*(["deception"] if mark else [] for mark in marks))
    row = compare(same, same, ONE).behaviours[0]
    assert row.kappa.estimate == pytest.approx(1)
    assert (row.positive, row.negative, row.one) == (1, 1, 0)


def test_a_behaviour_nobody_saw_has_no_kappa_and_no_positive_agreement() -> None:
    row = compare(judged([], []), judged([], [])).behaviours[0]
    assert (row.kappa.estimate, row.kappa.low, row.positive) == (None, None, None)
    assert (row.neither, row.negative) == (2, 1)


def test_too_few_positives_give_a_kappa_without_limits() -> None:
    nothing = [list[str]()] * 40
    kappa = compare(judged(["deception"], *nothing), judged(["deception"], *nothing)).behaviours[0]
    assert (kappa.kappa.estimate, kappa.kappa.low, kappa.kappa.high) == (1, None, None)


def test_passages_of_one_document_are_not_independent() -> None:
    yes, no = ["deception"], list[str]()
    first = judged(*[yes] * 20, *[no] * 20, *[yes] * 20, *[no] * 20)
    second = judged(*[yes] * 20, *[no] * 20, *[no] * 20, *[no] * 20)
    whole = {key: number // 10 for number, key in enumerate(first)}
    alone = {key: number for number, key in enumerate(first)}
    widths = []
    for documents in (whole, alone):
        result = agree(first, second, ONE, documents, np.random.default_rng(0))
        kappa = result.behaviours[0].kappa
        assert kappa.low is not None and kappa.high is not None
        widths.append(kappa.high - kappa.low)
    assert widths[0] > 2 * widths[1]


def test_an_item_one_reader_left_out_does_not_count() -> None:
    result = compare(judged([], None, ["deception"], []), judged([], [], None))
    assert result.items == 1
    assert compare(judged(None), judged([])).items == 0


def test_a_facet_is_compared_where_both_saw_the_behaviour_and_coded_it() -> None:
    first = judged(["condemn"], ["neutral"], ["endorse"], [], ["deception"])
    second = judged(["condemn"], ["condemn"], [], ["endorse"], ["condemn"])
    [stance] = compare(first, second, ONE).facets
    assert (stance.facet, stance.labels, stance.agreed) == ("stance", 2, 1)
    assert stance.kappa.estimate == 0


def test_a_disagreement_names_the_behaviours_and_facets_that_differ() -> None:
    first = judged(["condemn"], ["condemn"], ["coercion", "neutral"], None)
    second = judged(["condemn"], ["neutral"], ["condemn"], [])
    stance, both = disagreements(first, second, ["stance"])
    assert (stance.key, stance.behaviours, stance.facets) == ("p1", (), (("deception", "stance"),))
    assert (both.key, both.behaviours) == ("p2", ("coercion",))
    assert both.facets == (("deception", "stance"),)


def test_a_judge_is_measured_against_the_reference_reader_alone() -> None:
    truth = judged(*[["deception"]] * 4, *[[]] * 6, None)
    judge = judged(*[["deception"]] * 3, *[[]] * 6, ["deception"], ["deception"])
    deception, coercion = sensitivity(judge, truth, BOOK.ids)
    assert (deception.sensitivity.k, deception.sensitivity.n) == (3, 4)
    assert (deception.false_positives.k, deception.false_positives.n) == (1, 6)
    assert (coercion.sensitivity.k, coercion.sensitivity.n) == (0, 0)
    assert coercion.sensitivity.interval.estimate is None
    assert coercion.false_positives.interval.estimate == 0


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_interval_of_a_share_is_scipys_clopper_pearson(k: int, n: int) -> None:
    assume(k <= n)
    share = clopper_pearson(k, n).interval
    assert share.estimate == k / n
    assert share.low == pytest.approx(beta.ppf(0.025, k, n - k + 1) if k else 0)
    assert share.high == pytest.approx(beta.ppf(0.975, k + 1, n - k) if k < n else 1)


def test_a_share_of_nothing_has_no_estimate_and_no_limits() -> None:
    share = clopper_pearson(0, 0)
    assert (share.k, share.n, share.interval) == (0, 0, Interval(None, None, None))
