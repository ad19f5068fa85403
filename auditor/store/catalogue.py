"""SQL over the audit: views on the Parquet parts, and a locked room for the user's own SELECT.

The views are made anew from the recorded parts on every opening, so a moved audit works and an
unfinished stage stays invisible. `catalogue.duckdb` holds the same views for other clients.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from auditor.errors import AuditorError, UsageError
from auditor.paths import replacing
from auditor.schema import FACETS, OPTIONAL_FACETS, TABLES
from auditor.store.tables import Tables

SCORE_SCALE, SCORE_POWER = 255.0, 4
"""Scores are stored as bytes: p = (byte / 255)^4, so that rare probabilities keep their order."""

_SCORE = f"CAST(power(byte / {SCORE_SCALE}, {SCORE_POWER}) AS FLOAT) AS score"

WIDE = {"scores": _SCORE, "cues": "byte AS matches"}
"""Tables stored with one column a behaviour and shown as one row a behaviour: what a row shows."""

NEWEST = {
    "framings": (
        "QUALIFY stage = max(stage) OVER (PARTITION BY passage_id, behaviour, facet, value)"
    ),
}
"""Tables in which a better row hides a worse one of the same key."""

READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
"""Query nodes of DuckDB's syntax tree that write nothing; a WITH may also hold COPY and INSERT."""

_NODE = re.compile(r'"type":"(\w+_NODE)"')


class Catalogue:
    """A DuckDB connection that sees one audit's tables as views."""

    def __init__(self, tables: Tables) -> None:
        """Make the views over the parts that current runs stand by."""
        self.tables = tables
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET TimeZone = 'UTC'")
        _make_views(self.connection, tables)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run the project's own SQL; returns an Arrow table."""
        return self.connection.sql(sql, params=dict(parameters or {})).to_arrow_table()

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run the project's own SQL; returns plain rows."""
        rows: list[dict[str, Any]] = self.query(sql, parameters).to_pylist()
        return rows

    def join(self, sql: str, **tables: pa.Table) -> pa.Table:
        """Run the project's own SQL over the views and the given Arrow tables, by name."""
        for name, table in tables.items():
            self.connection.register(name, table)
        try:
            return self.connection.sql(sql).to_arrow_table()
        finally:
            for name in tables:
                self.connection.unregister(name)

    def write_file(self) -> Path:
        """Write `catalogue.duckdb`, the same views for any DuckDB client; returns its path."""
        path = self.tables.paths.catalogue
        with replacing(path) as temporary, duckdb.connect(str(temporary)) as connection:
            _make_views(connection, self.tables)
        return path


def select(tables: Tables, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
    """Run one SELECT of the user's, read-only, with nothing but the audit's tables in reach.

    Raises UsageError for anything that is not exactly one SELECT, and for SQL that fails.
    """
    catalogue = Catalogue(tables)
    connection = catalogue.connection
    _check_single_select(connection, sql)
    lock_down(connection, [tables.paths.tables.resolve()])
    try:
        table = connection.sql(sql, params=dict(parameters or {})).to_arrow_table()
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise UsageError(first, "auditor sql --list names the shipped queries") from error
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise UsageError(f"two columns are called {twice[0]!r}", "name them apart with AS")
    return table


def lock_down(connection: duckdb.DuckDBPyConnection, folders: Sequence[Path]) -> None:
    """Let a connection read these folders and nothing else, for good (DESIGN §12)."""
    quoted = ", ".join(_quote(str(folder) + "/") for folder in folders)
    connection.execute(f"SET allowed_directories = [{quoted}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _check_single_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(str(error).splitlines()[0], "write one SELECT") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError(
            f"refused: expected exactly one SELECT, got {len(statements)} statement(s) of type "
            + ", ".join(sorted({s.type.name for s in statements})),
            "auditor sql reads only; write one SELECT",
        )
    tree = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0]
    if writing := sorted(set(_NODE.findall(tree)) - READING_NODES):
        raise UsageError(
            f"refused: the SELECT holds a {writing[0].split('_')[0]}",
            "auditor sql reads only; write one SELECT",
        )


def _make_views(connection: duckdb.DuckDBPyConnection, tables: Tables) -> None:
    for name in TABLES:
        connection.execute(f'CREATE VIEW "{name}" AS {_view_sql(name, tables)}')
    for view, sql in JOINED_VIEWS.items():
        connection.execute(f'CREATE VIEW "{view}" AS {sql}')


def _view_sql(name: str, tables: Tables) -> str:
    files = _files(name, tables)
    if not files:
        columns = ", ".join(
            f'CAST(NULL AS {_sql_type(kind)}) AS "{column}"'
            for column, kind, _ in TABLES[name].columns
        )
        return f"SELECT {columns} WHERE false"
    parts = "[" + ", ".join(_quote(str(path.resolve())) for path in files) + "]"
    source = f"read_parquet({parts}, union_by_name = true)"
    if name in WIDE:
        return (
            f"SELECT passage_id, behaviour, {WIDE[name]} "
            f"FROM (UNPIVOT {source} ON COLUMNS(* EXCLUDE passage_id) "
            "INTO NAME behaviour VALUE byte)"
        )
    return f"SELECT * FROM {source} {NEWEST.get(name, '')}".rstrip()


def _files(name: str, tables: Tables) -> list[Path]:
    if name == "runs":
        return sorted((tables.paths.tables / "runs").glob("*/*.parquet"))
    return tables.outputs(name)


def _sql_type(kind: pa.DataType) -> str:
    for test, sql in _SQL_TYPES:
        if test(kind):
            return sql
    raise AuditorError(f"no SQL type for Arrow type {kind}")


_SQL_TYPES = (
    (pa.types.is_string, "VARCHAR"),
    (pa.types.is_uint64, "UBIGINT"),
    (pa.types.is_uint32, "UINTEGER"),
    (pa.types.is_uint8, "UTINYINT"),
    (pa.types.is_int8, "TINYINT"),
    (pa.types.is_int64, "BIGINT"),
    (pa.types.is_float64, "DOUBLE"),
    (pa.types.is_float32, "FLOAT"),
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_timestamp, "TIMESTAMPTZ"),
    (pa.types.is_fixed_size_binary, "BLOB"),
    (pa.types.is_list, "FLOAT[]"),
)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_BEST = "CASE WHEN reader = 'adjudicated' THEN 0 WHEN reader_kind = 'human' THEN 1 ELSE 2 END"
_CODED = ", ".join(
    f"CASE WHEN min({facet}) = max({facet}) THEN min({facet}) END AS {facet}"
    for facet in (*FACETS, *OPTIONAL_FACETS)
)

JOINED_VIEWS = {
    "labels_resolved": (
        'SELECT label_set, document_id, start, "end", behaviour, '
        "CASE WHEN bool_and(present) = bool_or(present) THEN bool_or(present) END AS present, "
        f"{_CODED}, min(reader_kind) AS reader_kind, min(method) AS method, min(pi) AS pi, "
        "count(DISTINCT reader) AS readers FROM (SELECT *, "
        f"{_BEST} AS rank, min({_BEST}) FILTER (present IS NOT NULL) OVER "
        '(PARTITION BY label_set, document_id, start, "end", behaviour) AS best FROM labels) '
        "WHERE best IS NULL OR rank = best "
        'GROUP BY label_set, document_id, start, "end", behaviour'
    ),
    "passages_full": (
        "SELECT p.passage_id, d.corpus, d.id AS document, d.source, d.title, d.author, d.genre, "
        "d.date, TRY_CAST(regexp_extract(d.date, '\\d{4}') AS INTEGER) AS year, "
        'p.ordinal, p."start", p."end", p.n_words, '
        "coalesce(u.multiplicity, 1) AS multiplicity, p.text "
        "FROM passages p JOIN documents d USING (document_id) "
        "LEFT JOIN duplicates u USING (passage_id)"
    ),
    "labels_full": (
        "SELECT l.*, d.corpus, d.id AS document, d.source, d.genre, d.date "
        "FROM labels l JOIN documents d USING (document_id)"
    ),
}
"""Joins people always make, by the name they are shown under."""
