"""Promises about indexing: done work is skipped, cut-off work resumes, and bytes come out alike."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from auditor.audit import Audit
from auditor.errors import BadInput
from auditor.index.build import INDEX_TABLES
from auditor.ingest.documents import document_id

PADDING = (" " * 999_999 + "\n") * 5
"""Blank lines that make a small file a shard of its own: two of them pass SHARD_BYTES."""


def contents(root: Path, *tables: str) -> dict[str, bytes]:
    """The bytes of every part of some tables, by their path in the audit."""
    parts = [p for table in tables for p in (root / "tables" / table).glob("*/*.parquet")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(parts)}


def write_shard(folder: Path, name: str, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    rows = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in texts.items())
    (folder / f"{name}.jsonl").write_text(rows + PADDING)


def counts(summary: dict[str, Any]) -> tuple[int, ...]:
    """Documents, rejects, shards done, shards skipped."""
    keys = ("documents", "rejects", "shards_done", "shards_skipped")
    return tuple(summary[key] for key in keys)


def texts(audit: Audit) -> dict[str, str | None]:
    rows = audit.sql("SELECT d.id, p.text FROM passages p JOIN documents d USING (document_id)")
    return {row["id"]: row["text"] for row in rows.to_pylist()}


def test_a_second_run_skips_every_shard_and_writes_nothing(own_audit: Audit) -> None:
    own_audit.index("fixture")  # learns from the labels, which came after the index
    before = contents(own_audit.root, *INDEX_TABLES, "scores", "duplicates", "runs")
    summary = own_audit.index("fixture")
    assert counts(summary) == (100, 0, 0, 1)
    assert contents(own_audit.root, *INDEX_TABLES, "scores", "duplicates", "runs") == before


def test_a_summary_is_the_same_when_the_work_was_skipped(own_audit: Audit) -> None:
    fields = ("documents", "passages", "words", "bytes", "rejects", "duplicates")
    summary = own_audit.index("fixture")
    assert [summary[f] for f in fields] == [100, 738, 70_322, 372_161, 0, 28]


def test_two_runs_write_identical_parquet(built: Path, tmp_path: Path) -> None:
    Audit.create(tmp_path / "again").index("fixture")
    tables = (*INDEX_TABLES, "scores", "framings", "duplicates")
    first, second = contents(built, *tables), contents(tmp_path / "again", *tables)
    assert len(first) == 8
    assert first == second


def test_a_killed_run_resumes_to_the_bytes_of_an_uninterrupted_one(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    write_shard(folder, "a", ann="The first shard was finished.")
    write_shard(folder, "b", ben="The second was cut off.", ann="This id was used before.")
    whole, cut_off = Audit.create(tmp_path / "whole"), Audit.create(tmp_path / "cut")
    assert counts(whole.index(str(folder), workers=1)) == (2, 1, 2, 0)
    for table in (*INDEX_TABLES, "rejects"):
        shutil.copytree(whole.root / "tables" / table, cut_off.root / "tables" / table)
    [lost] = [
        part
        for part in (cut_off.root / "tables" / "documents").glob("*/*.parquet")
        if pq.read_table(part)["id"].to_pylist() == ["ben"]
    ]
    lost.unlink()
    (lost.parent / f".{lost.name}.1.tmp").write_bytes(b"half a pa")
    assert counts(cut_off.index(str(folder), workers=1)) == (2, 1, 1, 1)
    tables = (*INDEX_TABLES, "scores", "framings", "duplicates", "rejects")
    assert contents(cut_off.root, *tables) == contents(whole.root, *tables)


def test_adding_a_file_costs_its_own_shard_and_removing_one_frees_its_ids(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    write_shard(folder, "a", ann="Ann of the first file.")
    write_shard(folder, "b", ann="Ann of the second file.", ben="Ben.")
    audit = Audit.create(tmp_path / "audit")
    audit.index(str(folder), workers=1)
    write_shard(folder, "c", cat="Cat.")
    assert counts(audit.index(str(folder), workers=1)) == (3, 1, 1, 2)
    assert texts(audit) == {"ann": "Ann of the first file.", "ben": "Ben.", "cat": "Cat."}
    (folder / "a.jsonl").unlink()
    assert counts(audit.index(str(folder), workers=1)) == (3, 0, 0, 2)
    assert texts(audit) == {"ann": "Ann of the second file.", "ben": "Ben.", "cat": "Cat."}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Audit, dict[str, Any]]:
    """An audit without stored text of two files with repeated ids, and what its run printed."""
    root = tmp_path_factory.mktemp("spoilt")
    write_shard(root / "docs", "a", ann="Ann went down to the quay.", ben="Ben stayed.")
    repeated = '{"id": "ann", "text": "In the same file."}\n{"id": "eve", "text": ""}\n'
    with (root / "docs" / "a.jsonl").open("a") as stream:
        stream.write(repeated)
    write_shard(root / "docs", "b", ben="In another shard.", cat="Cat.")
    audit = Audit.create(root / "audit")
    return audit, audit.index(str(root / "docs"), store_text=False, workers=2)


def test_a_repeated_id_is_a_reject_within_a_file_and_across_shards(
    spoilt: tuple[Audit, dict[str, Any]],
) -> None:
    rejects = spoilt[0].sql("SELECT file, line, reason FROM rejects ORDER BY file, line")
    assert rejects.to_pylist() == [
        {"file": "a.jsonl", "line": 8, "reason": "id 'ann' was used by an earlier document"},
        {"file": "a.jsonl", "line": 9, "reason": "text is empty"},
        {"file": "b.jsonl", "line": 1, "reason": "id 'ben' was used by an earlier document"},
    ]


def test_documents_and_rejects_are_all_the_records(spoilt: tuple[Audit, dict[str, Any]]) -> None:
    assert counts(spoilt[1])[:2] == (3, 3)  # of six records


def test_no_text_is_stored_where_that_was_asked(spoilt: tuple[Audit, dict[str, Any]]) -> None:
    assert texts(spoilt[0]) == {"ann": None, "ben": None, "cat": None}
    assert not [
        path
        for path in spoilt[0].root.rglob("*")
        if path.is_file() and b"went down to the quay" in path.read_bytes()
    ]
    for part in (spoilt[0].root / "tables" / "passages").glob("*/*.parquet"):
        assert pq.read_table(part)["text"].null_count == pq.read_metadata(part).num_rows


def test_offsets_and_lengths_are_kept_without_the_text(
    spoilt: tuple[Audit, dict[str, Any]],
) -> None:
    rows = spoilt[0].sql('SELECT start, "end", n_words FROM passages ORDER BY n_words DESC LIMIT 1')
    assert rows.to_pylist() == [{"start": 0, "end": 26, "n_words": 6}]


def test_real_documents_are_read_without_a_reject(shared: Path, tmp_path: Path) -> None:
    demo = shared / "corpora" / "demo"
    speeches = [str(path) for path in sorted((demo / "speeches").glob("18[0-2]*.txt"))]
    assert len(speeches) == 8  # 1801 to 1829, every four years
    summary = Audit.create(tmp_path / "audit").index(
        str(demo / "reports.parquet"), *speeches, corpus="real", workers=1
    )
    assert (summary["documents"], summary["rejects"]) == (253 + 8, 0)


def test_every_passage_of_the_fixture_is_the_text_at_its_offsets(audit: Audit) -> None:
    from tests.planted import documents

    known = documents()
    rows = audit.sql(
        'SELECT d.id, p.start, p."end", p.text FROM passages p JOIN documents d USING (document_id)'
    ).to_pylist()
    assert len(rows) == 738
    assert all(known[r["id"]]["text"][r["start"] : r["end"]] == r["text"] for r in rows)


def test_files_that_give_no_document_stop_the_run_with_the_first_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("nope\n")
    with pytest.raises(BadInput, match=r"no document could be read: a\.jsonl line 1: not JSON"):
        Audit.create(tmp_path / "audit").index(str(path))


def test_document_ids_do_not_run_corpus_and_name_together() -> None:
    assert document_id("ab", "c") != document_id("a", "bc")
