"""Promises about `measure`: what its table, its JSON and its chart always show."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from auditor import Audit
from auditor.cli import measure as table
from auditor.cli.app import app
from auditor.errors import UsageError
from auditor.records import Interval, Prevalence
from auditor.report.prevalence_chart import COLOURS, WIDTH

NOTHING = Interval(None, None, None)
KEYS = {
    "behaviour", "target", "corpus", "facet", "value", "per_million_passages",
    "per_million_words", "exposure", "unique", "frame_size", "labels", "positives", "method",
    "calibrated", "reader_kind", "share", "recall", "elusion", "reason",
}  # fmt: skip


@pytest.fixture(scope="module")
def own(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """A copy of the built audit that these tests may measure."""
    root = tmp_path_factory.mktemp("measured") / "audit"
    shutil.copytree(built, root)
    return Audit.open(root)


@pytest.fixture(scope="module")
def rows(own: Audit) -> list[Prevalence]:
    """Overall rows of two behaviours that readers coded, and a placebo that a rule counts."""
    found = own.measure("deception", "flattery", "drinking_tea")
    return [row for row in found if row.facet is None]


def measure(audit: Audit, *options: str) -> Result:
    """What `auditor measure deception …` writes, in this process: the real command is slow."""
    return CliRunner().invoke(app, ["-a", str(audit.root), "measure", "deception", *options])


def svg(audit: Audit, rows: list[Prevalence], folder: Path) -> str:
    return audit.measure_chart(rows, folder / "chart.svg").read_text()


def labels_of(drawn: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawn)


@pytest.mark.parametrize(
    ("name", "start"),
    [("c.html", b"<!DOCTYPE html>"), ("c.svg", b"<svg"), ("c.png", b"\x89PNG"), ("c.PDF", b"%PDF")],
)
def test_a_chart_is_written_in_the_format_its_name_ends_with(
    own: Audit, rows: list[Prevalence], tmp_path: Path, name: str, start: bytes
) -> None:
    path = own.measure_chart(rows, tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes().lstrip().startswith(start)
    assert path.stat().st_size > 1_000


def test_another_ending_is_a_usage_error_that_names_those_there_are(
    own: Audit, rows: list[Prevalence], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"chart\.docx") as caught:
        own.measure_chart(rows, tmp_path / "chart.docx")
    assert ".html, .svg, .png, .pdf" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_chart_names_every_behaviour_and_draws_an_interval_for_each_sampled_one(
    own: Audit, rows: list[Prevalence], tmp_path: Path
) -> None:
    drawn = svg(own, rows, tmp_path)
    assert {"deception", "flattery", "drinking_tea"} <= set(labels_of(drawn))
    [intervals] = re.findall(r'<g class="mark-rule role-mark intervals_marks".*?</g>', drawn)
    assert intervals.count("<line") == 2
    assert "61 of 466 read" in labels_of(drawn)


def test_a_chart_says_which_corpus_frame_labels_and_reader_it_stands_on(
    own: Audit, rows: list[Prevalence], tmp_path: Path
) -> None:
    texts = labels_of(svg(own, rows, tmp_path))
    assert "How often behaviours appear in fixture" in texts
    assert "fixture: frame of 695 passages, 466 labels, reader: human" in texts


def test_a_count_of_none_is_drawn_as_its_upper_limit(
    own: Audit, rows: list[Prevalence], tmp_path: Path
) -> None:
    none = replace(rows[0], positives=0, per_million_passages=Interval(0.0, 0.0, 7_900.0))
    drawn = svg(own, [none], tmp_path)
    assert "none found: upper 95 % limit" in labels_of(drawn)
    assert 'stroke-dasharray="2,3"' in drawn


def test_a_refused_rate_and_an_uncalibrated_one_are_marked_as_such(
    own: Audit, rows: list[Prevalence], tmp_path: Path
) -> None:
    refused = replace(
        rows[0], per_million_passages=NOTHING, calibrated=False, reason="all 9 spans portray it"
    )
    scores = replace(
        rows[1], per_million_passages=Interval(40.0, None, None), calibrated=False, labels=0
    )
    texts = labels_of(svg(own, [refused, scores], tmp_path))
    assert "no estimate: all 9 spans portray it" in texts
    assert "uncalibrated: scores nobody checked" in texts


def test_values_of_a_facet_are_told_apart_by_colours(own: Audit, tmp_path: Path) -> None:
    drawn = svg(own, own.measure("deception", by=["stance"]), tmp_path)
    assert {"endorse", "neutral", "condemn"} <= set(labels_of(drawn))
    assert all(colour in drawn for colour in COLOURS[:3])


def test_a_chart_fits_eight_hundred_pixels(
    own: Audit, rows: list[Prevalence], tmp_path: Path
) -> None:
    [width] = re.findall(r'<svg[^>]* width="(\d+)', svg(own, rows, tmp_path))
    assert WIDTH < int(width) <= 800


def test_shares_of_a_facet_stand_in_the_table_with_their_intervals(own: Audit) -> None:
    result = measure(own, "--by", "stance")
    head, _, *lines = result.stdout.splitlines()
    assert "share (95 %, joint)" in head
    assert "stance" in head
    assert [line.split()[4] for line in lines] == ["endorse", "neutral", "condemn"]
    assert all(re.search(r"0\.\d\d \(0\.\d\d to 0\.\d\d\)", line) for line in lines)
    assert max(map(len, (head, *lines))) <= 160
    assert "calibrated: readers read a probability sample" in result.stderr


def test_recall_and_what_was_missed_are_columns_beside_the_rate(own: Audit) -> None:
    result = measure(own, "--by", "corpus")
    head, _, line = result.stdout.splitlines()
    assert head.index("per million") < head.index("beside: recall") < head.index("beside: missed")
    assert re.search(r"human\s+│ \d+ of \d+\s+│\s+[\d,]+$", line)
    assert "beside the rate, never added to it" in result.stderr


def test_json_has_every_key_of_the_contract_and_what_stands_beside(own: Audit) -> None:
    result = measure(own, "--json")
    rows = json.loads(result.stdout)
    assert all(set(row) >= KEYS for row in rows)
    whole = next(row for row in rows if row["facet"] is None)
    assert whole["recall"]["k"] <= whole["recall"]["n"]
    assert set(whole["elusion"]) == {"estimate", "low", "high"}
    assert all(row["share"] for row in rows if row["facet"] == "stance")


def test_a_source_without_a_hit_is_a_row_of_none_with_its_upper_limit(own: Audit) -> None:
    rows = own.measure("deception", by=["source"])
    sources = own.sql("SELECT DISTINCT source FROM documents")["source"].to_pylist()
    assert {row.value for row in rows} == set(sources)
    none = [row for row in rows if not row.positives]
    assert none
    for row in none:
        limits = row.per_million_passages
        assert limits.estimate == limits.low == 0.0
        assert limits.high is not None and 0.0 < limits.high <= 1e6


def test_a_corpus_without_a_hit_is_a_row_of_none_with_its_upper_limit(tmp_path: Path) -> None:
    text = "The kettle stood on the hob and nobody spoke of it. " * 20
    documents = [{"id": f"d{number}", "text": f"{number}. {text}"} for number in range(5)]
    read = [
        {"document": one["id"], "start": 0, "end": 400, "labels": [], "pi": 0.5}
        for one in documents
    ]
    for name, lines in (("quiet", documents), ("unread", documents), ("read", read)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    audit = Audit.create(tmp_path / "audit")
    for name in ("quiet", "unread"):
        audit.index(str(tmp_path / f"{name}.jsonl"), corpus=name)
    audit.label(str(tmp_path / "read.jsonl"), codebook=["deception"], corpus="quiet")
    rows = {row.corpus: row for row in audit.measure("deception") if row.facet is None}
    quiet, unread = rows["quiet"], rows["unread"]
    assert (quiet.positives, quiet.labels) == (0, 5)
    assert quiet.per_million_passages.estimate == 0.0
    assert (quiet.per_million_passages.high or 0.0) > 0.0
    assert (unread.calibrated, unread.per_million_passages.high) == (False, None)


def test_a_split_that_does_not_exist_is_named_beside_those_that_do(own: Audit) -> None:
    with pytest.raises(UsageError, match="publisher") as caught:
        own.measure(by=["publisher"])
    assert "source, genre, year, author" in caught.value.hint


def test_a_refused_row_shows_the_reason_in_place_of_a_rate(
    rows: list[Prevalence],
) -> None:
    refused = replace(rows[0], per_million_passages=NOTHING, reason="all 9 spans portray it")
    assert table._rate(refused) == "refused: all 9 spans portray it"
