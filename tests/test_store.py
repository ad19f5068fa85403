"""Promises about the audit's files: complete or absent, damage is named, moving changes nothing."""

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from auditor import Audit
from auditor.errors import BadInput, DamagedAudit, StageMissing
from auditor.records import Reject
from auditor.schema import TABLES, Table
from auditor.store.catalogue import Catalogue
from auditor.store.tables import rejects_table

CHAT = '{"id": "a", "model": "m", "messages": [{"role": "assistant", "content": "Hello."}]}'


@pytest.fixture
def small(tmp_path: Path) -> Audit:
    """An audit of one observed transcript: every kind of file, none of them large."""
    audit = Audit.create(tmp_path / "small")
    (tmp_path / "one.jsonl").write_text(CHAT)
    audit.observe(str(tmp_path / "one.jsonl"))
    return audit


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def part(audit: Audit, table: str) -> Path:
    [path] = sorted((audit.root / "tables" / table).rglob("*.parquet"))
    return path


def plain_types(schema: pa.Schema) -> list[tuple[str, str]]:
    """Names and types; DuckDB knows bytes of any length only, and names a list's items itself."""
    return [(field.name, str(plain_type(field.type))) for field in schema]


def plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(kind.value_type)
    return pa.binary() if pa.types.is_fixed_size_binary(kind) else kind


def test_a_part_is_invisible_until_its_run_is_recorded(small: Audit) -> None:
    row = {"stage": "x", "file": "f", "line": 1, "reason": "r"}
    table = pa.Table.from_pylist([{**row, "corpus": "c"}], schema=TABLES["rejects"].schema)
    small.tables.write("rejects", "c", table)
    assert small.sql("SELECT * FROM rejects").num_rows == 0


def test_a_run_that_failed_leaves_no_run(small: Audit, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(BadInput):
        small.observe(str(tmp_path / "bad.jsonl"))
    assert small.sql("SELECT corpus FROM runs")["corpus"].to_pylist() == ["one"]


def test_no_temporary_file_is_left_behind(built: Path) -> None:
    assert [p for p in built.rglob("*") if p.name.endswith(".tmp")] == []


def test_every_part_belongs_to_a_recorded_run(audit: Audit, built: Path) -> None:
    recorded = {path for table in TABLES for path in audit.tables.outputs(table)}
    parts = set((built / "tables").rglob("*.parquet")) - set((built / "tables" / "runs").rglob("*"))
    assert parts == recorded


def test_a_missing_part_is_named(small: Audit) -> None:
    part(small, "turns").unlink()
    with pytest.raises(DamagedAudit, match=r"turns/one/part-\w+.parquet is missing"):
        Audit.open(small.root)


def test_a_truncated_part_is_named_with_its_sizes(small: Audit) -> None:
    path = part(small, "turns")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedAudit, match=rf"turns/one/.* has {size - 1} bytes, .* {size}"):
        Audit.open(small.root)


@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 0.99])
def test_one_flipped_byte_of_a_part_is_named(small: Audit, where: float) -> None:
    path = part(small, "turns")
    flip(path, int(where * path.stat().st_size))
    with pytest.raises(DamagedAudit, match=r"turns/one/part-\w+.parquet was changed"):
        Audit.open(small.root)


def test_a_part_that_was_only_touched_is_not_damaged(small: Audit) -> None:
    part(small, "turns").touch()
    assert Audit.open(small.root).sql("SELECT * FROM turns").num_rows == 1


@pytest.mark.parametrize("text", ["", "format = 2", "format = 1\nextra = 1", "\x00\xff"])
def test_an_edited_audit_toml_is_named(small: Audit, text: str) -> None:
    (small.root / "audit.toml").write_text(text)
    with pytest.raises(DamagedAudit, match=r"audit\.toml"):
        Audit.open(small.root)


def test_a_truncated_runs_file_is_named(small: Audit) -> None:
    path = part(small, "runs")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedAudit, match=path.name):
        Audit.open(small.root)


def test_a_flipped_byte_of_a_runs_file_is_named(small: Audit) -> None:
    path = part(small, "runs")
    content = path.read_bytes()
    for at in range(0, len(content), 97):
        flip(path, at)
        with pytest.raises(DamagedAudit, match=path.name):
            Audit.open(small.root)
        path.write_bytes(content)


def test_a_stage_killed_before_its_run_is_recorded_leaves_the_audit_sound(small: Audit) -> None:
    table = pa.Table.from_pylist([], schema=TABLES["turns"].schema)
    small.tables.write("turns", "one", table)
    assert Audit.open(small.root).sql("SELECT * FROM turns").num_rows == 1


def test_a_parquet_file_of_something_else_among_the_runs_is_named(small: Audit) -> None:
    shutil.copy(part(small, "turns"), part(small, "runs").with_name("zzz.parquet"))
    with pytest.raises(DamagedAudit, match=r"zzz.parquet"):
        Audit.open(small.root)


def test_no_audit_a_file_and_a_full_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StageMissing, match="no audit in"):
        Audit.open(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="is a file"):
        Audit.open(tmp_path / "file")
    with pytest.raises(BadInput, match="not empty"):
        Audit.create(tmp_path)


def test_a_moved_audit_answers_as_before(own_audit: Audit, tmp_path: Path) -> None:
    question = "SELECT count(*) AS n FROM passages JOIN labels USING (document_id)"
    before = own_audit.sql(question)
    moved = own_audit.root.rename(tmp_path / "elsewhere ö'quoted")
    assert Audit.open(moved).sql(question).equals(before)


def test_the_catalogue_opens_in_plain_duckdb(built: Path) -> None:
    with duckdb.connect(str(built / "catalogue.duckdb"), read_only=True) as connection:
        [(passages,)] = connection.sql("SELECT count(*) FROM passages").fetchall()
        [(turns,)] = connection.sql("SELECT count(*) FROM turns").fetchall()
    assert (passages, turns) == (738, 74)


def test_a_deleted_catalogue_costs_nothing(own_audit: Audit) -> None:
    (own_audit.root / "catalogue.duckdb").unlink()
    assert Audit.open(own_audit.root).sql("SELECT * FROM turns").num_rows == 74


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_tables_view_has_the_schema_and_no_rows(tmp_path: Path, table: str) -> None:
    view = Audit.create(tmp_path / "new").sql(f'SELECT * FROM "{table}"')
    assert view.num_rows == 0
    assert plain_types(view.schema) == plain_types(TABLES[table].schema)


@pytest.fixture(scope="module")
def catalogue(built: Path) -> Catalogue:
    return Catalogue(Audit.open(built).tables)


@pytest.mark.parametrize("table", TABLES)
def test_a_filled_tables_view_has_the_schema(catalogue: Catalogue, table: str) -> None:
    view = catalogue.query(f'SELECT * FROM "{table}" LIMIT 1')
    assert plain_types(view.schema) == plain_types(TABLES[table].schema)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_and_column_says_what_it_means(table: Table) -> None:
    names = [name for name, _, _ in table.columns]
    assert table.about
    assert len(set(names)) == len(names)
    assert [name for name, _, meaning in table.columns if not meaning.strip()] == []


def test_rejects_keep_file_line_and_reason() -> None:
    table = rejects_table([Reject("label", "f.jsonl", None, "why")], "set")
    assert table.to_pylist() == [
        {"stage": "label", "corpus": "set", "file": "f.jsonl", "line": None, "reason": "why"}
    ]
