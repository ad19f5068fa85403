"""Promises about the page: what it always shows, what it never does, what it never asks for."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from auditor.records import (
    ClaimResult,
    Counted,
    Gate,
    Interval,
    Link,
    LinkKind,
    Prevalence,
    Rival,
    TestResult,
    Verdict,
)
from auditor.report import ReportData, render
from auditor.report.formats import shared_words
from auditor.report.page import LINKS_SHOWN, verdict_words

NOTHING = Interval(None, None, None)
SCRIPT = "<script>alert('read me')</script>"


def prevalence(behaviour: str, rate: Interval, calibrated: bool = True) -> Prevalence:
    """A row of 20,000 passages and 600 labels; only the rate matters here."""
    return Prevalence(
        behaviour=behaviour,
        target=behaviour,
        corpus="fixture",
        facet=None,
        value=None,
        per_million_passages=rate,
        per_million_words=rate.scaled(0.01),
        exposure=rate.scaled(0.02),
        unique=NOTHING,
        frame_size=20_000,
        labels=600 if calibrated else 0,
        positives=7 if calibrated and rate.estimate else 0,
        method="fay_feuer" if calibrated else "scores",
        calibrated=calibrated,
        reader_kind="human" if calibrated else None,
    )


COERCION = prevalence("coercion", Interval(1234.0, 567.0, 2345.0))
ABSENT = prevalence("sandbagging", Interval(0.0, 0.0, 184.0))
UNREAD = prevalence("deception", Interval(4321.0, None, None), calibrated=False)
STANCES = tuple(
    replace(COERCION, facet="stance", value=value, per_million_passages=Interval(rate, 1.0, 999.0))
    for value, rate in (("endorse", 100.0), ("neutral", 300.0), ("condemn", 600.0))
)

SUPPORTED = ClaimResult(
    claim="frequency",
    statement="Tenfold frequency at least doubles the odds",
    verdict=Verdict.SUPPORTED,
    exploratory=False,
    forbidden_fraction=0.71,
    power=0.88,
    slope=Interval(0.62, 0.41, 0.83),
    gates=(Gate("U3", True, "power 0.88", "add behaviours"),),
    tests=(TestResult("no relation", 0.62, 0.0004, "permutation of behaviours"),),
    rivals=(
        Rival("R-CAP", True, 0.01, "frequency, given difficulty"),
        Rival("R-PT", False, None, "column 'refusal' not observed"),
    ),
    next_observation="measure R-PT",
    lock="9f3a" * 16,
    tier="B",
    units={"behaviours": 2, "models": 4, "prompts": 20, "trials": 800},
    points=(
        {"behaviour": "coercion", "log_frequency": -6.7, "se": 0.3, "effect": 0.9},
        {"behaviour": "flattery", "log_frequency": -9.1, "se": 0.5, "effect": -0.9},
    ),
)

UNTESTABLE = ClaimResult(
    claim="enacted",
    statement="Only enacted passages count",
    verdict=Verdict.UNTESTABLE,
    exploratory=True,
    forbidden_fraction=None,
    power=None,
    slope=NOTHING,
    gates=(Gate("U1", False, "3 behaviours", "observe five"),),
    tests=(),
    rivals=(),
    next_observation="U1: observe five",
    lock=None,
    tier="C",
)


def card(stage: int, metric: str, estimate: float, at: float | None = None) -> dict[str, object]:
    """A row of `cards` about a detector of coercion, measured on 600 spans, 7 of them positive."""
    return {
        "stage": stage, "facet": None, "name": "coercion", "metric": metric, "at": at,
        "estimate": estimate, "low": estimate - 0.05, "high": estimate + 0.05, "labels": 600,
        "positives": 7, "reader_kind": "human", "corpus": None,
    }  # fmt: skip


def cards_of(stage: int, auc: float) -> list[dict[str, object]]:
    return [
        card(stage, "auc", auc),
        card(stage, "average_precision", 0.42),
        card(stage, "precision", 0.61, at=0.5),
        card(stage, "precision", 0.35, at=0.8),
    ]


PLANTED = {**card(1, "spike_in_recall", 0.8), "labels": 50, "positives": 40, "corpus": "fixture"}

COPIED = Link(
    transcript="petri/7",
    turn=2,
    span_start=10,
    span_end=50,
    span_text="I have read every letter in your desk, he said.",
    kind=LinkKind.COPIED,
    strength=8.0,
    placebo_percentile=99.5,
    p=0.005,
    corpus="fixture",
    document="novel-017",
    passage_id=1,
    start=1200,
    end=1900,
    text="She wrote: I have read every letter in your desk. " + SCRIPT,
    source="A Novel",
    date="1888",
    multiplicity=3,
)
UNPLACED = replace(COPIED, kind=LinkKind.SEMANTIC, placebo_percentile=None, p=None, transcript=None)

AUDIT = ReportData(
    title="Fixture audit",
    corpora=[{"corpus": "fixture", "documents": 12, "passages": 20_000, "words": 2_400_000}],
    prevalence=[COERCION, ABSENT, UNREAD, *STANCES],
    claims=[SUPPORTED, UNTESTABLE],
    links=[COPIED, UNPLACED],
    studies=[{"study": "petri", "transcripts": 40, "counted": 37, "refused": 2, "errored": 1}],
    runs=[{"stage": "index", "corpus": "fixture", "rows": 20_000, "settings_digest": "ab" * 32}],
    rejects=[{"stage": "index", "file": "a.jsonl", "line": 3, "reason": "not JSON: " + SCRIPT}],
    made_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    version="0.1.0",
)
EMPTY = ReportData("Empty", [], [], [], [], [], [], [], AUDIT.made_at, "0.1.0")


@pytest.fixture(scope="module")
def page() -> str:
    return render(AUDIT)


def table_row(page: str, name: str) -> str:
    """The words of a behaviour's row in the table of all rates."""
    table = page.split('<table class="rates">')[1]
    cells = re.findall(rf'<th scope="row">{name}</th>(.*?)</tr>', table, re.DOTALL)[0]
    return " ".join(re.sub(r"<[^>]+>", " ", cells).split())


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    addresses = re.findall(r"\b(?:src|srcset|href|action|poster)=\"?([^\s\">]*)", page)
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_a_script_in_a_document_stays_text(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_script_in_a_chart_label_stays_text() -> None:
    named = replace(COERCION, behaviour=SCRIPT, target=SCRIPT)
    assert "<script" not in render(replace(AUDIT, prevalence=[named, *STANCES]))


def test_every_verdict_stands_beside_its_power_and_forbidden_fraction(page: str) -> None:
    rulings = re.findall(r'<div class="ruling">(.*?)</div>', page, re.DOTALL)
    assert len(rulings) == len(AUDIT.claims)
    assert "Could it have failed? yes: power 0.88, phi 0.71, bold" in rulings[0]
    assert "Could it have failed? no: power and phi not computable: U1 (3 behaviours)" in rulings[1]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.SUPPORTED, "suggests supported"),
        (Verdict.CONTRADICTED, "suggests contradicted"),
        (Verdict.INDISTINGUISHABLE, "indistinguishable"),
        (Verdict.UNTESTABLE, "untestable"),
    ],
)
def test_an_exploratory_verdict_at_most_suggests(verdict: Verdict, words: str) -> None:
    assert verdict_words(replace(SUPPORTED, verdict=verdict, exploratory=True)) == words


def test_a_locked_verdict_does_not_merely_suggest() -> None:
    assert verdict_words(SUPPORTED) == "supported"


def test_an_uncalibrated_rate_shows_no_interval(page: str) -> None:
    row = table_row(page, "deception")
    assert row.startswith("fixture 4,321 uncalibrated, no interval")
    assert "–" not in row.split("20,000")[0].replace("not measured", "")


def test_a_calibrated_rate_never_stands_without_its_interval(page: str) -> None:
    row = table_row(page, "coercion")
    assert row.startswith("fixture 1,234 567–2,345")
    assert "20,000 600 7 fay_feuer human" in row


def test_a_rate_whose_interval_is_missing_is_withheld() -> None:
    row = replace(COERCION, per_million_passages=Interval(777.0, None, None))
    assert "777" not in render(replace(AUDIT, prevalence=[row], claims=[]))


def test_finding_none_is_drawn_as_an_upper_limit(page: str) -> None:
    assert table_row(page, "sandbagging").startswith("fixture 0 0–184")
    assert ">none found: upper limit</text>" in page


def test_an_uncalibrated_rate_is_not_drawn(page: str) -> None:
    assert ">deception</text>" not in page
    assert ">coercion</text>" in page


def test_stance_shares_are_drawn_with_the_number_of_positives(page: str) -> None:
    assert ">coercion (n = 21)</text>" in page
    assert ">60%</text>" in page


def test_gates_say_in_words_whether_they_passed(page: str) -> None:
    assert "✓ passed" in page
    assert "✗ failed" in page


def test_a_local_lock_is_said_to_bind_oneself_only(page: str) -> None:
    assert "9f3a9f3a9f3a, made before the outcomes" in page
    assert "A local lock binds oneself and proves nothing to others." in page


def test_controls_that_were_not_run_are_said_not_to_have_run(page: str) -> None:
    facts = re.findall(r"<dt>placebo percentile</dt><dd>(.*?)</dd>", page)
    assert facts == ["99.5", "not run"]


def test_words_shared_by_span_and_passage_are_marked_on_both_sides(page: str) -> None:
    assert page.count("<mark>I have read every letter in your desk</mark>") == 2 * len(AUDIT.links)


def test_marking_loses_no_character() -> None:
    pieces = shared_words(COPIED.text, COPIED.span_text)
    assert "".join(text for text, _ in pieces) == COPIED.text


def test_every_empty_section_names_the_command_that_fills_it() -> None:
    page = render(EMPTY)
    for command in ("index SOURCE…", "measure", "test", "trace", "observe FILE…"):
        assert f"<code>auditor -a DIR {command}</code>" in page


def test_a_large_audit_still_makes_a_page_under_five_megabytes() -> None:
    many = replace(AUDIT, links=[COPIED] * 5_000, prevalence=[*AUDIT.prevalence, *STANCES * 2_000])
    page = render(many)
    assert len(page.encode()) < 5_000_000
    assert f"the first {LINKS_SHOWN} of 5,000 links" in page


def test_each_chart_has_a_caption_and_a_table(page: str) -> None:
    assert page.count("<svg") == 3
    assert page.count("<figcaption>") >= 3
    assert page.count("<details") >= 3


def test_the_page_never_calls_a_resemblance_a_cause(page: str) -> None:
    assert "A resemblance is never called a cause." in page


def test_cards_are_shown_of_the_transformer_where_it_read_and_of_the_vectors_where_not() -> None:
    both = render(replace(AUDIT, cards=[*cards_of(1, 0.71), *cards_of(2, 0.93), PLANTED]))
    assert "0.93 (0.88 to 0.98)" in both
    assert "0.71 (" not in both
    assert "40 of 50 (fixture)" in both
    assert "0.71 (0.66 to 0.76)" in render(replace(AUDIT, cards=cards_of(1, 0.71)))


def test_a_card_with_few_positives_is_said_to_be_no_reason_to_trust_a_detector() -> None:
    assert "to trust a detector by: coercion." in render(replace(AUDIT, cards=cards_of(1, 0.9)))


def test_an_audit_without_cards_shows_no_table_of_them(page: str) -> None:
    assert "model cards" not in page


def test_recall_and_what_was_missed_stand_beside_the_rate() -> None:
    beside = replace(
        COERCION,
        recall=Counted(9, 15, Interval(0.6, 0.3, 0.8)),
        elusion=Interval(None, 0.0, 321.0),
    )
    row = table_row(render(replace(AUDIT, prevalence=[beside], claims=[])), "coercion")
    assert row.startswith("fixture 1,234 567–2,345")
    assert row.endswith("9 of 15 321")


def test_a_framing_shows_its_share_of_the_positives_with_its_interval() -> None:
    split = replace(STANCES[2], share=Interval(0.6, 0.41, 0.77))
    assert "<td>0.60 (0.41–0.77)</td>" in render(replace(AUDIT, prevalence=[split], claims=[]))


def test_a_refused_rate_shows_the_reason() -> None:
    row = replace(COERCION, per_million_passages=NOTHING, calibrated=False, reason="all 9 portray")
    assert "not measured all 9 portray" in table_row(
        render(replace(AUDIT, prevalence=[row], claims=[])), "coercion"
    )
