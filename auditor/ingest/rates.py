"""Rates files → observations: k of n, or a bare rate, for model × behaviour × condition.

A row without k or n is kept as a rate and is never a trial. Other columns are factors, and so are
the pairs of a condition such as "arm=a; step=3". A mapping TOML renames columns ([columns] model =
"llm"), behaviours and models, and says what a condition in plain words stands for ([conditions]).
"""

import math
import re
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

SECTIONS = ("columns", "behaviours", "models", "conditions")
"""What a mapping TOML may say."""

NOTHING = ("", "None")
"""Values of a condition's pair that say it does not apply."""

_KEY = re.compile(r"[^\W\d][\w .-]*")
"""What may stand before the = of a pair; a comparison or a remark in brackets is plain words."""

REPEATED = "the same row as"
"""How the reason begins for which a row that was read before is refused."""

_PLACE = {"file", "line", "observed_at"}
"""What of a row says where it was read, and nothing of what was seen."""

Factor = str | int | float | bool


@dataclass(frozen=True, slots=True)
class StudyMapping:
    """How a study's own names become the audit's: columns, behaviours, models, conditions.

    conditions: factors to attach to a condition, by its text in the file without outer spaces.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    behaviours: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, Mapping[str, Factor]] = field(default_factory=dict)

    def model(self, name: str) -> str:
        """What the audit calls a model of the study."""
        return self.models.get(name, name)

    def factors(self, condition: str | None, own: Mapping[str, Any]) -> str | None:
        """A row's factors as JSON: its own, then the mapping's, then the condition's pairs."""
        mapped = self.conditions.get((condition or "").strip(), {})
        factors = {**condition_pairs(condition), **mapped, **own}
        return canonical_json(factors) if factors else None


def read_mapping(path: Path) -> StudyMapping:
    """Read a mapping TOML; raises BadInput naming what is wrong."""
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path}: {error}", 'write [columns] model = "llm"') from error
    if problem := _mapping_problem(content):
        raise BadInput(f"{path}: {problem[0]}", problem[1])
    conditions = {text.strip(): said for text, said in content.pop("conditions", {}).items()}
    return StudyMapping(**content, conditions=conditions)


def condition_pairs(condition: str | None) -> dict[str, str]:
    """The pairs in a condition such as "arm=a; step=3", keys and values as written."""
    pairs: dict[str, str] = {}
    for piece in (condition or "").split(";"):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if equals and value not in NOTHING and _KEY.fullmatch(key):
            pairs.setdefault(key, value)
    return pairs


def read_rates(
    records: Iterable[Record | Reject],
    file: str,
    study: str,
    mapping: StudyMapping,
    at: datetime,
    before: Iterable[Mapping[str, Any]] = (),
) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Read the rows of a rates file; one that contradicts itself or repeats another is a reject.

    before: rows of the study's other files, which count as well. Draws that came out alike are told
    apart by a seed or any other column.
    """
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    first = {_content(row): row for row in before}
    for record in records:
        if isinstance(record, Reject):
            rejects.append(record)
            continue
        row = _row(record, study, mapping)
        problem = _problem(row)
        if not problem:
            row |= {**_numbers(row), "file": file, "line": record.line, "observed_at": at}
            problem = _repeats(row, first.setdefault(_content(row), row))
        if problem:
            rejects.append(Reject(STAGE, file, record.line, problem))
        else:
            rows.append(row)
    return rows, rejects


def _content(row: Mapping[str, Any]) -> tuple[object, ...]:
    """All that a row says, wherever it stands."""
    return tuple(row[name] for name in sorted(row.keys() - _PLACE))


def _repeats(row: Mapping[str, Any], first: Mapping[str, Any]) -> str | None:
    """Why a row is not counted that says just what the first of its kind said."""
    if first is row:
        return None
    other = f" of {first['file']}" if first["file"] != row["file"] else ""
    return f"{REPEATED} line {first['line']}{other}; give repeats a seed or draw column"


def _row(record: Record, study: str, mapping: StudyMapping) -> dict[str, Any]:
    taken = {column: mapping.columns.get(column, column) for column in COLUMNS}
    row = {column: _cell(record.fields.get(name)) for column, name in taken.items()}
    row["study"] = row["study"] or _cell(record.fields.get("source")) or study
    row["behaviour"] = mapping.behaviours.get(str(row["behaviour"]), row["behaviour"])
    row["model"] = row["model"] and mapping.model(row["model"])
    row["citation"] = row["citation"] or _cell(record.fields.get("note"))
    used = {*taken.values(), "source", "note"}
    rest = {k: v for k, v in record.fields.items() if k not in used and v not in (None, "")}
    row["factors"] = mapping.factors(row["condition"], rest)
    return row


def _mapping_problem(content: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a mapping and what it should be; None where nothing is."""
    for section, names in content.items():
        if section not in SECTIONS:
            return f"no section {section!r}", "there are: " + ", ".join(SECTIONS)
        if not isinstance(names, dict):
            return f"{section} is {names!r}, expected a table", f"write [{section}]"
        for name, value in names.items():
            if section == "columns" and name not in COLUMNS:
                return f"no column {name!r}", "there are: " + ", ".join(COLUMNS)
            if section != "conditions" and not isinstance(value, str):
                return f"{section}.{name} is {value!r}, expected a text", 'write old = "new"'
            if section == "conditions" and not _is_factors(value):
                hint = 'write [conditions] "text in the file" = { dose = 0 }'
                return f"conditions.{name} is {value!r}, expected a table of factors", hint
    return None


def _is_factors(value: object) -> bool:
    """Whether a value is a table of texts, truths and finite numbers."""
    return isinstance(value, dict) and all(
        isinstance(one, str | int) or (isinstance(one, float) and math.isfinite(one))
        for one in value.values()
    )


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
