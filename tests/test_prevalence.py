"""Promises about rates: hand-checkable samples, the fixture's planted truth, splits and zeros."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import Audit
from auditor.errors import UsageError
from auditor.prevalence.estimators import (
    Frame,
    Sample,
    estimate,
    exact,
    residual_bound,
    uncalibrated,
)
from auditor.prevalence.targets import Target, parse_target
from auditor.records import Interval, Prevalence
from tests.planted import FIXTURE, documents, frequencies, truth

LEARNED = sorted({label["id"] for span in truth() for label in span["labels"]})


def sample(
    present: list[bool],
    pi: list[float] | None = None,
    document: list[int] | None = None,
    multiplicity: list[int] | None = None,
    stance: list[str | None] | None = None,
) -> Sample:
    """A label set of one behaviour; each span its own document, drawn for sure, unless said."""
    n = len(present)
    return Sample(
        behaviour="coercion",
        corpus="c",
        label_set="s",
        reader_kind="human",
        document=np.array(document or range(n), np.uint64),
        pi=np.array(pi or [1.0] * n),
        multiplicity=np.array(multiplicity or [1] * n, float),
        present=np.array(present, bool),
        facets={"stance": np.array(stance or [None] * n, object)},
    )


ANY = Target("coercion")


@pytest.mark.parametrize(
    "text", ["coercion", "goal_fixation[actor=ai]", "deception[mode=fiction|report,stance=endorse]"]
)
def test_a_target_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_target(text)) == text


def test_a_target_knows_its_facets_and_values() -> None:
    target = parse_target("deception[mode=fiction|report, actor=ai]")
    assert target == Target("deception", {"mode": ("fiction", "report"), "actor": ("ai",)})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("deception[mood=dark]", "mood"),
        ("deception[mode=opera]", "opera"),
        ("deception[mode=]", "mode"),
        ("deception[mode]", "mode"),
        ("deception[mode=fiction", "deception[mode=fiction"),
        ("two words", "two words"),
    ],
)
def test_a_target_that_cannot_be_read_is_named(text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named.replace("[", r"\[")):
        parse_target(text)


def test_a_positive_drawn_one_in_four_stands_for_four_passages() -> None:
    row = estimate(sample([True, False], pi=[0.25, 1.0]), Frame(100, 10_000), ANY)
    assert row.exposure.estimate == pytest.approx(4)
    assert row.per_million_passages.estimate == pytest.approx(40_000)


def test_a_rate_per_million_words_counts_the_frames_words() -> None:
    row = estimate(sample([True, False]), Frame(2, 250), ANY)
    assert row.per_million_words.estimate == pytest.approx(1e6 / 250)


def test_labels_and_positives_are_spans_read_not_spans_stood_for() -> None:
    row = estimate(sample([True, True, False], pi=[0.1, 0.5, 0.5]), Frame(100, 1), ANY)
    assert (row.labels, row.positives, row.frame_size) == (3, 2, 100)


def test_two_copies_count_twice_in_exposure_and_once_in_unique() -> None:
    row = estimate(sample([True, True], multiplicity=[2, 2]), Frame(10, 100), ANY)
    assert (row.exposure.estimate, row.unique.estimate) == pytest.approx((2, 1))


def test_spans_of_one_document_are_one_draw() -> None:
    together = estimate(sample([True] * 6, document=[1] * 6), Frame(600, 1), ANY)
    apart = estimate(sample([True] * 6), Frame(600, 1), ANY)
    assert together.exposure.estimate == apart.exposure.estimate
    assert together.exposure.high is not None and apart.exposure.high is not None
    assert together.exposure.high > apart.exposure.high


def test_a_framing_counts_only_the_spans_that_have_it() -> None:
    spans = sample([True, True, True], stance=["condemn", "endorse", "condemn"])
    row = estimate(spans, Frame(10, 100), parse_target("coercion[stance=condemn]"))
    assert (row.target, row.positives) == ("coercion[stance=condemn]", 2)


def test_a_part_of_the_corpus_is_a_share_of_its_own_frame() -> None:
    spans = sample([True, True, False, True])
    row = estimate(spans, Frame(4, 100), ANY, np.array([True, False, True, False]), "genre", "news")
    assert (row.labels, row.positives) == (2, 1)
    assert row.per_million_passages.estimate == pytest.approx(250_000)


def test_a_share_is_never_more_than_the_whole() -> None:
    row = estimate(sample([True] * 3, pi=[0.5] * 3), Frame(4, 100), ANY)
    assert row.per_million_passages.estimate == 1e6
    assert (row.exposure.estimate, row.exposure.high) == (4, 4)


def test_a_part_nobody_read_has_no_rate() -> None:
    row = estimate(sample([True]), Frame(9, 9), ANY, np.array([False]))
    assert row.per_million_passages == Interval(None, None, None)


def test_an_exact_count_is_its_own_limits() -> None:
    row = exact("asking_questions", "c", 3, 2.5, Frame(10, 1000))
    assert row.exposure == Interval(3, 3, 3)
    assert row.unique == Interval(2.5, 2.5, 2.5)
    assert row.per_million_passages == Interval(300_000, 300_000, 300_000)
    assert row.per_million_words.estimate == pytest.approx(3000)
    assert (row.method, row.calibrated) == ("exact", True)


def test_scores_nobody_checked_give_no_limits() -> None:
    row = uncalibrated("coercion", "c", 0.2, Frame(10, 1000))
    assert row.per_million_passages == Interval(200_000, None, None)
    assert (row.calibrated, row.unique) == (False, Interval(None, None, None))


@given(
    spans=st.lists(
        st.tuples(st.booleans(), st.floats(0.05, 1), st.integers(1, 4)), min_size=1, max_size=25
    ),
    more=st.integers(0, 10_000),
)
def test_unrelated_passages_never_raise_a_count(
    spans: list[tuple[bool, float, int]], more: int
) -> None:
    present, pi, copies = map(list, zip(*spans, strict=True))
    read = sample(present, pi, multiplicity=copies)
    size = int(np.ceil(sum(1 / p for p in pi)))
    before = estimate(read, Frame(size, 100 * size), ANY)
    after = estimate(read, Frame(size + more, 100 * (size + more)), ANY)
    for old, new in ((before.exposure, after.exposure), (before.unique, after.unique)):
        assert old.estimate is not None and new.estimate is not None
        assert new.estimate <= old.estimate * (1 + 1e-12)
    old_rate, new_rate = before.per_million_passages, after.per_million_passages
    assert old_rate.estimate is not None and new_rate.estimate is not None
    assert new_rate.estimate <= old_rate.estimate
    assert before.unique.estimate is not None and before.exposure.estimate is not None
    assert before.unique.estimate <= before.exposure.estimate * (1 + 1e-12)


@pytest.fixture(scope="module")
def overall(built: Path) -> dict[str, Prevalence]:
    return {row.behaviour: row for row in rows_of(built) if row.facet is None}


def rows_of(root: Path, *behaviours: str, by: tuple[str, ...] = ()) -> list[Prevalence]:
    """Measure without writing to the shared audit."""
    from auditor.flows.measurer import Measurer

    measurer = Measurer(Audit.open(root).tables)
    chosen = [measurer.library[b] for b in behaviours or measurer.library]
    splits = by or (None,)
    return [row for split in splits for row in measurer.rows(chosen, ["fixture"], split)]


def test_the_planted_truth_lies_within_the_interval(overall: dict[str, Prevalence]) -> None:
    share = frequencies()
    assert len(LEARNED) == 15
    inside = 0
    for name in LEARNED:
        limits = overall[name].per_million_passages
        assert limits.low is not None and limits.high is not None
        inside += limits.low <= 1e6 * share[name] <= limits.high
    assert inside >= 14


def test_a_frame_is_every_planted_span_not_only_those_read(overall: dict[str, Prevalence]) -> None:
    assert {overall[name].frame_size for name in LEARNED} == {len(truth())}
    assert {overall[name].labels for name in LEARNED} == {466}


def test_an_exact_rule_counts_the_passages_that_match_it(built: Path, audit: Audit) -> None:
    [row] = rows_of(built, "using_semicolons")
    matching = audit.sql("SELECT count(*) AS n FROM passages WHERE contains(text, ';')")
    assert row.exposure.estimate == matching["n"][0].as_py()


def test_unique_is_never_more_than_exposure(overall: dict[str, Prevalence]) -> None:
    for row in overall.values():
        assert row.unique.estimate is not None and row.exposure.estimate is not None
        assert row.unique.estimate <= row.exposure.estimate
    assert any(row.unique.estimate != row.exposure.estimate for row in overall.values())


@pytest.mark.parametrize("facet", ["stance", "mode", "actor", "beneficiary", "outcome"])
def test_framings_sum_to_the_whole(built: Path, overall: dict[str, Prevalence], facet: str) -> None:
    """Rates that lean on scores lean on each value's own, so there the shares alone must sum."""
    unaided = [name for name in LEARNED if overall[name].method == "fay_feuer"]
    assert len(unaided) >= 10
    total, share = dict.fromkeys(LEARNED, 0.0), dict.fromkeys(LEARNED, 0.0)
    for row in rows_of(built, *LEARNED, by=(facet,)):
        total[row.behaviour] += row.exposure.estimate or 0
        share[row.behaviour] += (row.share.estimate or 0) if row.share else 0
    assert share == pytest.approx(dict.fromkeys(LEARNED, 1.0))
    for name in unaided:
        assert total[name] == pytest.approx(overall[name].exposure.estimate)


def test_years_sources_and_genres_cut_the_frame_into_its_parts(built: Path) -> None:
    for field in ("source", "genre", "year"):
        rows = rows_of(built, "deception", by=(field,))
        assert sum(row.frame_size for row in rows) == len(truth())
        assert {row.facet for row in rows} == {field}


def test_a_split_by_genre_names_the_fixtures_genres(built: Path) -> None:
    rows = rows_of(built, "coercion", by=("genre",))
    assert {row.value for row in rows} == {d["genre"] for d in documents().values()}


def test_measuring_by_source_keeps_rows_for_sql(own_audit: Audit) -> None:
    asked = own_audit.measure("coercion", by=["source"])
    kept = own_audit.sql(
        "SELECT count(*) AS n FROM prevalence WHERE behaviour = 'coercion' AND facet = 'source'"
    )
    assert kept["n"][0].as_py() == len(asked) > 10


def test_an_unknown_split_names_those_there_are(own_audit: Audit) -> None:
    with pytest.raises(UsageError, match="weather") as caught:
        own_audit.measure(by=["weather"])
    assert "stance" in caught.value.hint and "year" in caught.value.hint


def test_an_unknown_corpus_or_behaviour_is_named(own_audit: Audit) -> None:
    with pytest.raises(UsageError, match="pile"):
        own_audit.measure(corpus="pile")
    with pytest.raises(UsageError, match="juggling"):
        own_audit.measure("juggling")


def test_a_behaviour_never_seen_has_rate_zero_and_an_upper_limit(
    own_audit: Audit, tmp_path: Path
) -> None:
    lines = (FIXTURE / "labels.jsonl").read_text().splitlines()
    bare = [row for row in map(json.loads, lines) if not row["labels"]]
    (tmp_path / "bare.jsonl").write_text("\n".join(map(json.dumps, bare)))
    own_audit.label(
        str(tmp_path / "bare.jsonl"),
        label_set="bare",
        frame=str(FIXTURE / "frame.csv"),
        codebook=["sandbagging"],
    )
    [row] = [r for r in own_audit.measure("sandbagging", by=["genre"]) if r.label_set == "bare"][:1]
    zero = row.per_million_passages
    assert (zero.estimate, zero.low, row.positives) == (0, 0, 0)
    assert zero.high is not None and zero.high > 0
    assert row.se_log is None


SHOWN = [True] * 40 + [False] * 260
"""Enough positives and labels for scores to be used."""


def foreseen(score: list[float], shown: list[bool] = SHOWN, mean: float = 40 / 300) -> Prevalence:
    """The rate of spans drawn one in ten, with the score of each and the frame's mean score."""
    plain = sample(shown, pi=[0.1] * len(shown))
    return estimate(replace(plain, score=np.array(score)), Frame(3000, 1, mean), ANY)


def test_a_score_that_knows_every_answer_gives_the_frame_s_mean_and_a_narrower_interval() -> None:
    plain = estimate(sample(SHOWN, pi=[0.1] * 300), Frame(3000, 1), ANY)
    row = foreseen([1.0 if s else 0.0 for s in SHOWN])
    assert (plain.method, row.method) == ("fay_feuer", "ppi")
    assert row.exposure.estimate == pytest.approx(400)
    assert row.exposure.high is not None and plain.exposure.high is not None
    assert row.exposure.high < plain.exposure.high
    assert row.se_log is not None and plain.se_log is not None
    assert row.se_log < 0.5 * plain.se_log


def test_a_score_that_falls_in_the_sample_lifts_the_rate() -> None:
    """The sample happened to score lower than its frame: the frame holds more than it shows."""
    known = [1.0 if s else 0.0 for s in SHOWN]
    lifted = foreseen(known, mean=1.1 * 40 / 300)
    assert lifted.exposure.estimate is not None
    assert 400 < lifted.exposure.estimate <= 440 * (1 + 1e-9)


def test_a_score_that_says_nothing_changes_nothing() -> None:
    plain = estimate(sample(SHOWN, pi=[0.1] * 300), Frame(3000, 1), ANY)
    row = foreseen([0.2] * 300, mean=0.2)
    assert (row.method, row.exposure) == (plain.method, plain.exposure)


@pytest.mark.parametrize("shown", [[True] * 29 + [False] * 271, [True] * 40 + [False] * 159])
def test_with_few_labels_or_positives_scores_are_left_out(shown: list[bool]) -> None:
    assert foreseen([1.0 if s else 0.0 for s in shown], shown).method == "fay_feuer"


def test_labels_and_positives_are_counted_the_same_with_scores() -> None:
    row = foreseen([1.0 if s else 0.0 for s in SHOWN])
    assert (row.labels, row.positives) == (300, 40)


def test_where_nothing_was_scored_there_is_no_residual_bound() -> None:
    assert residual_bound(sample([True, False]), Frame(2, 1), below=0.5) is None


def test_no_positive_under_the_retrieval_score_still_allows_3_689_of_the_heaviest() -> None:
    read = replace(sample([True] + [False] * 9, pi=[0.1] * 10), score=np.array([0.9] + [0.1] * 9))
    bound = residual_bound(read, Frame(1000, 1), below=0.5)
    assert bound is not None and bound.high is not None
    assert (bound.estimate, bound.low) == (0.0, 0.0)
    assert bound.high == pytest.approx(3.689 * 10 / 1000 * 1e6, rel=1e-3)


def test_a_positive_no_detector_would_have_retrieved_counts_in_the_residual_alone() -> None:
    read = replace(sample([True, True], pi=[0.1, 0.5]), score=np.array([0.9, 0.1]))
    bound = residual_bound(read, Frame(1000, 1), below=0.5)
    assert bound is not None
    assert bound.estimate == pytest.approx(2 / 1000 * 1e6)
