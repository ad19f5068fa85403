"""Raw records → documents: which field is the text, which the id, which the metadata.

Every field that has no column of its own is kept in `extra`. A record without usable text is a
reject; nothing is dropped without one.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.ingest.records import Record, read_records
from auditor.plan import Source
from auditor.records import Reject

TEXT_FIELDS = ("text", "content", "body", "raw_content")
ID_FIELDS = ("id", "doc_id", "document_id", "uuid")
METADATA_FIELDS: dict[str, tuple[str, ...]] = {
    "source": ("source",),
    "title": ("title",),
    "author": ("author",),
    "genre": ("genre",),
    "date": ("date", "timestamp", "created"),
    "url": ("url",),
    "licence": ("license", "licence"),
}


@dataclass(frozen=True, slots=True)
class Document:
    """One text with its metadata, and the place it was read from."""

    document_id: int
    corpus: str
    id: str
    text: str
    metadata: Mapping[str, str | None]
    extra: str | None
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields hold the text and the id; None tries the usual names."""

    text: str | None = None
    id: str | None = None


def document_id(corpus: str, name: str) -> int:
    """Hash (corpus, id) to 64 bits (BLAKE2b)."""
    key = f"{corpus}\x00{name}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")


def read_documents(source: Source, corpus: str, fields: Fields) -> Iterator[Document | Reject]:
    """Read the documents of one file; refused records come out as rejects, in place."""
    for item in read_records(source):
        yield item if isinstance(item, Reject) else _document(item, source, corpus, fields)


def _document(record: Record, source: Source, corpus: str, fields: Fields) -> Document | Reject:
    given = record.fields
    text_field = fields.text or next((name for name in TEXT_FIELDS if name in given), None)
    if text_field is None or text_field not in given:
        wanted = fields.text or "text"
        seen = ", ".join(sorted(map(str, given))[:8])
        reason = f"no field {wanted!r} (fields: {seen}); name it with --text"
        return Reject("index", source.name, record.line, reason)
    text = given[text_field]
    problem = _problem(text)
    if problem:
        return Reject("index", source.name, record.line, problem)
    id_field = _field_of(given, (fields.id,) if fields.id else ID_FIELDS)
    name = _clean(given[id_field]) if id_field else _own_name(source, record)
    columns = {column: _field_of(given, names) for column, names in METADATA_FIELDS.items()}
    return Document(
        document_id=document_id(corpus, name),
        corpus=corpus,
        id=name,
        text=text,
        metadata={c: _clean(given[name]) if name else None for c, name in columns.items()},
        extra=_extra(given, {text_field, id_field, *columns.values()}),
        file=source.name,
        line=record.line,
    )


def _problem(text: object) -> str | None:
    if not isinstance(text, str):
        return f"text is {type(text).__name__}, expected a string"
    if not text.strip():
        return "text is empty"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"text holds a lone surrogate at character {error.start}"
    return None


def _own_name(source: Source, record: Record) -> str:
    return f"{source.name}#{record.line}"


def _field_of(given: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if given.get(name) not in (None, "")), None)


def _clean(value: object) -> str:
    """Write a lone surrogate as its escape: it has no UTF-8, and two ids must not become one."""
    return str(value).encode(errors="backslashreplace").decode()


def _extra(given: Mapping[str, Any], used: set[str | None]) -> str | None:
    rest = {str(k): v for k, v in given.items() if k not in used and v not in (None, "")}
    return json.dumps(rest, sort_keys=True, default=str) if rest else None
