"""Foreign labels → rows of `labels` and `frames`; a label that does not fit the corpus is a reject.

A label names a document and a span of its characters. An empty list of behaviours means absent, but
only for the behaviours of the reader's codebook; others stay null.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from auditor.ingest.records import Record
from auditor.records import Reject
from auditor.schema import FACETS, OPTIONAL_FACETS

STAGE = "label"
READER_KINDS = ("human", "model")

Span = tuple[int, int, int]
"""document_id, start, end."""


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """What the corpus knows of a document: its hash, its corpus, its text with gaps as spaces."""

    document_id: int
    corpus: str
    n_chars: int
    text: str | None


@dataclass(frozen=True, slots=True)
class LabelSource:
    """What is true of every label of an import unless the label itself says otherwise."""

    label_set: str
    reader: str
    reader_kind: str
    method: str
    codebook: tuple[str, ...]
    at: datetime


@dataclass(slots=True)
class Imported:
    """The outcome of an import: rows for two tables, and what was refused."""

    labels: list[dict[str, Any]]
    spans: dict[Span, float | None]
    rejects: list[Reject]


def codebook_of(records: Iterable[Record | Reject]) -> tuple[str, ...]:
    """The behaviours an import speaks of anywhere: its codebook, where none was given."""
    named = {
        str(label.get("id"))
        for record in records
        if isinstance(record, Record)
        for label in _labels(record)
        if isinstance(label, dict)
    }
    return tuple(sorted(named))


def import_labels(
    records: Iterable[Record | Reject],
    file: str,
    documents: Mapping[str, KnownDocument],
    frame: Mapping[Span, float] | None,
    behaviours: Sequence[str],
    source: LabelSource,
) -> Imported:
    """Check every label against the corpus, the library and its frame.

    frame: inclusion probability of every span labels were drawn from; None where none was given.
    """
    out = Imported([], {}, [])
    for record in records:
        if isinstance(record, Reject):
            out.rejects.append(record)
            continue
        span, problem = _span(record, documents, frame)
        problem = problem or _label_problem(record, behaviours, source.codebook)
        if span in out.spans:
            problem = problem or "span was labelled before in this file"
        if problem or span is None:
            out.rejects.append(Reject(STAGE, file, record.line, problem or "no span"))
            continue
        pi = frame[span] if frame else _number(record.fields.get("pi"))
        out.spans[span] = pi
        out.labels += _rows(record, span, pi, source)
    return out


def read_frame(
    records: Iterable[Record | Reject], file: str, documents: Mapping[str, KnownDocument]
) -> tuple[dict[Span, float], list[Reject]]:
    """Read the spans a label set was drawn from, with their inclusion probabilities."""
    spans: dict[Span, float] = {}
    rejects: list[Reject] = []
    for record in records:
        if isinstance(record, Reject):
            rejects.append(record)
            continue
        span, problem = _span(record, documents, None)
        pi = _number(record.fields.get("pi"))
        if not problem and (pi is None or not 0 < pi <= 1):
            problem = f"pi is {record.fields.get('pi')!r}, expected a probability above 0"
        if not problem and span in spans:
            problem = "span is in the frame twice"
        if problem or span is None or pi is None:
            rejects.append(Reject(STAGE, file, record.line, problem or "no span"))
        else:
            spans[span] = pi
    return spans, rejects


def _span(
    record: Record,
    documents: Mapping[str, KnownDocument],
    frame: Mapping[Span, float] | None,
) -> tuple[Span | None, str | None]:
    fields = record.fields
    document = documents.get(str(fields.get("document")))
    if document is None:
        return None, f"document {fields.get('document')!r} is not in the corpus"
    start, end = _offset(fields.get("start")), _offset(fields.get("end"))
    if start is None or end is None or not 0 <= start < end <= document.n_chars:
        where = f"{fields.get('start')}-{fields.get('end')}"
        return None, f"span {where} is not in the document's {document.n_chars} characters"
    span = (document.document_id, start, end)
    quoted = str(fields.get("text") or "")
    if quoted and document.text and _letters(document.text[span[1] : span[2]]) != _letters(quoted):
        return None, "text is not what the document has at this span"
    if frame is not None and span not in frame:
        return None, "span is not in the frame it should have been drawn from"
    pi = _number(fields.get("pi"))
    if frame is None and fields.get("pi") is not None and (pi is None or not 0 < pi <= 1):
        return None, f"pi is {fields.get('pi')!r}, expected a probability above 0"
    return span, None


def _label_problem(
    record: Record, behaviours: Sequence[str], codebook: Sequence[str]
) -> str | None:
    if not isinstance(record.fields.get("labels"), list):
        return "no list 'labels' (empty where nothing is portrayed)"
    kind = record.fields.get("reader_kind")
    if kind is not None and kind not in READER_KINDS:
        return f"reader_kind is {kind!r}, expected human or model"
    named = [label.get("id") for label in _labels(record) if isinstance(label, dict)]
    if len(set(map(str, named))) < len(named):
        return "a behaviour is labelled twice in this span"
    for label in _labels(record):
        if not isinstance(label, dict) or label.get("id") not in behaviours:
            name = label.get("id") if isinstance(label, dict) else label
            return f"no behaviour {name!r} in the library"
        if label["id"] not in codebook:
            return f"behaviour {label['id']!r} is not in the codebook that was given"
        for facet, values in {**FACETS, **OPTIONAL_FACETS}.items():
            value = label.get(facet)
            known = value in values if values else isinstance(value, str)
            if value is not None and not known:
                expected = f"one of {', '.join(values)}" if values else "a text"
                return f"{label['id']}: {facet} is {value!r}, expected {expected}"
    return None


def _rows(
    record: Record, span: Span, pi: float | None, source: LabelSource
) -> Iterable[dict[str, Any]]:
    shown = {label["id"]: label for label in _labels(record)}
    for behaviour in source.codebook:
        label = shown.get(behaviour, {})
        yield {
            "label_set": source.label_set,
            "document_id": span[0],
            "start": span[1],
            "end": span[2],
            "behaviour": behaviour,
            "present": behaviour in shown,
            **{facet: label.get(facet) for facet in (*FACETS, *OPTIONAL_FACETS)},
            "reader": str(record.fields.get("reader") or source.reader),
            "reader_kind": record.fields.get("reader_kind") or source.reader_kind,
            "method": source.method,
            "labelled_at": source.at,
            "pi": pi,
        }


def _labels(record: Record) -> list[Any]:
    labels = record.fields.get("labels")
    return labels if isinstance(labels, list) else []


def _number(value: object) -> float | None:
    if isinstance(value, bool) or value is None or value == "":
        return None
    try:
        return float(str(value))
    except ValueError:
        return None


def _offset(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number % 1 == 0 else None


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))
