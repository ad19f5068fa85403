"""Foreign labels → rows of `labels` and `frames`; a label that does not fit the corpus is a reject.

A label names a document and a span of its characters. An empty list of behaviours means absent, but
only for the behaviours of the reader's codebook; others stay null. `opportunities` and
`no_opportunities` name behaviours that the span does not portray but could have, or could not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from auditor.ingest.records import Record
from auditor.labelling.codebook import label_problem
from auditor.records import Reject
from auditor.schema import FACETS, OPTIONAL_FACETS

STAGE = "label"
READER_KINDS = ("human", "model")
METHODS = ("session", "judge")
"""Methods a label may claim for itself, as an export does; any other label was imported."""

UNANSWERED = "unanswered"
"""True in a line whose reader gave no usable answer, which is not the same as nothing portrayed."""

COULD_BE_SHOWN = {"opportunities": "yes", "no_opportunities": "no"}
"""Lists of a line that code `opportunity` of absent behaviours; a portrayed one has a facet."""

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
    """The behaviours an import speaks of anywhere: its codebook, where none was given.

    An export of this program lists in every line what its reader looked for.
    """
    named: set[str] = set()
    for record in records:
        if isinstance(record, Record):
            named |= {str(one.get("id")) for one in _labels(record) if isinstance(one, dict)}
            for field in ("codebook", *COULD_BE_SHOWN):
                named |= {str(name) for name in _listed(record, field)}
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
    read: dict[tuple[Span, str], object] = {}
    for record in records:
        if isinstance(record, Reject):
            out.rejects.append(record)
            continue
        span, problem = _span(record, documents, frame)
        problem = problem or _label_problem(record, behaviours, source.codebook)
        if span is not None and not problem:
            reader = str(record.fields.get("reader") or source.reader)
            problem = _read_before(read, (span, reader), record)
        if span is not None and not problem and frame is None:
            problem = _drawn_before(out.spans, span, _number(record.fields.get("pi")))
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
    for label in _labels(record):
        name = label.get("id") if isinstance(label, dict) else label
        if name not in behaviours or not isinstance(label, dict):
            return f"no behaviour {name!r} in the library"
        if name not in codebook:
            return f"behaviour {name!r} is not in the codebook that was given"
    facets = {**FACETS, **OPTIONAL_FACETS}
    problem = label_problem(record.fields["labels"], codebook, facets, complete=False)
    return problem or _opportunity_problem(record, behaviours, codebook)


def _opportunity_problem(
    record: Record, behaviours: Sequence[str], codebook: Sequence[str]
) -> str | None:
    """Say what is wrong with the behaviours a span could have portrayed; None where nothing is."""
    shown = {label["id"]: label.get("opportunity") for label in _labels(record)}
    own = _listed(record, "codebook") or codebook
    coded: dict[object, str] = {}
    for field, value in COULD_BE_SHOWN.items():
        if not isinstance(record.fields.get(field), list | None):
            return f"{field} is {record.fields[field]!r}, expected a list of behaviours"
        for name in _listed(record, field):
            if name not in behaviours:
                return f"no behaviour {name!r} in the library"
            if name not in codebook or name not in own:
                return f"behaviour {name!r} is not in the codebook that was given"
            if name in shown and "no" in (value, shown[name]):
                return f"{name} is portrayed and said to have had no opportunity"
            if coded.setdefault(name, value) != value:
                return f"{name} is in opportunities and in no_opportunities"
    if coded and record.fields.get(UNANSWERED) is True:
        return "unanswered, and says what could have been portrayed"
    return None


def _read_before(
    read: dict[tuple[Span, str], object], key: tuple[Span, str], record: Record
) -> str | None:
    """Whether a reader read this span before, and said the same; two readers may differ."""
    said = _said(record)
    if key not in read:
        read[key] = said
        return None
    if read[key] == said:
        return "span was labelled before in this file"
    return f"contradicts what reader {key[1]!r} said of this span before"


def _drawn_before(spans: Mapping[Span, float | None], span: Span, pi: float | None) -> str | None:
    """Whether another label gave this span another probability; it was drawn but once."""
    if span not in spans or spans[span] == pi:
        return None
    return f"pi is {pi}, which contradicts {spans[span]} given for this span before"


def _said(record: Record) -> object:
    """What a label says, whatever the order it says it in; None where nothing was answered."""
    if record.fields.get(UNANSWERED) is True:
        return None
    shown = {
        label["id"]: {k: v for k, v in label.items() if v is not None} for label in _labels(record)
    }
    return shown, _opportunities(record)


def _rows(
    record: Record, span: Span, pi: float | None, source: LabelSource
) -> Iterable[dict[str, Any]]:
    shown = {label["id"]: label for label in _labels(record)}
    could = _opportunities(record)
    unanswered = record.fields.get(UNANSWERED) is True
    method, prompt = record.fields.get("method"), record.fields.get("prompt")
    for behaviour in source.codebook:
        label = shown.get(behaviour, {})
        opportunity = label.get("opportunity") or could.get(behaviour)
        yield {
            "label_set": source.label_set,
            "document_id": span[0],
            "start": span[1],
            "end": span[2],
            "behaviour": behaviour,
            "present": None if unanswered else behaviour in shown,
            **{facet: label.get(facet) for facet in (*FACETS, *OPTIONAL_FACETS)},
            "opportunity": opportunity,
            "reader": str(record.fields.get("reader") or source.reader),
            "reader_kind": record.fields.get("reader_kind") or source.reader_kind,
            "method": method if method in METHODS else source.method,
            "labelled_at": source.at,
            "pi": pi,
            "prompt": prompt if isinstance(prompt, str) else None,
        }


def _opportunities(record: Record) -> dict[str, str]:
    """Whether behaviours could have been portrayed, by behaviour, beside what labels say."""
    return {
        str(name): value
        for field, value in COULD_BE_SHOWN.items()
        for name in _listed(record, field)
    }


def _labels(record: Record) -> list[Any]:
    return _listed(record, "labels")


def _listed(record: Record, field: str) -> list[Any]:
    listed = record.fields.get(field)
    return listed if isinstance(listed, list) else []


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
