"""Promises about SQL: shipped questions have answers, and nothing but one SELECT ever runs."""

import hashlib
import json
from pathlib import Path

import pytest

from auditor import Audit
from auditor.errors import UsageError
from tests.planted import FIXTURE, documents, truth

NAMES = sorted(str(query["name"]) for query in Audit.queries())

HOSTILE = (
    "COPY labels TO '{tables}/x.csv'",
    "COPY (SELECT 1) TO '{tables}/x.parquet'",
    "COPY (SELECT 1) TO '{part}'",
    "COPY labels FROM '{outside}'",
    "ATTACH '{parent}/x.duckdb' AS x",
    "DETACH memory",
    "INSERT INTO labels SELECT * FROM labels",
    "UPDATE labels SET present = true",
    "DELETE FROM labels",
    "TRUNCATE labels",
    "MERGE INTO labels USING labels AS b ON true WHEN MATCHED THEN DELETE",
    "CREATE TABLE x AS SELECT 1",
    "CREATE OR REPLACE VIEW labels AS SELECT 1",
    "CREATE SECRET s (TYPE s3)",
    "ALTER VIEW labels RENAME TO x",
    "DROP VIEW labels",
    "EXPORT DATABASE '{tables}/x'",
    "IMPORT DATABASE '{tables}'",
    "INSTALL fts",
    "LOAD fts",
    "SET allowed_directories = ['/']",
    "RESET ALL",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "USE memory",
    "PREPARE x AS SELECT 1",
    "EXPLAIN ANALYZE COPY labels TO '{tables}/x.csv'",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW labels",
    "",
    "-- only a comment",
    "WITH x AS (COPY labels TO '{tables}/x.csv') SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{part}') SELECT * FROM x",
    "SELECT (WITH x AS (COPY labels TO '{tables}/x.csv') FROM x)",
    "FROM (WITH x AS (FROM (WITH y AS (COPY labels TO '{tables}/x.csv') FROM y)) FROM x)",
    "WITH x AS (INSERT INTO labels VALUES (1) RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM labels RETURNING *) SELECT * FROM x",
    "SELECT * FROM query('COPY labels TO ''{tables}/x.csv''')",
    "SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_path = '{tables}')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_text('{outside}')",
    "SELECT * FROM read_text('{tables}/../audit.toml')",
    "SELECT * FROM read_text('{tables}/../../outside.csv')",
    "SELECT * FROM read_duckdb('{tables}/../catalogue.duckdb')",
    "SELECT * FROM parquet_metadata('{outside}')",
    "SELECT * FROM sniff_csv('{outside}')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM glob('{parent}/*')",
    "SELECT * FROM read_json('https://example.com/x.json')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT getenv('HOME')",
)


def digests(folder: Path) -> dict[str, str]:
    """Every file below a folder, with its content."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_sql_is_refused_and_changes_no_byte(own_audit: Audit, attack: str) -> None:
    parent = own_audit.root.parent
    (parent / "outside.csv").write_text("a\n1\n")
    tables = own_audit.root.resolve() / "tables"
    part = next((tables / "labels").rglob("*.parquet"))
    before = digests(parent)
    with pytest.raises(UsageError):
        own_audit.sql(
            attack.format(tables=tables, parent=parent, part=part, outside=parent / "outside.csv")
        )
    assert digests(parent) == before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) AS n FROM labels",
        "FROM labels LIMIT 1",
        "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 5) FROM a",
        "WITH a AS (SELECT 1 AS n), b AS (FROM a) FROM a UNION ALL FROM b",
        "VALUES (1), (2)",
        "DESCRIBE labels",
        """SELECT '"type":"COPY_QUERY_NODE"' AS words""",
    ],
)
def test_every_form_of_reading_is_allowed(audit: Audit, query: str) -> None:
    assert audit.sql(query).num_rows > 0


def test_sql_that_fails_says_why_in_one_line(audit: Audit) -> None:
    with pytest.raises(UsageError, match="lables") as caught:
        audit.sql("SELECT * FROM lables")
    assert "\n" not in caught.value.message


def test_a_parameter_is_a_value_and_never_sql(audit: Audit) -> None:
    table = audit.sql("SELECT $x AS x", x="1; DROP VIEW labels")
    assert table["x"].to_pylist() == ["1; DROP VIEW labels"]


def test_a_select_without_its_parameter_is_a_usage_error(audit: Audit) -> None:
    with pytest.raises(UsageError):
        audit.sql("SELECT $x AS x")


def test_a_file_of_sql_runs_like_its_text(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("SELECT 7 AS seven\n")
    assert audit.sql(str(tmp_path / "q.sql"))["seven"].to_pylist() == [7]


def test_a_query_that_does_not_exist_names_those_that_do(audit: Audit) -> None:
    with pytest.raises(UsageError, match="no_such_question") as caught:
        audit.sql("no_such_question")
    assert all(name in caught.value.hint for name in NAMES)


def test_a_parameter_no_query_has_is_named(audit: Audit) -> None:
    with pytest.raises(UsageError, match="corpse") as caught:
        audit.sql("prevalence_rows", corpse="fixture")
    assert "corpus" in caught.value.hint


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_query_runs_on_an_audit_that_holds_nothing(tmp_path: Path, name: str) -> None:
    assert Audit.create(tmp_path / "new").sql(name).num_rows == 0


def test_every_shipped_query_is_checked_here() -> None:
    assert {f"test_{name}_" in str(list(globals())) for name in NAMES} == {True}


@pytest.mark.parametrize("query", Audit.queries(), ids=NAMES)
def test_every_shipped_query_asks_a_question_and_declares_what_it_uses(
    query: dict[str, object],
) -> None:
    from auditor.store.queries import read_query

    shipped = read_query(str(query["name"]))
    code = "\n".join(line for line in shipped.sql.splitlines() if not line.startswith("--"))
    used = {word.strip("(),;") for word in code.split() if word.startswith("$")}
    assert "?" in shipped.question
    assert used == {f"${name}" for name in shipped.defaults}


def test_documents_by_source_holds_every_document_once(audit: Audit) -> None:
    rows = audit.sql("documents_by_source").to_pylist()
    assert {row["source"] for row in rows} == {d["source"] for d in documents().values()}
    assert sum(row["documents"] for row in rows) == len(documents()) == 100


def test_duplicate_groups_find_the_planted_copies(audit: Audit) -> None:
    rows = audit.sql("duplicate_groups").to_pylist()
    assert any(span["duplicate_of"] for span in truth())
    assert {row["copies"] for row in rows} >= {2}
    assert all(len(row["beginning"]) > 0 for row in rows)


def test_labelled_framing_counts_each_positive_label_once(audit: Audit) -> None:
    rows = audit.sql("labelled_framing", behaviour="flattery").to_pylist()
    total = audit.sql("SELECT * FROM labels WHERE behaviour = 'flattery' AND present").num_rows
    assert sum(row["labels"] for row in rows) == total > 0


def test_labelled_framing_counts_a_span_once_whoever_read_it(
    own_audit: Audit, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in (FIXTURE / "labels.jsonl").read_text().splitlines()]
    twice = [{**line, "reader": reader} for line in lines for reader in ("ann", "bob")]
    (tmp_path / "two.jsonl").write_text("\n".join(map(json.dumps, twice)))
    once = own_audit.sql("labelled_framing", behaviour="flattery").to_pylist()
    own_audit.label(str(tmp_path / "two.jsonl"), "fixture", str(FIXTURE / "frame.csv"))
    readers = own_audit.sql("SELECT DISTINCT reader FROM labels")["reader"].to_pylist()
    assert sorted(readers) == ["ann", "bob"]
    assert own_audit.sql("labelled_framing", behaviour="flattery").to_pylist() == once


def test_framing_shares_of_a_behaviour_are_the_whole_of_its_positives(audit: Audit) -> None:
    rows = audit.sql("framing_shares", facet="stance").to_pylist()
    mine = [row for row in rows if row["behaviour"] == "deception"]
    assert [(row["value"], row["positives"]) for row in mine] == [
        ("condemn", 32), ("endorse", 18), ("neutral", 11),
    ]  # fmt: skip
    assert sum(row["share"] for row in mine) == pytest.approx(1.0)
    assert all(row["share_low"] <= row["share"] <= row["share_high"] for row in mine)


def test_model_cards_are_a_row_a_detector_with_how_many_planted_texts_it_retrieved(
    audit: Audit,
) -> None:
    rows = audit.sql("model_cards").to_pylist()
    own = {b["id"] for b in Audit.behaviours() if b["kind"] == "behaviour"}
    assert [row["behaviour"] for row in rows] == sorted(own)
    assert all(0 <= row["retrieved"] <= row["planted"] for row in rows)
    [one] = audit.sql("model_cards", behaviour="deception").to_pylist()
    assert one["behaviour"] == "deception"


def test_observation_counts_pool_six_prompts_of_forty_draws(audit: Audit) -> None:
    rows = audit.sql("observation_counts", study="rates-imitates").to_pylist()
    assert len(rows) == 2232 / 6
    assert {int(row["n"]) for row in rows} == {240}
    assert {row["prompts"] for row in rows} == {6}


def test_prevalence_rows_are_one_a_behaviour_commonest_first(audit: Audit) -> None:
    rows = audit.sql("prevalence_rows", corpus="fixture").to_pylist()
    rates = [row["estimate"] for row in rows]
    assert len({row["behaviour"] for row in rows}) == len(rows) == len(Audit.behaviours())
    assert rates == sorted(rates, reverse=True)


def test_prevalence_rows_of_another_corpus_are_none(audit: Audit) -> None:
    assert audit.sql("prevalence_rows", corpus="pile").num_rows == 0


def test_rejects_by_reason_joins_reasons_that_differ_in_a_number(own_audit: Audit) -> None:
    path = own_audit.root.parent / "bad.csv"
    path.write_text("model,behaviour,k,n\na,b,5,4\na,b,7,6\na,b,1,2\n")
    own_audit.observe(str(path))
    [row] = own_audit.sql("rejects_by_reason").to_pylist()
    assert (row["file"], row["reason"], row["records"]) == (
        "bad.csv",
        "k = N is more than n = N",
        2,
    )


def test_transcripts_say_what_became_of_each_run(audit: Audit) -> None:
    rows = audit.sql("transcripts").to_pylist()
    states = [row["state"] for row in rows]
    assert [row["id"] for row in rows] == [f"obs-{i:02d}" for i in range(1, 21)]
    assert {state: states.count(state) for state in set(states)} == {
        "counted": 16,
        "refused": 2,
        "empty": 1,
        "errored": 1,
    }
