"""A file of labels → `labels` and `frames` of one label set, with every misfit in `rejects`."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from auditor.behaviours.spec import choose, library_of
from auditor.errors import BadInput, UsageError
from auditor.flows.recording import Started, need_index
from auditor.index.tokens import tokenise
from auditor.ingest.records import Record, read_clean_records
from auditor.ingest.sources import content_digest, find_sources
from auditor.labelling.importing import (
    Imported,
    KnownDocument,
    LabelSource,
    Span,
    codebook_of,
    import_labels,
    read_frame,
)
from auditor.plan import Source, digest
from auditor.progress import Progress
from auditor.records import Reject
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, rejects_table, rows_table, with_schema

FRAME_NAMES = ("frame.parquet", "frame.csv", "frame.jsonl")
"""The file beside the labels that lists every span they were drawn from."""


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """What the user says about an import; reader_kind is the weaker claim unless stated."""

    label_set: str | None = None
    frame: str | None = None
    reader_kind: str = "model"
    codebook: tuple[str, ...] = ()
    corpus: str | None = None


def import_file(
    tables: Tables, path: str, settings: LabelSettings, progress: Progress
) -> dict[str, Any]:
    """Import a label file and its frame; returns the summary the command prints."""
    started = Started("label", ("pyarrow",))
    need_index(tables)
    source = _one_file(path)
    frame_source = _frame_source(path, settings.frame)
    library = library_of(tables.paths)
    choose(library, settings.codebook)
    records = list(read_clean_records(source, "label"))
    frame_records = list(read_clean_records(frame_source, "label")) if frame_source else []
    named = {
        str(r.fields.get("document")) for r in (*records, *frame_records) if isinstance(r, Record)
    }
    with progress.task("checking labels against the corpus", len(named), "documents") as task:
        documents = _documents(tables, sorted(named), settings.corpus, progress)
        frame, frame_rejects = _frame(frame_source, frame_records, documents)
        codebook = settings.codebook or tuple(n for n in codebook_of(records) if n in library)
        if not codebook:
            progress.warn("no behaviour is named: say what the readers looked for with --codebook")
        label_set = settings.label_set or _set_name(path)
        if tables.current("plan", label_set):
            raise UsageError(
                f"label set {label_set!r} was drawn here",
                "labels from elsewhere need a set of their own: --set NAME",
            )
        label_source = LabelSource(
            label_set, source.name, settings.reader_kind, "import", codebook, started.at
        )
        imported = import_labels(
            records, source.name, documents, frame, list(library), label_source
        )
        task.advance(len(named))
    if not imported.spans:
        first = imported.rejects[0] if imported.rejects else None
        reason = f"line {first.line}: {first.reason}" if first else "the file is empty"
        raise BadInput(
            f"{path}: no label fits the corpus; {reason}", "index the labelled corpus first"
        )
    if any(pi is None for pi in imported.spans.values()):
        progress.warn("labels without an inclusion probability cannot enter a rate")
    drawn = frame or {span: pi for span, pi in imported.spans.items() if pi is not None}
    frames = _frame_rows(tables, label_set, drawn, documents)
    rejects = (*frame_rejects, *imported.rejects)
    before = tables.current("label", label_set)
    written = _write(tables, label_set, imported, frames, rejects, (source, frame_source), started)
    if (
        before
        and before[0]["input_digest"] != tables.current("label", label_set)[0]["input_digest"]
    ):
        spans = json.loads(before[0]["summary"])["spans"]
        progress.warn(f"label set {label_set} held {spans} spans of other files: replaced")
    return written


def _write(
    tables: Tables,
    label_set: str,
    imported: Imported,
    frames: pa.Table,
    rejects: Sequence[Reject],
    named: tuple[Source, Source | None],
    started: Started,
) -> dict[str, Any]:
    labels = rows_table("labels", imported.labels)
    positives = {row["behaviour"] for row in imported.labels}
    summary = {
        "label_set": label_set,
        "spans": len(imported.spans),
        "frame": named[1].name if named[1] else None,
        "frame_size": frames.num_rows,
        "codebook": sorted(positives),
        "positives": sum(bool(row["present"]) for row in imported.labels),
        "reader_kinds": sorted({row["reader_kind"] for row in imported.labels}),
        "rejects": len(rejects),
    }
    paths = (
        tables.write("labels", label_set, labels),
        tables.write("frames", label_set, frames),
        tables.write("rejects", label_set, rejects_table(rejects, label_set)),
    )
    files = [(source.name, content_digest(source)) for source in named if source]
    started.finish(
        tables,
        label_set,
        settings=digest([summary["codebook"], summary["reader_kinds"]]),
        inputs=digest(files),
        outputs=paths,
        rows=labels.num_rows,
        summary=summary,
        rejects=len(rejects),
    )
    return summary


def _one_file(path: str) -> Source:
    sources = find_sources([path])
    if len(sources) > 1:
        raise BadInput(f"{path} holds {len(sources)} files", "import one label file at a time")
    return sources[0]


def _frame_source(path: str, named: str | None) -> Source | None:
    if named:
        return _one_file(named)
    beside = [Path(path).parent / name for name in FRAME_NAMES]
    found = [str(candidate) for candidate in beside if candidate.is_file()]
    return _one_file(found[0]) if found else None


def _frame(
    source: Source | None,
    records: Sequence[Record | Reject],
    documents: dict[str, KnownDocument],
) -> tuple[dict[Span, float] | None, list[Reject]]:
    if source is None:
        return None, []
    return read_frame(records, source.name, documents)


def _documents(
    tables: Tables, names: Sequence[str], corpus: str | None, progress: Progress
) -> dict[str, KnownDocument]:
    """Fetch the named documents with their text put together from their passages."""
    catalogue = Catalogue(tables)
    ids = _resolve(catalogue, names, corpus)
    if renamed := sum(name != id_ for name, (id_, _) in ids.items()):
        progress.warn(f"{renamed} documents without ids of their own were matched by file name")
    rows = catalogue.join(
        'SELECT p.document_id, d.id, d.corpus, d.n_chars, p.start, p."end", p.text '
        "FROM wanted JOIN documents d USING (id, corpus) "
        "LEFT JOIN passages p USING (document_id) ORDER BY p.document_id, p.start",
        wanted=pa.table(
            {"id": [i for i, _ in ids.values()], "corpus": [c for _, c in ids.values()]}
        ),
    ).to_pylist()
    parts: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        parts.setdefault((row["id"], row["corpus"]), []).append(row)
    return {name: _document(parts[key]) for name, key in ids.items()}


def _resolve(
    catalogue: Catalogue, names: Sequence[str], corpus: str | None
) -> dict[str, tuple[str, str]]:
    """Find which (id, corpus) each name means; raises BadInput where two corpora hold it.

    A document without an id of its own is called by its path, which depends on where the index
    started: such a one is also found by its file name, if no other name or document shares it.
    """
    rows = catalogue.join(
        "SELECT n.id AS name, d.id, d.corpus, d.id = n.id AS same FROM names n JOIN documents d "
        "ON d.id = n.id OR (d.id = d.file AND regexp_extract(d.id, '[^/]+$') = n.file)",
        names=pa.table({"id": list(names), "file": [name.rsplit("/", 1)[-1] for name in names]}),
    ).to_pylist()
    found: dict[str, set[tuple[str, str]]] = {}
    alike: list[tuple[str, tuple[str, str]]] = []
    for row in rows:
        if corpus in (None, row["corpus"]):
            key = (row["id"], row["corpus"])
            if row["same"]:
                found.setdefault(row["name"], set()).add(key)
            else:
                alike.append((row["name"], key))
    taken = {key for keys in found.values() for key in keys}
    free = [(name, key) for name, key in alike if name not in found and key not in taken]
    names_of, keys_of = Counter(key for _, key in free), Counter(name for name, _ in free)
    found |= {n: {key} for n, key in free if names_of[key] == 1 and keys_of[n] == 1}
    for name, keys in found.items():
        if len(keys) > 1:
            where = ", ".join(sorted(c for _, c in keys))
            raise BadInput(f"document {name!r} is in corpora {where}", "say which with --corpus")
    return {name: next(iter(keys)) for name, keys in found.items()}


def _document(parts: list[dict[str, Any]]) -> KnownDocument:
    first = parts[0]
    text: str | None = None
    if all(part["text"] is not None for part in parts):
        pieces, at = [], 0
        for part in parts:
            pieces += [" " * (part["start"] - at), part["text"]]
            at = part["end"]
        text = "".join(pieces) + " " * (first["n_chars"] - at)
    return KnownDocument(first["document_id"], first["corpus"], first["n_chars"], text)


def _frame_rows(
    tables: Tables,
    label_set: str,
    spans: dict[Span, float],
    documents: dict[str, KnownDocument],
) -> pa.Table:
    """Rows of `frames`: each span with its words and the copies of the passage it overlaps most."""
    words = _span_words(spans, documents)
    table = pa.table(
        {
            "document_id": pa.array([s[0] for s in spans], pa.uint64()),
            "start": pa.array([s[1] for s in spans], pa.uint32()),
            "end": pa.array([s[2] for s in spans], pa.uint32()),
            "n_words": pa.array(words, pa.uint32()),
            "pi": pa.array(list(spans.values()), pa.float64()),
        }
    )
    rows = Catalogue(tables).join(
        f"SELECT '{label_set.replace(chr(39), chr(39) * 2)}' AS label_set, s.document_id, s.start, "
        's."end", s.n_words, s.pi, '
        "arg_max(coalesce(u.multiplicity, 1)::UINTEGER, "
        'least(s."end", p."end")::BIGINT - greatest(s.start, p.start)::BIGINT) AS multiplicity '
        "FROM spans s LEFT JOIN passages p ON p.document_id = s.document_id "
        'AND p.start < s."end" AND p."end" > s.start LEFT JOIN duplicates u USING (passage_id) '
        'GROUP BY ALL ORDER BY s.document_id, s.start, s."end"',
        spans=table,
    )
    return with_schema("frames", rows)


def _span_words(spans: Iterable[Span], documents: dict[str, KnownDocument]) -> list[int]:
    """Count the words of each span; by its share of characters where text is not stored."""
    known = {d.document_id: d for d in documents.values()}
    ids = sorted({span[0] for span in spans if known[span[0]].text is not None})
    tokens = tokenise([known[i].text or "" for i in ids])
    bounds = dict(
        zip(
            ids,
            zip(tokens.document_offsets, tokens.document_offsets[1:], strict=False),
            strict=True,
        )
    )
    counts = []
    for document_id, start, end in spans:
        if document_id not in bounds:
            counts.append(max(1, (end - start) // 6))
            continue
        first, last = bounds[document_id]
        begins = tokens.char_starts[first:last]
        low, high = first + np.searchsorted(begins, [start, end])
        counts.append(int(tokens.words_before[high] - tokens.words_before[low]))
    return counts


def _set_name(path: str) -> str:
    file = Path(path)
    return file.parent.name if file.stem == "labels" else file.stem
