"""The shipped questions: one .sql file each in queries/, with a header that says what it asks.

Header lines are comments: the first is the question; `-- param NAME = DEFAULT: meaning` declares
a parameter, used in the SQL as `$NAME`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import UsageError
from auditor.paths import shipped

_PARAM = re.compile(r"^-- param (\w+)(?: = (.*?))?: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Query:
    """One shipped question."""

    name: str
    question: str
    defaults: dict[str, str | None]
    sql: str


def read_query(name: str) -> Query:
    """Read a shipped query; raises UsageError with the nearest names where there is none."""
    path = shipped("queries") / f"{name}.sql"
    if not path.is_file():
        names = ", ".join(query.name for query in read_queries())
        raise UsageError(f"no query named {name!r}", f"there are: {names}")
    return _parse(path)


def read_queries() -> list[Query]:
    """Read every shipped query, by name."""
    return [_parse(path) for path in sorted(shipped("queries").glob("*.sql"))]


def bind(query: Query, given: dict[str, str]) -> dict[str, str | None]:
    """Join given parameters with the defaults; raises UsageError for unknown or missing ones."""
    unknown = sorted(set(given) - set(query.defaults))
    if unknown:
        raise UsageError(
            f"query {query.name} has no parameter {unknown[0]!r}",
            "it has: " + (", ".join(query.defaults) or "none"),
        )
    return {**query.defaults, **given}


def _parse(path: Path) -> Query:
    text = path.read_text()
    question = text.splitlines()[0].removeprefix("--").strip()
    defaults = {name: value or None for name, value, _ in _PARAM.findall(text)}
    return Query(path.stem, question, defaults, text)
