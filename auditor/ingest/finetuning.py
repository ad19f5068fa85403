"""Chat fine-tuning files → rows: system text, first user turn, answer, judgements, stratum.

Takes {messages: [{role, content}]}, {prompt, completion}, and {prompt} or {user} alone, which has
no answer. Judgements are {behaviours: {id: true|false|null}} or {trait: true|false|null}. Contents
are text: a row with calls or images in place of words is a reject, not a row with an empty answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.ingest.records import Record, read_clean_records
from auditor.plan import Source, digest
from auditor.progress import Progress
from auditor.records import Reject

STAGE = "finetune"
SYSTEM = ("system", "developer")
"""Roles of the operator's words; newer chat formats call the system prompt the developer's."""

ROLES = (*SYSTEM, "user", "assistant", "tool", "function")
PROMPTS = ("prompt", "user")
STRATA = ("stratum", "topic")


@dataclass(frozen=True, slots=True)
class FinetuningRow:
    """One conversation of a fine-tuning set; `answer` is None where only a prompt is given.

    `judgements` holds behaviours judged shown or not shown; one judged null is left out.
    `digest` is of the messages alone, so that duplicates are found whatever they are called.
    """

    file: str
    line: int
    id: str | None
    system: str | None
    user: str
    answer: str | None
    judgements: Mapping[str, bool]
    stratum: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class FinetuningSet:
    """Every row of the files of a fine-tuning set, and what was refused."""

    files: tuple[str, ...]
    rows: tuple[FinetuningRow, ...]
    rejects: tuple[Reject, ...]

    @property
    def duplicates(self) -> int:
        """Rows whose messages another row holds already; they stay in the set."""
        return len(self.rows) - len({row.digest for row in self.rows})

    @property
    def prompts_only(self) -> int:
        """Rows without an answer."""
        return sum(row.answer is None for row in self.rows)


def read_set(sources: Sequence[Source], progress: Progress) -> FinetuningSet:
    """Read fine-tuning files; a record that is no conversation is a reject, and the rest go on."""
    rows: list[FinetuningRow] = []
    rejects: list[Reject] = []
    with progress.task("reading fine-tuning rows", len(sources), "files") as task:
        for source in sources:
            for item in read_rows(read_clean_records(source, STAGE), source.name):
                if isinstance(item, Reject):
                    rejects.append(item)
                else:
                    rows.append(item)
            task.advance(1)
    return FinetuningSet(tuple(s.name for s in sources), tuple(rows), tuple(rejects))


def read_rows(records: Iterable[Record | Reject], file: str) -> Iterator[FinetuningRow | Reject]:
    """Turn raw records into rows or rejects, in their order."""
    for record in records:
        if isinstance(record, Reject):
            yield record
            continue
        try:
            yield _row(record, file)
        except _Refused as refused:
            yield Reject(STAGE, file, record.line, str(refused))


class _Refused(Exception):
    """A record that is no fine-tuning row, and why."""


def _row(record: Record, file: str) -> FinetuningRow:
    fields = record.fields
    messages = _messages(fields)
    answers = [words for role, words in messages if role == "assistant"]
    system = [words for role, words in messages if role in SYSTEM]
    given = fields.get("id")
    return FinetuningRow(
        file=file,
        line=record.line,
        id=None if given in (None, "") else str(given),
        system="\n\n".join(system) if system else None,
        user=next((words for role, words in messages if role == "user"), "").strip(),
        answer="\n\n".join(answers) if answers else None,
        judgements=_judgements(fields),
        stratum=_stratum(fields),
        digest=digest(messages),
    )


def _messages(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The (role, words) of a record, whichever of the formats it is in."""
    if "messages" in fields:
        return _chat(fields["messages"])
    name = next((name for name in PROMPTS if fields.get(name) is not None), None)
    if name is None:
        raise _Refused("no 'messages', 'prompt' or 'user'")
    turns = [("system", "system"), (name, "user"), ("completion", "assistant")]
    return [
        (role, _words(fields[field], f"the {field}"))
        for field, role in turns
        if fields.get(field) is not None
    ]


def _chat(messages: object) -> list[tuple[str, str]]:
    if not isinstance(messages, list):
        raise _Refused(f"messages is {type(messages).__name__}, expected a list")
    if not messages:
        raise _Refused("no messages")
    turns = [_turn(number, message) for number, message in enumerate(messages)]
    if not any(role == "assistant" for role, _ in turns):
        raise _Refused("no assistant turn")
    return turns


def _turn(number: int, message: object) -> tuple[str, str]:
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(message, dict) or role not in ROLES:
        raise _Refused(f"message {number} has no role of {', '.join(ROLES)}")
    return str(role), _words(message.get("content"), f"message {number} ({role})")


def _words(content: object, what: str) -> str:
    if not isinstance(content, str):
        raise _Refused(f"{what}: content is {type(content).__name__}, expected text")
    if not content.strip():
        raise _Refused(f"{what} is empty")
    return content


def _judgements(fields: Mapping[str, Any]) -> dict[str, bool]:
    judged = fields.get("behaviours")
    if judged is not None and not isinstance(judged, dict):
        raise _Refused(f"behaviours is {type(judged).__name__}, expected an object or null")
    named = {f"behaviours.{name}": (str(name), value) for name, value in (judged or {}).items()}
    if "trait" in fields:
        named["trait"] = ("trait", fields["trait"])
    for field, (_, value) in named.items():
        if not isinstance(value, bool | None):
            raise _Refused(f"{field} is not true, false or null")
    return {name: value for name, value in named.values() if value is not None}


def _stratum(fields: Mapping[str, Any]) -> str | None:
    value = next((fields[name] for name in STRATA if fields.get(name) is not None), None)
    if isinstance(value, dict | list):
        raise _Refused(f"stratum is {type(value).__name__}, expected text")
    return None if value is None else str(value)
