"""Numbers and texts → the words the page prints; filters of the template and nothing else.

A rate is printed together with its interval, or with the reason it has none; a value that was never
computed is printed as such and never as a blank or a zero.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

from auditor.records import Interval, Prevalence

CLIP_CHARACTERS = 4_000
"""A passage of 160 words has about 1,000; longer ones are runs without spaces."""

MIN_RUN_WORDS = 3
"""Shorter runs of shared words are mostly "of the" and "in a"."""

MIN_LETTERS = 5
"""A lone shared word is marked from this length on; most function words are shorter."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")

Segments = list[tuple[str, bool]]


def shown(value: Any) -> str:  # noqa: ANN401
    """Write a whole number with separators, anything else as it is; an en dash for None."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def rate(value: float | None) -> str:
    """Write a number with three significant digits and separators."""
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}".replace("-", "−")


def share(value: float | None) -> str:
    """Write a power or a forbidden fraction."""
    return "not computed" if value is None else f"{value:.2f}"


def probability(value: float | None) -> str:
    """Write a p-value; never as zero, because no test here can give one."""
    if value is None:
        return "not run"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def percentile(value: float | None) -> str:
    """Write a place among placebo texts."""
    return "not run" if value is None else f"{value:.1f}"


def limits(interval: Interval) -> str:
    """Write the limits of an interval, or that there are none."""
    if interval.low is None or interval.high is None:
        return "no interval"
    joint = " to " if interval.low < 0 else "–"
    return f"{rate(interval.low)}{joint}{rate(interval.high)}"


def rate_cell(row: Prevalence, interval: Interval) -> tuple[str, str]:
    """Give a rate and the words that must stand beside it."""
    if interval.estimate is None:
        return "not measured", row.reason or ""
    if not row.calibrated:
        return rate(interval.estimate), "uncalibrated, no interval"
    if row.method == "exact":
        return rate(interval.estimate), "counted in full"
    if interval.low is None or interval.high is None:
        return "withheld", "no interval"
    return rate(interval.estimate), limits(interval)


def share_text(interval: Interval | None) -> str:
    """Write a facet value's part of the positives with its simultaneous interval."""
    if interval is None or interval.estimate is None:
        return "–"
    if interval.low is None or interval.high is None:
        return "withheld"
    return f"{interval.estimate:.2f} ({interval.low:.2f}–{interval.high:.2f})"


def moment(value: Any) -> str:  # noqa: ANN401
    """Write a time to the minute, with its zone where it has one."""
    if not isinstance(value, datetime):
        return shown(value)
    return f"{value:%Y-%m-%d %H:%M} {value.tzname() or ''}".rstrip()


def digest(value: str | None) -> str:
    """Write the first twelve characters of a digest."""
    return value[:12] if value else "none"


def clip(text: str | None) -> str:
    """Cut a text that no screen could show."""
    words = text or ""
    return words if len(words) <= CLIP_CHARACTERS else words[:CLIP_CHARACTERS] + " …"


def shared_words(text: str | None, other: str | None) -> Segments:
    """Split a text into segments that are, or are not, shared with another text.

    Shared are runs of MIN_RUN_WORDS words or more, and lone words of MIN_LETTERS letters or more.
    Joining the segments gives the (clipped) text back.
    """
    clipped = clip(text)
    found = list(_WORD.finditer(clipped))
    mine = [word.group().casefold() for word in found]
    theirs = [word.casefold() for word in _WORD.findall(clip(other))]
    chosen = _in_runs(mine, theirs) | _long_words(mine, set(theirs))
    return _segments(clipped, [found[i].span() for i in sorted(chosen)])


def _in_runs(mine: list[str], theirs: list[str]) -> set[int]:
    blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    return {b.a + i for b in blocks if b.size >= MIN_RUN_WORDS for i in range(b.size)}


def _long_words(mine: list[str], theirs: set[str]) -> set[int]:
    return {i for i, word in enumerate(mine) if len(word) >= MIN_LETTERS and word in theirs}


def _segments(text: str, spans: Iterable[tuple[int, int]]) -> Segments:
    """Cut a text at spans in order; spans with no word between them become one."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and not _WORD.search(text, merged[-1][1], start):
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    pieces, at = [], 0
    for start, end in merged:
        pieces += [(text[at:start], False), (text[start:end], True)]
        at = end
    return [piece for piece in (*pieces, (text[at:], False)) if piece[0]]
