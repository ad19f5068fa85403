"""Files of transcripts, rates or judged continuations → transcripts, turns and observations."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from auditor.errors import BadInput, UsageError
from auditor.flows.prefixes import read_truths
from auditor.flows.recording import Started, is_done
from auditor.index.tokens import word_hashes
from auditor.ingest.continuations import read_continuations
from auditor.ingest.rates import REPEATED, StudyMapping, read_mapping, read_rates
from auditor.ingest.records import Record, read_clean_records
from auditor.ingest.sources import content_digest, find_files
from auditor.ingest.transcripts import RunState, Transcripts, counts, read_chats
from auditor.plan import Source, digest
from auditor.progress import Progress
from auditor.records import Reject
from auditor.store.tables import Tables, rejects_table, rows_table

OUTCOME = ("model", "behaviour", "k", "n", "rate")
"""What makes two rows the same outcome, however they are filed."""

CONTINUED = (*OUTCOME, "prompt")
"""The same for continuations, whose prompt the audit checked: k of 5 alone is often the same."""

DRAW = ("model", "behaviour", "condition", "prompt", "seed", "k", "n", "factors")
"""What makes two rows the same draws, whatever study and file they stand in."""

SEEN_BEFORE = 0.5
"""Share of a study's rows that must have been read before for it to be the same study."""

AUTO, CONTINUATIONS = "auto", "continuations"


@dataclass(slots=True)
class _Study:
    """What is known of a study so far; `continued` are the rows of exported prefixes."""

    name: str
    mapping: StudyMapping
    at: datetime
    transcripts: Transcripts = field(default_factory=Transcripts)
    rows: list[dict[str, Any]] = field(default_factory=list)
    continued: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    verbatim: int | None = None


def observe(
    tables: Tables,
    files: Sequence[str],
    study: str | None,
    format_: str,
    mapping: str | None,
    selected: bool,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Read observation files, each its own study unless one is named; returns a summary a study.

    selected: the transcripts were chosen by what happened in them, so they give no rates.
    """
    if format_ not in FORMATS:
        raise UsageError(f"no format {format_!r}", "there are: " + ", ".join(FORMATS))
    sources = find_files(files)
    names = read_mapping(Path(mapping)) if mapping else StudyMapping()
    studies: dict[str, list[Source]] = {}
    for source in sources:
        studies.setdefault(study or Path(source.name).name.split(".")[0], []).append(source)
    with progress.task("reading observations", len(sources), "files") as task:
        summaries = []
        for name, members in studies.items():
            before = tables.current("observe", name)
            summaries.append(_observe(tables, name, members, format_, names, selected))
            if before and tables.current("observe", name)[0]["run"] != before[0]["run"]:
                progress.warn(f"study {name} held other files, {before[0]['rows']} rows: replaced")
            task.advance(len(members))
    for first, second, rows in _shared(tables, studies.keys()):
        progress.warn(f"studies {first} and {second} share {rows} equal rows: each counts twice")
    return summaries


def draws(row: Mapping[str, Any]) -> tuple[object, ...]:
    """Which draws a row of observations is about, and what came of them."""
    return tuple(row[name] for name in DRAW)


def _shared(tables: Tables, observed: Collection[str]) -> Iterator[tuple[str, str, int]]:
    """Pairs of current studies that are the same rows, one of them just observed, and how many.

    Both are named, with the number of equal rows: at least SEEN_BEFORE of the smaller study, as
    fewer is what chance does among small counts. Rows without k or n never count.
    """
    held: dict[tuple[str, str], Counter[tuple[object, ...]]] = {}
    for run in tables.current("observe"):
        for row in tables.read("observations", "observe", run["corpus"]).to_pylist():
            if row["k"] is not None and row["n"] is not None:
                held.setdefault((run["corpus"], row["study"]), Counter())[draws(row)] += 1
    for one, other in combinations(sorted(held), 2):
        if {one[0], other[0]}.isdisjoint(observed):
            continue
        rows = (held[one] & held[other]).total()
        if rows >= SEEN_BEFORE * min(held[one].total(), held[other].total()):
            column = int(one[1] != other[1])
            yield one[column], other[column], rows


def _observe(
    tables: Tables,
    study: str,
    sources: Sequence[Source],
    format_: str,
    mapping: StudyMapping,
    selected: bool,
) -> dict[str, Any]:
    started = Started("observe", ("pyarrow",))
    formats = [_format(source, format_) for source in sources]
    settings = digest([format_, *_plain(mapping), selected])
    inputs = digest([(s.name, content_digest(s)) for s in sources] + _held_against(tables, formats))
    if done := _done(tables, study, settings, inputs):
        return done
    found = _Study(study, mapping, started.at)
    for source, kind in zip(sources, formats, strict=True):
        READERS[kind](found, list(read_clean_records(source, "observe")), source.name, tables)
    if not selected:
        found.rows += _counted(found, sources[0].name)
    rejects = found.rejects + found.transcripts.rejects
    if not found.rows and not found.continued and not found.transcripts.transcripts:
        first = rejects[0] if rejects else None
        reason = f"line {first.line}: {first.reason}" if first else "the file holds no records"
        raise BadInput(
            f"{sources[0].name}: nothing could be read; {reason}", "auditor observe --help"
        )
    rows = _with_first_times(tables, found.rows, OUTCOME, mapping)
    rows += _with_first_times(tables, found.continued, CONTINUED, mapping)
    transcripts = found.transcripts
    summary = _summary(found, rows, rejects)
    paths = [
        tables.write(table, study, part)
        for table, part in (
            ("transcripts", rows_table("transcripts", transcripts.transcripts)),
            ("turns", rows_table("turns", transcripts.turns)),
            ("observations", rows_table("observations", rows)),
        )
    ]
    paths.append(tables.write("rejects", study, rejects_table(rejects, study)))
    started.finish(
        tables,
        study,
        settings=settings,
        inputs=inputs,
        outputs=paths,
        rows=len(rows) + len(transcripts.transcripts),
        summary=summary,
        rejects=len(rejects),
    )
    return summary


def _with_first_times(
    tables: Tables, rows: list[dict[str, Any]], known_by: Sequence[str], mapping: StudyMapping
) -> list[dict[str, Any]]:
    """Rows with the time they were first read: reading them again after a lock is not new.

    Outcomes are known by model, behaviour and counts, whatever study, condition or prompt they are
    filed under now, and by the names the mapping replaces too. Where at least SEEN_BEFORE of the
    rows agree with ones read earlier, those keep the earlier time; fewer is what chance does among
    small counts.
    """
    columns = [*known_by, "observed_at"]
    first: dict[tuple[object, ...], datetime] = {}
    for path in tables.ever("observations"):
        for row in pq.read_table(path, columns=columns).to_pylist():
            outcome = tuple(row[name] for name in known_by)
            first[outcome] = min(first.get(outcome, row["observed_at"]), row["observed_at"])
    earlier = [
        min((first[o] for o in _outcomes(row, known_by, mapping) if o in first), default=None)
        for row in rows
    ]
    if not rows or sum(at is not None for at in earlier) / len(rows) < SEEN_BEFORE:
        return rows
    return [
        {**row, "observed_at": at or row["observed_at"]}
        for row, at in zip(rows, earlier, strict=True)
    ]


def _outcomes(
    row: Mapping[str, Any], known_by: Sequence[str], mapping: StudyMapping
) -> list[tuple[object, ...]]:
    """What a row's outcome is called, by every name its model and behaviour may have had."""
    models = [row["model"], *(old for old, new in mapping.models.items() if new == row["model"])]
    behaviours = [
        row["behaviour"],
        *(old for old, new in mapping.behaviours.items() if new == row["behaviour"]),
    ]
    return [
        tuple({**row, "model": model, "behaviour": behaviour}[name] for name in known_by)
        for model in models
        for behaviour in behaviours
    ]


def _plain(mapping: StudyMapping) -> list[dict[str, Any]]:
    """A mapping as JSON values, for a digest."""
    conditions = {text: dict(factors) for text, factors in mapping.conditions.items()}
    return [dict(mapping.columns), dict(mapping.behaviours), dict(mapping.models), conditions]


def _held_against(tables: Tables, formats: Sequence[str]) -> list[tuple[str, str]]:
    """What continuations are held against, for a digest: the documents and who judged them."""
    if CONTINUATIONS not in formats:
        return []
    runs = (run for stage in ("index", "label") for run in tables.current(stage))
    return [(run["corpus"], run["input_digest"]) for run in runs]


def _done(tables: Tables, study: str, settings: str, inputs: str) -> dict[str, Any] | None:
    if not is_done(tables, "observe", study, settings, inputs):
        return None
    summary: dict[str, Any] = json.loads(tables.current("observe", study)[0]["summary"])
    return summary


def _format(source: Source, asked: str) -> str:
    """The format of a file: as asked, or as its first readable record looks."""
    if asked != AUTO:
        return asked
    items = read_clean_records(source, "observe")
    first = next((item.fields for item in items if isinstance(item, Record)), {})
    looks = (name for name, fields in SIGNS.items() if fields <= first.keys())
    return next(looks, "rates")


def _read_chats(found: _Study, records: Sequence[Record | Reject], file: str, _: Tables) -> None:
    more = read_chats(records, file, found.name, found.at)
    for row in more.transcripts:
        row["model"] = found.mapping.model(row["model"])
    _join(found.transcripts, more)


def _read_rates(found: _Study, records: Sequence[Record | Reject], file: str, _: Tables) -> None:
    rows, rejects = read_rates(records, file, found.name, found.mapping, found.at, found.rows)
    found.rows += rows
    found.rejects += rejects
    found.transcripts.duplicates += sum(r.reason.startswith(REPEATED) for r in rejects)


def _read_continuations(
    found: _Study, records: Sequence[Record | Reject], file: str, tables: Tables
) -> None:
    fields = [record.fields for record in records if isinstance(record, Record)]
    truths = read_truths(tables, {str(f["prefix_id"]) for f in fields if f.get("prefix_id")})
    more = read_continuations(records, file, found.name, truths, word_hashes, found.at)
    found.continued += [{**row, "model": found.mapping.model(row["model"])} for row in more.rows]
    found.rejects += more.rejects
    found.transcripts.duplicates += more.duplicates
    found.verbatim = (found.verbatim or 0) + more.verbatim


SIGNS = {"chat": {"messages"}, CONTINUATIONS: {"prefix_id", "continuations"}}
"""Fields by which a format is known; a file with none of them holds rates."""

READERS: dict[str, Callable[[_Study, Sequence[Record | Reject], str, Tables], None]] = {
    "chat": _read_chats,
    "rates": _read_rates,
    CONTINUATIONS: _read_continuations,
}

FORMATS = (AUTO, *READERS)


def _join(into: Transcripts, more: Transcripts) -> None:
    known = {row["transcript_id"] for row in into.transcripts}
    for row in more.transcripts:
        if row["transcript_id"] in known:
            reason = f"id {row['id']!r} was used in another file of this study"
            into.rejects.append(Reject("observe", row["file"], row["line"], reason))
        else:
            into.transcripts.append(row)
            into.turns += [t for t in more.turns if t["transcript_id"] == row["transcript_id"]]
    into.rejects += more.rejects
    into.duplicates += more.duplicates


def _counted(found: _Study, file: str) -> list[dict[str, Any]]:
    """Rows of observations for what the transcripts' own judgements say."""
    names = ("base_or_tuned", "prompt", "seed", "citation", "line")
    shared = {
        **dict.fromkeys(names), "study": found.name, "unit": "transcript", "file": file,
        "observed_at": found.at,
    }  # fmt: skip
    return [
        {
            **cell,
            **shared,
            "rate": cell["k"] / cell["n"],
            "factors": found.mapping.factors(cell["condition"], {}),
        }
        for cell in counts(found.transcripts.transcripts, found.mapping.behaviours)
    ]


def _summary(
    found: _Study, rows: Sequence[dict[str, Any]], rejects: Sequence[Reject]
) -> dict[str, Any]:
    transcripts = found.transcripts
    return {
        "study": found.name,
        "transcripts": len(transcripts.transcripts),
        "turns": len(transcripts.turns),
        **{state.value: transcripts.count(state) for state in RunState},
        "duplicates": transcripts.duplicates,
        "rows": len(rows),
        "rows_without_n": sum(row["n"] is None or row["k"] is None for row in rows),
        "rejects": len(rejects),
        "verbatim": found.verbatim,
    }
