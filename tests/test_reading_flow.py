"""Promises about labelling, from the draw to a rate: one audit of the fixture, a real judge."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from auditor import Audit
from auditor.cli import run
from auditor.cli.session import Session
from auditor.errors import BadInput, StageMissing, UsageError
from auditor.flows.measurer import Measurer
from auditor.flows.reading import Room
from auditor.labelling.journal import Journal, read_earlier
from auditor.labelling.prompts import instructions, opening, prompt_hash
from auditor.labelling.reading import ENTER, UNDO, Reading
from auditor.records import Prevalence
from tests.conftest import Command
from tests.planted import FIXTURE
from tests.test_judge import (
    DECEIT,
    NONE,
    ONE,
    Body,
    Endpoint,
    Handler,
    Step,
    direct,  # noqa: F401
    endpoint,  # noqa: F401
    says,
    slow,
)

BEHAVIOURS = ("coercion", "deception")
REFUSAL = says(None, refusal="I cannot help with that.")
Answer = Callable[[int], Sequence[str]]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of the fixture corpus and its transcripts, without labels; not to be written to."""
    root = tmp_path_factory.mktemp("reading") / "indexed"
    audit = Audit.create(root)
    audit.index("fixture")
    audit.observe(str(FIXTURE / "observed" / "transcripts.jsonl"))
    return root


@pytest.fixture(scope="module")
def drawn(indexed: Path) -> Path:
    """The same audit with a sample of passages and one of turns; not to be written to."""
    root = indexed.parent / "drawn"
    shutil.copytree(indexed, root)
    audit = Audit.open(root)
    audit.plan_labels(*BEHAVIOURS, n=60)
    audit.plan_labels(n=1_000, label_set="turns", of="transcripts")
    return root


@pytest.fixture
def own(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    """A copy of the drawn audit, and a judge's memory of its own."""
    monkeypatch.setenv("AUDITOR_CACHE", str(tmp_path / "cache"))
    shutil.copytree(drawn, tmp_path / "own")
    return Audit.open(tmp_path / "own")


def rows(audit: Audit, query: str) -> list[dict[str, Any]]:
    """Rows of one SELECT."""
    found: list[dict[str, Any]] = audit.sql(query).to_pylist()
    return found


def rate(audit: Audit, behaviour: str = "deception") -> Prevalence:
    """The row that `measure` gives for the sample; one split of one behaviour, for speed."""
    measurer = Measurer(audit.tables)
    [row] = measurer.rows([measurer.library[behaviour]], ["fixture"], None)
    assert row.label_set == "sample"
    return row


def reads(room: Room, reader: str, answer: Answer, until: int | None = None) -> None:
    """Read a room with keys: what each number calls for, with the first value of each facet."""
    path = room.journal(reader)
    said = read_earlier(path, reader, room.codebook)
    reading = Reading(room.items, room.codebook, reader, lambda: datetime.now(UTC), said)
    with Journal(path) as journal:
        while reading.item is not None and reading.progress.done != until:
            number = reading.progress.done
            for key in (*(reading.keys.behaviours[name] for name in answer(number)), ENTER):
                kept = reading.press(key)
            while kept is None:
                kept = reading.press(reading.choices[0].key)
            journal.append(kept)


def every(step: int, *behaviours: str) -> Answer:
    """Find the behaviours in every so manyth item."""
    return lambda number: behaviours if number % step == 0 else ()


def within(*numbers: int) -> Answer:
    """Find deception in these items."""
    return lambda number: ("deception",) if number in numbers else ()


def judges(audit: Audit, endpoint: Endpoint, *steps: Step, **chosen: Any) -> dict[str, Any]:  # noqa: ANN401, F811
    """Have the endpoint read the sample one by one; it repeats its steps for ever."""
    endpoint.steps = list(steps) * 1_000
    label_set = chosen.pop("label_set", "sample")
    return audit.judge_labels(label_set, endpoint.url, "m", concurrency=1, **chosen)


MIXED = (says(ONE), says(NONE), says(NONE), says(NONE))


def test_a_plan_gives_every_passage_a_probability_and_a_draw(drawn: Path) -> None:
    audit = Audit.open(drawn)
    frame = rows(audit, "SELECT * FROM frames")
    [passages] = rows(audit, "SELECT count(*) AS n FROM passages")
    assert len(frame) == passages["n"] > 700
    assert all(0 < row["pi"] <= 1 and 0 <= row["draw"] * row["pi"] < 1 for row in frame)
    chosen = [row for row in frame if row["draw"] < 1]
    assert len(audit.reading_room("sample").items) == len(chosen)
    assert 40 < len(chosen) < 80  # 60 were asked for


def test_items_are_read_in_the_order_of_their_draws(drawn: Path) -> None:
    draws = [row["draw"] for row in Audit.open(drawn).reading_room("sample").rows]
    assert draws == sorted(draws)


def test_label_sets_share_no_random_numbers_and_a_set_is_drawn_alike_anywhere(
    own: Audit, tmp_path: Path
) -> None:
    """The second set's probabilities rest on the first one's labels: its luck must be its own."""
    shutil.copytree(own.root, tmp_path / "twin")
    for audit in (own, Audit.open(tmp_path / "twin")):
        audit.plan_labels(*BEHAVIOURS, n=60, label_set="more")
    own.plan_labels(*BEHAVIOURS, n=60, label_set="other", seed=1)
    first, more, other = (own.reading_room(name).items for name in ("sample", "more", "other"))
    assert more == Audit.open(tmp_path / "twin").reading_room("more").items
    assert set(first) != set(more) != set(other)


def test_a_planned_set_cannot_be_planned_twice(own: Audit) -> None:
    with pytest.raises(UsageError, match="label set 'sample' exists") as refused:
        own.plan_labels(*BEHAVIOURS, n=60)
    assert "--plan --set NAME" in refused.value.hint


@pytest.mark.parametrize("wrong", [{"n": 0}, {"target": 0.0}, {"target": 2e6}, {"corpus": "x"}])
def test_a_plan_that_cannot_be_drawn_is_refused(drawn: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Audit.open(drawn).plan_labels(**{"label_set": "new", **wrong})


def test_a_plan_without_a_corpus_or_transcripts_says_what_comes_first(tmp_path: Path) -> None:
    audit = Audit.create(tmp_path / "new")
    with pytest.raises(StageMissing, match="no corpus is indexed"):
        audit.plan_labels()
    with pytest.raises(StageMissing, match="no transcript is observed"):
        audit.plan_labels(of="transcripts")


def test_a_second_plan_learns_from_what_was_read(own: Audit) -> None:
    assert own.plan_labels(*BEHAVIOURS, n=20, label_set="pilot")["pilot"]
    reads(own.reading_room("sample"), "ann", every(3, "deception"))
    own.gather_labels("sample")
    assert not own.plan_labels(*BEHAVIOURS, n=20, label_set="second")["pilot"]


def test_a_sample_of_a_text_that_was_indexed_again_is_drawn_and_read_anew(
    own: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDITOR_CACHE")  # what the index keeps there takes a minute to make
    reads(own.reading_room("sample"), "ann", within(1), until=5)
    own.gather_labels("sample")
    shutil.copytree(FIXTURE / "documents", tmp_path / "texts")
    (tmp_path / "texts" / "new.txt").write_text("The ferry left at noon. " * 100)
    own.index(str(tmp_path / "texts"), corpus="fixture")
    with pytest.raises(StageMissing, match="fixture was indexed again after label set 'sample'"):
        own.reading_room("sample")
    own.plan_labels(*BEHAVIOURS, n=60)
    assert own.gather_labels("sample")["spans"] == 0
    reads(own.reading_room("sample"), "ann", within(1), until=5)
    own.gather_labels("sample")
    assert rate(own).labels == 5


def test_a_judge_that_ran_out_of_tokens_goes_on_where_it_stopped(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    room = own.reading_room("sample")
    first = judges(own, endpoint, *MIXED, budget=2_500)  # 100 tokens an answer
    assert first["judge"]["stopped_by_budget"]
    assert (first["spans"], first["left"]) == (25, len(room.items) - 25)

    read = room.rows[25]["draw"]  # the first that was not read
    pairs = rows(
        own,
        "SELECT l.pi, f.pi AS planned FROM labels l "
        'JOIN frames f USING (label_set, document_id, start, "end")',
    )
    assert len(pairs) == 25 * len(BEHAVIOURS)
    assert all(row["pi"] == pytest.approx(row["planned"] * read) for row in pairs)
    part = rate(own)
    assert (part.labels, part.positives, part.method == "refused") == (25, 7, False)
    low, high = part.per_million_passages.low, part.per_million_passages.high
    assert low is not None and high is not None and 0 < low < high < 1e6

    asked = len(endpoint.requests)
    second = judges(own, endpoint, *MIXED)
    assert second["left"] == 0
    assert len(endpoint.requests) - asked == second["judge"]["asked"] == len(room.items) - 25
    assert rate(own).labels == len(room.items)
    assert len({json.dumps(request["messages"]) for request in endpoint.requests}) == len(
        {item.text for item in room.items}
    )


def test_a_judges_labels_say_by_whom_and_by_which_instructions(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    judges(own, endpoint, *MIXED)
    told = prompt_hash(own.reading_room("sample").codebook)
    [who] = rows(own, "SELECT DISTINCT reader, reader_kind, method, prompt FROM labels")
    assert who == {"reader": "m", "reader_kind": "model", "method": "judge", "prompt": told}
    assert len(told) == 64


def test_a_judge_that_always_says_yes_is_named_and_gives_no_rate(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    [first, *_] = judges(own, endpoint, says(ONE))["suspicions"]
    n = len(own.reading_room("sample").items)
    assert first == f"judge m found deception in {n} of {n} items"
    [row] = [row for row in own.measure("deception") if row.label_set == "sample"]
    assert (row.method, row.per_million_passages.estimate) == ("refused", None)
    assert row.reason is not None and f"all {n} spans read" in row.reason
    assert rate(own, "coercion").method != "refused"


def test_a_judge_that_says_yes_nearly_always_gives_no_rate_either(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    judges(own, endpoint, *[says(ONE)] * 30, says(NONE))
    row = rate(own)
    assert (row.method, row.per_million_passages.high) == ("refused", None)
    assert row.reason is not None and "the judge said yes to" in row.reason


def test_a_refused_answer_is_unknown_and_never_absent(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    found = judges(own, endpoint, *MIXED * 4, REFUSAL)
    refused = found["readers"]["m"]["no_answer"]
    [unknown] = rows(
        own, "SELECT count(*) AS n FROM labels WHERE behaviour = 'deception' AND present IS NULL"
    )
    row = rate(own)
    assert unknown["n"] == refused == found["judge"]["refused"] > 0
    assert row.labels == len(own.reading_room("sample").items) - refused
    assert row.method != "refused"


def test_more_than_a_tenth_without_an_answer_gives_no_rate(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    found = judges(own, endpoint, says(ONE), says(NONE), says(NONE), REFUSAL)
    refused, n = found["judge"]["refused"], found["spans"]
    assert f"judge m refused {refused} of {n} items" in found["suspicions"]
    row = rate(own)
    assert (row.method, row.per_million_passages.estimate) == ("refused", None)
    assert row.reason == f"{refused} of {n} spans read have no usable answer"


def test_a_judge_that_answers_nothing_gives_no_rate(own: Audit, endpoint: Endpoint) -> None:  # noqa: F811
    judges(own, endpoint, REFUSAL)
    row = rate(own)
    assert (row.method, row.labels, row.per_million_passages.estimate) == ("refused", 0, None)


def test_a_judge_whose_endpoint_breaks_down_keeps_its_answers_as_labels(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    def gone(handler: Handler, body: Body) -> None:
        handler.reply(401, {"error": {"message": "no key", "code": "x"}})

    endpoint.steps = [*[says(NONE)] * 12, *[gone] * 100]
    with pytest.raises(BadInput, match="items in a row failed") as broken:
        own.judge_labels("sample", endpoint.url, "m", concurrency=1)
    assert "OPENAI_API_KEY" in broken.value.hint
    [read] = rows(
        own, "SELECT count(*) AS n FROM labels WHERE behaviour = 'deception' AND present = false"
    )
    assert read["n"] == 12


def test_a_killed_judge_run_loses_nothing_that_was_answered(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    endpoint.steps = [slow(0.03, step) for step in MIXED] * 100
    command = [sys.executable, "-m", "auditor", "-a", str(own.root), "label", "--judge",
               endpoint.url, "--model", "m", "--concurrency", "1"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        deadline = time.monotonic() + 20
        while len(endpoint.requests) < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    time.sleep(0.1)
    asked = len(endpoint.requests)
    assert asked >= 8
    endpoint.steps = list(MIXED) * 100
    found = own.judge_labels("sample", endpoint.url, "m", concurrency=1)
    assert found["left"] == 0
    assert found["spans"] - found["judge"]["asked"] >= asked - 1  # the one in flight
    assert len(endpoint.requests) <= found["spans"] + 1


def test_a_reader_goes_on_at_the_passage_where_it_left(own: Audit) -> None:
    room = own.reading_room("sample")

    def sitting(*keys: str) -> str:
        async def sit() -> str:
            ticks = count()
            said = read_earlier(room.journal("ann"), "ann", room.codebook)
            now = lambda: datetime.now(UTC)  # noqa: E731
            reading = Reading(room.items, room.codebook, "ann", now, said)
            with Journal(room.journal("ann")) as journal:
                app = Session(reading, room.codebook, journal, room.evidence, lambda: next(ticks))
                async with app.run_test() as pilot:
                    shown = reading.item
                    await press(pilot, keys)
            return shown.key if shown else ""

        return asyncio.run(sit())

    async def press(pilot: Pilot[None], keys: Sequence[str]) -> None:
        await pilot.press(*keys)

    assert sitting("space", "space", "q") == room.items[0].key
    assert sitting("space", "q") == room.items[2].key
    found = own.gather_labels("sample")
    assert (found["spans"], found["left"]) == (3, len(room.items) - 3)


def test_an_answer_that_was_taken_back_is_no_answer(own: Audit) -> None:
    room = own.reading_room("sample")
    reads(room, "ann", within(1), until=4)
    said = read_earlier(room.journal("ann"), "ann", room.codebook)
    reading = Reading(room.items, room.codebook, "ann", lambda: datetime.now(UTC), said)
    undone = reading.press(UNDO)
    assert undone is not None
    with Journal(room.journal("ann")) as journal:
        journal.append(undone)
    found = own.gather_labels("sample")
    assert (found["spans"], found["readers"]["ann"]) == (3, {"answered": 3, "no_answer": 0})


def test_two_readers_that_differ_are_null_until_somebody_settles_it(own: Audit) -> None:
    room = own.reading_room("sample")
    reads(room, "ann", within(*range(10)))
    reads(room, "bob", within(*range(5, 15)))
    own.gather_labels("sample")
    resolved = (
        "SELECT count(*) FILTER (present) AS yes, count(*) FILTER (present IS NULL) AS contested "
        "FROM labels_resolved WHERE behaviour = 'deception'"
    )
    assert rows(own, resolved) == [{"yes": 5, "contested": 10}]
    assert rate(own).method == "refused"  # 10 of about 60

    found = own.agreement("sample", "ann", "bob")
    [row] = [b for b in found["behaviours"] if b["behaviour"] == "deception"]
    assert (row["both"], row["only_first"], row["only_second"]) == (5, 5, 5)
    assert row["neither"] == len(room.items) - 15
    assert row["kappa"]["estimate"] == pytest.approx(0.5 - 5 / (len(room.items) - 10), abs=0.01)

    room, items, proposed, who = own.disputes("sample", "ann", "bob")
    assert [item.key for item in items] == [room.items[n].key for n in (*range(5), *range(10, 15))]
    now = lambda: datetime.now(UTC)  # noqa: E731
    reading = Reading(items, room.codebook, who, now, None, proposed)
    with Journal(room.adjudication) as journal:
        while reading.proposed:
            shown = [bool(labels) for labels in reading.proposed]
            settled = reading.press("12"[shown.index(True)])  # whoever saw it is right
            assert settled is not None
            journal.append(settled)
    own.gather_labels("sample")
    assert rows(own, resolved) == [{"yes": 15, "contested": 0}]
    row = rate(own)
    assert (row.method == "refused", row.positives) == (False, 15)


def test_an_adjudicator_is_right_even_against_two_who_agree(own: Audit) -> None:
    room = own.reading_room("sample")
    for reader in ("ann", "bob"):
        reads(room, reader, within(0), until=3)
    reading = Reading(room.items[:1], room.codebook, "adjudicated", lambda: datetime.now(UTC))
    settled = reading.press(ENTER)
    assert settled is not None
    with Journal(room.adjudication) as journal:
        journal.append(settled)
    own.gather_labels("sample")
    assert rows(own, "SELECT * FROM labels_resolved WHERE present") == []


def test_a_person_goes_before_a_model(own: Audit, endpoint: Endpoint) -> None:  # noqa: F811
    judges(own, endpoint, *MIXED)
    reads(own.reading_room("sample"), "ann", within(1), until=4)
    own.gather_labels("sample")
    resolved = rows(
        own,
        "SELECT present, reader_kind FROM labels_resolved l "
        'JOIN frames f USING (label_set, document_id, start, "end") '
        "WHERE behaviour = 'deception' ORDER BY draw LIMIT 5",
    )  # the judge said yes to the first and the fifth
    assert [row["present"] for row in resolved] == [False, True, False, False, True]
    assert [row["reader_kind"] for row in resolved] == [*["human"] * 4, "model"]
    assert rate(own).reader_kind == "human+model"


@pytest.mark.parametrize("name", ["adjudicated", "study", "../ann", ""])
def test_a_reader_cannot_take_a_name_that_means_something_else(drawn: Path, name: str) -> None:
    with pytest.raises(UsageError, match="reader"):
        Audit.open(drawn).reading_room("sample").journal(name)


def test_a_judge_cannot_answer_in_a_persons_name(own: Audit, endpoint: Endpoint) -> None:  # noqa: F811
    reads(own.reading_room("sample"), "m", within(1), until=3)
    with pytest.raises(BadInput, match="was read by a human reader"):
        judges(own, endpoint, says(NONE))
    assert endpoint.requests == []


def test_exported_labels_give_the_same_rates_elsewhere(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
    indexed: Path,
    tmp_path: Path,
) -> None:
    judges(own, endpoint, *MIXED * 4, REFUSAL, budget=4_000)  # part of it, and not all answered
    reads(own.reading_room("sample"), "ann", every(5, "deception"), until=10)
    own.gather_labels("sample")
    written = own.export_labels(str(tmp_path / "out" / "labels.jsonl"), "sample")
    shutil.copytree(indexed, tmp_path / "second")
    second = Audit.open(tmp_path / "second")
    assert second.label(written["file"], "sample")["rejects"] == 0
    for behaviour in BEHAVIOURS:
        here, there = rate(own, behaviour), rate(second, behaviour)
        assert (here.labels, here.positives, here.method, here.reader_kind, here.frame_size) == (
            there.labels, there.positives, there.method, there.reader_kind, there.frame_size,
        )  # fmt: skip
        for name in ("per_million_passages", "per_million_words", "exposure", "unique"):
            one, other = getattr(here, name), getattr(there, name)
            assert other.estimate == pytest.approx(one.estimate, rel=1e-6)
            assert other.low == pytest.approx(one.low, rel=1e-6)
            assert other.high == pytest.approx(one.high, rel=1e-6)


def test_an_export_without_a_known_frame_has_none(
    indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_CACHE", str(tmp_path / "cache"))
    shutil.copytree(indexed, tmp_path / "own")
    shutil.copy(FIXTURE / "labels.jsonl", tmp_path / "sample.jsonl")
    audit = Audit.open(tmp_path / "own")
    audit.label(str(tmp_path / "sample.jsonl"))
    before = rate(audit)
    written = audit.export_labels(str(tmp_path / "out" / "sample.jsonl"))
    assert written["frame"] is None
    audit.label(written["file"])
    assert rate(audit) == before


def import_lines(audit: Audit, folder: Path, *changes: dict[str, Any]) -> list[str]:
    """Import one label once for each change of it; the reasons of the rejects."""
    first = json.loads((FIXTURE / "labels.jsonl").read_text().splitlines()[0])
    path = folder / "mine.jsonl"
    path.write_text("\n".join(json.dumps({**first, "reader": "ann", **one}) for one in changes))
    audit.label(str(path))
    return [row["reason"] for row in rows(audit, "SELECT reason FROM rejects ORDER BY line")]


def test_a_reader_that_contradicts_itself_is_a_reject(own: Audit, tmp_path: Path) -> None:
    yes, same = [{"id": "deception"}], [{"id": "deception", "stance": None}]
    reasons = import_lines(own, tmp_path, {"labels": []}, {"labels": yes})
    assert reasons == ["contradicts what reader 'ann' said of this span before"]
    reasons = import_lines(own, tmp_path, {"labels": yes}, {"labels": same})
    assert reasons == ["span was labelled before in this file"]


def test_a_span_drawn_with_two_probabilities_is_a_reject(own: Audit, tmp_path: Path) -> None:
    [reason] = import_lines(own, tmp_path, {"pi": 0.4}, {"pi": 0.5, "reader": "bob"})
    assert reason == "pi is 0.5, which contradicts 0.4 given for this span before"


def test_two_readers_may_read_one_span_and_differ(own: Audit, tmp_path: Path) -> None:
    yes = [{"id": "deception"}]
    assert import_lines(own, tmp_path, {"labels": yes}, {"labels": [], "reader": "bob"}) == []
    [row] = rows(own, "SELECT present, readers FROM labels_resolved WHERE label_set = 'mine'")
    assert row == {"present": None, "readers": 2}


def test_labels_from_elsewhere_do_not_enter_a_set_that_was_drawn_here(own: Audit) -> None:
    with pytest.raises(UsageError, match="'sample' was drawn here") as refused:
        own.label(str(FIXTURE / "labels.jsonl"), "sample")
    assert "--set NAME" in refused.value.hint


def test_a_reader_of_turns_is_told_neither_model_nor_condition_nor_study(drawn: Path) -> None:
    audit = Audit.open(drawn)
    room = audit.reading_room("turns")
    known = rows(audit, "SELECT DISTINCT model, study, id FROM transcripts")
    system = instructions(room.codebook)
    assert len(room.items) == 26
    for item, row in zip(room.items, room.rows, strict=True):
        parts = (row["before"] or "", row["text"])
        assert item.text.endswith(parts[1]) and (parts[0][-100:] in item.text)
        assert len(item.text) <= len(parts[0]) + len(parts[1]) + 40
        assert item.context == ""
        told = "\n".join(message["content"] for message in opening(system, item))
        assert not [name for one in known for name in one.values() if name in told]


def test_a_judge_of_turns_is_measured_against_the_study(
    own: Audit,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    room = own.reading_room("turns")
    coded = {**DECEIT, "pressure": "threatened", "principal_kind": "employer"}
    # the study saw deception in 01, 04, 05, 15, 16 and 17 and in eleven others none
    hits = {f"transcripts/obs-{n}" for n in ("01", "04", "05", "02", "12")}
    texts = {r["text"] for r in room.rows if r["transcript_id"] in hits}

    def by_text(handler: Handler, body: Body) -> None:
        words = body["messages"][-1]["content"]
        shown = any(text in words for text in texts)
        says(json.dumps({"labels": [coded]}) if shown else NONE)(handler, body)

    found = judges(own, endpoint, by_text, label_set="turns")
    assert (found["of"], found["spans"], found["left"]) == ("transcripts", 26, 0)
    [facets] = rows(
        own, "SELECT DISTINCT pressure, principal_kind, method FROM turn_labels WHERE present"
    )
    assert facets == {
        "pressure": "threatened", "principal_kind": "employer", "method": "judge",
    }  # fmt: skip
    compared = own.agreement("turns", "m", "study")
    by = {row["behaviour"]: row for row in compared["sensitivity"]}
    right, wrong = by["deception"]["sensitivity"], by["deception"]["false_positives"]
    assert (right["k"], right["n"], wrong["k"], wrong["n"]) == (3, 6, 1, 11)
    assert right["interval"]["low"] == pytest.approx(0.118, abs=0.001)  # 3 of 6, any table
    assert right["interval"]["high"] == pytest.approx(0.882, abs=0.001)
    assert by["flattery"]["false_positives"]["n"] == 3  # only where the study looked for it
    assert by["cyberattack"]["sensitivity"]["interval"]["estimate"] is None


def test_a_study_is_measured_against_a_person_who_read_it(own: Audit) -> None:
    room = own.reading_room("turns")
    shown = [row["transcript_id"][-2:] in ("01", "15", "02") for row in room.rows]
    reads(room, "ann", lambda number: ("deception",) if shown[number] else ())
    found = own.agreement("turns", "study", "ann")
    [row] = [s for s in found["sensitivity"] if s["behaviour"] == "deception"]
    assert (row["sensitivity"]["k"], row["sensitivity"]["n"]) == (2, 3)
    assert (row["false_positives"]["k"], row["false_positives"]["n"]) == (4, 14)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--of", "books"), 2, "passages or transcripts"),
        (("--judge", "http://localhost/v1"), 2, "--model NAME"),
        (("--judge", "localhost", "--model", "m"), 2, "http://"),
        (("--agreement", "ann"), 2, "write ann,bob"),
        (("--agreement", "ann,bob"), 2, "no reader 'ann'"),
        (("--set", "new", "--agreement", "ann,bob"), 3, "'new' is not planned"),
        (("--set", "new", "--adjudicate", "ann,bob"), 3, "'new' is not planned"),
        (("--set", "new", "--export", "none/labels.jsonl"), 3, "no labels of passages"),
        (("--plan",), 2, "label set 'sample' exists"),
        (("--reader", "ann"), 2, "needs a terminal"),
    ],
)
def test_a_command_that_cannot_be_done_says_why_and_what_to_do(
    drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["auditor", "-a", str(drawn), "label", *arguments])
    assert run() == code
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.splitlines()[-1].startswith("hint: ")


def test_a_refused_command_ends_with_its_exit_code(drawn: Path, command: Command) -> None:
    done = command("-a", drawn, "label", "--set", "new", "--agreement", "ann,bob")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1] == "hint: auditor label --plan"
