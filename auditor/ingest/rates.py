"""Rates files → observations: k of n, or a bare rate, for model × behaviour × condition.

A row without k or n is kept as a rate and is never a trial. Other columns are factors.
A mapping TOML renames columns ([columns] model = "llm") and behaviours ([behaviours] lies = "…").
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from auditor.errors import BadInput
from auditor.ingest.records import Record
from auditor.plan import canonical_json
from auditor.records import Reject

STAGE = "observe"
RATE_TOLERANCE = 0.006
"""A rate may differ from k/n by rounding to two digits, no more."""

MOST = 2**63
"""Counts are stored as 64-bit integers."""

COLUMNS = (
    "study", "model", "behaviour", "condition", "k", "n", "rate",
    "unit", "base_or_tuned", "prompt", "seed", "citation",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StudyMapping:
    """How a study's own names become the audit's: columns and behaviours."""

    columns: Mapping[str, str] = field(default_factory=dict)
    behaviours: Mapping[str, str] = field(default_factory=dict)


def read_mapping(path: Path) -> StudyMapping:
    """Read a mapping TOML; raises BadInput naming what is wrong."""
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path}: {error}", 'write [columns] model = "llm"') from error
    unknown = sorted(set(content.get("columns", {})) - set(COLUMNS))
    if unknown:
        raise BadInput(f"{path}: no column {unknown[0]!r}", "there are: " + ", ".join(COLUMNS))
    return StudyMapping(content.get("columns", {}), content.get("behaviours", {}))


def read_rates(
    records: Iterable[Record | Reject], file: str, study: str, mapping: StudyMapping, at: datetime
) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Read the rows of a rates file; a row that contradicts itself is a reject."""
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for record in records:
        if isinstance(record, Reject):
            rejects.append(record)
            continue
        row = _row(record, study, mapping)
        problem = _problem(row)
        if problem:
            rejects.append(Reject(STAGE, file, record.line, problem))
        else:
            rows.append(
                {**row, **_numbers(row), "file": file, "line": record.line, "observed_at": at}
            )
    return rows, rejects


def _row(record: Record, study: str, mapping: StudyMapping) -> dict[str, Any]:
    taken = {column: mapping.columns.get(column, column) for column in COLUMNS}
    row = {column: _cell(record.fields.get(name)) for column, name in taken.items()}
    row["study"] = row["study"] or _cell(record.fields.get("source")) or study
    row["behaviour"] = mapping.behaviours.get(str(row["behaviour"]), row["behaviour"])
    row["citation"] = row["citation"] or _cell(record.fields.get("note"))
    used = {*taken.values(), "source", "note"}
    rest = {k: v for k, v in record.fields.items() if k not in used and v not in (None, "")}
    row["factors"] = canonical_json(rest) if rest else None
    return row


def _cell(value: object) -> str | None:
    """A cell as text; formats with types and formats without read alike, and 0 is not nothing."""
    return None if value in (None, "") else str(value)


def _problem(row: Mapping[str, Any]) -> str | None:
    for column in ("model", "behaviour"):
        if not row[column]:
            return f"no {column}"
    for column, kind in (("k", _whole), ("n", _whole), ("rate", _share)):
        if row[column] is not None and kind(row[column]) is None:
            return f"{column} is {row[column]!r}, expected {kind.__doc__}"
    k, n, rate = _whole(row["k"]), _whole(row["n"]), _share(row["rate"])
    if n == 0:
        return "n is 0: no trial was made"
    if k is not None and n is not None and k > n:
        return f"k = {k} is more than n = {n}"
    if k is not None and n and rate is not None and abs(k / n - rate) > RATE_TOLERANCE:
        return f"rate {rate} is not k/n = {k}/{n}"
    if rate is None and (k is None or n is None):
        return "neither k and n nor a rate"
    return None


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    k, n, rate = _whole(row["k"]), _whole(row["n"]), _share(row["rate"])
    return {"k": k, "n": n, "rate": k / n if rate is None and k is not None and n else rate}


def _whole(value: object) -> int | None:
    """a whole number, 0 or more"""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if 0 <= number < MOST and number == int(number) else None


def _share(value: object) -> float | None:
    """a share between 0 and 1"""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None
