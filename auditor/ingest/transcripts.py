"""Observed conversations → transcripts and turns: who wrote which words, how the run ended.

Chat JSONL: {id, model, condition, messages: [{role, content, prefill?}], behaviours: {id: bool},
status?}. Refused, empty and errored runs are kept and counted, and never enter a denominator.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from auditor.ingest.records import Record
from auditor.plan import canonical_json
from auditor.records import Reject

STAGE = "observe"
ROLES = ("system", "user", "assistant", "tool")


class RunState(StrEnum):
    """What became of an observed run; only counted runs enter n."""

    COUNTED = "counted"
    REFUSED = "refused"
    EMPTY = "empty"
    ERRORED = "errored"


_STATES = {
    "refused": RunState.REFUSED,
    "errored": RunState.ERRORED,
    "error": RunState.ERRORED,
    "success": None,
    "": None,
}
"""What a record's own status says of the run; None leaves it to whether the model spoke."""


@dataclass(slots=True)
class Transcripts:
    """The rows of a study's transcripts and turns, and what was refused or seen twice."""

    transcripts: list[dict[str, Any]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    duplicates: int = 0
    _seen: dict[str, str] = field(default_factory=dict)

    def count(self, state: RunState) -> int:
        """Number of transcripts that ended so."""
        return sum(row["state"] == state for row in self.transcripts)


def read_chats(
    records: Iterable[Record | Reject], file: str, study: str, at: datetime
) -> Transcripts:
    """Read chat records; a record that is not a conversation is a reject."""
    out = Transcripts()
    for record in records:
        if isinstance(record, Reject):
            out.rejects.append(record)
            continue
        problem = _problem(record.fields)
        if problem:
            out.rejects.append(Reject(STAGE, file, record.line, problem))
        else:
            _add(out, record, file, study, at)
    return out


def counts(
    transcripts: Iterable[Mapping[str, Any]], names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Count k of n for model x condition x behaviour over the counted, judged transcripts.

    names: library ids of the behaviours the study calls something else.
    """
    tally: dict[tuple[str, str, str], list[int]] = {}
    for row in transcripts:
        if row["state"] != RunState.COUNTED:
            continue
        for behaviour, shown in json.loads(row["behaviours"] or "{}").items():
            if shown is not None:
                called = names.get(behaviour, behaviour)
                cell = tally.setdefault((row["model"], row["condition"], called), [0, 0])
                cell[0] += bool(shown)
                cell[1] += 1
    return [
        {"model": model, "condition": condition, "behaviour": behaviour, "k": k, "n": n}
        for (model, condition, behaviour), (k, n) in sorted(tally.items())
    ]


def _problem(fields: Mapping[str, Any]) -> str | None:
    messages = fields.get("messages")
    if not isinstance(messages, list):
        return "no list 'messages'"
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            return f"message {number} has no role of {', '.join(ROLES)}"
        if not isinstance(message.get("content"), str | list | type(None)):
            return f"message {number}: content is {type(message['content']).__name__}"
    status = str(fields.get("status") or "").lower()
    if status not in _STATES:
        known = ", ".join(filter(None, _STATES))
        return f"status is {fields['status']!r}, expected one of {known}"
    judged = fields.get("behaviours")
    if judged is not None and not isinstance(judged, dict):
        return f"behaviours is {type(judged).__name__}, expected an object or null"
    wrong = [k for k, v in (judged or {}).items() if not isinstance(v, bool | type(None))]
    return f"behaviours.{wrong[0]} is not true, false or null" if wrong else None


def _add(out: Transcripts, record: Record, file: str, study: str, at: datetime) -> None:
    fields = record.fields
    given = fields.get("id")
    name = f"{file}#{record.line}" if given in (None, "") else str(given)
    content = canonical_json(dict(fields))
    if name in out._seen:
        if out._seen[name] == content:
            out.duplicates += 1
        else:
            reason = f"id {name!r} was used before in this study for another transcript"
            out.rejects.append(Reject(STAGE, file, record.line, reason))
        return
    out._seen[name] = content
    transcript_id = f"{study}/{name}"
    turns = [_turn(transcript_id, i, m) for i, m in enumerate(fields["messages"])]
    out.turns += turns
    out.transcripts.append(
        {
            "transcript_id": transcript_id,
            "study": study,
            "id": name,
            "model": str(fields.get("model") or "unknown"),
            "condition": str(fields.get("condition") or ""),
            "state": _state(fields, turns),
            "behaviours": canonical_json(fields.get("behaviours") or {}),
            "file": file,
            "line": record.line,
            "observed_at": at,
        }
    )


def _turn(transcript_id: str, number: int, message: Mapping[str, Any]) -> dict[str, Any]:
    role = message["role"]
    source = "prefill" if message.get("prefill") else ("model" if role == "assistant" else role)
    return {
        "transcript_id": transcript_id,
        "turn": number,
        "role": role,
        "source": source,
        "text": _text(message.get("content")),
    }


def _text(content: object) -> str:
    """Join the text parts of a message; images and calls have no words."""
    if isinstance(content, list):
        parts = (p.get("text") if isinstance(p, dict) else p for p in content)
        content = "\n".join(part for part in parts if isinstance(part, str))
    return str(content or "").encode(errors="replace").decode()


def _state(fields: Mapping[str, Any], turns: Iterable[Mapping[str, Any]]) -> RunState:
    given = _STATES[str(fields.get("status") or "").lower()]
    if given:
        return given
    spoke = any(t["source"] == "model" and t["text"].strip() for t in turns)
    return RunState.COUNTED if spoke else RunState.EMPTY
