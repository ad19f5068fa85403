"""Promises about copying: transcripts that show a behaviour against others of the same models."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditor import Audit
from auditor.claims.evidence import select_rows
from auditor.claims.reading import read_claims
from auditor.claims.spec import Claim
from auditor.flows.claim_rows import claim_rows
from auditor.flows.recording import Started
from auditor.records import ClaimResult, Verdict
from auditor.statistics.judge import PERFECT, Judge
from auditor.store.tables import rows_table
from tests.claims import Rows, claim, closed, decided, observation
from tests.planted import FIXTURE

COPIES: Claim = replace(read_claims()["verbatim"], judge=PERFECT)
OBSERVED = FIXTURE / "observed"
TRUTH = {
    row["id"]: row["kind"]
    for row in map(json.loads, (OBSERVED / "transcripts-truth.jsonl").read_text().splitlines())
}


def transcripts(
    shown: bool,
    copied: int,
    number: int,
    **given: Any,  # noqa: ANN401
) -> Rows:
    """Traced transcripts, the first so many with copied words."""
    side, factors = str(shown).lower(), given.pop("factors", {})
    return [
        observation(
            int(t < copied),
            1,
            unit="copying",
            factors={
                "transcript": f"study/{side}-{t}-{given.get('model', 'm')}",
                "shown": side,
                "characters": 1000 + t,
                **factors,
            },
            **given,
        )
        for t in range(number)
    ]


def gate(result: ClaimResult, code: str) -> str:
    """What a gate found."""
    [value] = [gate.value for gate in result.gates if gate.code == code]
    return value


def test_copies_mostly_where_it_is_shown_support_the_claim() -> None:
    result = decided(COPIES, transcripts(True, 150, 300) + transcripts(False, 60, 480))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED
    assert result.units == {"shown": 300, "not_shown": 480}


def test_copies_as_often_elsewhere_contradict_it() -> None:
    result = decided(COPIES, transcripts(True, 80, 320) + transcripts(False, 90, 320))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_the_effect_is_the_log_odds_ratio_of_copying() -> None:
    """40 of 80 against 20 of 80: odds of 1 against 1/3."""
    result = decided(COPIES, transcripts(True, 40, 80) + transcripts(False, 20, 80))
    [none] = [test for test in result.tests if test.name == "no effect"]
    assert none.statistic == pytest.approx(1.0986, abs=1e-4)
    assert [(p["group"], p["k"], p["n"]) for p in result.points] == [
        ({"shown": "true"}, 40, 80),
        ({"shown": "false"}, 20, 80),
    ]


def test_one_trial_a_transcript_shows_no_scatter() -> None:
    result = decided(COPIES, transcripts(True, 225, 300) + transcripts(False, 60, 300))
    [refutes] = [t for t in result.tests if t.name.startswith("refutes effect")]
    assert refutes.detail == "scatter shown 0.00"
    assert "U3" not in closed(result)


def test_a_judge_that_errs_on_behaviours_changes_no_rate_of_copies() -> None:
    rows = transcripts(True, 150, 300) + transcripts(False, 60, 480)
    erring = decided(replace(COPIES, judge=Judge(0.9, 0.95)), rows)
    assert erring.points == decided(COPIES, rows).points
    assert erring.slope == decided(COPIES, rows).slope


def test_a_placebo_shows_none_of_the_behaviours() -> None:
    """A transcript judged for two behaviours is one transcript, shown if either is."""
    shown = transcripts(True, 10, 20)
    other = [
        {**row, "behaviour": "c", "factors": {**row["factors"], "shown": "false"}} for row in shown
    ]
    rows = shown + other + transcripts(False, 5, 30)
    assert decided(COPIES, rows).units == {"shown": 20, "not_shown": 30}
    chosen = replace(COPIES, behaviours=("c",))
    assert closed(decided(chosen, rows)) >= {"U1"}


def test_placebos_are_of_models_that_show_it_elsewhere() -> None:
    rows = transcripts(True, 10, 20) + transcripts(False, 5, 30)
    result = decided(COPIES, rows + transcripts(False, 40, 40, model="saint"))
    assert result.units == {"shown": 20, "not_shown": 30}
    assert result.details == {"other_models_left_out": 40}


def of_two_models(a: tuple[int, int], b: tuple[int, int]) -> Rows:
    """Copies of A in 150 transcripts that show it and 20 that do not, of B in 20 and 150."""
    return [
        *transcripts(True, a[0], 150, model="A"),
        *transcripts(False, a[1], 20, model="A"),
        *transcripts(True, b[0], 20, model="B"),
        *transcripts(False, b[1], 150, model="B"),
    ]


def test_a_model_that_copies_more_and_shows_it_more_is_no_effect() -> None:
    """A copies in 60 % of its transcripts, B in 5 % or so, whatever they show."""
    result = decided(COPIES, of_two_models((90, 12), (1, 8)))
    assert result.verdict is not Verdict.SUPPORTED
    [none] = [test for test in result.tests if test.name == "no effect"]
    assert none.p is not None and none.p > 0.3


def test_the_effect_is_what_models_have_in_common() -> None:
    """Odds of 1 against 1/3 in A, 1/4 against 1/12 in B: three times as high within either."""
    rows = of_two_models((75, 5), (4, 0))
    rows = [row for row in rows if row["model"] == "A"]
    rows += transcripts(True, 20, 100, model="B") + transcripts(False, 10, 130, model="B")
    result = decided(COPIES, rows)
    [none] = [test for test in result.tests if test.name == "no effect"]
    assert none.statistic == pytest.approx(1.0986, abs=1e-4)
    assert [(p["group"]["model"], p["k"], p["n"]) for p in result.points] == [
        ("A", 75, 150), ("A", 5, 20), ("B", 20, 100), ("B", 10, 130),
    ]  # fmt: skip
    assert {row["model"] for row in result.models} == {"2 models"}


def test_transcripts_of_one_prompt_are_as_many_transcripts() -> None:
    same = {"factors": {"prompt": "s1"}}
    rows = transcripts(True, 10, 20, **same) + transcripts(False, 5, 30, **same)
    assert decided(COPIES, rows).units == {"shown": 20, "not_shown": 30}


def test_a_difference_in_length_is_tested_and_said() -> None:
    longer = transcripts(True, 10, 20, factors={"characters": 9000})
    result = decided(COPIES, longer + transcripts(False, 5, 30))
    [length] = [test for test in result.tests if test.name == "length of those that show it"]
    assert length.p is not None
    assert length.p < 1e-6
    assert length.detail == "median 9000 characters where shown, 1014 elsewhere"


def test_the_reading_counts_copies_on_both_sides_and_says_what_they_are_no_evidence_of() -> None:
    reading = decided(COPIES, transcripts(True, 3, 6) + transcripts(False, 2, 20)).reading
    assert reading.startswith("3 of 6 transcripts that show it hold words copied from the corpus")
    assert ", and 2 of 20 that do not, within models an odds ratio of 9.00; " in reading
    assert reading.endswith("against copying alone, not against other imitation")


@pytest.mark.parametrize(
    ("rows", "codes"),
    [
        (transcripts(True, 2, 4) + transcripts(False, 2, 40), {"U1"}),
        (transcripts(True, 9, 40) + transcripts(False, 2, 18), {"U1"}),
        (transcripts(True, 9, 40), {"U1"}),
        (transcripts(False, 9, 40), {"U1"}),
        ([observation(1, 9)], {"U1", "U6"}),
        ([], {"U1", "U6"}),
    ],
    ids=["four shown", "18 placebos", "all shown", "none shown", "rates alone", "not traced"],
)
def test_too_few_traced_transcripts_of_either_kind_are_untestable(
    rows: Rows, codes: set[str]
) -> None:
    result = decided(COPIES, rows)
    assert result.verdict is Verdict.UNTESTABLE
    assert closed(result) & {"U1", "U5", "U6"} == codes


def test_an_unknown_corpus_says_nothing_of_copying() -> None:
    rows = transcripts(True, 150, 300) + transcripts(False, 60, 480)
    assert closed(decided(replace(COPIES, tier="C"), rows)) == {"U5"}


def test_copies_are_trials_of_no_other_claim() -> None:
    rows = transcripts(True, 1, 2)
    assert select_rows(claim(), rows) == []
    assert len(select_rows(COPIES, [*rows, observation(1, 9)])) == 2


@pytest.fixture
def audit(built: Path, tmp_path: Path) -> Audit:
    """A copy of the built audit, in which nothing was traced."""
    shutil.copytree(built, tmp_path / "copy")
    return Audit.open(tmp_path / "copy")


def trace(audit: Audit, **kinds: str) -> None:
    """Say that transcripts were traced and that their first words resemble some passage."""
    [passage] = audit.sql("SELECT passage_id FROM passages ORDER BY 1 LIMIT 1").to_pylist()
    rows = [
        {
            "transcript_id": f"transcripts/{name.replace('_', '-')}", "turn": 0, "span_start": 0,
            "span_end": 9, "kind": kind, "strength": 0.5, **passage,
        }
        for name, kind in kinds.items()
    ]  # fmt: skip
    path = audit.tables.write("links", "all", rows_table("links", rows))
    Started("trace", ()).finish(audit.tables, "all", "s", "i", [path], len(rows), {})


def found(audit: Audit, one: Claim = COPIES) -> list[tuple[str, str, str, int, int]]:
    return [
        (row["prompt"], row["behaviour"], row["factors"]["shown"], row["k"], row["n"])
        for row in claim_rows(audit.tables, one, [])
    ]


def test_a_traced_transcript_has_a_row_for_each_behaviour_it_was_judged_for(audit: Audit) -> None:
    trace(audit, obs_01="copied", obs_02="semantic", obs_12="semantic", obs_08="copied")
    assert found(audit) == [
        ("transcripts/obs-01", "deception", "true", 1, 1),
        ("transcripts/obs-01", "loyal_wrongdoing", "true", 1, 1),
        ("transcripts/obs-01", "oversight_evasion", "true", 1, 1),
        ("transcripts/obs-02", "deception", "false", 0, 1),
        ("transcripts/obs-02", "flattery", "false", 0, 1),
        ("transcripts/obs-02", "metric_gaming", "false", 0, 1),
    ], "runs that were refused or empty are no transcripts of anything"


def test_a_copy_from_a_corpus_that_the_claim_does_not_name_is_none(audit: Audit) -> None:
    trace(audit, obs_01="copied")
    assert {row[3] for row in found(audit)} == {1}
    assert found(audit, replace(COPIES, corpora=("elsewhere",))) == []


def test_before_a_trace_there_are_no_rows(audit: Audit) -> None:
    assert found(audit) == []


def test_a_transcript_observed_after_the_trace_is_not_covered(audit: Audit) -> None:
    trace(audit, obs_01="copied")
    path = audit.root.parent / "transcripts.jsonl"
    lines = (OBSERVED / "transcripts.jsonl").read_text().splitlines()
    path.write_text("\n".join(lines[:5]))
    audit.observe(str(path))
    assert found(audit) == []


def test_without_a_trace_the_gate_says_what_to_run(audit: Audit) -> None:
    [result] = audit.test("verbatim")
    assert result.verdict is Verdict.UNTESTABLE
    assert closed(result) >= {"U1", "U6"}
    assert gate(result, "U6") == "0 transcripts that were judged and traced"
    assert "run auditor trace" in result.next_observation


def test_what_trace_finds_reaches_the_claim(audit: Audit) -> None:
    names = ("obs-01", "obs-02", "obs-03", "obs-05")
    audit.trace(*names, top=1)
    rows = claim_rows(audit.tables, COPIES, [])
    copied = {row["prompt"].split("/")[1] for row in rows if row["k"]}
    assert copied == {name for name in names if TRUTH[name] == "copied"}
    [result] = audit.test("verbatim")
    assert gate(result, "U6") == f"{len(names)} transcripts that were judged and traced"
    assert "U1" in closed(result)
