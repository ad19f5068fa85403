"""Typed reading of a TOML table, every complaint with the file's line.

A field that nobody asked for is an error too: a misspelt name would silently leave a default.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from auditor.behaviours.lines import Place, find_lines, line_of
from auditor.errors import BadInput

HINT = "compare auditor/claims/library"


class Fields:
    """One table of a file, and what of it was asked for."""

    def __init__(
        self, content: Mapping[str, Any], place: Place, path: Path, lines: Mapping[Place, int]
    ) -> None:
        """Use `read_fields`."""
        self.content, self.place = content, place
        self._path, self._lines = path, lines
        self._asked: set[str] = set()

    def wrong(self, name: str, message: str) -> BadInput:
        """The error to raise about a field, naming its line."""
        return self.wrong_at((*self.place, name), message)

    def wrong_at(self, place: Place, message: str) -> BadInput:
        """The error to raise about a place of the file."""
        return BadInput(f"{self._path}:{line_of(self._lines, place)}: {message}", HINT)

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        self._asked.add(name)
        return name in self.content

    def text(self, name: str, default: str | None = None) -> str:
        """A string."""
        value = self._value(name, default)
        if not isinstance(value, str):
            raise self.wrong(name, f"{name} is {value!r}, expected a text")
        return value

    def one_of(self, name: str, known: Sequence[str], default: str | None = None) -> str:
        """A string of a closed set."""
        value = self.text(name, default)
        if value not in known:
            raise self.wrong(name, f"{name} is {value!r}, expected one of {', '.join(known)}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise self.wrong(name, f"{name} is {value!r}, expected a number")
        return float(value)

    def between(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number above `low` and at most `high`."""
        value = self.number(name, default)
        if not low < value <= high:
            raise self.wrong(name, f"{name} is {value:g}, expected above {low:g}, at most {high:g}")
        return value

    def at_least(self, name: str, least: float, default: float | None = None) -> float:
        """A number of at least so much."""
        value = self.number(name, default)
        if value < least:
            raise self.wrong(name, f"{name} is {value:g}, expected {least:g} or more")
        return value

    def count(self, name: str, least: int) -> int:
        """A whole number of at least so much."""
        value = self._value(name, None)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.wrong(name, f"{name} is {value!r}, expected a whole number, {least} or more")
        return value

    def names(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of strings."""
        value = self._value(name, default)
        if isinstance(value, str) or not all(isinstance(one, str) for one in _listed(value)):
            raise self.wrong(name, f"{name} is {value!r}, expected a list of names")
        return tuple(value)

    def table(self, name: str, needed: bool = False) -> "Fields":
        """A table of its own; an empty one where it may be left out."""
        value = self._value(name, None if needed else {})
        if not isinstance(value, Mapping):
            raise self.wrong(name, f"{name} is {value!r}, expected a table [{name}]")
        return Fields(value, (*self.place, name), self._path, self._lines)

    def tables(self, name: str) -> "list[Fields]":
        """A list of tables, none where it is left out."""
        value = _listed(self._value(name, []))
        if not all(isinstance(one, Mapping) for one in value):
            raise self.wrong(name, f"{name} is no list of tables: [[{name}]]")
        return [
            Fields(one, (*self.place, name, number), self._path, self._lines)
            for number, one in enumerate(value)
        ]

    def texts(self, name: str) -> dict[str, str]:
        """A table of strings; numbers and booleans count as written."""
        within = self.table(name)
        for key, value in within.content.items():
            if isinstance(value, Mapping | list):
                raise within.wrong(key, f"{key} is {value!r}, expected a text")
        return {key: _written(value) for key, value in within.content.items()}

    def numbers(self, name: str) -> dict[str, float]:
        """A table of numbers."""
        within = self.table(name)
        return {key: within.number(key) for key in within.content}

    def done(self) -> None:
        """Complain of a field that was never asked for."""
        for name in self.content:
            if name not in self._asked:
                where = f" in [{'.'.join(map(str, self.place))}]" if self.place else ""
                raise self.wrong(name, f"no field is called {name!r}{where}")

    def _value(self, name: str, default: object) -> Any:  # noqa: ANN401
        self._asked.add(name)
        value = self.content.get(name, default)
        if value is None:
            raise self.wrong(name, f"no field {name!r}")
        return value


def read_fields(path: Path) -> Fields:
    """Read a TOML file; raises BadInput."""
    try:
        toml = path.read_text(encoding="utf-8")
        fields = Fields(tomllib.loads(toml), (), path, find_lines(toml))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error}", "a claim is a TOML file") from error
    except OSError as error:
        hint = "name a bundled claim or a TOML file"
        raise BadInput(f"{path}: {error.strerror}", hint) from error
    _refuse_dates(fields, fields.content, ())
    return fields


def _refuse_dates(fields: Fields, value: object, place: Place) -> None:
    """Bare dates have no form in JSON, which locks are written in."""
    if isinstance(value, date | time):
        raise fields.wrong_at(place, f"{place[-1]} is a bare date, write it in quotes")
    inner = value.items() if isinstance(value, Mapping) else enumerate(_listed(value))
    if isinstance(value, Mapping | list):
        for key, one in inner:
            _refuse_dates(fields, one, (*place, key))


def _finite(value: float) -> bool:
    return abs(value) < math.inf


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (None,)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
