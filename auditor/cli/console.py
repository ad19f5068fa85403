"""The only door to rich: tables and JSON on stdout, progress and remarks on stderr."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from auditor.progress import Task
from auditor.records import Interval, plain

WIDE = 160
"""Columns a table may use when stdout is not a terminal, so that less is folded in a pipe."""

out = RichConsole(width=None if sys.stdout.isatty() else WIDE)
err = RichConsole(stderr=True)


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, amount: float) -> None:
        self._progress.advance(self._task, amount)


class Bars:
    """Progress on stderr: count, rate, time left; nothing where stderr is not a terminal."""

    @contextmanager
    def task(self, title: str, total: float, unit: str) -> Iterator[Task]:
        """Show a bar until the block ends."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
            yield _Bar(bars, bars.add_task(title, total=total, unit=unit))

    def warn(self, message: str) -> None:
        """Say it on stderr."""
        say(f"note: {message}")


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Any) -> Text:  # noqa: ANN401
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


def say(message: str) -> None:
    """Write a remark to stderr."""
    err.print(message, highlight=False, markup=False, soft_wrap=True)


def write_json(value: object) -> None:
    """Write one JSON document to stdout."""
    text = json.dumps(_finite(plain(value)), default=_plain_other, ensure_ascii=False)
    sys.stdout.write(text + "\n")


def write_line(text: str) -> None:
    """Write one line of data to stdout."""
    sys.stdout.write(text + "\n")


def write_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Write a table to stdout; numbers to the right. Plain and uncut where stdout is piped."""
    table = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    for number, name in enumerate(columns):
        numeric = bool(rows) and all(
            isinstance(row[number], int | float | Decimal | None) for row in rows
        )
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    out.print(table)


def write_pairs(pairs: Mapping[str, object]) -> None:
    """Write names and values, one a line."""
    write_table(("", ""), [(name, value) for name, value in pairs.items()])


def write_marked(text: str, spans: Sequence[tuple[int, int]]) -> None:
    """Write a text with some of its characters marked."""
    marked = Text(text)
    for start, end in spans:
        marked.stylize("bold reverse", start, end)
    out.print(marked)


def interval_text(interval: Interval) -> str:
    """An estimate with its limits, as text; says so where there are none."""
    if interval.estimate is None:
        return "no labels"
    if interval.low is None or interval.high is None:
        return f"{_number(interval.estimate)} (uncalibrated)"
    if interval.low == interval.high:
        return f"{_number(interval.estimate)} (counted)"
    return f"{_number(interval.estimate)} ({_number(interval.low)} to {_number(interval.high)})"


def share_text(interval: Interval) -> str:
    """A share, a kappa or a score with its limits, two decimals; - where there is none."""
    if interval.estimate is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:.2f}"
    return f"{interval.estimate:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == 0 else f"{value:.2g}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        value = _plain_other(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=_plain_other, ensure_ascii=False)
    return str(value)


def _finite(value: Any) -> Any:  # noqa: ANN401
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _plain_other(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
