"""Files of transcripts or rates → transcripts, turns and observations of a study."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from auditor.errors import BadInput, UsageError
from auditor.flows.recording import Started, is_done
from auditor.ingest.rates import StudyMapping, read_mapping, read_rates
from auditor.ingest.records import Record, read_clean_records
from auditor.ingest.sources import content_digest, find_files
from auditor.ingest.transcripts import RunState, Transcripts, counts, read_chats
from auditor.plan import Source, digest
from auditor.progress import Progress
from auditor.records import Reject
from auditor.store.tables import Tables, rejects_table, rows_table

OUTCOME = ("model", "behaviour", "k", "n", "rate")
"""What makes two rows the same outcome, however they are filed."""

SEEN_BEFORE = 0.5
"""Share of a study's rows that must have been read before for it to be the same study."""

FORMATS = ("auto", "chat", "rates")


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
    return summaries


def _observe(
    tables: Tables,
    study: str,
    sources: Sequence[Source],
    format_: str,
    mapping: StudyMapping,
    selected: bool,
) -> dict[str, Any]:
    started = Started("observe", ("pyarrow",))
    settings = digest([format_, dict(mapping.columns), dict(mapping.behaviours), selected])
    inputs = digest([(s.name, content_digest(s)) for s in sources])
    if done := _done(tables, study, settings, inputs):
        return done
    transcripts, rows, rejects = Transcripts(), list[dict[str, Any]](), list[Reject]()
    for source in sources:
        records = list(read_clean_records(source, "observe"))
        if _is_rates(records, format_):
            read, refused = read_rates(records, source.name, study, mapping, started.at)
            rows += read
            rejects += refused
        else:
            _join(transcripts, read_chats(records, source.name, study, started.at))
    rejects += transcripts.rejects
    if not selected:
        rows += [
            _counted(cell, study, sources[0].name, started.at)
            for cell in counts(transcripts.transcripts, mapping.behaviours)
        ]
    if not rows and not transcripts.transcripts:
        first = rejects[0] if rejects else None
        reason = f"line {first.line}: {first.reason}" if first else "the file holds no records"
        raise BadInput(
            f"{sources[0].name}: nothing could be read; {reason}", "auditor observe --help"
        )
    summary = _summary(study, transcripts, rows, rejects)
    rows = _with_first_times(tables, rows)
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


def _with_first_times(tables: Tables, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the time they were first read: reading them again after a lock is not new.

    Outcomes are known by model, behaviour and counts, whatever study, condition or prompt they are
    filed under now. Where at least SEEN_BEFORE of the rows agree with ones read earlier, those keep
    the earlier time; fewer is what chance does among small counts.
    """
    columns = [*OUTCOME, "observed_at"]
    first: dict[tuple[object, ...], datetime] = {}
    for path in tables.ever("observations"):
        for row in pq.read_table(path, columns=columns).to_pylist():
            known = first.setdefault(_outcome(row), row["observed_at"])
            first[_outcome(row)] = min(known, row["observed_at"])
    seen = sum(_outcome(row) in first for row in rows)
    if not rows or seen / len(rows) < SEEN_BEFORE:
        return rows
    return [{**row, "observed_at": first.get(_outcome(row), row["observed_at"])} for row in rows]


def _outcome(row: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(row[name] for name in OUTCOME)


def _done(tables: Tables, study: str, settings: str, inputs: str) -> dict[str, Any] | None:
    if not is_done(tables, "observe", study, settings, inputs):
        return None
    summary: dict[str, Any] = json.loads(tables.current("observe", study)[0]["summary"])
    return summary


def _is_rates(records: Sequence[Record | Reject], format_: str) -> bool:
    if format_ != "auto":
        return format_ == "rates"
    first = next((r for r in records if isinstance(r, Record)), None)
    return first is not None and "messages" not in first.fields


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


def _counted(cell: dict[str, Any], study: str, file: str, at: datetime) -> dict[str, Any]:
    empty = dict.fromkeys(("base_or_tuned", "prompt", "seed", "citation", "factors", "line"))
    rate = cell["k"] / cell["n"]
    return {
        **cell, "study": study, "rate": rate, "unit": "transcript",
        **empty, "file": file, "observed_at": at,
    }  # fmt: skip


def _summary(
    study: str, transcripts: Transcripts, rows: Sequence[dict[str, Any]], rejects: Sequence[Reject]
) -> dict[str, Any]:
    return {
        "study": study,
        "transcripts": len(transcripts.transcripts),
        "turns": len(transcripts.turns),
        **{state.value: transcripts.count(state) for state in RunState},
        "duplicates": transcripts.duplicates,
        "rows": len(rows),
        "rows_without_n": sum(row["n"] is None or row["k"] is None for row in rows),
        "rejects": len(rejects),
    }
