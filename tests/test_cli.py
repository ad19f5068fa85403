"""Promises about the command line: exit codes, JSON shapes, stdout for data and stderr for talk."""

import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor import Audit
from tests.conftest import Command
from tests.planted import FIXTURE

COMMANDS = (
    "demo", "index", "behaviours", "passages", "detect", "label", "measure", "observe", "trace",
    "predict", "test", "finetune", "sql", "export", "report", "status",
)  # fmt: skip
WITHOUT_AUDIT = ("demo", "behaviours", "detect", "finetune")
"""Commands whose example names no audit."""

HEAVY = ("torch", "numba", "duckdb", "datasketch", "pyarrow")

INDEX = {
    "corpus", "documents", "passages", "words", "bytes", "rejects", "duplicates", "seconds",
    "mb_per_second", "shards_done", "shards_skipped",
}  # fmt: skip
MEASURE = {
    "behaviour", "target", "corpus", "facet", "value", "per_million_passages",
    "per_million_words", "exposure", "unique", "frame_size", "labels", "positives", "method",
    "calibrated", "reader_kind",
}  # fmt: skip
OBSERVE = {
    "study", "transcripts", "turns", "counted", "refused", "empty", "errored", "duplicates",
    "rows", "rows_without_n", "rejects",
}  # fmt: skip
TRACE = {
    "transcript", "turn", "span", "kind", "strength", "placebo_percentile", "p", "passage",
    "framing", "multiplicity",
}  # fmt: skip
TEST = {
    "claim", "verdict", "exploratory", "forbidden_fraction", "power", "gates", "tests", "rivals",
    "next_observation", "lock",
}  # fmt: skip


def document(result: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401
    """The one JSON document on stdout; NaN, which is not JSON, is refused."""
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))


def test_index_again_reports_every_field_and_skips_the_work(
    own_audit: Audit, command: Command
) -> None:
    summary = document(command("-a", own_audit.root, "index", "fixture", "--json"))
    assert set(summary) >= INDEX
    assert (summary["shards_done"], summary["shards_skipped"]) == (0, 1)


def test_measure_gives_rates_with_intervals(own_audit: Audit, command: Command) -> None:
    rows = document(command("-a", own_audit.root, "measure", "deception", "--json"))
    assert all(set(row) >= MEASURE for row in rows)
    whole = next(row for row in rows if row["facet"] is None)
    for field in ("per_million_passages", "per_million_words", "exposure", "unique"):
        assert set(whole[field]) == {"estimate", "low", "high"}
    rate = whole["per_million_passages"]
    assert rate["low"] < rate["estimate"] < rate["high"]


def test_observe_accounts_for_every_transcript(own_audit: Audit, command: Command) -> None:
    chats = FIXTURE / "observed" / "transcripts.jsonl"
    summary = document(command("-a", own_audit.root, "observe", chats, "--json"))
    assert set(summary) >= OBSERVE
    states = sum(summary[state] for state in ("counted", "refused", "empty", "errored"))
    assert states == summary["transcripts"] > 0


def test_trace_gives_offsets_on_both_sides(built: Path, command: Command) -> None:
    words = (
        "The late Mr. Tobin crossed on Thursday, weeping sisters fore and aft, and the exciseman"
    )
    links = document(command("-a", built, "trace", "--text", words, "--json"))
    assert all(set(link) >= TRACE for link in links)
    copied = next(link for link in links if link["kind"] == "copied")
    span, passage = copied["span"], copied["passage"]
    assert words[span["start"] : span["end"]] == span["text"]
    assert set(passage) == {"corpus", "document", "start", "end", "text", "source", "date"}
    assert passage["document"] == "novels-01"
    assert "late Mr. Tobin" in passage["text"]


def test_test_gives_a_verdict_with_its_gates(
    own_audit: Audit, command: Command, tmp_path: Path
) -> None:
    text = (FIXTURE / "claims" / "fixture-imitates.toml").read_text()
    unseen = tmp_path / "unseen.toml"
    unseen.write_text(text.replace('"rates-imitates"', '"nobody-observed-this"'))
    [result] = document(command("-a", own_audit.root, "test", unseen, "--json"))
    assert set(result) >= TEST
    assert result["verdict"] == "untestable"
    assert {"code", "passed", "value", "needs"} <= set(result["gates"][0])


def test_status_names_every_stage_and_its_state(built: Path, command: Command) -> None:
    rows = document(command("-a", built, "status", "--json"))
    assert all(set(r) >= {"stage", "corpus", "state", "rows", "run", "seconds"} for r in rows)
    states = {row["stage"]: row["state"] for row in rows}
    assert (states["index"], states["trace"]) == ("fresh", "missing")


FAILURES: dict[str, tuple[int, tuple[str, ...]]] = {
    "unknown behaviour": (2, ("-a", "BUILT", "measure", "gluttony")),
    "unknown command": (2, ("-a", "BUILT", "divine")),
    "bad option": (2, ("-a", "BUILT", "status", "--sideways")),
    "bad value": (2, ("-a", "BUILT", "trace", "--top", "0", "--text", "x")),
    "unknown claim": (2, ("-a", "BUILT", "test", "astrology")),
    "not a SELECT": (2, ("-a", "BUILT", "sql", "drop table documents")),
    "unknown format": (2, ("-a", "BUILT", "sql", "select 1", "--format", "xml")),
    "no audit": (3, ("-a", "EMPTY/none", "status")),
    "missing path": (4, ("-a", "EMPTY/new", "index", "EMPTY/absent.txt")),
    "audit folder is a file": (4, ("-a", "EMPTY/file.txt", "status")),
    "nothing readable": (4, ("-a", "EMPTY/new", "index", "EMPTY/bad.jsonl")),
    "damaged": (5, ("-a", "DAMAGED", "status")),
}


@pytest.fixture(scope="module")
def places(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders the failing commands are pointed at."""
    empty = tmp_path_factory.mktemp("places")
    (empty / "file.txt").write_text("not an audit\n")
    (empty / "bad.jsonl").write_text("this is not JSON\n")
    damaged = empty / "damaged"
    damaged.mkdir()
    (damaged / "audit.toml").write_text("format = 0\n")
    return {"BUILT": str(built), "EMPTY": str(empty), "DAMAGED": str(damaged)}


@pytest.mark.parametrize("why", FAILURES)
def test_a_failure_is_an_exit_code_and_two_lines_on_stderr(
    why: str, places: dict[str, str], command: Command
) -> None:
    code, arguments = FAILURES[why]
    for name, path in places.items():
        arguments = tuple(argument.replace(name, path) for argument in arguments)
    result = command(*arguments)
    assert result.returncode == code
    assert result.stdout == ""
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")


def test_a_part_cut_short_is_damage(own_audit: Audit, command: Command) -> None:
    part = next((own_audit.root / "tables" / "passages").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-10])
    result = command("-a", own_audit.root, "measure")
    assert result.returncode == 5
    assert part.name in result.stderr


def test_help_comes_within_four_tenths_of_a_second(command: Command) -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert command("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) <= 0.4


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; sys.argv = ['auditor', '--help']\n"
        "from auditor.cli import run\n"
        "run()\n"
        f"sys.stderr.write(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, command: Command) -> None:
    result = command(name, "--help")
    assert result.returncode == 0
    example = next(line for line in result.stdout.splitlines() if "Example:" in line)
    assert f"Example: auditor {'' if name in WITHOUT_AUDIT else '-a A '}{name}" in (example.strip())


def test_help_lists_every_command(command: Command) -> None:
    listed = command("--help").stdout
    assert [name for name in COMMANDS if f"  {name} " not in listed] == []


def test_the_library_is_read_without_an_audit(command: Command) -> None:
    shown = document(command("behaviours", "show", "deception", "--json"))
    assert shown["id"] == "deception"
    assert len(shown["examples"]) >= 40


QUERY = "select 7 as n, 'a,b' as words"


def test_sql_writes_json_and_csv_that_say_the_same(built: Path, command: Command) -> None:
    rows = document(command("-a", built, "sql", QUERY, "--format", "json"))
    assert rows == [{"n": 7, "words": "a,b"}]
    written = command("-a", built, "sql", QUERY, "--format", "csv").stdout
    assert list(csv.DictReader(io.StringIO(written))) == [{"n": "7", "words": "a,b"}]


def test_sql_reads_the_query_from_stdin_and_shows_a_table(built: Path, command: Command) -> None:
    result = command("-a", built, "sql", "-", stdin=QUERY)
    assert result.returncode == 0
    assert "words" in result.stdout
    assert "a,b" in result.stdout


def test_sql_writes_parquet_to_a_pipe(built: Path) -> None:
    arguments = [sys.executable, "-m", "auditor", "-a", built, "sql", QUERY, "--format", "parquet"]
    ran = subprocess.run(list(map(str, arguments)), capture_output=True, check=True)
    assert pq.read_table(pa.BufferReader(ran.stdout)).to_pylist() == [{"n": 7, "words": "a,b"}]
    assert ran.stderr == b""


def test_the_demo_ends_with_both_verdicts_and_a_report(command: Command, tmp_path: Path) -> None:
    result = command("demo", tmp_path / "demo")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert any("fixture-imitates" in line and " supported " in line for line in lines)
    assert any("fixture-unrelated" in line and " contradicted " in line for line in lines)
    report = Path(lines[-1].removeprefix("report: "))
    assert "<svg" in report.read_text()
