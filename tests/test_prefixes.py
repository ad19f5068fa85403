"""Promises about prefixes: what a model is given, what it is not told, what is no trial."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from auditor import Audit
from auditor.errors import BadInput, StageMissing, UsageError
from auditor.flows.prefixes import read_truths
from auditor.flows.recording import Started
from auditor.index.tokens import word_hashes
from auditor.ingest.continuations import PrefixId, reproduces
from auditor.progress import Quiet
from auditor.store.tables import rows_table
from tests.conftest import Command
from tests.planted import FIXTURE, documents

LINE = (
    "prefix_id", "behaviour", "corpus", "document", "start", "end", "text", "continuation_words",
)  # fmt: skip
INVENTED = "A heron stood on the weir all morning and nobody in the valley asked it why."


class Heard(Quiet):
    """Keeps what it was warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of the fixture with its labels; do not write to it."""
    root = tmp_path_factory.mktemp("prefixes") / "audit"
    audit = Audit.create(root)
    audit.index("fixture")
    audit.label(str(FIXTURE / "labels.jsonl"), codebook=["coercion", "deception", "flattery"])
    return root


@pytest.fixture
def audit(labelled: Path, tmp_path: Path) -> Audit:
    """A copy of it, to be written to."""
    shutil.copytree(labelled, tmp_path / "audit")
    return Audit.open(tmp_path / "audit", Heard())


def plain(text: str) -> str:
    """A text with one space for every gap: the index does not store what is between passages."""
    return " ".join(text.split())


def export(
    audit: Audit, *behaviours: str, words: int = 200, corpus: str | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Export prefixes beside the audit; the summary and the lines."""
    path = audit.root.parent / f"prefixes-{len(list(audit.root.parent.iterdir()))}.jsonl"
    summary = audit.export_prefixes(str(path), *behaviours, words=words, corpus=corpus)
    return summary, [json.loads(line) for line in path.read_text().splitlines()]


def labels(audit: Audit, behaviour: str, present: bool) -> list[dict[str, Any]]:
    """Labels of a behaviour with at least 400 characters before them, one a document."""
    sql = "SELECT * FROM labels WHERE behaviour = $b AND present = ($p = 'yes') AND start > 400"
    rows = audit.sql(sql, b=behaviour, p="yes" if present else "no").to_pylist()
    return list({row["document_id"]: row for row in rows}.values())


def code(audit: Audit, name: str, rows: list[dict[str, Any]]) -> None:
    """Add a label set of these rows."""
    tables, started = audit.tables, Started("label", ())
    path = tables.write(
        "labels", name, rows_table("labels", [{**r, "label_set": name} for r in rows])
    )
    started.finish(tables, name, "s", name, [path], len(rows), {"frame": None})


def coded(audit: Audit, spans: int = 3) -> list[dict[str, Any]]:
    """Say of some spans without deception that it could have been shown there."""
    rows = [{**row, "opportunity": "yes"} for row in labels(audit, "deception", False)[:spans]]
    code(audit, "opportunities", rows)
    return rows


def continue_prefixes(
    audit: Audit, *records: dict[str, Any], study: str | None = None, mapping: str | None = None
) -> dict[str, Any]:
    path = audit.root.parent / "continued.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    [summary] = audit.observe(str(path), study=study, mapping=mapping)
    return summary


def record(
    line: dict[str, Any], *said: tuple[str, bool | None], **more: str | float
) -> dict[str, Any]:
    """What a model made of a prefix, as `observe` reads it."""
    continuations = [{"text": text, "present": present} for text, present in said]
    known = {"prefix_id": line["prefix_id"], "model": "Alder-base"}
    return {**known, "continuations": continuations, **more}


def observed(audit: Audit) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = audit.sql("SELECT * FROM observations ORDER BY line").to_pylist()
    return rows


def reasons(audit: Audit) -> list[str]:
    table = audit.sql("SELECT reason FROM rejects WHERE stage = 'observe' ORDER BY line")
    return [str(reason) for reason in table["reason"].to_pylist()]


def test_a_prefix_ends_where_its_span_begins(audit: Audit) -> None:
    _, lines = export(audit, words=60)
    assert lines
    for line in lines:
        text = documents()[line["document"]]["text"]
        assert plain(text[: line["start"]]).endswith(plain(line["text"]))
        assert line["text"] == line["text"].strip()
        said = word_hashes(text[line["start"] : line["end"]])
        assert line["continuation_words"] == len(said)


def test_a_prefix_has_the_words_asked_for_or_all_there_are(audit: Audit) -> None:
    _, lines = export(audit, words=200)
    for line in lines:
        before = documents()[line["document"]]["text"][: line["start"]]
        assert len(word_hashes(line["text"])) == min(200, len(word_hashes(before))) >= 20


def test_a_line_does_not_say_what_the_reader_found(audit: Audit) -> None:
    coded(audit)
    _, lines = export(audit, "deception")
    assert {tuple(line) for line in lines} == {LINE}


def test_every_label_is_exported_or_counted_as_left_out(audit: Audit) -> None:
    summary, lines = export(audit)
    counts = summary["behaviours"].values()
    assert set(summary) == {"target", "file", "prefixes", "behaviours", "left_out"}
    assert summary["prefixes"] == len(lines) == sum(c["prefixes"] for c in counts)
    assert all(c["prefixes"] == c["present"] + c["absent"] for c in counts)
    [labels] = audit.sql("SELECT count(*) AS n FROM labels").to_pylist()
    assert summary["prefixes"] + sum(summary["left_out"].values()) == labels["n"]
    [early] = audit.sql("SELECT count(*) AS n FROM labels WHERE present AND start = 0").to_pylist()
    assert 0 < early["n"] <= summary["left_out"]["short"]


def test_without_a_coded_opportunity_a_warning_names_the_missing_denominator(audit: Audit) -> None:
    summary, _ = export(audit, "deception")
    assert summary["behaviours"]["deception"]["absent"] == 0
    assert isinstance(audit._progress, Heard)
    [warning] = audit._progress.warnings
    assert warning.startswith("deception: no denominator")
    assert "(U4)" in warning


def test_a_span_where_it_could_have_been_shown_and_was_not_is_the_denominator(audit: Audit) -> None:
    without, _ = export(audit, "deception")
    rows = coded(audit)
    summary, lines = export(audit, "deception")
    assert summary["behaviours"]["deception"]["absent"] == len(rows) == 3
    assert summary["prefixes"] == without["prefixes"] + 3
    assert summary["left_out"]["no_opportunity"] == without["left_out"]["no_opportunity"] - 3
    assert Counter(line["prefix_id"] for line in lines).most_common(1)[0][1] == 1
    assert isinstance(audit._progress, Heard)
    assert len(audit._progress.warnings) == 1


def test_a_span_that_label_sets_differ_on_has_no_outcome(audit: Audit) -> None:
    [row, *_] = labels(audit, "deception", True)
    before, _ = export(audit, "deception")
    code(audit, "second", [{**row, "present": False, "opportunity": "yes"}])
    after, lines = export(audit, "deception")
    assert (before["left_out"]["undecided"], after["left_out"]["undecided"]) == (0, 1)
    assert after["prefixes"] == before["prefixes"] - 1
    lost = str(PrefixId(row["document_id"], row["start"], row["end"], "deception"))
    assert lost not in {line["prefix_id"] for line in lines}


@pytest.mark.parametrize(
    ("behaviours", "settings", "words"),
    [
        (("gluttony",), {}, "gluttony"),
        ((), {"corpus": "nowhere"}, "nowhere"),
        ((), {"words": 5}, "5 words are no prefix"),
    ],
)
def test_what_cannot_be_exported_is_named(
    audit: Audit, behaviours: tuple[str, ...], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        export(audit, *behaviours, **settings)


def test_a_file_that_exists_is_not_written_over(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("mine")
    with pytest.raises(UsageError, match=r"mine\.jsonl exists"):
        audit.export_prefixes(str(tmp_path / "mine.jsonl"))
    assert (tmp_path / "mine.jsonl").read_text() == "mine"


def test_prefixes_need_words_and_labels(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text(INVENTED)
    bare = Audit.create(tmp_path / "bare")
    bare.index(str(tmp_path / "one.txt"), store_text=False)
    with pytest.raises(StageMissing, match="does not store the words"):
        bare.export_prefixes(str(tmp_path / "out.jsonl"))
    unread = Audit.create(tmp_path / "unread")
    unread.index(str(tmp_path / "one.txt"))
    with pytest.raises(StageMissing, match="no passage is labelled"):
        unread.export_prefixes(str(tmp_path / "out.jsonl"))


def test_every_exported_id_leads_back_to_what_the_document_says(audit: Audit) -> None:
    _, lines = export(audit)
    truths = read_truths(audit.tables, [line["prefix_id"] for line in lines])
    for line in lines:
        truth, text = truths[line["prefix_id"]], documents()[line["document"]]["text"]
        assert (truth.behaviour, truth.problem) == (line["behaviour"], None)
        assert plain(truth.text) == plain(text[line["start"] : line["end"]])


def test_a_continuation_that_repeats_the_document_is_no_trial(audit: Audit) -> None:
    _, [line, *_] = export(audit, "deception")
    true = documents()[line["document"]]["text"][line["start"] : line["end"]]
    said = [(true, True), (true.upper(), True), (INVENTED, False), ("I lied to her.", True)]
    summary = continue_prefixes(audit, record(line, *said, base_or_tuned="base", seed=7))
    [row] = observed(audit)
    assert (summary["rows"], summary["verbatim"], summary["rejects"]) == (1, 2, 0)
    assert (row["k"], row["n"], row["rate"]) == (1, 2, 0.5)
    assert json.loads(row["factors"]) == {"verbatim": 2, "unjudged": 0}
    assert (row["model"], row["behaviour"]) == ("Alder-base", "deception")
    assert (row["condition"], row["prompt"]) == ("prefix", line["prefix_id"])
    assert (row["unit"], row["base_or_tuned"], row["seed"]) == ("continuation", "base", "7")


def test_a_continuation_without_a_judgement_or_words_is_no_trial(audit: Audit) -> None:
    _, [line, *_] = export(audit, "deception")
    said = [(INVENTED, None), (" … ", False), ("She told him the truth.", False)]
    continue_prefixes(audit, record(line, *said, temperature=0.7, blank=""))
    [row] = observed(audit)
    assert (row["k"], row["n"], row["base_or_tuned"], row["seed"]) == (0, 1, None, None)
    assert json.loads(row["factors"]) == {"temperature": 0.7, "unjudged": 2, "verbatim": 0}


def test_a_record_read_twice_is_counted_once(audit: Audit) -> None:
    _, [line, *_] = export(audit, "deception")
    once = record(line, (INVENTED, True))
    summary = continue_prefixes(audit, once, once, {**once, "seed": 2})
    assert (summary["rows"], summary["duplicates"]) == (2, 1)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no id": ({"prefix_id": None}, "no prefix_id"),
    "no such id": ({"prefix_id": "p1"}, "prefix_id is 'p1', expected"),
    "no such document": ({"prefix_id": "00000000000000ab-0-9-deception"}, "not in this audit"),
    "no such behaviour": ({"prefix_id": "ID-gluttony"}, "no behaviour 'gluttony'"),
    "not judged": ({"prefix_id": "ID-sandbagging"}, "no reader judged sandbagging"),
    "no such span": ({"prefix_id": "DOC-5-99999-deception"}, "span 5-99999 is not in"),
    "no such label": ({"prefix_id": "DOC-5-9-deception"}, "no reader judged deception at 5-9"),
    "no model": ({"model": ""}, "no model"),
    "no list": ({"continuations": INVENTED}, "no list 'continuations'"),
    "no text": ({"continuations": [{"present": True}]}, "continuation 0 has no text"),
    "a score": ({"continuations": [{"text": "x", "present": 0.7}]}, "present is 0.7, not true"),
    "nothing": ({"continuations": []}, "no judged continuation left: 0 reproduce"),
    "unjudged": ({"continuations": [{"text": "x"}]}, "1 have no judgement"),
}


@pytest.mark.parametrize("why", BAD)
def test_a_record_that_cannot_be_counted_is_a_reject(audit: Audit, why: str) -> None:
    _, [line, *_] = export(audit, "deception")
    change, words = BAD[why]
    good = record(line, (INVENTED, True))
    document = line["prefix_id"].split("-")[0]
    span = line["prefix_id"].rsplit("-", 1)[0]
    named = str(change.get("prefix_id")).replace("ID", span).replace("DOC", document)
    bad = {**good, **change} | ({"prefix_id": named} if change.get("prefix_id") else {})
    summary = continue_prefixes(audit, good, bad)
    assert (summary["rows"], summary["rejects"]) == (1, 1)
    [reason] = reasons(audit)
    assert words in reason


def test_continuations_need_the_audit_they_were_exported_from(tmp_path: Path) -> None:
    empty = Audit.create(tmp_path / "audit")
    one = record({"prefix_id": "00000000000000ab-0-9-deception"}, (INVENTED, True))
    with pytest.raises(BadInput, match="its document is not in this audit"):
        continue_prefixes(empty, one)


def test_continuations_are_read_again_when_the_labels_change(audit: Audit) -> None:
    _, [line, *_] = export(audit, "deception")
    span = PrefixId.parse(line["prefix_id"])
    assert span is not None
    other = str(PrefixId(span.document_id, span.start, span.end, "sandbagging"))
    records = [record(line, (INVENTED, True)), record({"prefix_id": other}, (INVENTED, False))]
    assert continue_prefixes(audit, *records)["rejects"] == 1
    known = labels(audit, "deception", True)[0]
    row = {**known, "document_id": span.document_id, "start": span.start, "end": span.end}
    code(audit, "more", [{**row, "behaviour": "sandbagging"}])
    assert continue_prefixes(audit, *records)["rejects"] == 0


def test_new_prefixes_are_new_outcomes_and_the_same_ones_under_another_name_are_not(
    audit: Audit, tmp_path: Path
) -> None:
    (tmp_path / "map.toml").write_text('[models]\nAlder-base = "Alder"\n')
    _, [first, second, *_] = export(audit, "deception")
    continue_prefixes(audit, record(first, (INVENTED, True)), study="pilot")
    continue_prefixes(audit, record(second, (INVENTED, True)), study="main")
    mapping = str(tmp_path / "map.toml")
    continue_prefixes(audit, record(first, (INVENTED, True)), study="again", mapping=mapping)
    rows = {row["study"]: row for row in observed(audit)}
    assert rows["main"]["observed_at"] > rows["pilot"]["observed_at"]
    assert rows["again"]["model"] == "Alder"
    assert rows["again"]["observed_at"] == rows["pilot"]["observed_at"]


WORDS = [f"w{i}" for i in range(60)]


@pytest.mark.parametrize(
    ("said", "copied"),
    [
        (WORDS, True),
        (WORDS[5:18], True),
        (WORDS[:36] + ["x"] * 24, True),  # 24 of its 37 distinct runs
        (WORDS[:24] + [f"x{i}" for i in range(24)], False),  # 12 of 36
        (WORDS[:24] + [f"x{i}" for i in range(12)], True),  # 12 of 24
        (WORDS[3:11], True),
        (WORDS[3:10], False),
        ([*WORDS[3:10], "x"], False),
        (["x"] * 40, False),
        ([], False),
    ],
)
def test_half_of_the_thirteen_word_runs_make_a_reproduction(said: list[str], copied: bool) -> None:
    assert reproduces(word_hashes(" ".join(said)), word_hashes(" ".join(WORDS))) is copied


def test_an_id_reads_back_as_it_was_written() -> None:
    one = PrefixId(2**64 - 1, 7, 4_000_000_000, "power_seeking")
    assert str(one) == "ffffffffffffffff-7-4000000000-power_seeking"
    assert PrefixId.parse(str(one)) == one
    assert PrefixId.parse("ffff-7-9-deception") is None


def test_export_prints_what_it_wrote(labelled: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    asked = ("-a", labelled, "export", "prefixes", "-o", out, "--behaviour", "deception")
    result = command(*asked, "--behaviour", "flattery", "--words", 50, "--json")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert set(summary["behaviours"]) == {"deception", "flattery"}
    assert len(out.read_text().splitlines()) == summary["prefixes"]
    assert "no denominator" in result.stderr


def test_an_unknown_target_names_those_there_are(
    labelled: Path, command: Command, tmp_path: Path
) -> None:
    result = command("-a", labelled, "export", "atlas", "-o", tmp_path / "out")
    assert result.returncode == 2
    assert result.stderr.splitlines() == ["error: no target 'atlas'", "hint: there are: prefixes"]
