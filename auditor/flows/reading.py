"""A drawn sample → what readers say of it: items out, journals in, rows of `labels`.

Readers, human or judge, write only their own journal; gathering turns all journals of a label set
into its rows, so a label set can be gathered again at any time.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.behaviours.spec import choose, cue_pattern, library_of
from auditor.errors import StageMissing, UsageError
from auditor.flows.plan import is_outdated
from auditor.flows.recording import Started
from auditor.labelling.adjudication import ADJUDICATED
from auditor.labelling.codebook import (
    Codebook,
    Item,
    Judgement,
    passage_codebook,
    turn_codebook,
)
from auditor.labelling.journal import Journal, read_earlier, read_journal
from auditor.labelling.prompts import suspicions
from auditor.labelling.reading import UNDONE
from auditor.labelling.sampling import read_so_far
from auditor.paths import cache_folder
from auditor.plan import digest
from auditor.progress import Progress
from auditor.schema import FACETS, OPTIONAL_FACETS
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, now, rows_table

if TYPE_CHECKING:
    from auditor.labelling.judge import JudgeSettings

OF_PASSAGES, OF_TURNS = "passages", "transcripts"

STUDY = "study"
"""The reader whose answers are the observed study's own judgements."""

SHOWN_BEFORE = 1_200
"""Characters of the message a turn answers that its reader sees; who the model is stays hidden."""

_ITEMS = {
    OF_PASSAGES: (
        'SELECT f.document_id, f.start, f."end", f.pi, f.draw, p.text, d.id AS document, '
        "coalesce(d.genre, '') AS context FROM frames f JOIN documents d USING (document_id) "
        'JOIN passages p USING (document_id, start, "end") '
        "WHERE f.label_set = $label_set AND f.draw < 1 ORDER BY f.draw"
    ),
    OF_TURNS: (
        "SELECT f.transcript_id, f.turn, f.pi, f.draw, t.text, f.transcript_id AS document, "
        "'' AS context, (SELECT arg_max(b.text, b.turn) FROM turns b WHERE "
        "b.transcript_id = f.transcript_id AND b.turn < f.turn AND b.source = 'user') AS before "
        "FROM turn_frames f JOIN turns t USING (transcript_id, turn) "
        "WHERE f.label_set = $label_set AND f.draw < 1 ORDER BY f.draw"
    ),
}


@dataclass(frozen=True)
class Room:
    """Everything a reader of one label set needs, and where the answers go.

    items: in the order they must be read; rows: what each item is a label of.
    """

    label_set: str
    of: str
    items: tuple[Item, ...]
    codebook: Codebook
    folder: Path
    rows: tuple[Mapping[str, Any], ...]

    def journal(self, reader: str) -> Path:
        """Where a reader's answers are kept."""
        if not re.fullmatch(r"[\w.@-]+", reader):
            raise UsageError(f"reader {reader!r}", "a name of letters, digits and . @ - _")
        if reader in (ADJUDICATED, STUDY):
            raise UsageError(f"reader {reader!r} is no one's name", "it is used for another end")
        return self.folder / f"{reader}.jsonl"

    @property
    def adjudication(self) -> Path:
        """Where an adjudicator's answers are kept."""
        return self.folder / f"{ADJUDICATED}.jsonl"

    def readers(self) -> dict[str, dict[str, Judgement]]:
        """What every reader said so far, by item; an answer that was taken back is none."""
        journals = {path.stem: read_journal(path) for path in sorted(self.folder.glob("*.jsonl"))}
        return {
            name: {key: one for key, one in said.items() if one.reason != UNDONE}
            for name, said in journals.items()
        }

    def evidence(self, item: Item) -> list[tuple[int, int]]:
        """Where cues of the codebook's behaviours match, as spans of the item's text."""
        cues = [cue for behaviour in self.codebook.behaviours for cue in behaviour.cues]
        pattern = cue_pattern(cues)
        return [match.span() for match in re.finditer(pattern, item.text)] if pattern else []


def open_room(tables: Tables, label_set: str, behaviours: Sequence[str] = ()) -> Room:
    """Open a planned label set for reading; raises StageMissing where it was not planned."""
    runs = tables.current("plan", label_set)
    if not runs:
        raise StageMissing(f"label set {label_set!r} is not planned", "auditor label --plan")
    plan = json.loads(runs[0]["summary"])
    if is_outdated(tables, runs[0]):
        raise StageMissing(
            f"corpus {plan['corpus']} was indexed again after label set {label_set!r} was drawn",
            f"draw it again: auditor label --plan --set {label_set}",
        )
    library = library_of(tables.paths)
    if unknown := sorted(set(behaviours) - set(plan["behaviours"])):
        raise UsageError(
            f"{unknown[0]!r} is not in the plan of {label_set}",
            "a sample is read once for all its behaviours: " + ", ".join(plan["behaviours"]),
        )
    book = {OF_PASSAGES: passage_codebook, OF_TURNS: turn_codebook}[plan["of"]]
    rows = Catalogue(tables).rows(_ITEMS[plan["of"]], {"label_set": label_set})
    folder = tables.paths.journals / label_set
    folder.mkdir(parents=True, exist_ok=True)
    return Room(
        label_set,
        plan["of"],
        tuple(_item(row) for row in rows),
        book(choose(library, plan["behaviours"])),
        folder,
        tuple(rows),
    )


def gather(tables: Tables, label_set: str) -> dict[str, Any]:
    """Turn every journal of a label set into its rows; the summary the command prints."""
    return _gather(tables, open_room(tables, label_set))


def judge_items(
    tables: Tables,
    label_set: str,
    settings: "JudgeSettings",
    progress: Progress,
) -> dict[str, Any]:
    """Have a judge read what it has not read yet; its answers go to a journal of its own.

    However the run ends, what was answered before becomes labels.
    """
    from auditor.labelling.judge import Judge, JudgeCache
    from auditor.records import plain

    room = open_room(tables, label_set)
    path = room.journal(re.sub(r"[^\w.@-]", "_", settings.model))
    cache = JudgeCache(cache_folder("judge") / "answers.jsonl")
    judge = Judge(room.codebook, settings, cache, progress, now)
    said = read_earlier(path, settings.model, room.codebook, "model")
    done = {k for k, one in said.items() if one.labels is not None and one.prompt == judge.prompt}
    try:
        with Journal(path) as journal:
            for judgement in judge.run([item for item in room.items if item.key not in done]):
                journal.append(judgement)
    finally:
        gathered = _gather(tables, room)
    for remark in gathered["suspicions"]:
        progress.warn(remark)
    return {
        **gathered,
        "judge": {
            **plain(judge.summary),
            "stopped_by_budget": judge.summary.stopped_by_budget,
            "prompt": judge.prompt,
        },
    }


def _gather(tables: Tables, room: Room) -> dict[str, Any]:
    started = Started("label", ("pyarrow",))
    label_set, readers = room.label_set, room.readers()
    answered = np.array([any(i.key in said for said in readers.values()) for i in room.items], bool)
    draws = np.array([row["draw"] for row in room.rows])
    read = read_so_far(draws, answered) if len(draws) else 0.0
    rows = [
        row
        for item, place in zip(room.items, room.rows, strict=True)
        if place["draw"] < read or read == 1.0
        for said in readers.values()
        if item.key in said
        for row in _rows(room, place, said[item.key], read)
    ]
    table = "labels" if room.of == OF_PASSAGES else "turn_labels"
    path = tables.write(table, label_set, rows_table(table, rows))
    judged = [one for said in readers.values() for one in said.values() if one.method == "judge"]
    summary = {
        "label_set": label_set,
        "of": room.of,
        "spans": int(answered.sum()),
        "left": int((~answered).sum()),
        "frame": None,
        "codebook": list(room.codebook.ids),
        "positives": sum(bool(row["present"]) for row in rows),
        "reader_kinds": sorted({row["reader_kind"] for row in rows}),
        "readers": {
            name: {
                "answered": sum(one.labels is not None for one in said.values()),
                "no_answer": sum(one.labels is None for one in said.values()),
            }
            for name, said in readers.items()
        },
        "suspicions": suspicions(judged, room.codebook),
        "rejects": 0,
    }
    plan = tables.current("plan", label_set)[0]["settings_digest"]
    inputs = digest([plan, _said(readers)])
    started.finish(tables, label_set, plan, inputs, [path], len(rows), summary)
    return summary


def _item(row: Mapping[str, Any]) -> Item:
    if "transcript_id" in row:
        before = (row["before"] or "")[-SHOWN_BEFORE:]
        text = f"[message]\n{before}\n\n[answer to code]\n{row['text']}" if before else row["text"]
        return Item(f"{row['transcript_id']}#{row['turn']}", text)
    return Item(f"{row['document_id']}:{row['start']}:{row['end']}", row["text"], row["context"])


def _rows(
    room: Room, place: Mapping[str, Any], said: Judgement, read: float
) -> Iterable[dict[str, Any]]:
    """Rows of one reader's answer to one item; present is null where there was no usable answer."""
    where = ("document_id", "start", "end") if room.of == OF_PASSAGES else ("transcript_id", "turn")
    shown = {str(label["id"]): label for label in said.labels or ()}
    for behaviour in room.codebook.ids:
        coded = shown.get(behaviour, {})
        yield {
            "label_set": room.label_set,
            **{name: place[name] for name in where},
            "behaviour": behaviour,
            "present": None if said.labels is None else behaviour in shown,
            **{facet: coded.get(facet) for facet in (*FACETS, *OPTIONAL_FACETS)},
            "reader": said.reader,
            "reader_kind": said.reader_kind,
            "method": said.method,
            "labelled_at": said.at,
            "pi": place["pi"] * read,
            "prompt": said.prompt,
        }


def _said(readers: Mapping[str, Mapping[str, Judgement]]) -> list[Any]:
    return [
        [name, key, None if one.labels is None else [dict(label) for label in one.labels]]
        for name, said in sorted(readers.items())
        for key, one in sorted(said.items())
    ]
