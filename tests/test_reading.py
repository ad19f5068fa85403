"""What a reader may count on while reading, and what is kept of it."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.behaviours.spec import choose, read_library
from auditor.errors import BadInput, UsageError
from auditor.labelling.adjudication import find_disputes, proposals
from auditor.labelling.codebook import (
    Codebook,
    Item,
    Judgement,
    label_problem,
    passage_codebook,
    turn_codebook,
)
from auditor.labelling.journal import Journal, read_earlier, read_journal
from auditor.labelling.reading import ENTER, FREE_KEYS, SKIP, UNDO, Labels, Reading, assign_keys
from auditor.schema import FACETS

THREE = ("deception", "coercion", "flattery")
BOOK = passage_codebook(choose(read_library(), THREE))
ITEMS = [Item(f"p{n}", f"Passage {n}.", "fiction") for n in range(1, 5)]
WHEN = datetime(2026, 1, 2, tzinfo=UTC)
LIE = {
    "id": "deception",
    "stance": "condemn",
    "mode": "fiction",
    "actor": "human",
    "beneficiary": "self",
    "outcome": "open",
}
LIE_KEYS = ("d", ENTER, "c", "f", "h", "s", "o")


def reading(codebook: Codebook = BOOK, earlier: dict[str, Judgement] | None = None) -> Reading:
    ticks = count()
    return Reading(ITEMS, codebook, "ann", lambda: WHEN + timedelta(seconds=next(ticks)), earlier)


def press(session: Reading, *keys: str) -> list[Judgement]:
    return [judgement for key in keys if (judgement := session.press(key))]


def judgement(key: str, labels: Labels | None, reader: str = "ann") -> Judgement:
    return Judgement(key, labels, reader, "human", "session", WHEN)


def test_a_passage_with_nothing_in_it_takes_one_key() -> None:
    session = reading()
    [nothing] = press(session, ENTER)
    assert (nothing.key, nothing.labels, nothing.reason) == ("p1", (), None)
    assert session.item == ITEMS[1]


def test_a_behaviour_takes_its_key_and_one_key_for_each_facet() -> None:
    [lie] = press(reading(), *LIE_KEYS)
    assert lie.labels == (LIE,)
    assert (lie.reader, lie.reader_kind, lie.method) == ("ann", "human", "session")


def test_facets_are_asked_of_each_chosen_behaviour_in_turn() -> None:
    session = reading()
    press(session, "f", "d", ENTER)
    asked = []
    while session.question and session.question.facet:
        asked.append((session.question.behaviour, session.question.facet))
        session.press(session.choices[0].key)
    assert asked == [(name, facet) for name in ("deception", "flattery") for facet in FACETS]


def test_a_second_press_takes_a_behaviour_back() -> None:
    [nothing] = press(reading(), "d", "d", ENTER)
    assert nothing.labels == ()


def test_undo_steps_back_over_the_border_of_an_item() -> None:
    session = reading()
    press(session, *LIE_KEYS)
    [undone] = press(session, UNDO)
    assert (undone.key, undone.labels, undone.reason) == ("p1", None, "undone")
    assert session.question and session.question.facet == "outcome"
    [mended] = press(session, "f")
    assert mended.labels == ({**LIE, "outcome": "fails"},)


def test_a_skipped_item_is_left_without_an_answer() -> None:
    session = reading()
    [skipped] = press(session, "d", SKIP)
    assert (skipped.labels, skipped.reason) == (None, "skipped")
    press(session, UNDO)
    assert session.draft.chosen == ("deception",)


def test_a_key_that_answers_nothing_changes_nothing() -> None:
    session = reading()
    assert press(session, "z", "1", "escape", "") == []
    assert session.item == ITEMS[0] and not session.draft.chosen


def test_where_no_principal_fits_a_turn_one_key_says_so() -> None:
    session = reading(turn_codebook(BOOK.behaviours))
    [turn] = press(session, *LIE_KEYS, "t", ENTER)
    assert turn.labels == ({**LIE, "pressure": "threatened", "principal_kind": None},)


def test_the_keys_of_the_shipped_behaviours_are_letters_of_their_names() -> None:
    names = sorted(name for name, b in read_library().items() if b.kind == "behaviour")
    keys = assign_keys(names)
    assert len(set(keys.values())) == len(names) == 15
    assert all(key in name for name, key in keys.items())


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=len(FREE_KEYS)))
def test_no_two_answers_share_a_key(names: list[str]) -> None:
    keys = assign_keys(names)
    assert list(keys) == names
    assert len(set(keys.values())) == len(names)
    assert set(keys.values()) <= set(FREE_KEYS)


def test_more_answers_than_keys_are_refused() -> None:
    with pytest.raises(UsageError, match="33 answers"):
        assign_keys([f"n{n}" for n in range(33)])


KEYS = st.lists(st.sampled_from([*"dcfhsonera", ENTER, SKIP, UNDO]), max_size=60)


@given(KEYS)
def test_whatever_is_pressed_every_answer_fits_the_codebook(keys: list[str]) -> None:
    session = reading()
    press(session, *keys)
    for judged in session.judgements.values():
        labels = judged.labels or ()
        assert label_problem(labels, BOOK.ids, BOOK.facets, complete=True) is None


@given(KEYS)
def test_undo_takes_back_exactly_the_last_key(keys: list[str]) -> None:
    session = reading()
    press(session, *keys)
    for key in (choice.key for choice in session.choices):
        before = session.item, session.draft, session.progress
        press(session, key, UNDO)
        assert (session.item, session.draft, session.progress) == before


@given(KEYS)
def test_a_session_taken_up_again_stands_where_it_was_left(keys: list[str]) -> None:
    session = reading()
    written = {judged.key: judged for judged in press(session, *keys)}
    again = reading(earlier=written)
    answered = {key: j for key, j in session.judgements.items() if j.labels is not None}
    assert again.judgements == answered
    assert again.progress.done == len(answered)


def test_undo_reaches_into_an_earlier_session() -> None:
    session = reading(earlier={"p1": judgement("p1", (LIE,))})
    press(session, UNDO)
    assert session.item == ITEMS[0]
    assert session.draft.values == ("condemn", "fiction", "human", "self")


def test_a_journal_gives_back_what_was_written_and_the_newest_wins(tmp_path: Path) -> None:
    path = tmp_path / "ann.jsonl"
    written = [judgement("p1", (LIE,)), judgement("p2", ()), judgement("p1", None)]
    with Journal(path) as journal:
        for one in written:
            journal.append(one)
    assert read_journal(path) == {"p2": written[1], "p1": written[2]}
    assert list(read_journal(path)) == ["p2", "p1"]


def test_an_answer_is_on_disk_before_the_journal_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "ann.jsonl"
    with Journal(path) as journal:
        journal.append(judgement("p1", ()))
        assert list(read_journal(path)) == ["p1"]


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_last_line_costs_that_line_alone(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "ann.jsonl"
    with Journal(path) as journal:
        journal.append(judgement("p1", ()))
        journal.append(judgement("p2", ()))
    path.write_bytes(path.read_bytes()[:-cut])
    kept = ["p1", "p2"] if cut == 1 else ["p1"]
    assert list(read_journal(path)) == kept
    with Journal(path) as journal:
        journal.append(judgement("p3", ()))
    assert list(read_journal(path)) == [*kept, "p3"]


@pytest.mark.parametrize(
    "line", ["{", '{"key": "p1"}', "[]", "\x00\x00", '{"key": 1, "labels": null}']
)
def test_a_damaged_inner_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "ann.jsonl"
    with Journal(path) as journal:
        journal.append(judgement("p1", ()))
    path.write_text(path.read_text() + line + "\n" + path.read_text())
    with pytest.raises(BadInput, match=r"ann\.jsonl, line 2: "):
        read_journal(path)


def test_a_journal_has_the_fields_that_were_agreed(tmp_path: Path) -> None:
    path = tmp_path / "ann.jsonl"
    with Journal(path) as journal:
        journal.append(judgement("p1", (LIE,)))
    assert json.loads(path.read_text()) == {
        "key": "p1",
        "labels": [LIE],
        "reader": "ann",
        "reader_kind": "human",
        "method": "session",
        "at": "2026-01-02T00:00:00+00:00",
        "prompt": None,
        "reason": None,
    }


def test_another_readers_journal_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.append(judgement("p1", (), reader="bob"))
    with pytest.raises(BadInput, match="read by 'bob', not 'ann'"):
        read_earlier(tmp_path / "j", "ann", BOOK)


def test_a_journal_of_another_codebook_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.append(judgement("p1", ({**LIE, "id": "baking"},)))
    with pytest.raises(BadInput, match="no behaviour 'baking'"):
        read_earlier(tmp_path / "j", "ann", BOOK)


def test_an_adjudicator_is_shown_only_what_differs_and_cannot_tell_whose_is_whose() -> None:
    items = [Item(f"p{n}", "") for n in range(40)]
    first = {item.key: judgement(item.key, (LIE,)) for item in items}
    second = {item.key: judgement(item.key, (), "bob") for item in items} | {
        "p0": judgement("p0", (LIE,), "bob"),
        "p1": judgement("p1", None, "bob"),
    }
    disputes = find_disputes(items, first, second, list(FACETS), np.random.default_rng(1))
    assert [dispute.item for dispute in disputes] == items[2:]
    first_as_a = sum(dispute.answers == ((LIE,), ()) for dispute in disputes)
    assert 10 < first_as_a < 28
    again = find_disputes(items, first, second, list(FACETS), np.random.default_rng(1))
    assert again == disputes


def test_an_adjudicator_takes_an_answer_whole_or_gives_a_third() -> None:
    disputes = find_disputes(
        ITEMS,
        {item.key: judgement(item.key, (LIE,)) for item in ITEMS},
        {item.key: judgement(item.key, ({**LIE, "outcome": "fails"},)) for item in ITEMS},
        list(FACETS),
        np.random.default_rng(1),
    )
    session = Reading(ITEMS, BOOK, "adjudicated", lambda: WHEN, {}, proposals(disputes))
    [took_a, took_b, third] = press(session, "1", "2", ENTER)
    assert (took_a.labels, took_b.labels) == (disputes[0].answers[0], disputes[1].answers[1])
    assert (third.labels, third.reader, third.method) == ((), "adjudicated", "session")
