"""Readers of one label set against each other, and against the study the transcripts come from.

A study judges whole transcripts, readers code turns: against the study, a transcript shows a
behaviour if any of its turns does, and only those count of which every turn was read.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.errors import UsageError
from auditor.flows.reading import OF_TURNS, STUDY, Room, open_room
from auditor.labelling.adjudication import ADJUDICATED, find_disputes, proposals
from auditor.labelling.agreement import (
    Agreement,
    BehaviourAgreement,
    Sensitivity,
    agree,
    sensitivity,
)
from auditor.labelling.codebook import Codebook, Item, Judgement
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables

SEED = 20_261_122
"""Of the order in which an adjudicator sees two answers, and of resampled documents."""

_TRANSCRIPTS = (
    "SELECT f.transcript_id, count(*) AS turns, any_value(t.behaviours) AS behaviours, "
    "any_value(t.observed_at) AS observed_at FROM turn_frames f JOIN transcripts t "
    "USING (transcript_id) WHERE f.label_set = $label_set GROUP BY 1 ORDER BY 1"
)

Compared = tuple[Agreement, tuple[Sensitivity, ...]]


def agreement(tables: Tables, label_set: str, first: str, second: str) -> Compared:
    """How far two readers agree, and the first one's sensitivity if the second is right."""
    room = open_room(tables, label_set)
    if room.of == OF_TURNS and STUDY in (first, second):
        return _with_study(tables, room, first, second)
    one, other = _said(room, first), _said(room, second)
    documents = {item.key: row["document"] for item, row in zip(room.items, room.rows, strict=True)}
    rng = np.random.default_rng(SEED)
    return (
        agree(one, other, room.codebook, documents, rng),
        sensitivity(one, other, room.codebook.ids),
    )


def disputes(
    tables: Tables, label_set: str, first: str, second: str
) -> tuple[Room, tuple[Item, ...], Any, str]:
    """Items on which two readers differ, their answers in blind order, and the adjudicator's name.

    Proposals are by item key, as a reading shows them.
    """
    room = open_room(tables, label_set)
    one, other = _said(room, first), _said(room, second)
    rng = np.random.default_rng(SEED)
    found = find_disputes(room.items, one, other, tuple(room.codebook.facets), rng)
    return room, tuple(dispute.item for dispute in found), proposals(found), ADJUDICATED


def _said(room: Room, reader: str) -> dict[str, Judgement]:
    said = room.readers()
    if reader not in said:
        known = [*said, *([STUDY] if room.of == OF_TURNS else [])]
        raise UsageError(f"no reader {reader!r}", "there are: " + (", ".join(known) or "none"))
    return said[reader]


def _with_study(tables: Tables, room: Room, first: str, second: str) -> Compared:
    """Compare a reader with the study, a behaviour at a time: the study judged few of them."""
    if first == second:
        raise UsageError("the study with itself", "name a reader too, as ann,study")
    reader = second if first == STUDY else first
    rows = Catalogue(tables).rows(_TRANSCRIPTS, {"label_set": room.label_set})
    read = _by_transcript(room, _said(room, reader), {r["transcript_id"]: r["turns"] for r in rows})
    documents = {row["transcript_id"]: row["transcript_id"] for row in rows}
    rng = np.random.default_rng(SEED)
    behaviours: list[BehaviourAgreement] = []
    rates: list[Sensitivity] = []
    both: set[str] = set()
    for behaviour in room.codebook.behaviours:
        study = {row["transcript_id"]: _study(row, behaviour.id) for row in rows}
        known = {key: one for key, one in study.items() if one is not None}
        one, other = (known, read) if first == STUDY else (read, known)
        both |= known.keys() & read.keys()
        behaviours += agree(one, other, Codebook((behaviour,), {}), documents, rng).behaviours
        rates += sensitivity(one, other, (behaviour.id,))
    return Agreement(len(both), tuple(behaviours), ()), tuple(rates)


def _study(row: Mapping[str, Any], behaviour: str) -> Judgement | None:
    """The study's judgement of one behaviour in one transcript; None where it made none."""
    given = json.loads(row["behaviours"] or "{}").get(behaviour)
    if not isinstance(given, bool):
        return None
    labels = ({"id": behaviour},) if given else ()
    return Judgement(row["transcript_id"], labels, STUDY, "model", "import", row["observed_at"])


def _by_transcript(
    room: Room, said: Mapping[str, Judgement], turns: Mapping[str, int]
) -> dict[str, Judgement]:
    """A reader's answers of whole transcripts: present where any turn shows it."""
    read: dict[str, list[Judgement]] = {}
    for item, row in zip(room.items, room.rows, strict=True):
        if item.key in said and said[item.key].labels is not None:
            read.setdefault(row["transcript_id"], []).append(said[item.key])
    out = {}
    for transcript, answers in read.items():
        if len(answers) == turns[transcript]:
            shown = {str(label["id"]): label for one in answers for label in one.labels or ()}
            first = answers[0]
            out[transcript] = Judgement(
                transcript, tuple(shown.values()), first.reader, first.reader_kind, first.method,
                first.at,
            )  # fmt: skip
    return out
