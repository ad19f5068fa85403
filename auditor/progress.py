"""Progress as a value that is passed in: a flow says what it counts, the console shows it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One thing that is being counted."""

    def advance(self, amount: float) -> None:
        """Count this much more."""


class Progress(Protocol):
    """Something that can show a task; `unit` is what is counted."""

    def task(self, title: str, total: float, unit: str) -> AbstractContextManager[Task]:
        """Show a task until the block ends."""

    def warn(self, message: str) -> None:
        """Say something the user should know, without stopping."""


class _Uncounted:
    def advance(self, amount: float) -> None:
        """Count nothing."""


class Quiet:
    """Shows nothing: for scripts and tests."""

    @contextmanager
    def task(self, title: str, total: float, unit: str) -> Iterator[Task]:
        """Give a task that counts nothing."""
        yield _Uncounted()

    def warn(self, message: str) -> None:
        """Say nothing."""
