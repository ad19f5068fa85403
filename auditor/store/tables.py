"""Arrow tables in, Parquet parts out; every part is complete or absent.

A part belongs to the audit only once a row of `runs` names it, with its size and digest. That one
rule gives atomic stages, resumable work and the detection of damage.
"""

import json
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.errors import BadInput, DamagedAudit, StageMissing
from auditor.paths import AuditPaths, replacing
from auditor.plan import FORMAT, Run, canonical_json, file_digest
from auditor.schema import TABLES

KEPT = {"observe"}
"""Stages whose replaced parts stay on disk: an outcome that was read once stays read."""

DIGITS = 16
"""Digits of its digest that name a part."""

COMPRESSION = {"compression": "zstd", "compression_level": 3}


class Tables:
    """The Parquet side of an audit: writes parts, records runs, checks that nothing changed."""

    def __init__(self, paths: AuditPaths) -> None:
        """Open the tables of an audit; raises DamagedAudit where they are not as recorded."""
        self.paths = paths
        self._check_settings()
        self.runs = self._read_runs()
        self._check_outputs()

    @classmethod
    def create(cls, root: Path) -> "Tables":
        """Make an empty audit in a new or empty folder; raises BadInput where that cannot be."""
        paths = AuditPaths(root)
        _refuse_file(root)
        if root.is_dir() and any(root.iterdir()) and not paths.settings.exists():
            raise BadInput(f"{root} is not empty and not an audit", "name a new folder with -a")
        if not paths.settings.exists():
            with replacing(paths.settings) as temporary:
                temporary.write_text(f"format = {FORMAT}\n")
        return cls(paths)

    @classmethod
    def open(cls, root: Path) -> "Tables":
        """Open an audit; raises StageMissing where there is none."""
        _refuse_file(root)
        if not AuditPaths(root).settings.exists():
            raise StageMissing(
                f"no audit in {root}", "start one: auditor -a DIR index SOURCE…, or auditor demo"
            )
        return cls(AuditPaths(root))

    def abandon(self) -> None:
        """Undo `create` where nothing was ever recorded: remove the settings and empty folders."""
        if self.runs or self.paths.behaviours.exists():
            return
        self.paths.settings.unlink(missing_ok=True)
        folders = [path for path in self.paths.root.rglob("*") if path.is_dir()]
        for folder in (*sorted(folders, reverse=True), self.paths.root):
            if not any(folder.iterdir()):
                folder.rmdir()

    def part(self, table: str, group: str, name: str) -> Path:
        """Where a part of a table lives; `group` is a corpus, label set, study or stage."""
        return _part_path(self.paths, table, group, name)

    def write(self, table: str, group: str, rows: pa.Table) -> Path:
        """Write one part, named by its content so that it never replaces another; returns its path.

        `group` is a corpus, label set, study or claim.
        """
        folder = self.part(table, group, "")
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{os.getpid()}.tmp"
        pq.write_table(rows, temporary, write_page_checksum=True, **COMPRESSION)
        return temporary.replace(folder / f"part-{file_digest(temporary)[:DIGITS]}.parquet")

    def current(self, stage: str, group: str | None = None) -> list[dict[str, Any]]:
        """The newest run of each corpus of a stage, oldest first."""
        newest: dict[str, dict[str, Any]] = {}
        for run in self.runs:
            if run["stage"] == stage and group in (None, run["corpus"]):
                newest[run["corpus"]] = run
        return list(newest.values())

    def outputs(self, table: str) -> list[Path]:
        """The parts of a table that current runs stand by."""
        stages = {run["stage"] for run in self.runs}
        return [
            self.paths.root / output["path"]
            for stage in sorted(stages)
            for run in self.current(stage)
            for output in json.loads(run["outputs"])
            if output["path"].split("/")[1] == table
        ]

    def read(self, table: str, stage: str, group: str) -> pa.Table:
        """Read the parts of a table that a stage's newest run on a group stands by."""
        paths = [
            self.paths.root / output["path"]
            for run in self.current(stage, group)
            for output in json.loads(run["outputs"])
            if output["path"].split("/")[1] == table
        ]
        return pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths])

    def ever(self, table: str) -> list[Path]:
        """The parts of a table that any run ever stood by, and that are still there."""
        named = [path for run in self.runs for path in _paths(run)]
        paths = [self.paths.root / path for path in named if path.split("/")[1] == table]
        return [path for path in dict.fromkeys(paths) if path.is_file()]

    def record(self, run: Run) -> None:
        """Write the row that makes a run's parts part of the audit, and drop what it replaced."""
        replaced = [o for old in self.current(run.stage, run.corpus) for o in _paths(old)]
        row = _run_row(run, [self._output(path) for path in run.outputs])
        table = pa.Table.from_pylist([row], schema=TABLES["runs"].schema)
        self.write("runs", run.id, table)
        self.runs.append(row)
        if run.stage in KEPT:
            return
        for path in set(replaced) - self._recorded():
            (self.paths.root / path).unlink(missing_ok=True)

    def _recorded(self) -> set[str]:
        """Every part a current run stands by, relative to the audit."""
        stages = {run["stage"] for run in self.runs}
        return {path for stage in stages for run in self.current(stage) for path in _paths(run)}

    def _output(self, path: Path) -> dict[str, Any]:
        stat = path.stat()
        return {
            "path": path.relative_to(self.paths.root).as_posix(),
            "bytes": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "digest": file_digest(path),
        }

    def _check_settings(self) -> None:
        text = self.paths.settings.read_text(errors="replace").strip()
        if text != f"format = {FORMAT}":
            raise DamagedAudit(
                f"{self.paths.settings} reads {text[:40]!r}, expected 'format = {FORMAT}'",
                "index into a new folder, or restore the file",
            )

    def _read_runs(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for path in sorted((self.paths.tables / "runs").glob("*/*.parquet")):
            if path.stem != f"part-{file_digest(path)[:DIGITS]}":
                raise _damaged(path, "was changed after it was written")
            try:
                table = pq.read_table(path, page_checksum_verification=True)
                rows += table.cast(TABLES["runs"].schema).to_pylist()
            except (pa.ArrowException, OSError, ValueError) as error:
                raise _damaged(path, "cannot be read") from error
        return sorted(rows, key=lambda row: row["run"])

    def _check_outputs(self) -> None:
        stages = {run["stage"] for run in self.runs}
        for stage in stages:
            for run in self.current(stage):
                for output in json.loads(run["outputs"]):
                    self._check_output(output)

    def _check_output(self, output: dict[str, Any]) -> None:
        path = self.paths.root / output["path"]
        if not path.is_file():
            raise _damaged(path, "is missing")
        stat = path.stat()
        if stat.st_size != output["bytes"]:
            raise _damaged(path, f"has {stat.st_size} bytes, its run wrote {output['bytes']}")
        if stat.st_mtime_ns != output["mtime_ns"] and file_digest(path) != output["digest"]:
            raise _damaged(path, "was changed after its run wrote it")


def write_parquet(path: Path, rows: pa.Table) -> None:
    """Write a Parquet file of the user's, outside the audit's tables."""
    with replacing(path) as temporary:
        pq.write_table(rows, temporary, **COMPRESSION)


def write_part(paths: AuditPaths, table: str, group: str, name: str, rows: pa.Table) -> Path:
    """Write one part of a table without opening the audit, as workers do; returns its path."""
    path = _part_path(paths, table, group, name)
    with replacing(path) as temporary:
        pq.write_table(rows, temporary, write_page_checksum=True, **COMPRESSION)
    return path


def rejects_table(rejects: Iterable[Any], group: str) -> pa.Table:
    """Turn refused records into rows of `rejects`."""
    rows = [
        {"stage": r.stage, "corpus": group, "file": r.file, "line": r.line, "reason": r.reason}
        for r in rejects
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["rejects"].schema)


def rows_table(table: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Turn plain rows into an Arrow table with the table's schema."""
    return pa.Table.from_pylist(list(rows), schema=TABLES[table].schema)


def with_schema(table: str, rows: pa.Table) -> pa.Table:
    """Give rows every column of their table, null where they have none, in its types and order."""
    schema = TABLES[table].schema
    columns = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def now() -> datetime:
    """The time a run or a judgement is stamped with, in UTC."""
    return datetime.now(UTC)


def _refuse_file(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise BadInput(f"{root} is a file, not an audit folder", "name a folder with -a")


def _damaged(path: Path, how: str) -> DamagedAudit:
    return DamagedAudit(f"{path} {how}", "restore the file, or index again into a new folder")


def _part_path(paths: AuditPaths, table: str, group: str, name: str) -> Path:
    return paths.tables / table / _folder(group) / name


def _folder(group: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in group) or "_"


def _paths(row: dict[str, Any]) -> list[str]:
    return [output["path"] for output in json.loads(row["outputs"])]


def _run_row(run: Run, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "run": run.id,
        "stage": run.stage,
        "corpus": run.corpus,
        "settings_digest": run.settings_digest,
        "input_digest": run.input_digest,
        "rows": run.rows,
        "rejects": run.rejects,
        "versions": canonical_json(dict(run.versions)),
        "seed": run.seed,
        "seconds": run.seconds,
        "started_at": run.started_at,
        "outputs": canonical_json(outputs),
        "summary": canonical_json(dict(run.summary)),
    }
