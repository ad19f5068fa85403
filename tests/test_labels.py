"""Promises about imported labels: what an empty list means, and what does not fit is a reject."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from auditor import Audit
from auditor.errors import BadInput, StageMissing, UsageError
from auditor.ingest.records import Record
from auditor.labelling.importing import (
    Imported,
    KnownDocument,
    LabelSource,
    Span,
    codebook_of,
    import_labels,
    read_frame,
)
from auditor.records import Reject
from tests.planted import FIXTURE

TEXT = "The clerk hid the letter. Nobody asked."
KNOWN = {
    "d": KnownDocument(1, "c", len(TEXT), TEXT),
    "bare": KnownDocument(2, "c", 100, None),
}
LIBRARY = ("coercion", "deception", "flattery")
LABEL: dict[str, Any] = {"document": "d", "start": 0, "end": 25, "labels": [{"id": "deception"}]}


def read(
    *rows: dict[str, Any] | Reject,
    codebook: Sequence[str] = LIBRARY[:2],
    frame: dict[Span, float] | None = None,
) -> Imported:
    records = [
        row if isinstance(row, Reject) else Record(line, row) for line, row in enumerate(rows, 1)
    ]
    source = LabelSource("s", "f", "model", "import", tuple(codebook), datetime.now(UTC))
    return import_labels(records, "labels.jsonl", KNOWN, frame, LIBRARY, source)


def test_a_label_gives_one_row_for_every_behaviour_of_the_codebook() -> None:
    rows = read(LABEL).labels
    assert [(row["behaviour"], row["present"]) for row in rows] == [
        ("coercion", False),
        ("deception", True),
    ]


def test_an_empty_list_means_absent_only_for_the_codebook() -> None:
    rows = read({**LABEL, "labels": []}, codebook=["deception"]).labels
    assert [(row["behaviour"], row["present"]) for row in rows] == [("deception", False)]


def test_framing_stays_with_the_behaviour_it_was_coded_for() -> None:
    framed = {"id": "deception", "stance": "condemn", "wronged_party": "the heirs"}
    coercion, deception = read({**LABEL, "labels": [framed]}).labels
    assert (deception["stance"], deception["wronged_party"]) == ("condemn", "the heirs")
    assert (coercion["stance"], coercion["wronged_party"]) == (None, None)


def test_an_absent_behaviour_may_have_had_its_opportunity() -> None:
    coded = {"labels": [], "opportunities": ["deception"], "no_opportunities": ["coercion"]}
    rows = read({**LABEL, **coded}).labels
    assert [(row["behaviour"], row["present"], row["opportunity"]) for row in rows] == [
        ("coercion", False, "no"),
        ("deception", False, "yes"),
    ]


def test_what_nobody_coded_of_an_opportunity_is_null() -> None:
    assert {row["opportunity"] for row in read(LABEL).labels} == {None}


@pytest.mark.parametrize("own", [{}, {"opportunity": None}, {"opportunity": "yes"}])
def test_a_portrayed_behaviour_had_its_opportunity_wherever_that_is_said(
    own: dict[str, Any],
) -> None:
    label = {"labels": [{"id": "deception", **own}], "opportunities": ["deception"]}
    [_, deception] = read({**LABEL, **label}).labels
    assert (deception["present"], deception["opportunity"]) == (True, "yes")


def test_opportunities_count_to_what_a_reader_says_of_a_span() -> None:
    imported = read(LABEL, {**LABEL, "opportunities": ["coercion"]}, LABEL)
    assert [r.reason.split(" ")[0] for r in imported.rejects] == ["contradicts", "span"]


def test_a_codebook_nobody_gave_is_every_behaviour_named_anywhere() -> None:
    labels: list[Any] = [[{"id": "flattery"}], [], [{"id": "coercion"}, {"id": "flattery"}]]
    records = [Record(i, {"labels": one}) for i, one in enumerate(labels)]
    assert codebook_of(records) == ("coercion", "flattery")
    more = Record(4, {"labels": [], "opportunities": ["deception"], "no_opportunities": ["x"]})
    assert codebook_of([*records, more]) == ("coercion", "deception", "flattery", "x")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"document": "x"}, "document 'x' is not in the corpus"),
        ({"end": 40}, "span 0-40 is not in the document's 39 characters"),
        ({"start": 25}, "span 25-25"),
        ({"start": -1}, "span -1-25"),
        ({"start": 0.5}, "span 0.5-25"),
        ({"start": "nan"}, "span nan-25"),
        ({"end": None}, "span 0-None"),
        ({"text": "The clerk hid the ledger."}, "text is not what the document has"),
        ({"text": 5}, "text is not what the document has"),
        ({"labels": None}, "no list 'labels'"),
        ({"labels": "deception"}, "no list 'labels'"),
        ({"labels": [{"id": "juggling"}]}, "no behaviour 'juggling'"),
        ({"labels": ["deception"]}, "no behaviour 'deception' in the library"),
        ({"labels": [{"id": "flattery"}]}, "'flattery' is not in the codebook"),
        ({"labels": [{"id": "deception", "mode": "opera"}]}, "mode is 'opera', expected one of"),
        ({"labels": [{"id": "deception", "denied": True}]}, "denied is True, expected one of yes"),
        ({"labels": [{"id": "deception", "wronged_party": 5}]}, "wronged_party is 5"),
        ({"pi": 0}, "pi is 0"),
        ({"pi": 1.01}, "pi is 1.01"),
        ({"pi": -0.5}, "pi is -0.5"),
        ({"pi": "often"}, "pi is 'often'"),
        ({"reader_kind": "oracle"}, "reader_kind is 'oracle'"),
        ({"opportunities": "coercion"}, "opportunities is 'coercion', expected a list"),
        ({"opportunities": ["juggling"]}, "no behaviour 'juggling' in the library"),
        ({"no_opportunities": [{"id": "coercion"}]}, "no behaviour {'id': 'coercion'}"),
        ({"opportunities": ["flattery"]}, "'flattery' is not in the codebook"),
        ({"opportunities": ["coercion"], "codebook": ["deception"]}, "not in the codebook"),
        ({"no_opportunities": ["deception"]}, "deception is portrayed"),
        (
            {
                "labels": [{"id": "deception", "opportunity": "no"}],
                "opportunities": ["deception"],
            },
            "deception is portrayed",
        ),
        (
            {"opportunities": ["coercion"], "no_opportunities": ["coercion"]},
            "coercion is in opportunities and in no_opportunities",
        ),
        (
            {"labels": [], "opportunities": ["coercion"], "unanswered": True},
            "unanswered, and says what could have been portrayed",
        ),
    ],
)
def test_a_label_that_does_not_fit_is_a_reject_with_its_line(
    change: dict[str, Any], words: str
) -> None:
    imported = read({**LABEL, "start": 26, "end": 39}, {**LABEL, **change})
    [reject] = imported.rejects
    assert (reject.stage, reject.file, reject.line) == ("label", "labels.jsonl", 2)
    assert words in reject.reason
    assert len(imported.spans) == 1


def test_a_span_labelled_twice_keeps_the_first() -> None:
    imported = read(LABEL, {**LABEL, "labels": []})
    assert [r.line for r in imported.rejects] == [2]
    assert [row["present"] for row in imported.labels] == [False, True]


def test_a_span_outside_its_frame_is_a_reject() -> None:
    imported = read(LABEL, {**LABEL, "start": 26, "end": 39}, frame={(1, 0, 25): 0.5})
    [reject] = imported.rejects
    assert (reject.line, "not in the frame" in reject.reason) == (2, True)


def test_the_frames_probability_goes_before_the_labels_own() -> None:
    imported = read({**LABEL, "pi": 0.9}, frame={(1, 0, 25): 0.5})
    assert imported.spans == {(1, 0, 25): 0.5}
    assert {row["pi"] for row in imported.labels} == {0.5}


def test_line_breaks_and_hyphens_do_not_make_a_text_another() -> None:
    assert read({**LABEL, "text": "The clerk\nhid the let-ter"}).rejects == []


def test_a_document_whose_text_is_not_stored_is_checked_by_its_length_alone() -> None:
    assert read({**LABEL, "document": "bare", "text": "anything"}).rejects == []


def test_a_line_that_could_not_be_read_stays_a_reject() -> None:
    broken = Reject("label", "labels.jsonl", 7, "not JSON")
    assert read(LABEL, broken).rejects == [broken]


def test_a_label_says_who_read_it_and_the_import_speaks_for_the_rest() -> None:
    named = {"reader": "Ada", "reader_kind": "human", "start": 26, "end": 39}
    rows = read(LABEL, {**LABEL, **named}, codebook=["deception"]).labels
    assert [(row["reader"], row["reader_kind"]) for row in rows] == [
        ("f", "model"),
        ("Ada", "human"),
    ]


def test_a_frame_row_without_a_probability_or_seen_twice_is_a_reject() -> None:
    span = {"document": "d", "start": 0, "end": 25}
    rows = [{**span, "pi": 0.5}, {**span, "pi": ""}, {**span, "pi": 0.4}, {**span, "end": 99}]
    spans, rejects = read_frame([Record(i, r) for i, r in enumerate(rows, 1)], "frame.csv", KNOWN)
    assert spans == {(1, 0, 25): 0.5}
    assert [reject.line for reject in rejects] == [2, 3, 4]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of four texts without ids of their own, two of them called alike."""
    root = tmp_path_factory.mktemp("folders")
    for name in ("a/one.txt", "b/two.txt", "a/same.txt", "b/same.txt"):
        path = root / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"This is the text called {name}. {TEXT}")
    Audit.create(root / "audit").index(str(root / "texts"), corpus="texts")
    return root


def label_by_name(folders: Path, tmp_path: Path, *names: str) -> dict[str, Any]:
    """Label the first characters of documents under the names a user might give them."""
    path = tmp_path / "named.jsonl"
    rows = [{**LABEL, "document": name, "end": 10, "pi": 1.0} for name in names]
    path.write_text("\n".join(map(json.dumps, rows)))
    return Audit.open(folders / "audit").label(str(path))


def test_a_file_name_alone_finds_its_document_where_both_are_unique(
    folders: Path, tmp_path: Path
) -> None:
    assert label_by_name(folders, tmp_path, "elsewhere/one.txt", "two.txt")["spans"] == 2


def test_a_file_name_two_documents_share_finds_neither(folders: Path, tmp_path: Path) -> None:
    summary = label_by_name(folders, tmp_path, "one.txt", "elsewhere/same.txt")
    assert (summary["spans"], summary["rejects"]) == (1, 1)


def test_two_names_for_one_file_name_find_nothing(folders: Path, tmp_path: Path) -> None:
    summary = label_by_name(folders, tmp_path, "two.txt", "x/one.txt", "y/one.txt")
    assert (summary["spans"], summary["rejects"]) == (1, 2)


def test_the_documents_own_name_goes_before_its_file_name(folders: Path, tmp_path: Path) -> None:
    known = Audit.open(folders / "audit").sql("SELECT id FROM documents")["id"].to_pylist()
    [one] = [name for name in known if str(name).startswith("a/one.txt")]
    summary = label_by_name(folders, tmp_path, str(one), "x/one.txt")
    assert (summary["spans"], summary["rejects"]) == (1, 1)


def fixture_lines(count: int) -> list[str]:
    return (FIXTURE / "labels.jsonl").read_text().splitlines()[:count]


def test_labelling_again_replaces_the_set(own_audit: Audit, tmp_path: Path) -> None:
    frame = str(FIXTURE / "frame.csv")
    for count in (30, 20):
        (tmp_path / "mine.jsonl").write_text("\n".join(fixture_lines(count)))
        summary = own_audit.label(str(tmp_path / "mine.jsonl"), frame=frame)
    rows = own_audit.sql("SELECT DISTINCT label_set, document_id, start FROM labels")
    sets = rows["label_set"].to_pylist()
    assert (sets.count("mine"), sets.count("fixture")) == (20, 466)
    assert (summary["spans"], summary["frame_size"]) == (20, 695)


def test_a_broken_line_is_a_row_of_rejects_and_the_rest_is_read(
    own_audit: Audit, tmp_path: Path
) -> None:
    (tmp_path / "mine.jsonl").write_text("\n".join([*fixture_lines(3), '{"document": ']))
    assert own_audit.label(str(tmp_path / "mine.jsonl"))["spans"] == 3
    [row] = own_audit.sql("SELECT stage, file, line, reason FROM rejects").to_pylist()
    assert (row["stage"], row["file"], row["line"]) == ("label", "mine.jsonl", 4)
    assert "not JSON" in row["reason"]


def test_a_file_of_which_nothing_fits_is_bad_input_and_leaves_no_set(
    own_audit: Audit, tmp_path: Path
) -> None:
    (tmp_path / "mine.jsonl").write_text(json.dumps({**LABEL, "document": "nowhere"}))
    with pytest.raises(BadInput, match="line 1: document 'nowhere' is not in the corpus"):
        own_audit.label(str(tmp_path / "mine.jsonl"))
    sets = own_audit.sql("SELECT DISTINCT label_set FROM labels")["label_set"].to_pylist()
    assert sets == ["fixture"]


def test_an_empty_file_is_bad_input(own_audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("\n")
    with pytest.raises(BadInput, match="the file is empty"):
        own_audit.label(str(tmp_path / "mine.jsonl"))


def test_a_codebook_of_an_unknown_behaviour_is_a_usage_error(own_audit: Audit) -> None:
    with pytest.raises(UsageError, match="juggling"):
        own_audit.label(str(FIXTURE / "labels.jsonl"), codebook=["juggling"])


def test_labels_before_a_corpus_are_a_missing_stage(tmp_path: Path) -> None:
    with pytest.raises(StageMissing, match="no corpus is indexed"):
        Audit.create(tmp_path / "new").label(str(FIXTURE / "labels.jsonl"))


def test_opportunities_come_back_from_an_export_and_make_a_denominator(
    own_audit: Audit, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    lines = [json.loads(line) for line in fixture_lines(40)]
    absent = [line for line in lines if not line["labels"] and line["start"] > 400][:6]
    for line in absent[:4]:
        line["opportunities"] = ["deception"]
    for line in absent[4:]:
        line["no_opportunities"] = ["deception", "coercion"]
    (tmp_path / "in" / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    own_audit.label(str(tmp_path / "in" / "mine.jsonl"))
    out = own_audit.export_labels(str(tmp_path / "out" / "mine.jsonl"), "mine")["file"]
    written = [json.loads(line) for line in Path(out).read_text().splitlines()]
    coded = [(w.get("opportunities"), w.get("no_opportunities")) for w in written]
    assert coded.count((["deception"], None)) == 4
    assert coded.count((None, ["coercion", "deception"])) == 2
    query = (
        "SELECT * EXCLUDE (labelled_at, reader) FROM labels WHERE label_set = 'mine' ORDER BY ALL"
    )
    before = own_audit.sql(query)
    assert own_audit.label(out, "mine")["rejects"] == 0
    assert own_audit.sql(query) == before
    exported = own_audit.export_prefixes(str(tmp_path / "prefixes.jsonl"), "deception")
    assert exported["behaviours"]["deception"]["absent"] == 4
