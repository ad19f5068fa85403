"""Sources → documents, passages, sketches, fingerprints, vectors; then duplicates and scores.

A shard is built by one worker and is finished when its part of `documents`, written last, is there;
so an interrupted run resumes at the first unfinished shard.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor.errors import BadInput
from auditor.flows.duplicates import find_duplicates
from auditor.flows.recording import Started, is_done
from auditor.flows.score import score_corpus
from auditor.flows.workers import run_jobs
from auditor.index.build import INDEX_TABLES, STAMP, Text, batches, index_batch
from auditor.index.encoder import DEFAULT_ENCODER, find_encoder, piece_table
from auditor.index.vectors import WordVectors
from auditor.ingest.documents import Document, Fields, read_documents
from auditor.ingest.sources import find_files, read_manifest, shipped_manifest
from auditor.paths import AuditPaths
from auditor.plan import Shard, Source, cut_shards, digest
from auditor.progress import Progress
from auditor.records import Reject
from auditor.schema import TABLES
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, rejects_table, write_part

PACKAGES = ("datasketch", "numba", "numpy", "pyarrow", "sentence-transformers")
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What the user asked of an index run."""

    corpus: str
    fields: Fields
    store_text: bool = True
    encoder: str = DEFAULT_ENCODER
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class ShardJob:
    """Everything a worker needs to build one shard."""

    root: Path
    shard: Shard
    settings: IndexSettings
    exclude: frozenset[int] = frozenset()


def plan_sources(
    named: Sequence[str], corpus: str | None, fields: Fields
) -> tuple[list[Source], str, Fields]:
    """Resolve what the user named: a manifest gives its sources, corpus name and fields."""
    manifests = [path for name in named if (path := _manifest_path(name))]
    if manifests and len(named) > 1:
        raise BadInput("a manifest stands alone", "index one manifest at a time")
    if manifests:
        manifest = read_manifest(manifests[0])
        fields = Fields(fields.text or manifest.text, fields.id or manifest.id)
        return find_files(manifest.sources), corpus or manifest.corpus, fields
    return find_files(named), corpus or _corpus_name(named[0]), fields


def index_sources(
    tables: Tables, sources: Sequence[Source], settings: IndexSettings, progress: Progress
) -> dict[str, Any]:
    """Index a corpus, skipping what is done; returns the summary the command prints."""
    started = Started("index", PACKAGES)
    encoder = find_encoder(settings.encoder)
    asked = _settings(settings, encoder.digest)
    shards = cut_shards(sources, asked)
    inputs = digest([shard.digest for shard in shards])
    if is_done(tables, "index", settings.corpus, digest(asked), inputs):
        done = json.loads(tables.current("index", settings.corpus)[0]["summary"])
        skipped = {"shards_done": 0, "shards_skipped": len(shards), "mb_per_second": None}
        summary = {**done, **skipped}
    else:
        with progress.task("reading the encoder's word pieces", 1, "table"):
            piece_table(encoder)
        _warn_of_dropped_files(tables, sources, settings.corpus, progress)
        summary = _index(tables, shards, settings, progress)
        summary["encoder"] = settings.encoder
        rate = summary.pop("bytes_built") / MEGABYTE / started.seconds
        summary["mb_per_second"] = round(rate, 3) if rate else None
        started.finish(
            tables,
            settings.corpus,
            settings=digest(asked),
            inputs=inputs,
            outputs=_parts(tables, settings.corpus, shards),
            rows=summary["passages"],
            summary=summary,
            rejects=summary["rejects"],
        )
    summary["duplicates"] = find_duplicates(tables, settings.corpus, progress)
    score_corpus(tables, settings.corpus, encoder, progress)
    return {**summary, "seconds": round(started.seconds, 3)}


@dataclass(slots=True)
class _Tally:
    """What a worker counts while documents stream past."""

    rejects: list[Reject]
    bytes: int = 0


def build_shard(job: ShardJob) -> None:
    """Build one shard: every table's part, `documents` last. Runs in a worker."""
    words = WordVectors(piece_table(find_encoder(job.settings.encoder)))
    tally = _Tally([])
    built = [
        index_batch(batch, words, job.settings.store_text) for batch in batches(_texts(job, tally))
    ]
    paths, part, corpus = AuditPaths(job.root), job.shard.part, job.settings.corpus
    write_part(paths, "rejects", corpus, f"index-{part}", rejects_table(tally.rejects, corpus))
    for table in reversed(INDEX_TABLES):
        empty = TABLES[table].schema.empty_table()
        rows = pa.concat_tables([batch[table] for batch in built] or [empty])
        if table == "documents":
            left_out = " ".join(map(str, sorted(job.exclude)))
            rows = rows.replace_schema_metadata({"bytes": str(tally.bytes), "left_out": left_out})
        write_part(paths, table, corpus, part, rows)


def _texts(job: ShardJob, tally: _Tally) -> Iterator[Text]:
    seen = set(job.exclude)
    for source in job.shard.sources:
        for item in read_documents(source, job.settings.corpus, job.settings.fields):
            if isinstance(item, Reject):
                tally.rejects.append(item)
            elif item.document_id in seen:
                reason = f"id {item.id!r} was used by an earlier document"
                tally.rejects.append(Reject("index", item.file, item.line, reason))
            else:
                seen.add(item.document_id)
                tally.bytes += len(item.text.encode())
                yield _text(item)


def _text(document: Document) -> Text:
    row: dict[str, object] = {
        "corpus": document.corpus,
        "id": document.id,
        **document.metadata,
        "extra": document.extra,
        "file": document.file,
        "line": document.line,
    }
    return Text(document.document_id, f"{document.corpus}\x00{document.id}", document.text, row)


def _index(
    tables: Tables, shards: Sequence[Shard], settings: IndexSettings, progress: Progress
) -> dict[str, Any]:
    waiting = [s for s in shards if not _documents_part(tables, settings.corpus, s).is_file()]
    jobs = [ShardJob(tables.paths.root, shard, settings) for shard in waiting]
    with progress.task(f"indexing {settings.corpus}", sum(map(_size, jobs)), "B") as task:
        run_jobs(build_shard, jobs, _size, settings.workers, task)
    _settle_repeated_ids(tables, shards, settings)
    totals = _totals(tables, shards, settings.corpus)
    if not totals["documents"]:
        first = _first_reject(tables, shards, settings.corpus)
        for table in (*INDEX_TABLES, "rejects"):
            for shard in shards:
                for name in (shard.part, f"index-{shard.part}"):
                    tables.part(table, settings.corpus, name).unlink(missing_ok=True)
        raise BadInput(f"no document could be read: {first}", "check --text, or the files")
    return {
        "corpus": settings.corpus,
        **totals,
        "bytes_built": _totals(tables, waiting, settings.corpus)["bytes"],
        "shards_done": len(waiting),
        "shards_skipped": len(shards) - len(waiting),
    }


def _warn_of_dropped_files(
    tables: Tables, sources: Sequence[Source], corpus: str, progress: Progress
) -> None:
    """Say which files of a corpus an index over other sources will leave out."""
    rows = Catalogue(tables).rows(
        "SELECT DISTINCT file FROM documents WHERE corpus = $corpus", {"corpus": corpus}
    )
    dropped = sorted({row["file"] for row in rows} - {source.name for source in sources})
    if dropped:
        shown = ", ".join(dropped[:3]) + (" …" if len(dropped) > 3 else "")
        progress.warn(f"{len(dropped)} files leave corpus {corpus}: {shown}")


def _size(job: ShardJob) -> int:
    return sum(source.size for source in job.shard.sources)


def _settle_repeated_ids(tables: Tables, shards: Sequence[Shard], settings: IndexSettings) -> None:
    """Build a shard again where it did not leave out just the ids that earlier shards hold."""
    seen: set[int] = set()
    for shard in shards:
        path = _documents_part(tables, settings.corpus, shard)
        left_out = set(map(int, pq.read_schema(path).metadata[b"left_out"].split()))
        ids = left_out.union(pq.read_table(path, columns=["document_id"])[0].to_pylist())
        repeated = ids & seen
        if repeated != left_out:
            build_shard(ShardJob(tables.paths.root, shard, settings, frozenset(repeated)))
        seen |= ids


def _totals(tables: Tables, shards: Sequence[Shard], corpus: str) -> dict[str, int]:
    """Count a corpus from its parts: the rows, and the words and bytes that were read."""
    totals = dict.fromkeys(("documents", "passages", "words", "bytes", "rejects"), 0)
    for shard in shards:
        path = _documents_part(tables, corpus, shard)
        words = pc.sum(pq.read_table(path, columns=["n_words"])[0]).as_py() or 0
        metadata = pq.read_schema(path).metadata
        totals["documents"] += pq.read_metadata(path).num_rows
        totals["passages"] += pq.read_metadata(tables.part("passages", corpus, shard.part)).num_rows
        totals["words"] += words
        totals["bytes"] += int(metadata[b"bytes"])
        rejects = tables.part("rejects", corpus, f"index-{shard.part}")
        totals["rejects"] += pq.read_metadata(rejects).num_rows
    return totals


def _first_reject(tables: Tables, shards: Sequence[Shard], corpus: str) -> str:
    for shard in shards:
        rejects = pq.read_table(tables.part("rejects", corpus, f"index-{shard.part}")).to_pylist()
        for row in rejects:
            line = f" line {row['line']}" if row["line"] else ""
            return f"{row['file']}{line}: {row['reason']}"
    return "the files hold no records"


def _settings(settings: IndexSettings, encoder_digest: str) -> dict[str, Any]:
    fields = {"text": settings.fields.text, "id": settings.fields.id}
    plain = {"corpus": settings.corpus, "store_text": settings.store_text, **fields}
    return {**plain, "encoder": encoder_digest, "stamp": STAMP}


def _documents_part(tables: Tables, corpus: str, shard: Shard) -> Path:
    return tables.part("documents", corpus, shard.part)


def _parts(tables: Tables, corpus: str, shards: Sequence[Shard]) -> Iterator[Path]:
    for shard in shards:
        yield from (tables.part(table, corpus, shard.part) for table in INDEX_TABLES)
        yield tables.part("rejects", corpus, f"index-{shard.part}")


def _manifest_path(name: str) -> Path | None:
    path = Path(name)
    if name.endswith(".toml") and path.is_file():
        return path
    return None if path.exists() else shipped_manifest(name)


def _corpus_name(source: str) -> str:
    name = Path(source.rstrip("/*")).name.split(".")[0]
    return name or "corpus"
