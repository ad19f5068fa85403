"""Promises about observations: what enters a denominator, and what becomes a reject."""

import json
from pathlib import Path
from typing import Any

import pytest

from auditor import Audit
from auditor.errors import BadInput, UsageError
from auditor.flows.observe import observe
from auditor.progress import Quiet
from tests.planted import FIXTURE

CHAT: dict[str, Any] = {
    "id": "a",
    "model": "Alder",
    "condition": "chat",
    "messages": [
        {"role": "user", "content": "Is the bridge open?"},
        {"role": "assistant", "content": "It opens at noon."},
    ],
    "behaviours": {"deception": True},
}
RATE: dict[str, Any] = {"model": "Alder", "behaviour": "deception", "k": 1, "n": 4}


@pytest.fixture
def empty(tmp_path: Path) -> Audit:
    """An audit that holds nothing yet; observing needs no corpus."""
    return Audit.create(tmp_path / "audit")


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def observe_chats(audit: Audit, *changes: dict[str, Any]) -> dict[str, Any]:
    """Observe one good chat and one more for each change of it, with ids of their own."""
    rows = [CHAT, *({**CHAT, "id": f"b{i}", **change} for i, change in enumerate(changes))]
    [summary] = audit.observe(write(audit.root.parent / "chats.jsonl", rows))
    return summary


def observe_rates(audit: Audit, *changes: dict[str, Any]) -> dict[str, Any]:
    rows = [RATE, *({**RATE, **change} for change in changes)]
    [summary] = audit.observe(write(audit.root.parent / "rates.jsonl", rows))
    return summary


def rejects(audit: Audit) -> list[tuple[str, int, str]]:
    table = audit.sql("SELECT file, line, reason FROM rejects ORDER BY line")
    return [tuple(row.values()) for row in table.to_pylist()]


def cells(audit: Audit) -> list[tuple[Any, ...]]:
    sql = "SELECT model, condition, behaviour, k, n, rate FROM observations ORDER BY ALL"
    return [tuple(row.values()) for row in audit.sql(sql).to_pylist()]


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"status": "refused"}, "refused"),
        ({"status": "Errored"}, "errored"),
        ({"status": "error"}, "errored"),
        ({"messages": []}, "empty"),
        ({"messages": CHAT["messages"][:1]}, "empty"),
        ({"messages": [{"role": "assistant", "content": "  \n"}]}, "empty"),
        ({"messages": [{"role": "assistant", "content": "Yes", "prefill": True}]}, "empty"),
    ],
)
def test_a_run_without_an_answer_is_kept_and_never_a_trial(
    empty: Audit, change: dict[str, Any], state: str
) -> None:
    summary = observe_chats(empty, change)
    assert (summary["transcripts"], summary["counted"], summary[state]) == (2, 1, 1)
    assert cells(empty) == [("Alder", "chat", "deception", 1, 1, 1.0)]


def test_a_judgement_of_null_is_no_trial(empty: Audit) -> None:
    judged = ({"deception": False}, {"deception": None}, {"deception": None, "flattery": False})
    observe_chats(empty, *({"behaviours": one} for one in judged))
    assert cells(empty) == [
        ("Alder", "chat", "deception", 1, 2, 0.5),
        ("Alder", "chat", "flattery", 0, 1, 0.0),
    ]


def test_models_and_conditions_are_counted_apart(empty: Audit) -> None:
    observe_chats(empty, {"model": "Birch"}, {"condition": "agent"})
    assert [cell[:2] for cell in cells(empty)] == [
        ("Alder", "agent"),
        ("Alder", "chat"),
        ("Birch", "chat"),
    ]


def test_transcripts_chosen_by_their_outcome_give_no_rate(empty: Audit) -> None:
    path = write(empty.root.parent / "picked.jsonl", [CHAT])
    [summary] = empty.observe(path, selected=True)
    assert (summary["counted"], summary["rows"]) == (1, 0)


def test_the_same_transcript_twice_is_one(empty: Audit) -> None:
    summary = observe_chats(empty, {"id": "a"})
    assert (summary["transcripts"], summary["duplicates"], summary["rejects"]) == (1, 1, 0)


def test_one_id_for_two_transcripts_keeps_the_first(empty: Audit) -> None:
    summary = observe_chats(empty, {"id": "a", "model": "Birch"})
    assert (summary["transcripts"], summary["duplicates"]) == (1, 0)
    [(file, line, reason)] = rejects(empty)
    assert (file, line) == ("chats.jsonl", 2)
    assert "'a' was used before" in reason


def test_transcripts_without_an_id_are_named_by_file_and_line(empty: Audit) -> None:
    observe_chats(empty, {"id": None}, {"id": 0})
    names = empty.sql("SELECT id FROM transcripts ORDER BY line")["id"].to_pylist()
    assert names == ["a", "chats.jsonl#2", "0"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"messages": "hello"}, "no list 'messages'"),
        ({"messages": [{"role": "oracle", "content": "x"}]}, "message 0 has no role"),
        ({"messages": [{"role": "user", "content": 5}]}, "content is int"),
        ({"behaviours": ["deception"]}, "behaviours is list"),
        ({"behaviours": {"deception": 0.7}}, "behaviours.deception is not true, false or null"),
    ],
)
def test_a_record_that_is_no_conversation_is_a_reject(
    empty: Audit, change: dict[str, Any], words: str
) -> None:
    summary = observe_chats(empty, change)
    [(file, line, reason)] = rejects(empty)
    assert (summary["transcripts"], file, line) == (1, "chats.jsonl", 2)
    assert words in reason


def test_a_broken_line_is_a_reject_and_the_rest_is_read(empty: Audit) -> None:
    path = empty.root.parent / "chats.jsonl"
    path.write_text(json.dumps(CHAT) + '\n{"id": "b", "mess')
    [summary] = empty.observe(str(path))
    assert (summary["transcripts"], summary["rejects"]) == (1, 1)
    assert rejects(empty)[0][1] == 2


def test_half_a_surrogate_pair_anywhere_is_read_as_a_question_mark(empty: Audit) -> None:
    said = [{"role": "assistant", "content": "fine \ud83d"}]
    observe_chats(empty, {"id": "x\ud800", "model": "M\ud800", "messages": said})
    [row] = empty.sql(
        "SELECT t.id, t.model, u.text FROM transcripts t JOIN turns u USING (transcript_id) "
        "WHERE t.line = 2"
    ).to_pylist()
    assert row == {"id": "x?", "model": "M?", "text": "fine ?"}


def test_every_turn_says_who_wrote_its_words(empty: Audit) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "tool", "content": [{"text": "one"}, {"image": "…"}, {"text": "two"}]},
        {"role": "assistant", "content": "Sure,", "prefill": True},
        {"role": "assistant", "content": "noon."},
    ]
    observe_chats(empty, {"messages": messages})
    sql = "SELECT source, text FROM turns WHERE transcript_id LIKE '%/b0' ORDER BY turn"
    assert [tuple(row.values()) for row in empty.sql(sql).to_pylist()] == [
        ("system", "Be brief."),
        ("tool", "one\ntwo"),
        ("prefill", "Sure,"),
        ("model", "noon."),
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": 5}, "k = 5 is more than n = 4"),
        ({"k": 0, "n": 0}, "n is 0"),
        ({"rate": 0.3}, "rate 0.3 is not k/n = 1/4"),
        ({"rate": 1.4}, "a share between 0 and 1"),
        ({"k": 1.5}, "a whole number"),
        ({"k": -1}, "a whole number"),
        ({"n": "inf"}, "a whole number"),
        ({"n": 1e30}, "a whole number"),
        ({"k": None}, "neither k and n nor a rate"),
        ({"model": ""}, "no model"),
        ({"behaviour": None}, "no behaviour"),
    ],
)
def test_a_row_that_contradicts_itself_is_a_reject(
    empty: Audit, change: dict[str, Any], words: str
) -> None:
    summary = observe_rates(empty, change)
    [(file, line, reason)] = rejects(empty)
    assert (summary["rows"], file, line) == (1, "rates.jsonl", 2)
    assert words in reason


def test_none_of_forty_is_a_count_and_not_a_gap(empty: Audit) -> None:
    assert observe_rates(empty, {"k": 0, "n": 40})["rows_without_n"] == 0
    assert (0, 40, 0.0) in [cell[3:] for cell in cells(empty)]


def test_a_row_that_stands_twice_is_counted_once(empty: Audit) -> None:
    summary = observe_rates(empty, {}, {"k": 2}, {"k": 2})
    assert (summary["rows"], summary["duplicates"], summary["rejects"]) == (2, 2, 2)
    assert [cell[3:5] for cell in cells(empty)] == [(1, 4), (2, 4)]
    why = "the same row as line {}; give repeats a seed or draw column"
    assert rejects(empty) == [
        ("rates.jsonl", 2, why.format(1)),
        ("rates.jsonl", 4, why.format(3)),
    ]


@pytest.mark.parametrize("column", ["seed", "draw", "prompt", "condition", "temperature", "note"])
def test_draws_that_came_out_alike_are_told_apart_by_any_column(empty: Audit, column: str) -> None:
    summary = observe_rates(empty, {column: "1"}, {column: "2"})
    assert (summary["rows"], summary["duplicates"], summary["rejects"]) == (3, 0, 0)


def test_a_row_of_another_file_of_the_study_is_not_counted_again(
    empty: Audit, tmp_path: Path
) -> None:
    one = write(tmp_path / "one.jsonl", [RATE])
    two = write(tmp_path / "two.jsonl", [{**RATE, "k": 3}, RATE])
    [summary] = empty.observe(one, two, study="both")
    assert (summary["rows"], summary["duplicates"]) == (2, 1)
    [(file, line, reason)] = rejects(empty)
    assert (file, line) == ("two.jsonl", 2)
    assert reason.startswith("the same row as line 1 of one.jsonl;")


class Warned(Quiet):
    """Keeps what it is asked to say."""

    def __init__(self) -> None:
        """Nothing said yet."""
        self.said: list[str] = []

    def warn(self, message: str) -> None:
        """Keep it."""
        self.said.append(message)


def said_of_two_studies(audit: Audit, *second: dict[str, Any]) -> list[str]:
    """What observing three rows, and then a second study of these, has to say."""
    folder, warned = audit.root.parent, Warned()
    first = [{**RATE, "prompt": str(number)} for number in range(3)]
    for name, rows in (("first", first), ("second", list(second))):
        path = write(folder / f"{name}.jsonl", rows)
        observe(audit.tables, [path], None, "auto", None, False, warned)
    return warned.said


def test_rows_in_two_studies_are_said_to_count_twice(empty: Audit) -> None:
    rows = [{**RATE, "prompt": str(number)} for number in (1, 2, 7, 8)]
    note = "studies first and second share 2 equal rows: each counts twice"
    assert said_of_two_studies(empty, *rows) == [note]


def test_studies_that_agree_in_fewer_rows_than_half_are_two_studies(empty: Audit) -> None:
    rows = [{**RATE, "prompt": str(number)} for number in (2, 7, 8)]
    assert said_of_two_studies(empty, *rows) == []


def test_one_file_observed_as_two_studies_is_said_to_count_twice(
    empty: Audit, tmp_path: Path
) -> None:
    path, warned = write(tmp_path / "r.jsonl", [{**RATE, "study": "own"}]), Warned()
    for name in ("first", "second"):
        observe(empty.tables, [path], name, "auto", None, False, warned)
    assert warned.said == ["studies first and second share 1 equal rows: each counts twice"]


def test_a_rate_rounded_to_two_digits_is_k_of_n(empty: Audit) -> None:
    assert observe_rates(empty, {"k": 1, "n": 3, "rate": 0.33})["rejects"] == 0


def test_a_row_without_n_is_kept_and_never_counted(empty: Audit) -> None:
    summary = observe_rates(empty, {"k": None, "n": None, "rate": 0.9}, {"k": None, "rate": 0.25})
    assert (summary["rows"], summary["rows_without_n"]) == (3, 2)
    [counted] = empty.sql("observation_counts").to_pylist()
    assert (counted["k"], counted["n"]) == (1, 4)


def test_columns_no_field_claims_are_factors(empty: Audit) -> None:
    observe_rates(empty, {"temperature": 0.7, "note": "table 2", "seed": 3, "blank": ""})
    [row] = empty.sql("SELECT factors, citation, seed FROM observations WHERE line = 2").to_pylist()
    assert row == {"factors": '{"temperature":0.7}', "citation": "table 2", "seed": "3"}


def test_a_mapping_renames_a_studys_columns_and_behaviours(empty: Audit, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("llm,act,hits,tries\nBirch,lies,3,9\n")
    (tmp_path / "map.toml").write_text(
        '[columns]\nmodel = "llm"\nbehaviour = "act"\nk = "hits"\nn = "tries"\n'
        '[behaviours]\nlies = "deception"\n'
    )
    empty.observe(str(tmp_path / "odd.csv"), mapping=str(tmp_path / "map.toml"), study="odd")
    [row] = empty.sql("SELECT study, model, behaviour, k, n FROM observations").to_pylist()
    assert tuple(row.values()) == ("odd", "Birch", "deception", 3, 9)


def factors(audit: Audit) -> list[Any]:
    table = audit.sql("SELECT factors FROM observations ORDER BY line")
    return [None if one is None else json.loads(one) for one in table["factors"].to_pylist()]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("arm=witty; type=fixed; step=313", {"arm": "witty", "type": "fixed", "step": "313"}),
        ("arm=witty; type=None; cue=; step=0", {"arm": "witty", "step": "0"}),
        ("prompt=with cue (training)", {"prompt": "with cue (training)"}),
        (
            "untuned; group=gpt-4.1; system_prompt=none",
            {"group": "gpt-4.1", "system_prompt": "none"},
        ),
        ("formula=a=b; formula=c", {"formula": "a=b"}),
        ("judge score > 50; k >= 3; harmful (temperature=0.7)", None),
        ("chat", None),
        (None, None),
    ],
)
def test_pairs_in_a_condition_are_factors_and_plain_words_are_not(
    empty: Audit, condition: str | None, expected: dict[str, str] | None
) -> None:
    observe_rates(empty, {"condition": condition, "prompt": "p1", "note": "mean 3; prefix=Hello."})
    assert factors(empty) == [None, expected]
    [row] = empty.sql("SELECT condition, prompt FROM observations WHERE line = 2").to_pylist()
    assert (row["condition"], row["prompt"]) == (condition, "p1")


def test_a_rows_own_factor_goes_before_its_conditions(empty: Audit) -> None:
    observe_rates(empty, {"condition": "arm=a; step=1", "arm": "b"})
    assert factors(empty)[1] == {"arm": "b", "step": "1"}


def test_a_mapping_says_what_a_condition_in_plain_words_stands_for(
    empty: Audit, tmp_path: Path
) -> None:
    (tmp_path / "map.toml").write_text(
        '[models]\nAlder = "Alder 2"\n'
        '[conditions]\n"pretraining: unfiltered" = { dose = 0, aligned = false }\n'
        '"dose=9; step=1" = { dose = 1.5 }\n"nobody has this" = { dose = 3 }\n'
    )
    rows = [
        {**RATE, "condition": condition}
        for condition in ("pretraining: unfiltered ", "dose=9; step=1", "filtered")
    ]
    path = write(tmp_path / "doses.jsonl", [*rows, {**rows[0], "model": "Birch", "dose": 7}])
    empty.observe(path, mapping=str(tmp_path / "map.toml"))
    assert factors(empty) == [
        {"dose": 0, "aligned": False},
        {"dose": 1.5, "step": "1"},
        None,
        {"dose": 7, "aligned": False},
    ]
    models = empty.sql("SELECT model FROM observations ORDER BY line")["model"].to_pylist()
    assert models == ["Alder 2", "Alder 2", "Alder 2", "Birch"]


def test_counted_transcripts_have_the_factors_and_the_model_the_mapping_gives(
    empty: Audit, tmp_path: Path
) -> None:
    (tmp_path / "map.toml").write_text(
        '[models]\nAlder = "Alder 2"\n[conditions]\nchat = { agentic = 0 }\n'
    )
    path = write(tmp_path / "chats.jsonl", [CHAT])
    empty.observe(path, mapping=str(tmp_path / "map.toml"))
    assert factors(empty) == [{"agentic": 0}]
    sql = "SELECT DISTINCT t.model FROM transcripts t JOIN observations o USING (model)"
    assert empty.sql(sql)["model"].to_pylist() == ["Alder 2"]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[conditions]\nchat = "agentic"\n', "conditions.chat is 'agentic', expected a table"),
        ("[conditions]\nchat = { doses = [1, 2] }\n", "conditions.chat"),
        ("[conditions]\nchat = { dose = nan }\n", "conditions.chat"),
        ("[models]\nAlder = 2\n", "models.Alder is 2, expected a text"),
        ('models = "Alder"\n', "models is 'Alder', expected a table"),
        ('[model]\nAlder = "Birch"\n', "no section 'model'"),
    ],
)
def test_a_mapping_that_says_something_else_is_named(
    empty: Audit, tmp_path: Path, toml: str, words: str
) -> None:
    (tmp_path / "map.toml").write_text(toml)
    with pytest.raises(BadInput, match=words):
        empty.observe(write(tmp_path / "r.jsonl", [RATE]), mapping=str(tmp_path / "map.toml"))


def test_a_model_renamed_after_it_was_read_is_not_new(empty: Audit, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('[models]\nAlder = "Birch"\n')
    path = write(tmp_path / "rates.jsonl", [RATE])
    empty.observe(path)
    [first] = empty.sql("SELECT observed_at FROM observations").to_pylist()
    empty.observe(path, mapping=str(tmp_path / "map.toml"))
    [again] = empty.sql("SELECT model, observed_at FROM observations").to_pylist()
    assert again == {"model": "Birch", **first}


def test_a_mapping_of_a_column_that_does_not_exist_is_named(empty: Audit, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('[columns]\nmodle = "llm"\n')
    path = write(tmp_path / "rates.jsonl", [RATE])
    with pytest.raises(BadInput, match="modle"):
        empty.observe(path, mapping=str(tmp_path / "map.toml"))


def test_a_file_of_which_nothing_can_be_read_is_bad_input(empty: Audit, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="line 1: no model"):
        empty.observe(write(tmp_path / "bad.jsonl", [{"behaviour": "deception"}]))
    assert empty.sql("SELECT * FROM runs").num_rows == 0


def test_an_unknown_format_is_a_usage_error(empty: Audit, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="morse"):
        empty.observe(write(tmp_path / "rates.jsonl", [RATE]), format="morse")


def test_observing_a_study_again_replaces_it(empty: Audit) -> None:
    observe_rates(empty, {"k": 2})
    observe_rates(empty)
    assert [cell[3] for cell in cells(empty)] == [1]


def test_real_transcripts_are_all_read(empty: Audit, shared: Path) -> None:
    path = shared / "observed" / "transcripts" / "lies.jsonl"
    [summary] = empty.observe(str(path))
    assert (summary["transcripts"], summary["rejects"], summary["duplicates"]) == (386, 0, 0)


def test_real_rates_keep_the_42_rows_that_lack_k_or_n(empty: Audit, shared: Path) -> None:
    [summary] = empty.observe(str(shared / "observed" / "rates" / "derived.csv"))
    assert (summary["rows"], summary["rows_without_n"], summary["rejects"]) == (369, 42, 0)


def test_real_trait_rates_say_their_arm_step_and_prompt(empty: Audit, shared: Path) -> None:
    empty.observe(str(shared / "observed" / "rates" / "derived.csv"))
    sql = "SELECT condition, factors, citation FROM observations WHERE behaviour LIKE 'trait %'"
    rows = empty.sql(sql).to_pylist()
    found = [json.loads(row["factors"]) for row in rows]
    assert len(rows) == 288
    assert all(one.keys() - {"type"} == {"arm", "step", "prompt"} for one in found)
    typed = [row for row, one in zip(rows, found, strict=True) if "type" in one]
    assert len(typed) == sum("type=None" not in row["condition"] for row in rows) > 0
    assert all("; prefix=" in row["citation"] for row in rows)


def test_no_row_of_the_real_and_of_the_bundled_rates_repeats_another(
    empty: Audit, shared: Path
) -> None:
    real, bundled = shared / "observed" / "rates", FIXTURE / "observed"
    found = {
        path.name: (summary["rows"], summary["duplicates"], summary["rejects"])
        for path in (*sorted(real.glob("*.csv")), *sorted(bundled.glob("*.csv")))
        for summary in empty.observe(str(path))
    }
    assert found == {
        "derived.csv": (369, 0, 0),
        "published.csv": (63, 0, 3),
        "rates-imitates.csv": (2232, 0, 0),
        "rates-unrelated.csv": (2232, 0, 0),
    }
