"""Rows → a trait: which answers show it, by judgement, by file, or by a detector's score.

A judged trait gives counts with intervals and is in or out of the set's distribution. A score is a
ranking nobody calibrated on answers: it has means, and no share, no interval and no test.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from auditor.errors import UsageError
from auditor.ingest.finetuning import FinetuningRow
from auditor.records import Counted
from auditor.statistics.intervals import clopper_pearson

FILE = "file:"
"""What a trait begins with that is shown by the rows of some files."""

IN_ABOVE = 0.01
OUT_BELOW = 0.001
"""The limits of METHOD T10: a trait between them is in neither and left out of comparisons."""

ONE_SIDED = 0.90
"""Level whose two-sided limits are each a one-sided 95 % limit: 0 of 3,000 is below 0.1 %."""


class TraitSource(StrEnum):
    """How rows came to show a trait or not."""

    JUDGED = "judged"
    FILE = "file"
    SCORED = "scored"


class Distribution(StrEnum):
    """Whether a trait belongs to what a fine-tuning set shows."""

    IN = "in"
    OUT = "out"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Trait:
    """One trait over the rows of a set, in their order; None where a row tells nothing.

    `shown` is empty for a scored trait, and `scores` for the others.
    """

    name: str
    source: TraitSource
    shown: tuple[bool | None, ...] = ()
    scores: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class TraitRate:
    """How many judged rows show a trait, with 95 % limits, and what that makes it."""

    counted: Counted
    distribution: Distribution


@dataclass(frozen=True, slots=True)
class MeanScore:
    """Mean uncalibrated score of some rows; None where there are none."""

    mean: float | None
    rows: int


def judged_names(rows: Iterable[FinetuningRow]) -> list[str]:
    """Every behaviour some answered row is judged for, in order of the alphabet."""
    return sorted({name for row in rows if row.answer is not None for name in row.judgements})


def source_of(name: str, rows: Sequence[FinetuningRow]) -> TraitSource:
    """How a trait is known: from files if it names some, judgements if there are any, or scores."""
    if name.startswith(FILE):
        return TraitSource.FILE
    return TraitSource.JUDGED if name in judged_names(rows) else TraitSource.SCORED


def judged_trait(name: str, rows: Sequence[FinetuningRow]) -> Trait:
    """A trait from the judgements that came with the rows; a prompt without answer has none."""
    shown = (None if row.answer is None else row.judgements.get(name) for row in rows)
    return Trait(name, TraitSource.JUDGED, tuple(shown))


def file_trait(name: str, rows: Sequence[FinetuningRow]) -> Trait:
    """A trait that the answers of some files show: file:NAME, or file:NAME|OTHER for several.

    Raises UsageError where a name is in no file's name.
    """
    files = sorted({row.file for row in rows})
    parts = name.removeprefix(FILE).split("|")
    unknown = [part for part in parts if not part or not any(part in file for file in files)]
    if unknown:
        raise UsageError(f"no file name contains {unknown[0]!r}", "there are: " + ", ".join(files))
    chosen = {file for file in files if any(part in file for part in parts)}
    shown = (None if row.answer is None else row.file in chosen for row in rows)
    return Trait(name, TraitSource.FILE, tuple(shown))


def trait_rate(shown: Iterable[bool | None]) -> TraitRate:
    """Count the rows that show a trait among those judged, and place it by METHOD T10."""
    judged = [value for value in shown if value is not None]
    k, n = sum(judged), len(judged)
    return TraitRate(clopper_pearson(k, n), _distribution(clopper_pearson(k, n, ONE_SIDED)))


def mean_score(scores: Iterable[float | None]) -> MeanScore:
    """Average the scores of rows that have one."""
    given = [score for score in scores if score is not None]
    return MeanScore(sum(given) / len(given) if given else None, len(given))


def _distribution(counted: Counted) -> Distribution:
    low, high = counted.interval.low, counted.interval.high
    if low is not None and low > IN_ABOVE:
        return Distribution.IN
    if high is not None and high < OUT_BELOW:
        return Distribution.OUT
    return Distribution.AMBIGUOUS
