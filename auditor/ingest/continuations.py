"""Judged continuations of exported prefixes → observations: k shown of n judged, a row a record.

JSONL: {prefix_id, model, continuations: [{text, present}], base_or_tuned?, seed?, citation?, …};
other fields are factors. A continuation that reproduces what the document itself goes on to say is
memory and no trial (METHOD T1), nor is one without words or without a judgement.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from auditor.ingest.records import Record
from auditor.plan import canonical_json
from auditor.records import Reject

STAGE = "observe"
CONDITION, UNIT = "prefix", "continuation"

SHINGLE_WORDS = 13
"""Length of the runs that count as reproduced (METHOD T1)."""

VERBATIM_SHARE = 0.5
"""Share of a continuation's distinct runs, from which on it is a reproduction (METHOD T1)."""

MIN_WORDS = 8
"""A shorter continuation is never called a reproduction: few words are easily shared by chance."""

Words = npt.NDArray[np.uint64]

_ID = re.compile(r"([0-9a-f]{16})-(\d{1,10})-(\d{1,10})-(\w+)")
_COLUMNS = ("prefix_id", "model", "continuations", "base_or_tuned", "seed", "citation")


@dataclass(frozen=True, slots=True)
class PrefixId:
    """Names the prefix before a labelled span, for one behaviour; as text, `prefix_id`."""

    document_id: int
    start: int
    end: int
    behaviour: str

    def __str__(self) -> str:
        """Write the id as files carry it."""
        return f"{self.document_id:016x}-{self.start}-{self.end}-{self.behaviour}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read an id; None where it is not one."""
        found = _ID.fullmatch(text)
        if found is None:
            return None
        document, start, end, behaviour = found.groups()
        return cls(int(document, 16), int(start), int(end), behaviour)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a document itself says after a prefix; problem: why nothing can be held against it."""

    behaviour: str = ""
    text: str = ""
    problem: str | None = None


@dataclass(slots=True)
class Continuations:
    """A study's rows of observations; how many continuations were reproductions."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    verbatim: int = 0
    duplicates: int = 0


@dataclass(slots=True)
class _Tally:
    """What became of a record's continuations."""

    k: int = 0
    n: int = 0
    verbatim: int = 0
    unjudged: int = 0


def read_continuations(
    records: Iterable[Record | Reject],
    file: str,
    study: str,
    truths: Mapping[str, Truth],
    words_of: Callable[[str], Words],
    at: datetime,
) -> Continuations:
    """Count each record's judged continuations; one that cannot be held against a text is a reject.

    truths: what the documents say, by prefix_id; words_of: hashes of a text's words, in order.
    """
    out = Continuations()
    seen: set[str] = set()
    for record in records:
        if isinstance(record, Reject):
            out.rejects.append(record)
            continue
        content = canonical_json(dict(record.fields))
        if content in seen:
            out.duplicates += 1
            continue
        seen.add(content)
        truth = truths.get(str(record.fields.get("prefix_id")), Truth(problem="no prefix_id"))
        problem = _problem(record.fields) or truth.problem
        if not problem:
            tally = _tally(record.fields["continuations"], words_of(truth.text), words_of)
            out.verbatim += tally.verbatim
            problem = _nothing_left(tally)
        if problem:
            out.rejects.append(Reject(STAGE, file, record.line, problem))
        else:
            row = _row(record.fields, truth.behaviour, tally)
            given = {"study": study, "file": file, "line": record.line, "observed_at": at}
            out.rows.append({**row, **given})
    return out


def reproduces(said: Words, truth: Words) -> bool:
    """Whether a continuation is the document's own: half of its 13-word runs are, or all of it."""
    if len(said) < MIN_WORDS:
        return False
    width = min(SHINGLE_WORDS, len(said))
    own = _runs(said, width)
    return len(own & _runs(truth, width)) >= VERBATIM_SHARE * len(own)


def _runs(words: Words, width: int) -> set[bytes]:
    return {words[i : i + width].tobytes() for i in range(len(words) - width + 1)}


def _tally(
    continuations: Iterable[Mapping[str, Any]], truth: Words, words_of: Callable[[str], Words]
) -> _Tally:
    tally = _Tally()
    for one in continuations:
        said, present = words_of(one["text"]), one.get("present")
        if reproduces(said, truth):
            tally.verbatim += 1
        elif present is None or not len(said):
            tally.unjudged += 1
        else:
            tally.n += 1
            tally.k += present
    return tally


def _problem(fields: Mapping[str, Any]) -> str | None:
    if fields.get("model") in (None, ""):
        return "no model"
    continuations = fields.get("continuations")
    if not isinstance(continuations, list):
        return "no list 'continuations'"
    for number, one in enumerate(continuations):
        if not isinstance(one, dict) or not isinstance(one.get("text"), str):
            return f"continuation {number} has no text"
        if not isinstance(one.get("present"), bool | None):
            return f"continuation {number}: present is {one['present']!r}, not true, false or null"
    return None


def _nothing_left(tally: _Tally) -> str | None:
    if tally.n:
        return None
    return (
        f"no judged continuation left: {tally.verbatim} reproduce the document, "
        f"{tally.unjudged} have no judgement or no words"
    )


def _row(fields: Mapping[str, Any], behaviour: str, tally: _Tally) -> dict[str, Any]:
    rest = {k: v for k, v in fields.items() if k not in _COLUMNS and v not in (None, "")}
    factors = {**rest, "verbatim": tally.verbatim, "unjudged": tally.unjudged}
    return {
        "model": str(fields["model"]),
        "behaviour": behaviour,
        "condition": CONDITION,
        "k": tally.k,
        "n": tally.n,
        "rate": tally.k / tally.n,
        "unit": UNIT,
        "base_or_tuned": _cell(fields.get("base_or_tuned")),
        "factors": canonical_json(factors),
        "prompt": str(fields["prefix_id"]),
        "seed": _cell(fields.get("seed")),
        "citation": _cell(fields.get("citation")),
    }


def _cell(value: object) -> str | None:
    return None if value in (None, "") else str(value)
